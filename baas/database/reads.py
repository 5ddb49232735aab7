"""`find`, `get` and `count`: rule and query as one filter, stored bytes joined into an answer.

Everything is synchronous where the store answers at once. Documents are decoded only where a mask
or a projection applies, and the last of a page for its cursor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import msgspec

from baas.database import lookups as looked_up
from baas.database.bodies import CountBody, FindBody, GetBody
from baas.database.context import Call, Context, check_id
from baas.database.cursors import binding_of
from baas.database.etag import etag_of
from baas.errors import Code, FieldError, Problem, invalid, not_found
from baas.guard import Masks, ReadDecision
from baas.ports.documents import DocumentReader, Find, LookupNeeded, Lookups, MaybeAwaitable
from baas.query.ast import ALWAYS, BY_ID, Filter, Projection, Sort
from baas.query.near import default_sort
from baas.query.order import sort_values
from baas.query.parse import parse_filter, parse_projection, parse_sort
from baas.query.project import project
from baas.rules.model import Operation
from baas.schema.values import Value, decode, encode

T = TypeVar("T")
R = TypeVar("R")


class Tagged(NamedTuple):
    """A document and the ETag of what this caller sees of it, whatever was projected."""

    body: bytes
    etag: str


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A `find` body, read. `limit` is the page's; the store is asked for one more."""

    filter: Filter
    sort: Sort
    limit: int
    skip: int
    after: tuple[Value, ...] | None
    projection: Projection | None
    binding: Callable[[], bytes]


# -- find -----------------------------------------------------------------------------------------


def find(context: Context, call: Call, body: FindBody) -> MaybeAwaitable[bytes]:
    query = read_query(context, call, body)
    if body.count:
        return looked_up.read_snapshot(context, _page_and_total(context, call, query))
    return looked_up.read(context, _page(context, call, query))


def read_query(context: Context, call: Call, body: FindBody) -> Query:
    """The body, checked; INVALID_ARGUMENT, LIMIT_EXCEEDED or CURSOR_INVALID."""
    limits = context.limits
    limit = limits.find_default if body.limit is None else body.limit
    if limit > limits.find_max:
        message = f"at most {limits.find_max}"
        fault = FieldError("limit", message)
        raise Problem(Code.LIMIT_EXCEEDED, f"limit: {message}", errors=(fault,))
    if body.after is not None and body.skip:
        raise invalid("skip", "goes with no cursor: `after` says where to go on")
    filter = client_filter(context, call, body.filter)
    sort = default_sort(filter) if body.sort is None else parse_sort(body.sort)

    def binding() -> bytes:
        rule = context.collection(call.collection).read_rule
        return binding_of(call.actor, call.collection, rule, body.filter, sort)

    after = None
    if body.after is not None:
        after = context.cursors.open(body.after, binding(), keys=len(sort))
    return Query(
        filter=filter,
        sort=sort,
        limit=limit,
        skip=body.skip,
        after=after,
        projection=None if body.fields is None else parse_projection(body.fields),
        binding=binding,
    )


def client_filter(context: Context, call: Call, raw: dict[str, Value]) -> Filter:
    if not raw:
        return ALWAYS
    limits, uid = context.query_limits, call.actor.uid
    return parse_filter(raw, limits, now_ms=call.now_ms, uid=uid, whole=True)


def decide(context: Context, call: Call, query: Query, lookups: Lookups) -> ReadDecision:
    return context.guard.read(
        Operation.READ,
        call.collection,
        call.actor,
        call.facts(fields=projected_fields(query.projection)),
        query.filter,
        query.sort,
        lookups,
    )


def store_query(call: Call, query: Query, decision: ReadDecision) -> Find:
    """One document more than the page: whether there is one decides `next`."""
    return Find(
        collection=call.collection,
        filter=decision.filter,
        sort=query.sort,
        limit=query.limit + 1,
        skip=query.skip,
        after=query.after,
    )


def _page(
    context: Context, call: Call, query: Query
) -> Callable[[DocumentReader, Lookups], MaybeAwaitable[bytes]]:
    def attempt(reader: DocumentReader, lookups: Lookups) -> MaybeAwaitable[bytes]:
        decision = decide(context, call, query, lookups)
        rows = reader.find(store_query(call, query, decision))
        if isinstance(rows, list):
            return render_page(context, query, decision.masks, rows, lookups)
        return _then(
            rows, lambda found: render_page(context, query, decision.masks, found, lookups)
        )

    return attempt


def _page_and_total(
    context: Context, call: Call, query: Query
) -> Callable[[DocumentReader, Lookups], MaybeAwaitable[bytes]]:
    page = _page(context, call, query)

    async def attempt(reader: DocumentReader, lookups: Lookups) -> bytes:
        total = await _resolved(_count(context, call, query.filter, reader, lookups))
        documents = await _resolved(page(reader, lookups))
        return with_total(documents, total)

    return attempt


def with_total(page: bytes, total: int) -> bytes:
    return b'%b,"total":%d}' % (page[:-1], total)


