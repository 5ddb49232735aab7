"""Writes on their way to the store: planned from rules and bodies, run in one step, answered.

A *planner* is what a verb makes of its body once the form is checked: given lookups it asks the
guard and gives a `Plan`, the store's steps and how to answer from their results. It may be asked
more than once (for rules that look up other documents, see `lookups`), so it is pure.

One verb is a batch of one operation; a transaction is a batch of many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain
from typing import NoReturn, TypeAlias

import msgspec

from baas.database.context import Call, Context
from baas.database.idempotency import once
from baas.database.lookups import MAX_ATTEMPTS, NOTHING_KNOWN, Changed, FetchedLookups, checks
from baas.database.reads import decide_get
from baas.database.turns import Turns
from baas.errors import Code, FieldError, Problem
from baas.ports.documents import (
    Check,
    DuplicateKey,
    KnownLookups,
    LookupNeeded,
    Lookups,
    MaybeAwaitable,
    Once,
    Step,
    StepResult,
    WriteInfo,
)
from baas.query.ast import ALWAYS
from baas.schema.values import Document, Path

Results: TypeAlias = tuple[StepResult, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`steps` for the store, and the answer from their results (one per step, in order) and
    lookups in the state after them."""

    steps: tuple[Step, ...]
    render: Callable[[Results, Lookups], bytes]


#: One that has much to do answers later, and gives others their turn meanwhile.
Planner: TypeAlias = Callable[[KnownLookups], MaybeAwaitable[Plan]]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One verb of a batch. `number` is its place in a transaction, for problems; None where a
    problem names none. An operation that `answers` not (an expectation) has no result."""

    call: Call
    planner: Planner
    number: int | None = None
    answers: bool = True


class _Draft(msgspec.Struct, frozen=True):
    """An operation as planned now: the checks of what its rule looked up, then its steps."""

    operation: Operation
    known: KnownLookups
    checks: tuple[Check, ...]
    plan: Plan

    @property
    def length(self) -> int:
        return len(self.checks) + len(self.plan.steps)


class Batch:
    """Operations to be done together or not at all, and how their answers are joined."""

    def __init__(
        self,
        context: Context,
        call: Call,
        operations: tuple[Operation, ...],
        *,
        route: str,
        join: Callable[[list[bytes]], bytes],
    ) -> None:
        self._context = context
        self._call = call
        self._operations = operations
        self._route = route
        self._join = join
        self._drafts: list[_Draft] = []

    async def run(self) -> bytes:
        """Done and durable, or a Problem and nothing done."""
        once = self._once()
        known = [NOTHING_KNOWN for _ in self._operations]
        for _ in range(MAX_ATTEMPTS + len(self._operations)):
            self._drafts = []
            for place, operation in enumerate(self._operations):
                if place:
                    # An operation may be a thousand documents: others get their turn in between.
                    await asyncio.sleep(0)
                self._drafts.append(await self._draft(operation, known[place], place, once))
            try:
                return await self._write(once)
            except Changed as changed:
                last = changed
                known = self._corrected(changed)
        raise last

    async def _draft(
        self, operation: Operation, known: KnownLookups, place: int, once: Once | None
    ) -> _Draft:
        """Plans one operation, fetching what its rule looks up beyond what is known.

        A refusal is raised at once where nothing could change it. It becomes a step, to be raised
        in its turn, where earlier operations may change what the rule looks up, and where a first
        request with the same key may have been done already: then the repeat asks for the answer
        that was lost, not for another write.
        """
        lookups = known
        while True:
            try:
                plan = operation.planner(lookups)
                if not isinstance(plan, Plan):
                    plan = await plan
            except LookupNeeded as need:
                if not isinstance(lookups, FetchedLookups):
                    lookups = FetchedLookups(self._context.store)
                    lookups.known.update(known.known)
                await lookups.fetch(need)
                continue
            except Problem as refusal:
                if place == 0 and once is None:
                    raise placed(refusal, operation.number) from None
                plan = _refusing(operation, refusal)
            return _Draft(operation, lookups, tuple(checks(lookups, place)), plan)

    async def _write(self, once: Once | None) -> bytes:
        steps = tuple(chain.from_iterable((*d.checks, *d.plan.steps) for d in self._drafts))
        info = self._call.origin or WriteInfo(actor=self._call.actor.uid)
        try:
            result = await self._context.store.write(steps, info, once)
        except Changed:
            raise
        except Problem as problem:
            raise placed(problem, self._number(problem.operation)) from None
        except DuplicateKey as duplicate:
            self._raise_conflict(duplicate)
        if result.replayed is not None:
            return result.replayed
        return await self._rendered(result.results)

    async def _rendered(self, results: Results) -> bytes:
        lookups = FetchedLookups(self._context.store)
        while True:
            turns = Turns()
            answers: list[bytes] = []
            try:
                for answer in self._answers(results, lookups):
                    answers.append(answer)
                    await turns.give()
                return self._join(answers)
            except LookupNeeded as need:
                await lookups.fetch(need)

    def _once(self) -> Once | None:
        return once(
            self._call.idempotency_key,
            self._call.actor,
            self._route,
            self._call.body,
            self._context.limits,
            self._render_inside,
        )

    def _render_inside(self, results: Results) -> bytes:
        """The answer as it is recorded, in the store's transaction, where nothing can wait."""
        try:
            return self._join(list(self._answers(results, FetchedLookups(self._context.store))))
        except LookupNeeded:
            raise Problem(Code.UNAVAILABLE, "The store is busy; try again.") from None

    def _answers(self, results: Results, lookups: Lookups) -> Iterator[bytes]:
        at = 0
        for draft in self._drafts:
            if draft.operation.answers:
                own = results[at + len(draft.checks) : at + draft.length]
                yield draft.plan.render(own, lookups)
            at += draft.length

    def _draft_at(self, position: int | None) -> _Draft | None:
        """The operation that a step belongs to; a batch of one step reports no position."""
        if position is None:
            return self._drafts[0] if len(self._drafts) == 1 else None
        for draft in self._drafts:
            if position < draft.length:
                return draft
            position -= draft.length
        return None

    def _number(self, position: int | None) -> int | None:
        draft = self._draft_at(position)
        return None if draft is None else draft.operation.number

    def _corrected(self, changed: Changed) -> list[KnownLookups]:
        """What each operation knows, with what the failed check saw for it and those behind it.

        Theirs may differ again, by what operations in between write; then their own check tells.
        """
        known = [draft.known for draft in self._drafts]
        for place in range(changed.place, len(known)):
            if changed.key in known[place].known:
                corrected = KnownLookups()
                corrected.known = {**known[place].known, changed.key: changed.now}
                known[place] = corrected
        return known

    def _raise_conflict(self, duplicate: DuplicateKey) -> NoReturn:
        draft = self._draft_at(duplicate.step)
        call = self._call if draft is None else draft.operation.call
        problem = _conflict(self._context, call, duplicate)
        raise placed(problem, self._number(duplicate.step)) from None


