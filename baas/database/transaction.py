"""`transaction`: up to a hundred operations together, each seeing what the earlier ones wrote.

Rules see that too. A write's callbacks look up documents in the state of the write; a rule that
becomes a filter is reduced with documents fetched before, and `Check` steps in front of its
operation hold it to them: where an earlier operation has changed one, the transaction is undone
and planned again with what it had become there (see `lookups` and `plan.Batch`).

A `get` of a document that is not there is NOT_FOUND and undoes everything, like any operation that
fails; a `find` that finds nothing does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from baas.database import writes
from baas.database.before import hooked, is_hooked
from baas.database.bodies import (
    DeleteOperation,
    Expectation,
    FindOperation,
    GetOperation,
    InsertOperation,
    ReplaceOperation,
    TransactionBody,
    UpdateOperation,
)
from baas.database.context import Call, Context, check_id
from baas.database.etag import etag_of, same_etag
from baas.database.plan import Batch, Operation, Plan, Planner, Results, placed
from baas.database.reads import (
    decide,
    decide_count,
    decide_get,
    read_query,
    render_page,
    store_query,
    with_total,
)
from baas.errors import Code, FieldError, Problem, invalid, not_found
from baas.guard import ReadDecision
from baas.ports.documents import (
    Check,
    Count,
    KnownLookups,
    Lookups,
    MaybeAwaitable,
    Read,
    Step,
    resolve,
)
from baas.query.ast import Projection
from baas.query.evaluate import matches
from baas.query.parse import parse_projection
from baas.query.project import project
from baas.schema.values import Document, encode

ROUTE: Final = "transaction"


async def transaction(
    context: Context, call: Call, body: TransactionBody, *, most_expected: int | None = None
) -> bytes:
    """Checks the form of all, then plans and writes; problems say which operation they are of.

    `most_expected` is the limit of `expect` where it is not that of operations.
    """
    most = context.limits.transaction_operations
    _check_length("operations", len(body.operations), least=1, most=most)
    _check_length("expect", len(body.expect), least=0, most=most_expected or most)
    operations = [_expectation(context, call, one) for one in body.expect]
    for number, one in enumerate(body.operations):
        inner = await _within(context, call, number, one)
        operations.append(await _operation(context, inner, number, one))
        # An operation may be a thousand documents: others get their turn in between.
        await asyncio.sleep(0)
    return await Batch(context, call, tuple(operations), route=ROUTE, join=_results).run()


def _check_length(name: str, length: int, *, least: int, most: int) -> None:
    if length < least:
        raise invalid(name, "must not be empty")
    if length > most:
        fault = FieldError(name, f"at most {most}")
        raise Problem(Code.LIMIT_EXCEEDED, f"{name}: at most {most}", errors=(fault,))


def _results(answers: list[bytes]) -> bytes:
    return b'{"results":[%b]}' % b",".join(answers)


async def _within(context: Context, call: Call, number: int, body: Any) -> Call:
    """The call of one operation, its before-hooks run."""
    try:
        inner = call.within(body.collection)
        verb = str(type(body).__struct_config__.tag)
        if is_hooked(context, body.collection, verb):
            return await hooked(context, inner, verb, body)
        return inner
    except Problem as problem:
        raise placed(problem, number) from None


async def _operation(context: Context, inner: Call, number: int, body: Any) -> Operation:
    try:
        planner = await resolve(_PLANNERS[type(body)](context, inner, body))
    except Problem as problem:
        raise placed(problem, number) from None
    return Operation(call=inner, planner=planner, number=number)


# -- reads ----------------------------------------------------------------------------------------


def _find(context: Context, call: Call, body: FindOperation) -> Planner:
    query = read_query(context, call, body)

    def planner(lookups: KnownLookups) -> Plan:
        decision = decide(context, call, query, lookups)
        steps: list[Step] = [Read(query=store_query(call, query, decision))]
        if body.count:
            counted = decide_count(context, call, query.filter, lookups)
            steps.append(Count(collection=call.collection, filter=counted.filter))

        def render(results: Results, now: Lookups) -> bytes:
            rows = list(results[0].documents)
            page = render_page(context, query, decision.masks, rows, now)
            return with_total(page, results[1].count) if body.count else page

        return Plan(steps=tuple(steps), render=render)

    return planner


def _get(context: Context, call: Call, body: GetOperation) -> Planner:
    check_id(body.id)
    projection = None if body.fields is None else parse_projection(body.fields)

    def planner(lookups: KnownLookups) -> Plan:
        decision = decide_get(context, call, projection, lookups)
        # A check, and not a Read, so that an absent document undoes the transaction.
        shown = [b""]

        def verify(stored: Document | None, inner: Lookups) -> None:
            document = _seen(decision, stored, inner)
            if document is None:
                raise not_found()
            shown[0] = encode(_projected(document, projection))

        step = Check(collection=call.collection, id=body.id, verify=verify)
        return Plan(steps=(step,), render=lambda results, now: shown[0])

    return planner


def _seen(decision: ReadDecision, stored: Document | None, lookups: Lookups) -> Document | None:
    """The document as the caller sees it; None where it is absent or hidden."""
    if stored is None or not matches(decision.rule, stored, lookups):
        return None
    if decision.masks.hides_nothing:
        return stored
    return decision.masks.readable(stored, lookups)


def _projected(document: Document, projection: Projection | None) -> Document:
    return document if projection is None else project(document, projection)


# -- expectations ---------------------------------------------------------------------------------


def _expectation(context: Context, call: Call, expected: Expectation) -> Operation:
    inner = call.within(expected.collection)
    check_id(expected.id, "expect.id")

    def planner(lookups: KnownLookups) -> Plan:
        decision = decide_get(context, inner, None, lookups)

        def verify(stored: Document | None, now: Lookups) -> None:
            document = _seen(decision, stored, now)
            if not _is_as_expected(document, expected.etag):
                name = f"{expected.collection}/{expected.id}"
                raise Problem(Code.TRANSACTION_CONFLICT, f"{name} is not as expected.")

        step = Check(collection=inner.collection, id=expected.id, verify=verify)
        return Plan(steps=(step,), render=lambda results, now: b"")

    return Operation(call=inner, planner=planner, answers=False)


def _is_as_expected(document: Document | None, etag: str | None) -> bool:
    if document is None or etag is None:
        return document is None and etag is None
    return same_etag(etag, etag_of(encode(document)))


_PLANNERS: Final[dict[type, Callable[[Context, Call, Any], MaybeAwaitable[Planner]]]] = {
    FindOperation: _find,
    GetOperation: _get,
    InsertOperation: writes.insert,
    UpdateOperation: writes.update,
    ReplaceOperation: writes.replace,
    DeleteOperation: writes.delete,
}
