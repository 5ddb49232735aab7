"""Reads: at once on the event loop where an index serves them, else in reader threads.

How a statement shape is run is decided once, from its query plan. A read on the loop has a small
budget; one that exceeds it is stopped and run again in a thread, and a shape that does so often is
sent there directly.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from baas.engines.sqlite import catalogue, queries
from baas.engines.sqlite.catalogue import Catalogue, CollectionInfo, Plan
from baas.engines.sqlite.connection import (
    Database,
    Durability,
    is_stale,
    size_of,
    too_much,
    unavailable,
)
from baas.engines.sqlite.nearby import is_search, table_of
from baas.engines.sqlite.nearest import circles
from baas.errors import Code, Problem
from baas.ports.documents import Find, MaybeAwaitable, resolve
from baas.query.ast import ALWAYS, Filter
from baas.settings import DatabaseSettings

_log: Final = logging.getLogger("baas.sqlite")
T = TypeVar("T")
Build = Callable[[CollectionInfo], queries.Statement]
_NOTHING: Final[tuple[Any, ...]] = ()
#: A shape that was stopped this often on the loop is no longer tried there.
_MAX_STRIKES: Final = 3
#: A thread may wait for a lock that SQLite holds for a moment (WAL recovery); the loop may not.
_BUSY_MS: Final = 2000
#: Rows that are not worth weighing: the budget stops a read of many large ones.
_FEW: Final = 50
#: A longer statement is prepared in a thread as well: that alone would take milliseconds.
_MAX_INLINE_SQL: Final = 16_000
#: Connections kept for the next snapshot, scan or backup.
_MAX_FREE: Final = 4


class Reads:
    """The port's reads, over `run`."""

    def run(self, collection: str, build: Build) -> MaybeAwaitable[list[Any]]:
        """The first column of the statement that `build` makes; empty without the collection."""
        raise NotImplementedError

    def get(
        self, collection: str, id: str, filter: Filter = ALWAYS
    ) -> MaybeAwaitable[bytes | None]:
        rows = self.run(collection, lambda info: queries.select_one(info, id, filter))
        return _first(rows) if type(rows) is list else _then(rows, _first)

    def find(self, query: Find) -> MaybeAwaitable[list[bytes]]:
        if query.sort[0].near is not None:
            return self._nearest(query)
        return self.run(query.collection, lambda info: queries.select(info, query))

    async def _nearest(self, query: Find) -> list[bytes]:
        """Circle by circle, until one holds enough."""
        position, is_last = -1, False

        def build(info: CollectionInfo) -> queries.Statement:
            nonlocal is_last
            found = next(islice(circles(info, query), position, None), None)
            is_last = found is None
            return queries.select(info, found or query)

        while not is_last:
            position, is_last = position + 1, True
            rows = await resolve(self.run(query.collection, build))
            if query.limit is not None and len(rows) >= query.limit:
                break
        return rows

    def count(self, collection: str, filter: Filter = ALWAYS) -> MaybeAwaitable[int]:
        rows = self.run(collection, lambda info: queries.count(info, filter))
        return _total(rows) if type(rows) is list else _then(rows, _total)


