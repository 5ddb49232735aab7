"""From a client's `pipeline` to a Pipeline: an allow-list of stages, and limits.

What writes, runs code or looks at the server does not exist here, at any depth.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import msgspec

from baas.errors import invalid
from baas.query.aggregate.expression import BucketOf, Constant, Expression
from baas.query.aggregate.functions.accumulators import ACCUMULATORS
from baas.query.aggregate.limits import MAX_PIPELINE_DEPTH
from baas.query.aggregate.model import (
    Accumulate,
    Count,
    Facet,
    Group,
    Limit,
    Lookup,
    Match,
    MatchExpression,
    PipelineStage,
    ReplaceRoot,
    Reshape,
    Sample,
    Skip,
    SortBy,
    Unwind,
)
from baas.query.aggregate.operands import (
    Stages,
    collection,
    equality,
    field_path,
    integer,
    leading_filter,
    members,
    no_accumulator,
    no_stage,
)
from baas.query.aggregate.parse_expression import ExpressionParser, Names
from baas.query.aggregate.parse_near import geo_near
from baas.query.aggregate.parse_shape import parse_new_fields, parse_projection, parse_unset
from baas.query.aggregate.pipeline import Pipeline
from baas.query.ast import BY_ID, Filter, SortKey
from baas.query.limits import QueryLimits, exceeded
from baas.query.near import default_sort
from baas.query.parse import parse_filter, parse_path, parse_sort
from baas.schema.admit import name_fault, shown
from baas.schema.values import Kind, compare, kind_of


def parse_pipeline(
    raw: Any, limits: QueryLimits, *, now_ms: int, uid: str | None = None
) -> Pipeline:
    """A `pipeline` body, checked. `now_ms` is server time, `uid` the caller (for `'{openid}'` in
    `$match`).

    Problem INVALID_ARGUMENT with the place in the body for stages, operators, variables and names
    that do not exist, LIMIT_EXCEEDED for too many stages, levels or parts. The input is not
    modified.
    """
    return Pipeline(_Parser(limits, now_ms, uid).pipeline(raw, "pipeline", _Scope()))


class _Scope(msgspec.Struct, frozen=True):
    """Where a pipeline stands: the variables that it may use, and what it lies within."""

    names: Names = frozenset()
    depth: int = 1
    facet: bool = False


class _Parser:
    """One pipeline under way, and how many stages it may still have."""

    def __init__(self, limits: QueryLimits, now_ms: int, uid: str | None) -> None:
        self._limits = limits
        self._now_ms = now_ms
        self._uid = uid
        self._stages_left = limits.pipeline_stages
        self._expressions = ExpressionParser(limits, now_ms)
        #: Whether the stage under way is the first of the whole pipeline.
        self._first = False

    def pipeline(self, raw: Any, where: str, scope: _Scope) -> Stages:
        if type(raw) is not list:
            raise invalid(where, "must be an array of stages")
        if scope.depth > MAX_PIPELINE_DEPTH:
            raise exceeded(where, f"pipelines nest at most {MAX_PIPELINE_DEPTH} deep")
        self._stages_left -= len(raw)
        if self._stages_left < 0:
            raise exceeded(where, f"at most {self._limits.pipeline_stages} stages in all")
        found: list[PipelineStage] = []
        for position, stage in enumerate(raw):
            self._first = position == 0 and scope.depth == 1 and not scope.facet
            found += self._stage(stage, f"{where}.{position}", scope)
        return tuple(found)

    def _stage(self, raw: Any, where: str, scope: _Scope) -> Stages:
        if type(raw) is not dict or len(raw) != 1:
            raise invalid(where, "a stage is an object with one operator")
        name, operand = next(iter(raw.items()))
        if name not in STAGES:
            raise no_stage(name, where, STAGES)
        return STAGES[name](self, operand, f"{where}.{name}", scope)

    def _expression(self, raw: Any, where: str, names: Names) -> Expression:
        return self._expressions.parse(raw, where, names)

    # -- stages -----------------------------------------------------------------------------------

    def _match(self, raw: Any, where: str, scope: _Scope) -> Stages:
        """`$expr` at the top is a stage of its own, behind the filter."""
        if type(raw) is not dict or "$expr" not in raw:
            return self._filtered(raw, where)
        rest = {name: condition for name, condition in raw.items() if name != "$expr"}
        condition = self._expression(raw["$expr"], f"{where}.$expr", scope.names)
        last = MatchExpression(where=where, condition=condition)
        return (*self._filtered(rest, where), last) if rest else (last,)

    def _filtered(self, raw: Any, where: str) -> Stages:
        """A `$near` also sorts, until a later stage does."""
        filter = self._filter(raw, where)
        order = default_sort(filter)
        match = Match(where=where, filter=filter)
        return (match,) if order is BY_ID else (match, SortBy(where=where, sort=order))

    def _filter(self, raw: Any, where: str) -> Filter:
        limits, first = self._limits, self._first
        return parse_filter(
            raw, limits, now_ms=self._now_ms, uid=self._uid, path=where, whole=first
        )

    def _geo_near(self, raw: Any, where: str, scope: _Scope) -> Stages:
        if not self._first:
            raise invalid(where, "stands first in a pipeline, if at all")
        self._first = False  # its query holds no $near or $text of its own
        return geo_near(raw, where, self._filter)

    def _project(self, raw: Any, where: str, scope: _Scope) -> Stages:
        shape = parse_projection(raw, where, self._expressions, scope.names)
        return (Reshape(where=where, shape=shape),)

    def _add_fields(self, raw: Any, where: str, scope: _Scope) -> Stages:
        shape = parse_new_fields(raw, where, self._expressions, scope.names)
        return (Reshape(where=where, shape=shape),)

    def _unset(self, raw: Any, where: str, scope: _Scope) -> Stages:
        return (Reshape(where=where, shape=parse_unset(raw, where)),)

    def _group(self, raw: Any, where: str, scope: _Scope) -> Stages:
        if type(raw) is not dict or "_id" not in raw:
            raise invalid(where, "must be an object with _id, what to group by (null: all)")
        key = self._expression(raw["_id"], f"{where}._id", scope.names)
        fields = {name: spec for name, spec in raw.items() if name != "_id"}
        return (Group(where=where, key=key, fields=self._accumulated(fields, where, scope.names)),)

    def _accumulated(self, raw: dict[str, Any], where: str, names: Names) -> tuple[Accumulate, ...]:
        return tuple(self._accumulate(name, raw[name], where, names) for name in raw)

    def _accumulate(self, name: str, raw: Any, where: str, names: Names) -> Accumulate:
        if fault := name_fault(name):
            raise invalid(where, f"{shown(name)}: {fault}")
        place = f"{where}.{name}"
        if type(raw) is not dict or len(raw) != 1:
            raise invalid(place, 'must be one accumulator, such as {"$sum": 1}')
        accumulator, operand = next(iter(raw.items()))
        if accumulator not in ACCUMULATORS:
            raise no_accumulator(accumulator, place)
        if accumulator == "$count":
            if operand != {}:
                raise invalid(place, "$count takes {}")
            return Accumulate(name, accumulator, Constant(None))
        inside = f"{place}.{accumulator}"
        return Accumulate(name, accumulator, self._expression(operand, inside, names))

    def _sort(self, raw: Any, where: str, scope: _Scope) -> Stages:
        if not raw:
            raise invalid(where, "names at least one field")
        return (SortBy(where=where, sort=parse_sort(raw, where)),)

    def _limit(self, raw: Any, where: str, scope: _Scope) -> Stages:
        return (Limit(where=where, count=integer(raw, where, 1)),)

    def _skip(self, raw: Any, where: str, scope: _Scope) -> Stages:
        return (Skip(where=where, count=integer(raw, where, 0)),)

    def _sample(self, raw: Any, where: str, scope: _Scope) -> Stages:
        members(raw, where, ("size",), 1)
        return (Sample(where=where, size=integer(raw["size"], f"{where}.size", 1)),)

    def _unwind(self, raw: Any, where: str, scope: _Scope) -> Stages:
        if type(raw) is str:
            raw = {"path": raw}
        known = ("path", "includeArrayIndex", "preserveNullAndEmptyArrays")
        members(raw, where, known, 1)
        keep = raw.get("preserveNullAndEmptyArrays", False)
        if type(keep) is not bool:
            raise invalid(f"{where}.preserveNullAndEmptyArrays", "must be true or false")
        index = None
        if "includeArrayIndex" in raw:
            index = parse_path(raw["includeArrayIndex"], f"{where}.includeArrayIndex")
        path = field_path(raw["path"], f"{where}.path")
        return (Unwind(where=where, path=path, index=index, keep_empty=keep),)

    def _count(self, raw: Any, where: str, scope: _Scope) -> Stages:
        if fault := name_fault(raw):
            raise invalid(where, fault)
        return (Count(where=where, name=raw),)

    def _sort_by_count(self, raw: Any, where: str, scope: _Scope) -> Stages:
        key = self._expression(raw, where, scope.names)
        counted = (Accumulate("count", "$count", Constant(None)),)
        order = (SortKey(("count",), True), SortKey(("_id",)))
        return (Group(where=where, key=key, fields=counted), SortBy(where=where, sort=order))

    def _replace_root(self, raw: Any, where: str, scope: _Scope) -> Stages:
        members(raw, where, ("newRoot",), 1)
        root = self._expression(raw["newRoot"], f"{where}.newRoot", scope.names)
        return (ReplaceRoot(where=where, root=root),)

    def _replace_with(self, raw: Any, where: str, scope: _Scope) -> Stages:
        return (ReplaceRoot(where=where, root=self._expression(raw, where, scope.names)),)

    def _bucket(self, raw: Any, where: str, scope: _Scope) -> Stages:
        """A `$group` by the boundary below the value, in the order of the boundaries."""
        members(raw, where, ("groupBy", "boundaries", "default", "output"), 2)
        boundaries = self._boundaries(raw["boundaries"], f"{where}.boundaries")
        other = None
        if "default" in raw:
            other = self._expressions.constant(raw["default"], f"{where}.default")
        value = self._expression(raw["groupBy"], f"{where}.groupBy", scope.names)
        output = raw.get("output", {"count": {"$count": {}}})
        if type(output) is not dict or "_id" in output:
            raise invalid(f"{where}.output", "must be an object of accumulators, without _id")
        fields = self._accumulated(output, f"{where}.output", scope.names)
        key = BucketOf(value, boundaries, other)
        by_key = (SortKey(("_id",)),)
        return (Group(where=where, key=key, fields=fields), SortBy(where=where, sort=by_key))

    def _boundaries(self, raw: Any, where: str) -> tuple[Any, ...]:
        if type(raw) is not list or len(raw) < 2:
            raise invalid(where, "must be an array of two values or more")
        if len(raw) > self._limits.list_items:
            raise exceeded(where, f"at most {self._limits.list_items} boundaries")
        values = self._expressions.constant(raw, where).value
        kinds = {kind_of(value) for value in values}
        if len(kinds) > 1 or kinds & {Kind.NULL, Kind.ARRAY, Kind.OBJECT}:
            raise invalid(where, "must be values of one type that has an order")
        if any(compare(one, other) >= 0 for one, other in pairwise(values)):
            raise invalid(where, "must ascend")
        return tuple(values)

    # -- pipelines inside -------------------------------------------------------------------------

    def _facet(self, raw: Any, where: str, scope: _Scope) -> Stages:
        if scope.facet:
            raise invalid(where, "$facet does not exist within $facet")
        if type(raw) is not dict or not raw:
            raise invalid(where, "must be an object of pipelines")
        for name in raw:
            if fault := name_fault(name):
                raise invalid(where, f"{shown(name)}: {fault}")
        # An empty pipeline costs work, too, and none may be free.
        self._stages_left -= len(raw)
        inside = _Scope(scope.names, scope.depth + 1, facet=True)
        branches = {
            name: self.pipeline(inner, f"{where}.{name}", inside) for name, inner in raw.items()
        }
        return (Facet(where=where, branches=branches),)

    def _lookup(self, raw: Any, where: str, scope: _Scope) -> Stages:
        known = ("from", "as", "localField", "foreignField", "let", "pipeline")
        members(raw, where, known, 2)
        joined = equality(raw, where)
        if joined is None and "pipeline" not in raw:
            raise invalid(where, "needs localField and foreignField, or pipeline, or both")
        variables = self._expressions.definitions(raw.get("let", {}), f"{where}.let", scope.names)
        inside = _Scope(scope.names | variables.keys(), scope.depth + 1, scope.facet)
        inner = self.pipeline(raw.get("pipeline", []), f"{where}.pipeline", inside)
        filter, rest = leading_filter(inner)
        lookup = Lookup(
            where=where,
            collection=collection(raw["from"], f"{where}.from"),
            target=parse_path(raw["as"], f"{where}.as"),
            filter=filter,
            equality=joined,
            variables=variables,
            stages=rest,
        )
        return (lookup,)


_StageParser = Callable[[_Parser, Any, str, _Scope], Stages]


STAGES: Final[dict[str, _StageParser]] = {
    "$match": _Parser._match,
    "$geoNear": _Parser._geo_near,
    "$project": _Parser._project,
    "$addFields": _Parser._add_fields,
    "$set": _Parser._add_fields,
    "$unset": _Parser._unset,
    "$group": _Parser._group,
    "$sort": _Parser._sort,
    "$limit": _Parser._limit,
    "$skip": _Parser._skip,
    "$unwind": _Parser._unwind,
    "$count": _Parser._count,
    "$sortByCount": _Parser._sort_by_count,
    "$replaceRoot": _Parser._replace_root,
    "$replaceWith": _Parser._replace_with,
    "$sample": _Parser._sample,
    "$bucket": _Parser._bucket,
    "$facet": _Parser._facet,
    "$lookup": _Parser._lookup,
}


__all__ = ["parse_pipeline"]
