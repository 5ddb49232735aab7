"""A `watch` frame, checked, and decided by the rules for its caller."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from baas.errors import Code, FieldError, Problem, denied, invalid
from baas.guard import Guard, ReadDecision, RequestFacts
from baas.ids import is_collection_name
from baas.ports.documents import Lookups
from baas.push.contract import Caller
from baas.push.frames import Watch
from baas.query import ast
from baas.query import expr as e
from baas.query.ast import ALWAYS, Filter, Projection, Sort
from baas.query.limits import QueryLimits
from baas.query.near import default_sort
from baas.query.parse import parse_filter, parse_projection, parse_sort
from baas.rules.model import CollectionRules, Operation
from baas.rules.needs import Needs, needs_of, walk
from baas.schema.values import Value, encode

#: The guard's words for a collection that no file names; reserved names get the same.
_REFUSAL: Final = "The rules do not allow this."


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What one client watches. `digest` names the query."""

    collection: str
    filter: Filter
    sort: Sort
    limit: int | None
    projection: Projection | None
    digest: bytes


def read_watch(frame: Watch, caller: Caller, limits: QueryLimits, now_ms: int, most: int) -> Asked:
    """INVALID_ARGUMENT, LIMIT_EXCEEDED; PERMISSION_DENIED for a reserved name."""
    if not is_collection_name(frame.collection):
        raise denied(_REFUSAL)
    if frame.limit is not None and not 1 <= frame.limit <= most:
        if frame.limit < 1:
            raise invalid("limit", "at least 1")
        fault = FieldError("limit", f"at most {most}")
        raise Problem(Code.LIMIT_EXCEEDED, f"limit: at most {most}", errors=(fault,))
    raw: Value = frame.filter
    filter: Filter = ALWAYS
    if raw is not None and raw != {}:
        filter = parse_filter(raw, limits, now_ms=now_ms, uid=caller.actor.uid, whole=True)
    sort = default_sort(filter) if frame.sort is None else parse_sort(frame.sort)
    projection = None if frame.fields is None else parse_projection(frame.fields)
    # Not as it was written: what is relative to the time means something else by now.
    parts = [frame.collection, repr(filter), frame.sort, frame.limit, frame.fields]
    return Asked(
        collection=frame.collection,
        filter=filter,
        sort=sort,
        limit=frame.limit,
        projection=projection,
        digest=blake2b(encode(parts), digest_size=16).digest(),
    )


def decide(
    guard: Guard, asked: Asked, caller: Caller, now_ms: int, lookups: Lookups
) -> ReadDecision:
    """The rules' answer for this caller now. Raises the refusal, or LookupNeeded."""
    facts = RequestFacts(time_ms=now_ms, ip=caller.ip, fields=_fields(asked.projection))
    return guard.read(
        Operation.WATCH, asked.collection, caller.actor, facts, asked.filter, asked.sort, lookups
    )


def identity(asked: Asked, decision: ReadDecision, own: str) -> str:
    """Equal for two watches that see the same result: then they share one query. `own` names the
    caller, and counts where masks may hide something of a document from one and not another."""
    audience = "" if decision.masks.hides_nothing else own
    parts = (asked.collection, decision.filter, asked.sort, asked.limit, asked.projection)
    return f"{parts!r}{audience}"


def needs_of_watch(rules: CollectionRules | None) -> Needs:
    """Of the rules that decide about a watch."""
    if rules is None:
        return Needs()
    used = [rules.rules[Operation.WATCH].expr]
    used += [mask.read.expr for mask in rules.masks if mask.read is not None]
    return needs_of(used)


def looks_up(decision: ReadDecision) -> bool:
    """Whether other documents decide about each document by itself."""
    exprs = [node.expr for node in nodes_of(decision.filter) if isinstance(node, ast.Where)]
    lookups = (e.Lookup, e.LookupExists)
    return any(isinstance(node, lookups) for expr in exprs for node in walk(expr))


# -- trees ----------------------------------------------------------------------------------------


def nodes_of(filter: Filter) -> list[Filter]:
    """The filter and all filters below it, but for those inside tests."""
    found = [filter]
    if isinstance(filter, (ast.And, ast.Or)):
        for item in filter.items:
            found += nodes_of(item)
    elif isinstance(filter, ast.Not):
        found += nodes_of(filter.item)
    return found


def _fields(projection: Projection | None) -> tuple[str, ...] | None:
    """`request.fields`: the top-level names asked for; None for all, or all but some."""
    if projection is None or not projection.include:
        return None
    names = dict.fromkeys(path[0] for path in projection.paths)
    return (*(("_id",) if projection.with_id else ()), *names)
