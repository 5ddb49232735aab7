"""Reads of one moment: `snapshot` and `scan`, each through a session of its own.

The server keeps moments for `minSnapshotHistoryWindowInSeconds` (300 s unless set otherwise): a
scan that takes longer ends with UNAVAILABLE.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Final, TypeVar

from baas.engines.mongo.catalogue import Catalogue, is_name, load
from baas.engines.mongo.driver import Driver, Row, Session
from baas.engines.mongo.faults import telling
from baas.engines.mongo.feed import MongoFeed
from baas.engines.mongo.names import DOCUMENTS_TURN, META
from baas.engines.mongo.reads import Reads
from baas.engines.mongo.values import ID, JSON
from baas.ports.documents import Find, Snapshot
from baas.query.ast import ALWAYS, Filter
from baas.settings import DatabaseSettings

T = TypeVar("T")
#: Documents that a scan fetches at once.
_BATCH: Final = 200


async def turn_row(driver: Driver, session: Session = None) -> Row:
    """Where the feed ends and which catalogue holds, as of the session's moment."""
    fields = {"position": 1, "catalogue": 1}
    row: Row = await driver.find_one(META, {ID: DOCUMENTS_TURN}, projection=fields, session=session)
    return row


@asynccontextmanager
async def moment(
    driver: Driver, settings: DatabaseSettings, known: Catalogue
) -> AsyncIterator[tuple[Session, Row, Reads]]:
    """A session, what the turn's row says in it, and reads through it."""
    async with telling("a snapshot"), driver.moment() as session:
        row = await turn_row(driver, session)
        seen = known
        if seen.version != row["catalogue"]:
            seen = await load(driver, int(row["catalogue"]), session)
        yield session, row, Reads(driver, settings, lambda: seen, session)


@asynccontextmanager
async def snapshot(
    driver: Driver, settings: DatabaseSettings, known: Catalogue, feed: MongoFeed
) -> AsyncIterator[Snapshot]:
    async with moment(driver, settings, known) as (_, row, reads):
        yield SnapshotReader(reads, feed.cursor(int(row["position"])))


class SnapshotReader:
    """Reads in the order they are asked for, one at a time, for a session takes no more."""

    def __init__(self, reads: Reads, cursor: str) -> None:
        self._reads = reads
        self._cursor = cursor
        self._turn = asyncio.Lock()

    @property
    def cursor(self) -> str:
        return self._cursor

    async def _one(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self._turn, telling("a read"):
            return await work()

    async def get(self, collection: str, id: str, filter: Filter = ALWAYS) -> bytes | None:
        return await self._one(lambda: self._reads.get(collection, id, filter))

    async def find(self, query: Find) -> list[bytes]:
        return await self._one(lambda: self._reads.find(query))

    async def count(self, collection: str, filter: Filter = ALWAYS) -> int:
        return await self._one(lambda: self._reads.count(collection, filter))


async def scan(
    driver: Driver, settings: DatabaseSettings, known: Catalogue, collection: str
) -> AsyncGenerator[bytes, None]:
    if not is_name(collection):
        return
    async with moment(driver, settings, known) as (session, _, _):
        rows = driver.batches(
            collection,
            {},
            {JSON: 1, ID: 0},
            session=session,
            sort=[(ID, 1)],
            batch=_BATCH,
            weigh=lambda row: len(row[JSON]),
        )
        async with aclosing(rows) as batches:
            async for batch in batches:
                for row in batch:
                    yield bytes(row[JSON])
