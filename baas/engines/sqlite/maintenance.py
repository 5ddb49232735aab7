"""Background work on the data: expired documents, the feed's tail, old idempotency records.

All of it is small transactions through the one writer. Several processes on one folder may each do
it: what one has removed, the next finds gone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import apsw

from baas.engines.rounds import BATCH, HOUR_MS, Expire, Rounds
from baas.engines.sqlite.connection import Database
from baas.engines.sqlite.keys import encode_key, key_sql, kind_bounds
from baas.engines.sqlite.readers import Readers
from baas.engines.sqlite.steps import FEED_END, Transaction
from baas.engines.sqlite.writer import Writer
from baas.ports.documents import Change, WriteInfo
from baas.schema.values import Kind, Path, date_from_ms

if TYPE_CHECKING:
    from baas.engines.sqlite.store import SqliteStore

_log: Final = logging.getLogger("baas.sqlite")
_FEED_ENDS: Final = "SELECT min(seq), max(seq) FROM baas_feed"


class Maintenance(Rounds):
    def __init__(self, store: SqliteStore, readers: Readers, writer: Writer) -> None:
        super().__init__(apsw.Error, _log)
        self._store = store
        self._readers = readers
        self._writer = writer

    # -- expired documents -------------------------------------------------------------------------

    async def _expire(self, collection: str, path: Path) -> bool:
        now = self._store.clock.now_ms()
        ids = await self._readers.in_thread(lambda db: _expired(db, collection, path, now))
        steps = tuple(Change(collection=collection, id=id, apply=Expire(path, now)) for id in ids)
        if steps:
            await self._writer.write(steps, WriteInfo(), None)
        return len(ids) == BATCH

    # -- the feed ----------------------------------------------------------------------------------

    async def _prune_feed(self) -> None:
        settings = self._store.settings
        oldest = self._store.clock.now_ms() - int(settings.feed_keep_hours * HOUR_MS)
        end = await self._readers.in_thread(
            lambda db: _prune_end(db, oldest, settings.feed_keep_bytes)
        )
        while end and await self._writer.exclusive(lambda tx: _prune(tx, end)):
            pass

    # -- idempotency -------------------------------------------------------------------------------

    async def _forget_answers(self) -> None:
        now, keep = self._store.clock.now_ms(), self.keep_records
        if await self._readers.in_thread(lambda db: _answers_due(db, now, keep)):
            while await self._writer.exclusive(lambda tx: _forget(tx, now, keep)):
                pass


def _expired(database: Database, collection: str, path: Path, now_ms: int) -> list[str]:
    info = database.catalogue().get(collection)
    if info is None:
        return []
    key, (low, _) = key_sql(path), kind_bounds(Kind.DATE)
    where = f"{key} >= {low} AND {key} <= ?"
    sql = f"SELECT id FROM {info.table} WHERE {where} LIMIT {BATCH}"
    return database.rows(sql, (encode_key(date_from_ms(now_ms)),))


def _prune_end(database: Database, oldest: int, keep_bytes: int) -> int:
    """The last row to go; 0 if none. Never the last row of all, which carries the numbering."""
    ends: Any = database.raw.execute(_FEED_ENDS).get
    first, last = ends
    if first is None:
        return 0
    end: int = database.raw.execute(FEED_END).get
    too_old = _last_below(database, "time", oldest, first, last)
    too_much = _last_below(database, "offset", end - keep_bytes, first, last)
    found = min(max(too_old, too_much), last - 1)
    return found if found >= first else 0


def _last_below(database: Database, column: str, bound: int, first: int, last: int) -> int:
    """The last row whose `column`, which grows with the rows, is below `bound`; else `first` - 1.

    Found by halving, for there is no index: a feed may hold millions of rows.
    """
    sql = f"SELECT {column} FROM baas_feed WHERE seq=?"
    low, high = first - 1, last
    while low < high:
        middle = (low + high + 1) // 2
        value: Any = database.raw.execute(sql, (middle,)).get
        low, high = (middle, high) if value is None or value < bound else (low, middle - 1)
    return low


def _prune(transaction: Transaction, end: int) -> bool:
    """Removes the oldest rows up to `end`, some at a time; whether there is more to do."""
    transaction.execute(
        "DELETE FROM baas_feed WHERE seq <= min(?, (SELECT min(seq) FROM baas_feed) + ?)",
        (end, BATCH),
    )
    first = transaction.execute("SELECT min(seq) FROM baas_feed").get
    return first is not None and first <= end


def _answers_due(database: Database, now_ms: int, keep: int | None) -> bool:
    execute = database.raw.execute
    expired = "SELECT EXISTS(SELECT 1 FROM baas_once WHERE expires<=?)"
    if execute(expired, (now_ms,)).get:
        return True
    return keep is not None and execute("SELECT count(*) FROM baas_once").get > keep


def _forget(transaction: Transaction, now_ms: int, keep: int | None) -> bool:
    """Removes expired records, then the oldest over the cap; whether there is more to do."""
    execute = transaction.execute
    by_age = "SELECT rowid FROM baas_once WHERE expires<=? ORDER BY expires LIMIT ?"
    execute(f"DELETE FROM baas_once WHERE rowid IN ({by_age})", (now_ms, BATCH))
    removed = transaction.database.raw.changes()
    over = 0 if keep is None else execute("SELECT count(*) FROM baas_once").get - keep
    if over > 0:
        oldest = "SELECT rowid FROM baas_once ORDER BY expires, rowid LIMIT ?"
        execute(f"DELETE FROM baas_once WHERE rowid IN ({oldest})", (min(over, BATCH),))
    return removed == BATCH or over > BATCH