class Readers(Reads):
    """The reading half of the store: a connection for the loop and some for threads."""

    def __init__(self, folder: Path, settings: DatabaseSettings, durability: Durability) -> None:
        self._folder = folder
        self._durability = durability
        self.budget = settings.inline_budget_ms / 1000
        self._timeout = settings.read_timeout
        self._most_bytes = settings.read_bytes
        self._local = threading.local()
        self._opened: list[Database] = []
        self._free: list[Database] = []
        self._lock = threading.Lock()
        self.current = Catalogue(-1, {})
        self.inline = self.open()
        self._execute = self.inline.raw.execute
        self.reload()
        self.pool = ThreadPoolExecutor(settings.reader_threads, thread_name_prefix="baas-read")

    def open(self) -> Database:
        """A new connection that sees this process's catalogue. The caller closes it."""
        database = Database(self._folder, self._durability, lambda: self.current)
        database.most_bytes = self._most_bytes
        return database

    def reload(self) -> None:
        """Takes up what writers have done to tables and indexes."""
        self.inline.allow(0)
        self.current = catalogue.load(self.inline.raw, self.current)

    def find_collection(self, name: str) -> CollectionInfo | None:
        info = self.current.get(name)
        if info is None:
            self.inline.allow(0)
            if catalogue.schema_version(self.inline.raw) != self.current.version:
                self.reload()
                info = self.current.get(name)
        return info

    def explain(self, query: Find) -> list[str]:
        """The steps of the plan, with indexes by their declared names."""
        self.reload()
        info = self.current.get(query.collection)
        if info is None:
            return [f"{query.collection} has no documents"]
        sql, params = queries.select(info, next(circles(info, query), query))
        plan = info.plans.get(sql) or self.plan(info, sql, params)
        return [_readable(info, detail) for detail in plan.details]

    def get(
        self, collection: str, id: str, filter: Filter = ALWAYS
    ) -> MaybeAwaitable[bytes | None]:
        info = self.current.collections.get(collection)
        if info is None:
            return super().get(collection, id, filter)
        if filter is ALWAYS:
            sql, params = info.get_sql, _NOTHING
        else:
            sql, params = queries.by_id(info, filter)
            plan = info.plans.get(sql)
            if plan is None or not plan.inline:
                return super().get(collection, id, filter)
        try:  # the hottest read of all, without the general way's detours
            self.inline.allow(self.budget)
            found: bytes | None = self._execute(sql, (*params, id)).get
        except apsw.Error:
            return super().get(collection, id, filter)
        return found

    # -- how they are run --------------------------------------------------------------------------

    def run(self, collection: str, build: Build) -> MaybeAwaitable[list[Any]]:
        plan = None
        try:
            info = self.find_collection(collection)
            if info is None:
                return []
            sql, params = build(info)
            if len(sql) > _MAX_INLINE_SQL:
                return self._in_thread(collection, build)
            plan = info.plans.get(sql) or self.plan(info, sql, params)
            if plan.inline:
                return self._inline(sql, params)
        except apsw.InterruptError:
            if plan is not None:
                self.strike(plan)
        except apsw.BusyError:
            pass
        except apsw.Error as error:
            if not is_stale(error):
                raise self.fault(error) from None
            self.reload()
        return self._in_thread(collection, build)

    def _inline(self, sql: str, params: list[Any]) -> list[Any]:
        self.inline.allow(self.budget)
        rows = [row[0] for row in self._execute(sql, params).fetchall()]
        if len(rows) > _FEW and size_of(rows) > self._most_bytes:
            raise too_much(self._most_bytes)
        return rows

    def inline_rows(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Whole rows of a statement of the engine itself, on the loop, under its budget."""
        self.inline.allow(self.budget)
        return self.inline.raw.execute(sql, params).fetchall()

    async def _in_thread(self, collection: str, build: Build) -> list[Any]:
        while info := self.find_collection(collection):
            sql, params = build(info)
            try:
                return await self.in_thread(partial(self._timed_on, sql, params))
            except apsw.Error as error:
                if not is_stale(error):
                    raise self.fault(error) from None
                self.reload()
        return []

    async def in_thread(self, work: Callable[[Database], T]) -> T:
        """`work` with a reader thread's connection. Cancelling stops its statement."""
        # Not interrupt(): by the time it acts, the connection may be at somebody else's work.
        cancelled = threading.Event()

        def call() -> T:
            database = self._of_this_thread()
            database.cancelled = cancelled
            try:
                return work(database)
            finally:
                database.cancelled = None

        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, call)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def _timed_on(self, sql: str, params: list[Any], database: Database) -> list[Any]:
        return self.timed(database, sql, params)

    def timed(self, database: Database, sql: str, params: list[Any]) -> list[Any]:
        """Rows under the read time limit: Problem(QUERY_TIMEOUT) past it."""
        database.allow(self._timeout)
        try:
            return database.rows(sql, params)
        except apsw.InterruptError:
            raise timed_out(self._timeout) from None
        finally:
            database.allow(0)

    def strike(self, plan: Plan) -> None:
        """A read of this shape took too long for the loop."""
        plan.strikes += 1
        plan.inline = plan.strikes < _MAX_STRIKES

    def plan(
        self, info: CollectionInfo, sql: str, params: list[Any], on: Database | None = None
    ) -> Plan:
        """Asks SQLite how it would run a shape, and remembers."""
        database = on or self.inline
        database.allow(0)
        rows = database.raw.execute("EXPLAIN QUERY PLAN " + sql, params).fetchall()
        details = tuple(str(row[3]) for row in rows)
        plan = Plan(_is_cheap(details) and not is_search(sql), details)
        info.remember(sql, plan)
        return plan

    def fault(self, error: apsw.Error) -> Problem:
        _log.error("a read failed: %r", error)
        return unavailable()

    def borrow(self) -> Database:
        """A connection for a longer read; `give_back` returns it."""
        return self._free.pop() if self._free else self.open()

    def give_back(self, database: Database) -> None:
        """Ends its transaction and keeps it for the next."""
        database.allow(0)
        if database.raw.in_transaction:
            database.raw.execute("ROLLBACK")
        database.catalogue = lambda: self.current
        if len(self._free) < _MAX_FREE:
            self._free.append(database)
        else:
            database.close()

    def close(self) -> None:
        self.pool.shutdown(wait=True)
        for database in (*self._opened, *self._free):
            database.close()
        self.inline.close()

    def _of_this_thread(self) -> Database:
        database: Database | None = getattr(self._local, "database", None)
        if database is None:
            database = self._local.database = self.open()
            database.raw.set_busy_timeout(_BUSY_MS)
            with self._lock:
                self._opened.append(database)
        return database


def timed_out(seconds: float) -> Problem:
    return Problem(Code.QUERY_TIMEOUT, f"The query ran longer than {seconds:g} s.")


def _is_cheap(details: tuple[str, ...]) -> bool:
    """Whether a plan is likely to touch few rows beside those it answers with.

    A walk in the order of an index counts: it ends at the limit. Sorting counts after a search,
    for what was found by key is mostly little. Where that is wrong, the budget steps in.
    """
    scans = [d for d in details if d.startswith("SCAN") and not _is_inner(d)]
    if not scans:
        return True
    sorts = any(d.startswith("USE TEMP B-TREE FOR ORDER BY") for d in details)
    return not sorts and all(" USING INDEX " in d for d in scans)


def _is_inner(detail: str) -> bool:
    """Whether a scan is of what another step found: a subquery's rows, an array's elements."""
    return "VIRTUAL TABLE" in detail or "(subquery" in detail


def _readable(info: CollectionInfo, detail: str) -> str:
    for index in info.indexes:
        detail = detail.replace(table_of(index), index.spec.name)
        detail = detail.replace(index.physical, index.spec.name)
    return detail.replace(info.table, info.name)


def _first(rows: list[Any]) -> bytes | None:
    return rows[0] if rows else None


def _total(rows: list[Any]) -> int:
    return rows[0] if rows else 0


async def _then(rows: Any, pick: Callable[[list[Any]], T]) -> T:
    return pick(await rows)
