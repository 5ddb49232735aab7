"""Client JSON becomes filters, sorts and projections: an allow-list, and limits.

Nothing that is not named here gets past: an unknown operator is INVALID_ARGUMENT with its name,
a limit LIMIT_EXCEEDED, each with the dotted path of the fault in the body. The input is never
modified.

The strings `{openid}` and `{uid}`, alone as a value, stand for the caller. With no caller, a
condition on such a value is one that nothing can pass (`In(())`): nobody's documents are not
found, and by its negation all are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, cast

from baas.errors import Problem, invalid
from baas.query import ast
from baas.query.hint import unknown
from baas.query.limits import QueryLimits
from baas.query.near import near_of
from baas.query.operands import NoCaller, OperandReader, parse_regex, whole_number
from baas.query.parse_geo import read_intersects, read_near, read_within
from baas.query.parse_text import read_text
from baas.query.parse_view import parse_projection, parse_sort
from baas.query.paths import parse_path
from baas.schema.admit import shown
from baas.schema.values import DATE, Path, Value

__all__ = [
    "is_operators",
    "parse_filter",
    "parse_path",
    "parse_projection",
    "parse_regex",
    "parse_sort",
]

#: A condition that no value passes; it keeps its path, so field masks still see it.
_NOTHING: Final = ast.In(())
_TYPES: Final = ("number", "string", "bool", "null", "object", "array", "date")
_TYPE_ALIASES: Final = {
    "int": "number",
    "long": "number",
    "double": "number",
    "decimal": "number",
    "float": "number",
    "integer": "number",
    "boolean": "bool",
    "timestamp": "date",
    "str": "string",
}


def parse_filter(
    raw: object,
    limits: QueryLimits,
    *,
    now_ms: int,
    uid: str | None = None,
    path: str = "filter",
    whole: bool = False,
) -> ast.Filter:
    """The filter that `raw`, decoded client JSON, says. `{}` is ALWAYS.

    `now_ms` is server time for dates given as an offset; `uid` replaces `{uid}` and `{openid}`;
    `path` is where `raw` stands in the body, for messages. `whole`: this is a query of its own on
    stored documents, so it may hold one `$text` and one `$near`.
    """
    parser = _FilterParser(limits, now_ms, uid, whole)
    found = parser.document(raw, path, 1)
    if parser.near_at and near_of(found) is None:
        raise invalid(parser.near_at, "stands under no $or, $nor, $not or $elemMatch")
    return found


class _FilterParser(OperandReader):
    """The grammar of filters, one method per operator."""

    __slots__ = ("elements", "near_at", "text_at", "whole")

    def __init__(self, limits: QueryLimits, now_ms: int, uid: str | None, whole: bool) -> None:
        super().__init__(limits, now_ms, uid)
        self.whole = whole
        self.near_at = ""
        self.text_at = ""
        #: How many `$elemMatch` are open.
        self.elements = 0

    # -- structure ----------------------------------------------------------------------------

    def document(self, raw: object, path: str, depth: int) -> ast.Filter:
        """An object whose keys are field paths and logical operators."""
        if type(raw) is not dict:
            raise invalid(path, "a filter must be an object")
        self.check_depth(path, depth)
        items: list[ast.Filter] = []
        for name, value in raw.items():
            if type(name) is not str:
                raise invalid(path, "a field name must be a string")
            if name[:1] == "$":
                items.append(self.logical(name, value, path, depth))
                continue
            self.field(parse_path(name, path), value, f"{path}.{name}", depth, items)
        return _conjunction(items)

    def logical(self, name: str, raw: object, path: str, depth: int) -> ast.Filter:
        if name == "$text":
            return self.text(raw, f"{path}.{name}")
        combine = _LOGICAL.get(name)
        if combine is None:
            raise _refused_at_top(name, path)
        path = f"{path}.{name}"
        self.spend(path)
        items = tuple(
            self.document(item, f"{path}.{position}", depth + 1)
            for position, item in enumerate(self.list_of(raw, path, least=1))
        )
        return combine(items)

    def text(self, raw: object, where: str) -> ast.Filter:
        if self.elements:
            raise invalid(where, "is about documents: it cannot stand under $elemMatch")
        self.check_whole(where, self.text_at)
        self.text_at = where
        self.spend(where)
        return read_text(raw, where)

    def check_whole(self, where: str, earlier: str) -> None:
        if not self.whole:
            raise invalid(where, "goes into a query's own filter, or a pipeline's first $match")
        if earlier:
            raise invalid(where, f"one is enough, and there is {earlier}")

    def field(self, path: Path, raw: object, where: str, depth: int, out: list[ast.Filter]) -> None:
        """Appends the conditions of one `path: raw` pair."""
        if type(raw) is dict and is_operators(raw, where):
            for condition in self.conditions(raw, where, depth):
                out.append(_on_field(path, condition))
            return
        self.spend(where)
        out.append(ast.Field(path, self.equal(raw, where, depth)))

    # -- operators ----------------------------------------------------------------------------

    def conditions(self, raw: dict[str, Any], where: str, depth: int) -> list[ast.Condition]:
        """What an object of operators demands, one condition each."""
        found: list[ast.Condition] = []
        for name, operand in raw.items():
            read = _OPERATORS.get(name)
            if read is not None:
                self.spend(where)
                found.append(read(self, operand, f"{where}.{name}", depth))
            elif name == "$regex":
                self.spend(where)
                found.append(parse_regex(operand, raw.get("$options", ""), where))
            elif name != "$options" or "$regex" not in raw:
                raise _refused(name, where)
        return found

    def equal(self, raw: object, where: str, depth: int) -> ast.Test:
        try:
            return ast.Eq(self.value(raw, where))
        except NoCaller:
            return _NOTHING

    def not_equal(self, raw: object, where: str, depth: int) -> ast.Condition:
        return ast.NotTest(self.equal(raw, where, depth))

    def gt(self, raw: object, where: str, depth: int) -> ast.Test:
        return self.range("gt", raw, where)

    def gte(self, raw: object, where: str, depth: int) -> ast.Test:
        return self.range("gte", raw, where)

    def lt(self, raw: object, where: str, depth: int) -> ast.Test:
        return self.range("lt", raw, where)

    def lte(self, raw: object, where: str, depth: int) -> ast.Test:
        return self.range("lte", raw, where)

    def range(self, op: Literal["gt", "gte", "lt", "lte"], raw: object, where: str) -> ast.Test:
        try:
            return ast.Range(op, self.value(raw, where))
        except NoCaller:
            return _NOTHING

    def one_of(self, raw: object, where: str, depth: int) -> ast.Test:
        values: list[Value] = []
        patterns: list[ast.Regex] = []
        for position, item in enumerate(self.list_of(raw, where)):
            spot = f"{where}.{position}"
            if type(item) is dict and "$regex" in item:
                patterns.append(self.pattern(item, spot))
                continue
            try:
                values.append(self.value(item, spot))
            except NoCaller:
                continue
        return ast.In(tuple(values), tuple(patterns))

    def none_of(self, raw: object, where: str, depth: int) -> ast.Condition:
        return ast.NotTest(self.one_of(raw, where, depth))

    def pattern(self, raw: dict[str, Any], where: str) -> ast.Regex:
        if raw.keys() - {"$regex", "$options"}:
            raise invalid(where, "a regex is {'$regex': ..., '$options': ...} alone")
        self.spend(where)
        return parse_regex(raw["$regex"], raw.get("$options", ""), where)

    def exists(self, raw: object, where: str, depth: int) -> ast.Condition:
        if type(raw) is not bool:
            raise invalid(where, "$exists takes true or false")
        return ast.Exists() if raw else ast.NotTest(ast.Exists())

    def type_is(self, raw: object, where: str, depth: int) -> ast.Test:
        names: list[Any] = self.list_of(raw, where, least=1) if type(raw) is list else [raw]
        for name in names:
            if type(name) is not str or name not in _TYPES:
                raise invalid(where, _type_fault(name))
        return ast.Type(tuple(dict.fromkeys(names)))

    def size(self, raw: object, where: str, depth: int) -> ast.Test:
        length = whole_number(raw, where)
        if length < 0:
            raise invalid(where, "$size takes a number from 0 on")
        return ast.Size(length)

    def mod(self, raw: object, where: str, depth: int) -> ast.Test:
        if type(raw) is not list or len(raw) != 2:
            raise invalid(where, "$mod takes [divisor, remainder]")
        divisor, remainder = whole_number(raw[0], f"{where}.0"), whole_number(raw[1], f"{where}.1")
        if divisor == 0:
            raise invalid(f"{where}.0", "the divisor cannot be 0")
        return ast.Mod(divisor, remainder)

    def negated(self, raw: object, where: str, depth: int) -> ast.Condition:
        if type(raw) is not dict or not is_operators(raw, where):
            raise invalid(where, "$not takes an object of operators")
        self.check_depth(where, depth + 1)
        return ast.NotTest(_all_of(self.conditions(raw, where, depth + 1)))

    def all_of(self, raw: object, where: str, depth: int) -> ast.Condition:
        """`$all`: every one of values, regexes or `$elemMatch`; an empty list matches nothing."""
        self.check_depth(where, depth + 1)
        found: list[ast.Condition] = []
        for position, item in enumerate(self.list_of(raw, where)):
            spot = f"{where}.{position}"
            if type(item) is dict and is_operators(item, spot):
                if item.keys() - {"$elemMatch", "$regex", "$options"}:
                    raise invalid(spot, "$all takes values, $regex or $elemMatch")
                found += self.conditions(item, spot, depth + 1)
            else:
                self.spend(spot)
                found.append(self.equal(item, spot, depth))
        return _all_of(found) if found else _NOTHING

    def elem_match(self, raw: object, where: str, depth: int) -> ast.Test:
        """Of the element itself where every key is an operator, else of an object's fields."""
        if type(raw) is not dict:
            raise invalid(where, "$elemMatch takes an object")
        self.check_depth(where, depth + 1)
        of_fields = not raw or any(name in _LOGICAL for name in raw)
        self.elements += 1
        if of_fields or not is_operators(raw, where):
            found: ast.Test = ast.ElemMatch(self.document(raw, where, depth + 1))
        else:
            found = ast.ElemTest(_all_of(self.conditions(raw, where, depth + 1)))
        self.elements -= 1
        return found

    def near(self, raw: object, where: str, depth: int) -> ast.Test:
        self.check_whole(where, self.near_at)
        self.near_at = where
        return ast.Geo(read_near(raw, where))

    def geo_within(self, raw: object, where: str, depth: int) -> ast.Test:
        return ast.Geo(read_within(raw, where))

    def geo_intersects(self, raw: object, where: str, depth: int) -> ast.Test:
        return ast.Geo(read_intersects(raw, where))