def _refusing(operation: Operation, refusal: Problem) -> Plan:
    def refuse(stored: Document | None, lookups: Lookups) -> None:
        refusal.operation = None
        raise refusal

    step = Check(collection=operation.call.collection, id="-", verify=refuse)
    return Plan(steps=(step,), render=lambda results, lookups: b"")


def placed(problem: Problem, number: int | None) -> Problem:
    """A problem of one verb as one of operation `number`: paths are those of the whole body. None:
    of a verb by itself."""
    problem.operation = number
    if number is not None:
        problem.errors = tuple(
            FieldError(f"operations.{number}.{one.path}".rstrip("."), one.message)
            for one in problem.errors
        )
    return problem


def single(context: Context, call: Call, verb: str, planner: Planner) -> Batch:
    """A batch of one verb, which answers as itself."""
    operation = Operation(call=call, planner=planner)
    route = f"{call.collection}/{verb}"
    return Batch(context, call, (operation,), route=route, join=_only)


def _only(answers: list[bytes]) -> bytes:
    return answers[0]


# -- conflicts ------------------------------------------------------------------------------------


def _conflict(context: Context, call: Call, duplicate: DuplicateKey) -> Problem:
    """CONFLICT, naming the index only where the caller may read all its fields: else the answer
    would say something about the value of a field that it may not see."""
    if duplicate.index is None:
        return Problem(Code.CONFLICT, "A document with this _id exists already.")
    paths = _index_paths(context, call, duplicate.index)
    if paths and _may_read(context, call, paths):
        names = ", ".join(sorted(".".join(path) for path in paths))
        return Problem(Code.CONFLICT, f"Another document has the same value of {names}.")
    return Problem(Code.CONFLICT, "Another document holds a key that must be unique.")


def _index_paths(context: Context, call: Call, name: str) -> frozenset[Path]:
    rules = context.collection(call.collection).rules
    specs = () if rules is None else rules.spec.indexes
    return frozenset(key.path for spec in specs if spec.name == name for key in spec.keys)


def _may_read(context: Context, call: Call, paths: frozenset[Path]) -> bool:
    try:
        decide_get(context, call, None, NOTHING_KNOWN).masks.check_used(paths, ALWAYS)
    except (Problem, LookupNeeded):
        return False
    return True
