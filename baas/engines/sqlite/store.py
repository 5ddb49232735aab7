"""DocumentStore on one SQLite file: the parts put together, and their beginning and end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw

from baas.clock import Clock, SystemClock
from baas.engines.sqlite import schema, snapshots
from baas.engines.sqlite.checkpointer import Checkpointer
from baas.engines.sqlite.connection import FILE, Database, Durability, open_connection, unavailable
from baas.engines.sqlite.feed import SqliteFeed
from baas.engines.sqlite.jobs import SqliteJobs
from baas.engines.sqlite.lock import WRITER, FileLock, own_folder
from baas.engines.sqlite.maintenance import Maintenance
from baas.engines.sqlite.migrate import prepare_folder
from baas.engines.sqlite.readers import Readers
from baas.engines.sqlite.steps import Transaction
from baas.engines.sqlite.writer import Writer
from baas.errors import ConfigurationError
from baas.ports.documents import (
    BatchResult,
    Find,
    MaybeAwaitable,
    Once,
    Snapshot,
    Step,
    WriteInfo,
)
from baas.query.ast import ALWAYS, Filter
from baas.schema.model import CollectionSpec
from baas.settings import DatabaseSettings


class SqliteStore:
    """See the port for what it does.

    The process that opens a folder owns it, and a second one is refused (ConfigurationError).
    `shared`: a worker of the owner. `guest`: a command line tool beside a live gateway; it neither
    owns nor maintains the folder. All of them may write.
    """

    def __init__(
        self,
        folder: Path,
        settings: DatabaseSettings | None = None,
        clock: Clock | None = None,
        *,
        guest: bool = False,
        shared: bool = False,
    ) -> None:
        self.folder = folder
        self.settings = settings or DatabaseSettings()
        self.clock = clock or SystemClock()
        self._guest = guest
        self._owner = not (guest or shared)
        self._temporary = False
        self._closers = contextlib.AsyncExitStack()
        self._open = False

    @classmethod
    def memory(
        cls, settings: DatabaseSettings | None = None, clock: Clock | None = None
    ) -> SqliteStore:
        """A store that leaves nothing behind: a temporary folder, no waiting for the disk."""
        store = cls(Path(), settings, clock)
        store._temporary = True
        return store

    async def open(self) -> None:
        """Makes the folder if need be. ConfigurationError for one in use or of a newer format."""
        try:
            await self._open_parts()
        except apsw.Error as error:
            await self.close()
            raise ConfigurationError(f"{self.folder / FILE} cannot be opened: {error}") from error
        except BaseException:
            await self.close()
            raise
        self._open = True

    async def _open_parts(self) -> None:
        closers, settings = self._closers, self.settings
        durability: Durability = "none" if self._temporary else settings.durability
        if self._temporary:
            self.folder = Path(closers.enter_context(TemporaryDirectory(prefix="baas-")))
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._owner:
            closers.callback(own_folder(self.folder).close)
        lock = FileLock(self.folder / WRITER)
        closers.callback(lock.close)
        await asyncio.to_thread(prepare_folder, self.folder, lock, durability)
        self._readers = Readers(self.folder, settings, durability)
        closers.push_async_callback(asyncio.to_thread, self._readers.close)
        self.feed = SqliteFeed(self._readers)
        closers.push_async_callback(self.feed.close)
        checkpointer = Checkpointer(
            lambda: open_connection(self.folder / FILE, durability),
            lock if self._owner else None,
        )
        closers.push_async_callback(asyncio.to_thread, checkpointer.close)
        database = Database(self.folder, durability, lambda: self._transaction.catalogue)
        database.most_bytes = settings.read_bytes
        closers.callback(database.close)
        checkpointer.watch(database.raw)
        self._transaction = Transaction(database, self.clock)
        self._writer = Writer(
            database, self._transaction, lock, checkpointer, settings, self._committed
        )
        closers.push_async_callback(self._writer.close)
        self.jobs = SqliteJobs(self.folder, self._readers, self._writer, self.clock)
        closers.push_async_callback(self.jobs.close)
        self.maintenance = Maintenance(self, self._readers, self._writer)
        if not self._guest:
            self.maintenance.start()
        closers.push_async_callback(self.maintenance.close)

    async def close(self) -> None:
        self._open = False
        await self._closers.aclose()

    def _committed(self) -> None:
        self.feed.notify()

    # -- reads -------------------------------------------------------------------------------------

    def get(
        self, collection: str, id: str, filter: Filter = ALWAYS
    ) -> MaybeAwaitable[bytes | None]:
        return self._readers.get(collection, id, filter)

    def find(self, query: Find) -> MaybeAwaitable[list[bytes]]:
        return self._readers.find(query)

    def count(self, collection: str, filter: Filter = ALWAYS) -> MaybeAwaitable[int]:
        return self._readers.count(collection, filter)

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return snapshots.snapshot(self._readers, self.feed)

    def scan(self, collection: str) -> AsyncIterator[bytes]:
        return snapshots.scan(self._readers, collection)

    def names(self) -> list[str]:
        self._readers.reload()
        return list(self._readers.current.collections)

    def explain(self, query: Find) -> list[str]:
        return self._readers.explain(query)

    def ping(self) -> None:
        if not self._open:
            raise unavailable()
        try:
            self._readers.inline_rows("SELECT 1 FROM baas_meta LIMIT 1", ())
        except apsw.Error as error:
            raise self._readers.fault(error) from None

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
        def fit(transaction: Transaction) -> None:
            for name, spec in collections.items():
                fit_collection(transaction, name, spec)

        await self._writer.exclusive(fit)
        self._readers.reload()
        self.maintenance.remember(collections)

    async def backup(self, path: Path) -> None:
        """A consistent copy of the live database in one file, which replaces `path`."""
        from baas.engines.sqlite.backup import backup

        await asyncio.to_thread(backup, self.folder, path)

    async def rewind(self, at_ms: int) -> int:
        """Makes every document what it was at `at_ms` (ms since 1970); how many had to change.

        For a store that nobody else uses: a fault in between leaves documents missing. Jobs stay
        as they are. ConfigurationError where the change feed does not reach back so far.
        """
        from baas.engines.sqlite.rewind import rewind

        return await rewind(self._readers, self._writer, at_ms)


def fit_collection(transaction: Transaction, name: str, spec: CollectionSpec) -> None:
    """Makes one collection's table and indexes as declared, in the open transaction."""
    connection: Any = transaction.database.raw
    wanted = schema.wanted_indexes(spec)
    info = transaction.catalogue.get(name)
    if info is None:
        if not wanted:
            return
        other = transaction.catalogue.spelled_otherwise(name)
        schema.create_collection(connection, name, other)
        transaction.reload()
        info = transaction.catalogue.collections[name]
    if schema.fit_indexes(connection, info, wanted):
        transaction.reload()
