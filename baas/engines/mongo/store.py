"""DocumentStore on a MongoDB replica set: the parts put together, and their beginning and end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from baas.clock import Clock, SystemClock
from baas.engines.mongo import snapshots
from baas.engines.mongo.catalogue import Catalogue, is_name, load
from baas.engines.mongo.compile import is_filed
from baas.engines.mongo.driver import unavailable
from baas.engines.mongo.explain import explain
from baas.engines.mongo.faults import telling
from baas.engines.mongo.feed import MongoFeed
from baas.engines.mongo.indexes import Indexes
from baas.engines.mongo.jobs import MongoJobs
from baas.engines.mongo.judge import needs_lookups
from baas.engines.mongo.maintenance import Maintenance
from baas.engines.mongo.names import DOCUMENTS_TURN, META
from baas.engines.mongo.presence import Presence
from baas.engines.mongo.reads import Reads
from baas.engines.mongo.setup import check_server, connect, prepare
from baas.engines.mongo.steps import ParallelArrays
from baas.engines.mongo.together import Latest, Loader
from baas.engines.mongo.values import ID, JSON
from baas.engines.mongo.writer import Writer
from baas.ports.documents import BatchResult, Find, Once, Snapshot, Step, WriteInfo
from baas.query.ast import ALWAYS, BY_ID, Filter
from baas.query.evaluate import matches
from baas.schema.model import CollectionSpec
from baas.schema.values import decode
from baas.settings import DatabaseSettings

_CHECK: Final = {"_id": DOCUMENTS_TURN}


class MongoStore:
    """See the port for what it does. Any number of processes may open one database.

    `guest`: a command line tool, which maintains nothing.
    """

    def __init__(
        self, settings: DatabaseSettings, clock: Clock | None = None, *, guest: bool = False
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self._guest = guest
        self._closers = contextlib.AsyncExitStack()
        self._open = False

    async def open(self) -> None:
        """ConfigurationError where there is no such server, it is too old or no replica set, or
        the database is of a newer format."""
        try:
            await self._open_parts()
        except BaseException:
            await self.close()
            raise
        self._open = True

    async def _open_parts(self) -> None:
        settings = self.settings
        self._driver = connect(settings)
        self._closers.callback(self._driver.close)
        await check_server(self._driver)
        row = await prepare(self._driver, self.clock)
        self._turn_row = Latest(lambda: snapshots.turn_row(self._driver))
        self.feed = MongoFeed(self._driver, row["epoch"], self._turn_row)
        self._closers.push_async_callback(self.feed.close)
        presence = Presence(self._driver)
        self._closers.push_async_callback(presence.close)
        self._writer = Writer(
            self._driver,
            settings,
            self.clock,
            self._narrow,
            lambda: self.feed.notify(),
            presence.free,
        )
        self._indexes = Indexes(self._driver, self._writer)
        self._writer.catalogue = await load(self._driver, int(row["catalogue"]))
        self._closers.push_async_callback(self._writer.close)
        self._reads = Reads(self._driver, settings, lambda: self._writer.catalogue)
        self._bodies = Loader(self._fetch)
        self.jobs = MongoJobs(self._driver, settings, self.clock, presence.free)
        self._closers.push_async_callback(self.jobs.close)
        await presence.open([await self._writer.open(), await self.jobs.open()])
        self.maintenance = Maintenance(self, self._driver)
        if not self._guest:
            self.maintenance.start()
        self._closers.push_async_callback(self.maintenance.close)

    async def close(self) -> None:
        self._open = False
        await self._closers.aclose()

    async def _narrow(self, parallel: ParallelArrays) -> None:
        await self._indexes.narrow(parallel.collection, parallel.index)

    # -- reads -------------------------------------------------------------------------------------

    async def get(self, collection: str, id: str, filter: Filter = ALWAYS) -> bytes | None:
        if needs_lookups(filter):
            async with self.snapshot() as reader:
                seen: Any = await reader.get(collection, id, filter)  # type: ignore[misc]
                return seen  # type: ignore[no-any-return]
        if not is_name(collection):
            return None
        async with telling("a read"):
            body = await self._bodies.get((collection, id))
        # One document is judged here sooner than a filter is made for the server.
        if body is None or filter is ALWAYS:
            return body
        return body if matches(filter, decode(body)) else None

    async def _fetch(self, wanted: list[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """Documents by collection and id: one question for each collection."""
        ids: dict[str, list[str]] = {}
        for collection, id in wanted:
            ids.setdefault(collection, []).append(id)
        found: dict[tuple[str, str], bytes] = {}
        for collection, named in ids.items():
            if len(named) == 1:
                body = await self._reads.body(collection, named[0])
                found |= {} if body is None else {(collection, named[0]): body}
                continue
            rows = await self._driver.find(collection, {ID: {"$in": named}}, {JSON: 1})
            found |= {(collection, row[ID]): bytes(row[JSON]) for row in rows}
        return found

    async def find(self, query: Find) -> list[bytes]:
        if needs_lookups(query.filter):
            async with self.snapshot() as reader:
                found: Any = await reader.find(query)  # type: ignore[misc]
                return list(found)
        async with telling("a read"):
            while True:
                known = self._writer.catalogue
                bodies = await self._reads.find(query)
                alone = query.sort == BY_ID and not is_filed(query.filter)
                if alone or await self._is_current(known):
                    return bodies

    async def _is_current(self, known: Catalogue) -> bool:
        """Whether this is still what the collections are like; else it is read anew.

        A sort rests on where there are no arrays, and another gateway may have written the first; a
        search for words on an index that may be gone.
        """
        row = await self._turn_row.ask()
        if row["catalogue"] == known.version:
            return True
        if self._writer.catalogue.version < row["catalogue"]:
            self._writer.catalogue = await load(self._driver, int(row["catalogue"]))
        return False

    async def count(self, collection: str, filter: Filter = ALWAYS) -> int:
        if needs_lookups(filter):
            async with self.snapshot() as reader:
                counted: Any = await reader.count(collection, filter)  # type: ignore[misc]
                return int(counted)
        async with telling("a read"):
            while True:
                known = self._writer.catalogue
                total = await self._reads.count(collection, filter)
                if not is_filed(filter) or await self._is_current(known):
                    return total

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return snapshots.snapshot(self._driver, self.settings, self._writer.catalogue, self.feed)

    def scan(self, collection: str) -> AsyncIterator[bytes]:
        return snapshots.scan(self._driver, self.settings, self._writer.catalogue, collection)

    async def names(self) -> list[str]:
        async with telling("a read"):
            await self._is_current(self._writer.catalogue)
        return sorted(self._writer.catalogue.collections)

    async def explain(self, query: Find) -> list[str]:
        async with telling("an explanation"):
            await self._is_current(self._writer.catalogue)
            return await explain(self._driver, self._writer.catalogue, query)

    async def ping(self) -> None:
        if not self._open:
            raise unavailable()
        async with telling("a ping"):
            await self._driver.find_one(META, _CHECK, projection={"_id": 1})

    @property
    def waiting_writes(self) -> int:
        """Batches that were accepted and are not durable yet. For /metrics."""
        return self._writer.waiting if self._open else 0

    # -- writes ------------------------------------------------------------------------------------

    def write(
        self, steps: tuple[Step, ...], info: WriteInfo, once: Once | None = None
    ) -> Awaitable[BatchResult]:
        if once is not None:
            self.maintenance.keep_records = once.keep_records
        return self._writer.write(steps, info, once)

    async def declare(self, collections: Mapping[str, CollectionSpec]) -> None:
        async with telling("a change of indexes"):
            await self._indexes.fit(collections)
        self.maintenance.remember(collections)
