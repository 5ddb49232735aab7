"""Runs rule tests through the real guard, database service and engine, in memory."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from baas.clock import Clock, ManualClock, SystemClock
from baas.database.service import DatabaseService
from baas.engines.sqlite.store import SqliteStore
from baas.errors import ConfigurationError, Problem
from baas.functions.model import EventTrigger, FunctionSpec
from baas.functions.rules import FunctionGuard, FunctionRules
from baas.guard import ReadDecision, RequestFacts, RuleGuard, WriteDecision, rule_variables
from baas.ports.documents import Lookups, resolve
from baas.query.ast import Filter, Sort
from baas.query.conditions import Env
from baas.rules.coverage import Coverage
from baas.rules.model import Operation, RuleBook
from baas.rules.testing import FUNCTION_VERBS, Case, RuleTests, judge, load_tests
from baas.schema.actor import SERVER, Actor
from baas.schema.values import Document, decode, encode
from baas.settings import Settings

_WRITES = frozenset(("insert", "update", "replace", "delete"))


class Outcome(msgspec.Struct, frozen=True):
    """`fault` is empty where the case passed."""

    case: Case
    fault: str


class TracingGuard(RuleGuard):
    """The guard, noting which clauses its decisions reach. It decides nothing itself."""

    def __init__(self, book: RuleBook, coverage: Coverage) -> None:
        super().__init__(book)
        self._coverage = coverage
        self.documents: dict[str, dict[str, Document]] = {}

    def read(
        self,
        operation: Operation,
        collection: str,
        actor: Actor,
        request: RequestFacts,
        filter: Filter,
        sort: Sort,
        lookups: Lookups,
        by_id: bool = False,
    ) -> ReadDecision:
        self._note_stored(operation, collection, actor, request)
        return super().read(operation, collection, actor, request, filter, sort, lookups, by_id)

    def write(
        self,
        operation: Operation,
        collection: str,
        actor: Actor,
        request: RequestFacts,
        filter: Filter,
        lookups: Lookups,
        by_id: bool = False,
    ) -> WriteDecision:
        if operation is Operation.CREATE:
            sent = request.data if isinstance(request.data, dict) else {}
            self._note(operation, collection, actor, request, None, sent)
        else:
            self._note_stored(operation, collection, actor, request)
        decision = super().write(operation, collection, actor, request, filter, lookups, by_id)
        return _TracedWrite(
            decision,
            lambda before, after: self._note(operation, collection, actor, request, before, after),
        )

    def _note_stored(
        self, operation: Operation, collection: str, actor: Actor, request: RequestFacts
    ) -> None:
        for document in self.documents.get(collection, {}).values():
            self._note(operation, collection, actor, request, document, None)

    def _note(
        self,
        operation: Operation,
        collection: str,
        actor: Actor,
        request: RequestFacts,
        before: Document | None,
        after: Document | None,
    ) -> None:
        if actor.trusted:
            return
        env = Env(before, after, rule_variables(operation, actor, request), self._look_up)
        self._coverage.record(collection, operation, env, result=after is not None)

    def _look_up(self, collection: str, id: str) -> Document | None:
        return self.documents.get(collection, {}).get(id)


class _TracedWrite:
    """A write's decision whose check of the result is noted before it decides."""

    def __init__(self, decision: WriteDecision, note: Any) -> None:
        self._decision = decision
        self._note = note
        self.filter = decision.filter
        self.masks = decision.masks

    def check_stored(self, document: Document | None, lookups: Lookups) -> Document:
        return self._decision.check_stored(document, lookups)

    def check_result(self, before: Document | None, after: Document, lookups: Lookups) -> None:
        self._note(before, after)
        self._decision.check_result(before, after, lookups)


class _PassingSecret:
    """Keys for cursors that live as long as the run."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes] = {}

    def derive(self, purpose: str) -> bytes:
        return self._keys.setdefault(purpose, secrets.token_bytes(32))


async def run_tests(
    book: RuleBook,
    files: list[Path],
    coverage: Coverage,
    functions: FunctionRules | None = None,
) -> list[Outcome]:
    """Every case of every file, in order, each on the file's documents as they are written."""
    outcomes: list[Outcome] = []
    rules = functions or FunctionRules()
    for path in files:
        outcomes.extend(await _run_file(book, load_tests(path), path.name, coverage, rules))
    return outcomes


