"""ChangeFeed on the table that every write appends to, in the write's own transaction.

Rows are numbered without gaps (SQLite gives the last number plus one, and pruning keeps the last
row), so a reader sees from the first number it gets whether something was pruned before it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import apsw

from baas.engines.sqlite.connection import Database
from baas.engines.sqlite.readers import Readers
from baas.engines.waiting import Waiters
from baas.errors import Problem
from baas.ports.changes import ChangeEvent, CursorTooOld
from baas.ports.documents import MaybeAwaitable

#: How often other processes' writes are looked for while somebody waits, in seconds.
POLL: Final = 0.075
_COLUMNS: Final = "seq,tx,time,collection,id,before,after,actor,depth"
_READ: Final = f"SELECT {_COLUMNS} FROM baas_feed WHERE seq>? ORDER BY seq LIMIT ?"
_HEAD: Final = "SELECT ifnull(max(seq),0) FROM baas_feed"
_EPOCH: Final = "SELECT value FROM baas_meta WHERE key='feed_epoch'"


class SqliteFeed:
    """See the port. Cursors are `<epoch>.<number>`; a restored backup begins a new epoch."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._execute = readers.inline.raw.execute
        self._epoch: str = self._execute(_EPOCH).get
        self._waiters = Waiters(self._poll)

    def head(self) -> str:
        return self._cursor(self._last())

    def read(self, after: str, limit: int = 1000) -> MaybeAwaitable[list[ChangeEvent]]:
        seq = self._position(after)
        try:
            rows = self._readers.inline_rows(_READ, (seq, limit))
        except (apsw.InterruptError, apsw.BusyError):
            return self._read_in_thread(seq, limit)
        except apsw.Error as error:
            raise self._readers.fault(error) from None
        return self._events(seq, rows)

    async def _read_in_thread(self, seq: int, limit: int) -> list[ChangeEvent]:
        rows = await self._readers.in_thread(
            lambda db: db.raw.execute(_READ, (seq, limit)).fetchall()
        )
        return self._events(seq, rows)

    def order(self, cursor: str) -> int:
        return self._position(cursor)

    def head_in(self, database: Database) -> str:
        """The head as of the read transaction that is open there."""
        return self._cursor(int(database.raw.execute(_HEAD).get))

    async def wait(self, after: str, timeout: float) -> bool:  # noqa: ASYNC109 - the port's name
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not self._is_behind(after):
            if (left := deadline - loop.time()) <= 0:
                return False
            await self._waiters.wait(left)
        return True

    def notify(self) -> None:
        """This process has written."""
        self._waiters.wake()

    async def _poll(self) -> None:
        """Looks for other processes' writes for as long as somebody waits."""
        seen = self._last()
        while self._waiters:
            await asyncio.sleep(POLL)
            try:
                last = self._last()
            except Problem:
                continue  # it is logged; whoever reads meets it too
            if last != seen:
                seen = last
                self.notify()

    async def close(self) -> None:
        await self._waiters.close()

    def _last(self) -> int:
        try:
            rows = self._readers.inline_rows(_HEAD, ())
        except apsw.Error as error:
            raise self._readers.fault(error) from None
        return int(rows[0][0])

    def _is_behind(self, after: str) -> bool:
        try:
            return self._position(after) < self._last()
        except CursorTooOld:
            return True

    def _cursor(self, seq: int) -> str:
        return f"{self._epoch}.{seq}"

    def _position(self, cursor: str) -> int:
        epoch, _, digits = cursor.partition(".")
        if epoch != self._epoch or not (digits.isascii() and digits.isdigit()):
            raise CursorTooOld(cursor)
        return int(digits)

    def _events(self, after: int, rows: list[Any]) -> list[ChangeEvent]:
        if rows and rows[0][0] != after + 1:
            raise CursorTooOld(self._cursor(after))
        if not rows and after > self._last():
            raise CursorTooOld(self._cursor(after))
        return [self._event(*row) for row in rows]

    def _event(
        self,
        seq: int,
        tx: int | None,
        time: int,
        collection: str,
        id: str,
        before: bytes | None,
        after: bytes | None,
        actor: str | None,
        depth: int,
    ) -> ChangeEvent:
        return ChangeEvent(
            cursor=self._cursor(seq),
            transaction=str(seq if tx is None else tx),
            time=time,
            collection=collection,
            operation="insert" if before is None else "delete" if after is None else "update",
            id=id,
            before=before,
            after=after,
            actor=actor,
            depth=depth,
        )
