"""Reads of one moment: `snapshot` and `scan`, each in a read transaction of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Final

import apsw

from baas.engines.sqlite import catalogue
from baas.engines.sqlite.catalogue import Catalogue
from baas.engines.sqlite.connection import Database
from baas.engines.sqlite.feed import SqliteFeed
from baas.engines.sqlite.readers import Build, Readers, Reads
from baas.ports.documents import MaybeAwaitable, Snapshot

#: Documents that a scan fetches at once.
_BATCH: Final = 200


@asynccontextmanager
async def snapshot(readers: Readers, feed: SqliteFeed) -> AsyncIterator[Snapshot]:
    database = readers.borrow()
    try:
        yield SnapshotReader(readers, database, _begin(readers, database), feed)
    except apsw.Error as error:
        raise readers.fault(error) from None
    finally:
        readers.give_back(database)


def _begin(readers: Readers, database: Database) -> Catalogue:
    """Opens the read transaction, and says which tables there are in it."""
    database.raw.execute("BEGIN")
    seen = readers.current
    if catalogue.schema_version(database.raw) != seen.version:
        seen = catalogue.load(database.raw, seen)
    database.catalogue = lambda: seen
    return seen


class SnapshotReader(Reads):
    """Reads in the order they are asked for; one at a time."""

    def __init__(
        self, readers: Readers, database: Database, seen: Catalogue, feed: SqliteFeed
    ) -> None:
        self._feed = feed
        self._readers = readers
        self._database = database
        self._catalogue = seen
        self._turn = asyncio.Lock()

    @property
    def cursor(self) -> str:
        return self._feed.head_in(self._database)

    def run(self, collection: str, build: Build) -> MaybeAwaitable[list[Any]]:
        info = self._catalogue.get(collection)
        if info is None:
            return []
        sql, params = build(info)
        plan = info.plans.get(sql) or self._readers.plan(info, sql, params, self._database)
        if plan.inline and not self._turn.locked():
            try:
                self._database.allow(self._readers.budget)
                return self._database.rows(sql, params)
            except apsw.InterruptError:
                self._readers.strike(plan)
        return self._in_thread(sql, params)

    async def _in_thread(self, sql: str, params: list[Any]) -> list[Any]:
        async with self._turn:
            work = asyncio.get_running_loop().run_in_executor(
                self._readers.pool, self._readers.timed, self._database, sql, params
            )
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                # The thread must be done with the connection before it is given back.
                self._database.stop()
                await asyncio.wait((work,))
                raise


async def scan(readers: Readers, collection: str) -> AsyncIterator[bytes]:
    database = readers.borrow()
    try:
        info = _begin(readers, database).get(collection)
        if info is None:
            return
        sql = f"SELECT CAST(doc AS BLOB) FROM {info.table} ORDER BY id"
        cursor = database.raw.execute(sql)
        try:
            while rows := await asyncio.to_thread(_some, cursor):
                for row in rows:
                    yield row[0]
        finally:
            cursor.close(force=True)
    except apsw.Error as error:
        raise readers.fault(error) from None
    finally:
        readers.give_back(database)


def _some(cursor: apsw.Cursor) -> list[Any]:
    return list(islice(cursor, _BATCH))