def is_operators(raw: dict[str, Any], where: str) -> bool:
    """Whether an object's keys are operators. Both kinds together are INVALID_ARGUMENT."""
    if DATE in raw and len(raw) == 1:
        return False
    operators = 0
    for name in raw:
        if type(name) is str and name[:1] == "$":
            operators += 1
    if operators and operators != len(raw):
        raise invalid(where, "operators and field names cannot stand in one object")
    return operators > 0


def _conjunction(items: list[ast.Filter]) -> ast.Filter:
    if not items:
        return ast.ALWAYS
    return items[0] if len(items) == 1 else ast.And(tuple(items))


def _disjunction(items: tuple[ast.Filter, ...]) -> ast.Filter:
    return items[0] if len(items) == 1 else ast.Or(items)


def _all_of(conditions: list[ast.Condition]) -> ast.Condition:
    return conditions[0] if len(conditions) == 1 else ast.AllOf(tuple(conditions))


def _on_field(path: Path, condition: ast.Condition) -> ast.Filter:
    """The condition asked of a path: AllOf and NotTest are of elements, And and Not of documents.

    Each test finds its own candidate: `{a: {$gt: 1, $lt: 3}}` holds of `{a: [0, 5]}`.
    """
    if type(condition) is ast.NotTest:
        return ast.Not(_on_field(path, condition.test))
    if type(condition) is ast.AllOf:
        return ast.And(tuple(_on_field(path, item) for item in condition.tests))
    return ast.Field(path, cast("ast.Test", condition))


