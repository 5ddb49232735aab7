"""Background work on the data: expired documents, the feed's tail, old idempotency records.

Every gateway does it, in small pieces: what one has removed, the next finds gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from baas.engines.mongo.driver import DatetimeMS, Driver, PyMongoError
from baas.engines.mongo.names import FEED, ONCE
from baas.engines.mongo.values import ID, server_path, value_at
from baas.errors import Problem
from baas.ports.documents import DELETE, KEEP, Change, Lookups, Outcome, WriteInfo
from baas.schema.model import CollectionSpec
from baas.schema.values import Document, Path, date_from_ms, is_date

if TYPE_CHECKING:
    from baas.engines.mongo.store import MongoStore

_log: Final = logging.getLogger("baas.mongo")
#: Seconds between two rounds.
INTERVAL: Final = 15.0
#: Documents that one transaction removes, so that no other write waits long.
_BATCH: Final = 200
_HOUR_MS: Final = 3_600_000


class Maintenance:
    def __init__(self, store: MongoStore, driver: Driver) -> None:
        self._store = store
        self._driver = driver
        self._ttl: dict[str, Path] = {}
        #: The least cap that a batch has asked for (`Once.keep_records`), once one has.
        self.keep_records: int | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def remember(self, collections: Mapping[str, CollectionSpec]) -> None:
        """Which documents expire, from their declarations."""
        for name, spec in collections.items():
            self._ttl.pop(name, None)
            if spec.ttl is not None:
                self._ttl[name] = spec.ttl

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.run_once()
            except (Problem, PyMongoError) as error:
                _log.warning("maintenance will be tried again: %r", error)

    async def run_once(self) -> None:
        """One round: everything that is due now is done when this returns."""
        for collection, path in list(self._ttl.items()):
            while await self._expire(collection, path):
                pass
        await self._prune_feed()
        await self._forget_answers()
        await self._store.jobs.live()

    # -- expired documents -------------------------------------------------------------------------

    async def _expire(self, collection: str, path: Path) -> bool:
        """Removes some expired documents by ordinary writes; whether there may be more."""
        now = self._store.clock.now_ms()
        field = server_path(path)
        rows = await self._driver.find(
            collection, {field: {"$lte": DatetimeMS(now)}}, {ID: 1}, limit=_BATCH
        )
        expire = _Expire(path, now)
        steps = tuple(Change(collection=collection, id=row[ID], apply=expire) for row in rows)
        if not steps:
            return False
        result = await self._store.write(steps, WriteInfo())
        removed = any(one.written for one in result.results)
        return len(rows) == _BATCH and removed

    # -- the feed ----------------------------------------------------------------------------------

    async def _prune_feed(self) -> None:
        settings = self._store.settings
        oldest = self._store.clock.now_ms() - int(settings.feed_keep_hours * _HOUR_MS)
        first, last = await self._feed_end(1), await self._feed_end(-1)
        if first is None or last is None:
            return
        images = (last["before"], last["after"])
        end = int(last["offset"]) + sum(len(image) for image in images if image is not None)
        too_old = await self._last_below("time", oldest, first[ID], last[ID])
        too_much = await self._last_below(
            "offset", end - settings.feed_keep_bytes, first[ID], last[ID]
        )
        # Never the last row of all, so that a reader can tell that nothing is missing before it.
        found = min(max(too_old, too_much), last[ID] - 1)
        if found >= first[ID]:
            await self._driver.delete(FEED, {ID: {"$lte": found}})

    async def _feed_end(self, direction: int) -> Any:
        return await self._driver.find_one(FEED, {}, sort=[(ID, direction)])

    async def _last_below(self, field: str, bound: int, first: int, last: int) -> int:
        """The last row whose `field`, which grows with them, is below `bound`; else `first` - 1.

        Found by halving, for there is no index: a feed may hold millions of rows.
        """
        low, high = first - 1, last
        while low < high:
            middle = (low + high + 1) // 2
            row = await self._driver.find_one(FEED, {ID: middle}, projection={field: 1})
            below = row is None or row[field] < bound
            low, high = (middle, high) if below else (low, middle - 1)
        return low

    # -- idempotency -------------------------------------------------------------------------------

    async def _forget_answers(self) -> None:
        await self._driver.delete(ONCE, {"expires": {"$lte": self._store.clock.now_ms()}})
        if self.keep_records is None:
            return
        over = await self._driver.count(ONCE, {}) - self.keep_records
        if over > 0:
            rows = await self._driver.find(
                ONCE, {}, {ID: 1}, sort=[("expires", 1), ("order", 1)], limit=over
            )
            await self._driver.delete(ONCE, {ID: {"$in": [row[ID] for row in rows]}})


class _Expire:
    """Deletes the document unless it was given a later date meanwhile."""

    def __init__(self, path: Path, now_ms: int) -> None:
        self._path = path
        self._now = date_from_ms(now_ms)["$date"]

    def __call__(self, document: Document | None, lookups: Lookups) -> Outcome:
        value = {} if document is None else value_at(document, self._path)
        return DELETE if is_date(value) and value["$date"] <= self._now else KEEP