def render_page(
    context: Context, query: Query, masks: Masks, rows: list[bytes], lookups: Lookups
) -> bytes:
    """`{"documents": [...], "next": ...}` of the rows that the store gave for `store_query`."""
    following = b"null"
    if len(rows) > query.limit:
        rows = rows[: query.limit]
        if rows:
            values = sort_values(decode(rows[-1]), query.sort)
            following = encode(context.cursors.seal(values, query.binding()))
    shown = b",".join(seen(rows, masks, query.projection, lookups))
    return b'{"documents":[%b],"next":%b}' % (shown, following)


def seen(
    rows: list[bytes], masks: Masks, projection: Projection | None, lookups: Lookups
) -> list[bytes]:
    """Stored documents as the caller may see them; the same bytes where nothing is taken away."""
    if projection is None and masks.hides_nothing:
        return rows
    return [show(row, masks, projection, lookups) for row in rows]


def show(row: bytes, masks: Masks, projection: Projection | None, lookups: Lookups) -> bytes:
    if projection is None and masks.hides_nothing:
        return row
    document = decode(row)
    if not masks.hides_nothing:
        document = masks.readable(document, lookups)
    return encode(document if projection is None else project(document, projection))


def projected_fields(projection: Projection | None) -> tuple[str, ...] | None:
    """`request.fields` of a read: the top-level names asked for; None for all, or all but some."""
    if projection is None or not projection.include:
        return None
    names = dict.fromkeys(path[0] for path in projection.paths)
    return (*(("_id",) if projection.with_id else ()), *names)


# -- get ------------------------------------------------------------------------------------------


def get(context: Context, call: Call, body: GetBody) -> MaybeAwaitable[bytes]:
    check_id(body.id)
    projection = None if body.fields is None else parse_projection(body.fields)

    def attempt(reader: DocumentReader, lookups: Lookups) -> MaybeAwaitable[bytes]:
        decision = decide_get(context, call, projection, lookups)
        row = reader.get(call.collection, body.id, decision.rule)
        if row is None or isinstance(row, bytes):
            return show(_found(row), decision.masks, projection, lookups)
        return _then(row, lambda got: show(_found(got), decision.masks, projection, lookups))

    return looked_up.read(context, attempt)


def get_tagged(context: Context, call: Call, body: GetBody) -> MaybeAwaitable[Tagged]:
    """As `get`, with the ETag that `expect` and If-None-Match compare."""
    check_id(body.id)
    if body.fields is None and (found := _get_plainly(context, call, body.id)) is not None:
        return found
    projection = None if body.fields is None else parse_projection(body.fields)

    def attempt(reader: DocumentReader, lookups: Lookups) -> MaybeAwaitable[Tagged]:
        decision = decide_get(context, call, projection, lookups)

        def tagged(row: bytes | None) -> Tagged:
            whole = show(_found(row), decision.masks, None, lookups)
            part = whole if projection is None else encode(project(decode(whole), projection))
            return Tagged(part, etag_of(whole))

        row = reader.get(call.collection, body.id, decision.rule)
        return tagged(row) if row is None or isinstance(row, bytes) else _then(row, tagged)

    return looked_up.read(context, attempt)


def _get_plainly(context: Context, call: Call, id: str) -> Tagged | None:
    """The usual `get`, straight through: no mask, no lookup, served at once. None: not that one."""
    try:
        decision = decide_get(context, call, None, looked_up.NOTHING_KNOWN)
        if not decision.masks.hides_nothing:
            return None
        row = context.store.get(call.collection, id, decision.rule)
    except LookupNeeded:
        return None
    return Tagged(row, etag_of(row)) if isinstance(row, bytes) else None


def decide_get(
    context: Context, call: Call, projection: Projection | None, lookups: Lookups
) -> ReadDecision:
    """Decided on the document, in mode `reject` too: `rule` goes with the store's `get`."""
    return context.guard.read(
        Operation.READ,
        call.collection,
        call.actor,
        call.facts(fields=projected_fields(projection)),
        ALWAYS,
        BY_ID,
        lookups,
        by_id=True,
    )


def _found(row: bytes | None) -> bytes:
    if row is None:
        raise not_found()
    return row


# -- count ----------------------------------------------------------------------------------------


def count(context: Context, call: Call, body: CountBody) -> MaybeAwaitable[bytes]:
    filter = client_filter(context, call, body.filter)

    def attempt(reader: DocumentReader, lookups: Lookups) -> MaybeAwaitable[bytes]:
        total = _count(context, call, filter, reader, lookups)
        return _total(total) if isinstance(total, int) else _then(total, _total)

    return looked_up.read(context, attempt)


def _count(
    context: Context, call: Call, filter: Filter, reader: DocumentReader, lookups: Lookups
) -> MaybeAwaitable[int]:
    decision = decide_count(context, call, filter, lookups)
    return reader.count(call.collection, decision.filter)


def decide_count(context: Context, call: Call, filter: Filter, lookups: Lookups) -> ReadDecision:
    return context.guard.read(
        Operation.COUNT, call.collection, call.actor, call.facts(), filter, BY_ID, lookups
    )


def _total(total: int) -> bytes:
    return b'{"total":%d}' % total


# -- waiting --------------------------------------------------------------------------------------


async def _then(waiting: Awaitable[T], go_on: Callable[[T], R]) -> R:
    return go_on(await waiting)


async def _resolved(value: MaybeAwaitable[T]) -> T:
    return await value if isinstance(value, Awaitable) else value
