"""Reads: what the server can decide it decides, and the rest is asked of the evaluator here.

Rows that only the evaluator can judge come in batches and are judged in a thread, so a filter that
the server cannot run costs this gateway time but does not hold up its loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, Final, TypeVar

import msgspec

from baas.engines.mongo.catalogue import Catalogue, CollectionInfo, is_name
from baas.engines.mongo.compile import compile_filter
from baas.engines.mongo.driver import Driver, Fault, PyMongoError, Row, Session, fault_of
from baas.engines.mongo.judge import Judge
from baas.engines.mongo.natives import NOTHING, Native, all_of
from baas.engines.mongo.sort import behind, order_of
from baas.engines.mongo.values import ID, JSON
from baas.errors import Code, Problem
from baas.ports.documents import Find, LookupNeeded
from baas.query.ast import ALWAYS, BY_ID, Filter, Sort
from baas.query.circles import circles
from baas.query.order import compare_sort_values, order_key, sort_values
from baas.schema.values import Document, Value, decode
from baas.settings import DatabaseSettings

T = TypeVar("T")
_BODY: Final = {JSON: 1, ID: 0}
#: Rows that are not worth weighing, or a thread.
_FEW: Final = 50
#: A sort done here keeps this many more than are wanted before it throws away.
_SPARE: Final = 1000
Fetch = Callable[[str, str], Awaitable[Document | None]]


def too_much(most: int) -> Problem:
    """A few large documents, or many: what would be held in memory, and sent, has a bound."""
    message = f"The documents have more than {most} bytes together; ask for fewer at once."
    return Problem(Code.LIMIT_EXCEEDED, message)


def timed_out(seconds: float) -> Problem:
    return Problem(Code.QUERY_TIMEOUT, f"The query ran longer than {seconds:g} s.")


class Budget:
    """What is left of a read's time and of the bytes that it may hold."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds
        self.most_bytes = most_bytes
        self.held = 0

    def left_ms(self) -> int:
        left = self.end - time.monotonic()
        if left <= 0:
            raise timed_out(self.seconds)
        return max(1, round(left * 1000))

    def hold(self, bodies: list[bytes]) -> None:
        self.held += sum(map(len, bodies))
        if self.held > self.most_bytes:
            raise too_much(self.most_bytes)


