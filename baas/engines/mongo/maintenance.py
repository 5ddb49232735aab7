"""Background work on the data: expired documents, the feed's tail, old idempotency records.

Every gateway does it, in small pieces: what one has removed, the next finds gone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from baas.engines.mongo.driver import DatetimeMS, Driver, PyMongoError
from baas.engines.mongo.names import FEED, ONCE
from baas.engines.mongo.values import ID, server_path
from baas.engines.rounds import BATCH, HOUR_MS, Expire, Rounds
from baas.ports.documents import Change, WriteInfo
from baas.schema.values import Path

if TYPE_CHECKING:
    from baas.engines.mongo.store import MongoStore

_log: Final = logging.getLogger("baas.mongo")


class Maintenance(Rounds):
    def __init__(self, store: MongoStore, driver: Driver) -> None:
        super().__init__(PyMongoError, _log)
        self._store = store
        self._driver = driver

    async def run_once(self) -> None:
        await super().run_once()
        await self._store.jobs.live()

    # -- expired documents -------------------------------------------------------------------------

    async def _expire(self, collection: str, path: Path) -> bool:
        now = self._store.clock.now_ms()
        field = server_path(path)
        rows = await self._driver.find(
            collection, {field: {"$lte": DatetimeMS(now)}}, {ID: 1}, limit=BATCH
        )
        expire = Expire(path, now)
        steps = tuple(Change(collection=collection, id=row[ID], apply=expire) for row in rows)
        if not steps:
            return False
        result = await self._store.write(steps, WriteInfo())
        removed = any(one.written for one in result.results)
        return len(rows) == BATCH and removed

    # -- the feed ----------------------------------------------------------------------------------

    async def _prune_feed(self) -> None:
        settings = self._store.settings
        oldest = self._store.clock.now_ms() - int(settings.feed_keep_hours * HOUR_MS)
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