# -- refusals -------------------------------------------------------------------------------------


def _refused(name: object, where: str) -> Problem:
    """For an operator under a field that is not (or not yet) one."""
    short = shown(name)
    if name == "$text" or (type(name) is str and name in _LOGICAL):
        return invalid(where, f"{name} stands beside field names, not under one")
    if name in ("$maxDistance", "$minDistance"):
        return invalid(where, f"{name} stands inside $near, beside $geometry")
    if name == "$options":
        return invalid(where, "$options needs a $regex beside it")
    return invalid(where, unknown("operator", short.strip("'\""), (*_OPERATORS, "$regex")))


def _refused_at_top(name: str, where: str) -> Problem:
    if name == "$not":
        return invalid(where, "$not stands under a field name; use $nor here")
    if name in _OPERATORS or name in ("$regex", "$options"):
        return invalid(where, f"{name} stands under a field name")
    return invalid(where, unknown("operator", shown(name).strip("'\""), (*_LOGICAL, "$text")))


def _type_fault(name: object) -> str:
    alias = _TYPE_ALIASES.get(name) if type(name) is str else None
    advice = f"; did you mean '{alias}'?" if alias else ""
    return f"$type takes {', '.join(_TYPES)}{advice}"


_LOGICAL: Final[dict[str, Callable[[tuple[ast.Filter, ...]], ast.Filter]]] = {
    "$and": lambda items: items[0] if len(items) == 1 else ast.And(items),
    "$or": _disjunction,
    "$nor": lambda items: ast.Not(_disjunction(items)),
}
_Read: TypeAlias = Callable[[_FilterParser, object, str, int], ast.Condition]
_OPERATORS: Final[dict[str, _Read]] = {
    "$eq": _FilterParser.equal,
    "$ne": _FilterParser.not_equal,
    "$gt": _FilterParser.gt,
    "$gte": _FilterParser.gte,
    "$lt": _FilterParser.lt,
    "$lte": _FilterParser.lte,
    "$in": _FilterParser.one_of,
    "$nin": _FilterParser.none_of,
    "$exists": _FilterParser.exists,
    "$type": _FilterParser.type_is,
    "$size": _FilterParser.size,
    "$mod": _FilterParser.mod,
    "$not": _FilterParser.negated,
    "$all": _FilterParser.all_of,
    "$elemMatch": _FilterParser.elem_match,
    "$near": _FilterParser.near,
    "$nearSphere": _FilterParser.near,
    "$geoWithin": _FilterParser.geo_within,
    "$geoIntersects": _FilterParser.geo_intersects,
}