class Reads:
    """The port's reads, through one session; `fetch` is how rules see other documents."""

    def __init__(
        self,
        driver: Driver,
        settings: DatabaseSettings,
        catalogue: Callable[[], Catalogue],
        session: Session = None,
        fetch: Fetch | None = None,
    ) -> None:
        self._driver = driver
        self._settings = settings
        self._catalogue = catalogue
        self._session = session
        self._fetch = fetch or self._fetch_stored

    async def _fetch_stored(self, collection: str, id: str) -> Document | None:
        body = await self.body(collection, id)
        return None if body is None else decode(body)

    def budget(self) -> Budget:
        return Budget(self._settings.read_timeout, self._settings.read_bytes)

    async def body(self, collection: str, id: str) -> bytes | None:
        if not is_name(collection):
            return None
        row = await self._driver.find_one(
            collection, {ID: id}, projection=_BODY, session=self._session
        )
        return None if row is None else bytes(row[JSON])

    # -- the port ----------------------------------------------------------------------------------

    async def get(self, collection: str, id: str, filter: Filter = ALWAYS) -> bytes | None:
        if filter is ALWAYS or not is_name(collection):
            return await self.body(collection, id)
        native = all_of([Native({ID: id}), self._compiled(collection, filter)])
        found = await self._matching(collection, filter, native, BY_ID, 1, 0, self.budget())
        return found[0] if found else None

    async def find(self, query: Find) -> list[bytes]:
        if query.limit == 0 or not is_name(query.collection):
            return []
        budget = self.budget()
        for narrower in self._circles(query):
            found = await self._find(narrower, budget)
            if len(found) == query.limit:
                return found
        return await self._find(query, budget)

    def _circles(self, query: Find) -> Iterator[Find]:
        """Queries for the nearest to be asked before this one, where places are filed."""
        near = query.sort[0].near
        places = self._info(query.collection).filed("geo")
        if near is None or query.limit is None or (query.sort[0].path,) not in places:
            return
        for filter in circles(query.filter, near, query.after):
            yield msgspec.structs.replace(query, filter=filter)

    async def _find(self, query: Find, budget: Budget) -> list[bytes]:
        info = self._info(query.collection)
        native = compile_filter(query.filter, info)
        if not info.sorts(query.sort):
            return await self._sorted_here(query, native, budget)
        accept = None
        if query.after is not None:
            beyond = behind(query.sort, query.after)
            native = all_of([native, beyond])
            accept = None if beyond.exact else _follows(query.sort, query.after)
        return await self._matching(
            query.collection,
            query.filter,
            native,
            query.sort,
            query.limit,
            query.skip,
            budget,
            accept,
        )

    async def count(self, collection: str, filter: Filter = ALWAYS) -> int:
        native = self._compiled(collection, filter)
        budget = self.budget()
        if native == NOTHING or not is_name(collection):
            return 0
        if native.exact:
            return await self._guarded(
                self._driver.count(
                    collection, native.filter, session=self._session, max_ms=budget.left_ms()
                ),
                budget,
            )
        total = 0
        async with aclosing(self._judged(collection, filter, native, None, budget)) as pages:
            async for bodies in pages:
                total += len(bodies)
        return total

    async def first(self, collection: str, filter: Filter, limit: int) -> list[bytes]:
        """The first so many matches in the order of `_id`."""
        native = self._compiled(collection, filter)
        return await self._matching(collection, filter, native, BY_ID, limit, 0, self.budget())

    def _compiled(self, collection: str, filter: Filter) -> Native:
        return compile_filter(filter, self._info(collection))

    def _info(self, collection: str) -> CollectionInfo:
        return self._catalogue().get(collection) or CollectionInfo(collection)

    # -- how they are run --------------------------------------------------------------------------

    async def _matching(
        self,
        collection: str,
        filter: Filter,
        native: Native,
        sort: Sort,
        limit: int | None,
        skip: int,
        budget: Budget,
        accept: Callable[[Document], bool] | None = None,
    ) -> list[bytes]:
        """In the order of `sort`, which the server knows."""
        if native == NOTHING or not is_name(collection):
            return []
        order = order_of(sort)
        found: list[bytes] = []
        if native.exact:
            more: Any = {"limit": limit or 0, "skip": skip}
            rows = self._rows(collection, native.filter, order, budget, **more)
            async with aclosing(rows) as batches:
                async for batch in batches:
                    bodies = [bytes(row[JSON]) for row in batch]
                    budget.hold(bodies)
                    found += bodies
            return found
        judged = self._judged(collection, filter, native, order, budget, accept)
        async with aclosing(judged) as pages:
            async for bodies in pages:
                passed, skip = bodies[skip:], max(0, skip - len(bodies))
                passed = passed if limit is None else passed[: limit - len(found)]
                budget.hold(passed)
                found += passed
                if limit is not None and len(found) >= limit:
                    break
        return found

    async def _sorted_here(self, query: Find, native: Native, budget: Budget) -> list[bytes]:
        """An order that the server does not know: every match is looked at."""
        wanted = None if query.limit is None else query.limit + query.skip
        accept = None if query.after is None else _follows(query.sort, query.after)
        rows: list[tuple[tuple[Value, ...], bytes]] = []
        judged = self._judged(query.collection, query.filter, native, None, budget, accept)
        async with aclosing(judged) as pages:
            async for bodies in pages:
                rows += [(sort_values(decode(body), query.sort), body) for body in bodies]
                if wanted is not None and len(rows) > wanted + _SPARE:
                    rows = _ordered(rows, query.sort)[:wanted]
                if sum(len(body) for _, body in rows) > budget.most_bytes:
                    raise too_much(budget.most_bytes)
        return [body for _, body in _ordered(rows, query.sort)[query.skip : wanted]]

    async def _judged(
        self,
        collection: str,
        filter: Filter,
        native: Native,
        order: Any,
        budget: Budget,
        accept: Callable[[Document], bool] | None = None,
    ) -> AsyncGenerator[list[bytes], None]:
        """What the evaluator, and `accept`, let through, some at a time."""
        judge = Judge(filter, accept, budget.end)
        async with aclosing(self._rows(collection, native.filter, order, budget)) as batches:
            async for batch in batches:
                bodies = [bytes(row[JSON]) for row in batch]
                judge.take(bodies)
                await self._run(judge, len(bodies))
                budget.left_ms()
                if judge.passed:
                    yield judge.passed

    async def _run(self, judge: Judge, rows: int) -> None:
        """In a thread where it may take long, as often as a rule wants another document."""
        while not judge.done:
            try:
                if rows > _FEW:
                    await asyncio.to_thread(judge.run)
                else:
                    judge.run()
            except LookupNeeded as need:
                found = await self._fetch(need.collection, need.id)
                judge.lookups.known[need.collection, need.id] = found

    async def _rows(
        self, collection: str, filter: Row, order: Any, budget: Budget, **more: Any
    ) -> AsyncGenerator[list[Row], None]:
        rows = self._driver.batches(
            collection,
            filter,
            _BODY,
            session=self._session,
            sort=order,
            max_ms=budget.left_ms(),
            weigh=_weight,
            **more,
        )
        try:
            async with aclosing(rows) as batches:
                async for batch in batches:
                    budget.left_ms()
                    yield batch
        except PyMongoError as error:
            raise _told(error, budget) from error

    async def _guarded(self, work: Awaitable[T], budget: Budget) -> T:
        try:
            return await work
        except PyMongoError as error:
            raise _told(error, budget) from error


def _weight(row: Row) -> int:
    return len(row[JSON])


def _told(error: PyMongoError, budget: Budget) -> Exception:
    """A time limit is the caller's to hear of; the rest is for whoever holds the session."""
    return timed_out(budget.seconds) if fault_of(error) is Fault.TIMEOUT else error


def _follows(sort: Sort, after: tuple[Value, ...]) -> Callable[[Document], bool]:
    return lambda document: compare_sort_values(sort_values(document, sort), after, sort) > 0


def _ordered(
    rows: list[tuple[tuple[Value, ...], bytes]], sort: Sort
) -> list[tuple[tuple[Value, ...], bytes]]:
    for position in reversed(range(len(sort))):
        rows.sort(
            key=lambda row: order_key(row[0][position]),
            reverse=sort[position].descending,
        )
    return rows