async def _run_file(
    book: RuleBook, tests: RuleTests, file: str, coverage: Coverage, functions: FunctionRules
) -> list[Outcome]:
    clock: Clock = SystemClock() if tests.now_ms is None else ManualClock(tests.now_ms)
    store = SqliteStore.memory(clock=clock)
    await store.open()
    try:
        await store.declare({name: rules.spec for name, rules in book.collections.items()})
        guard = TracingGuard(book, coverage)
        service = DatabaseService(store, guard, Settings(), clock, _PassingSecret())
        run = _Run(store, service, guard, tests, file, FunctionGuard(functions, store), clock)
        return [Outcome(case, judge(case, await run.answer(case))) for case in tests.cases]
    finally:
        await store.close()


class _Run:
    """The documents of one file, set up anew after each case that may have changed them."""

    def __init__(
        self,
        store: SqliteStore,
        service: DatabaseService,
        guard: TracingGuard,
        tests: RuleTests,
        file: str,
        functions: FunctionGuard,
        clock: Clock,
    ) -> None:
        self._store = store
        self._service = service
        self._guard = guard
        self._tests = tests
        self._file = file
        self._functions = functions
        self._clock = clock
        self._fresh = False

    async def answer(self, case: Case) -> dict[str, Any] | Problem:
        to_function = case.verb in FUNCTION_VERBS
        if not self._fresh:
            await self._reset(set() if to_function else {case.collection})
        self._fresh = case.verb not in _WRITES
        try:
            if to_function:
                return await self._ask(case)
            return await self._call(case.verb, case.collection, case.body, case.actor)
        except Problem as problem:
            return problem

    async def _call(
        self, verb: str, collection: str, body: dict[str, Any], actor: Actor
    ) -> dict[str, Any]:
        answer = self._service.handle(verb, collection, encode(body), actor, "127.0.0.1")
        return decode(await resolve(answer))  # type: ignore[no-any-return]

    async def _ask(self, case: Case) -> dict[str, Any]:
        """Whether the request may reach the function, which is taken to be one with @fn.event."""
        name: str = case.body["function"]
        facts = RequestFacts(
            time_ms=self._clock.now_ms(),
            ip=case.body.get("ip", "127.0.0.1"),
            data=case.body.get("data"),
        )
        if case.verb == "http":
            await self._functions.check_http(name, case.actor, facts)
        else:
            spec = FunctionSpec(
                name=name,
                handler=print,
                target="",
                file=self._file,
                line=case.line,
                triggers=(EventTrigger(),),
            )
            await self._functions.check_invoke(spec, case.actor, facts)
        return {}

    async def _reset(self, collections: set[str]) -> None:
        for name in collections | set(self._tests.documents):
            await self._call("delete", name, {"filter": {}, "multi": True}, SERVER)
        for name, documents in self._tests.documents.items():
            if documents:
                await self._insert(name, documents)
        self._guard.documents = {name: await self._stored(name) for name in self._tests.documents}

    async def _insert(self, name: str, documents: list[dict[str, Any]]) -> None:
        try:
            await self._call("insert", name, {"documents": documents}, SERVER)
        except Problem as problem:
            raise ConfigurationError(
                f"the documents of '{name}' cannot be stored: {problem.detail}", file=self._file
            ) from None

    async def _stored(self, name: str) -> dict[str, Document]:
        return {row["_id"]: row async for row in self._rows(name)}

    async def _rows(self, name: str) -> Any:
        async for row in self._store.scan(name):
            yield decode(row)


def table(outcomes: list[Outcome]) -> Iterator[str]:
    """The run as aligned lines: verdict, place, who, what, what is expected."""
    rows = [
        (
            "FAIL" if outcome.fault else "ok",
            f"{outcome.case.file}:{outcome.case.line}",
            outcome.case.caller,
            outcome.case.request,
            outcome.case.expectation + (f"  -- {outcome.fault}" if outcome.fault else ""),
        )
        for outcome in outcomes
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join((*cells, row[4]))
