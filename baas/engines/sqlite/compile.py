"""Filters as SQL conditions over one document.

What is compiled is *true or not true*: where the filter is false, the SQL may be 0 or NULL. AND, OR
and EXISTS keep that; negation is written `IS NOT TRUE`. So a comparison with a missing field needs
no guard, and an index can serve it.

The text depends on the filter's shape alone (nodes, paths, kinds of values); values are
parameters. So SQLite's statement caches hit, and nothing a client sends is ever SQL.

A path on which no document has an array (`CollectionInfo.plain`) is its key, compared. Any other is
compiled in the general form, which opens arrays as `baas.query.evaluate` says. What has no SQL
form is a call of that evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import count
from typing import Any, Final, NamedTuple

import apsw

from baas.engines.sqlite.catalogue import CollectionInfo
from baas.engines.sqlite.keys import encode_key, json_path, key_sql, kind_bounds, row_key_sql
from baas.errors import Code, Problem
from baas.query import ast
from baas.query.evaluate import matches
from baas.schema.values import DATE, Document, Kind, Path, Value, kind_of

#: SQL function: `baas_match(predicate, json)`, a Python predicate over a document and lookups.
MATCH: Final = "baas_match"
#: SQL function: `baas_regexp(pattern, flags, text)`.
REGEXP: Final = "baas_regexp"
#: Each component of a path doubles the general form; longer paths go to the evaluator.
_LONGEST_GENERAL: Final = 4
#: A list is padded to one of these lengths, so that few shapes arise.
_LIST_LENGTHS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256, 512, 1024)
#: Characters of general forms in one statement; what comes after goes to the evaluator, so that no
#: nesting of arrays in arrays makes a statement that takes long to prepare.
_MAX_GENERAL: Final = 40_000
#: Arrays opened within arrays; deeper ones go to the evaluator, for SQLite bounds the depth of an
#: expression.
_MAX_OPENED: Final = 4
#: The same bound is why a long AND or OR is written as groups of groups.
_GROUP: Final = 24
_INT64_END: Final = "9223372036854775808.0"
_ID: Final[Path] = ("_id",)
_OPERATORS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_KINDS: Final = {
    "number": Kind.NUMBER,
    "string": Kind.STRING,
    "bool": Kind.BOOLEAN,
    "object": Kind.OBJECT,
    "array": Kind.ARRAY,
    "date": Kind.DATE,
}

Predicate = Callable[[Document, Any], bool | None]


class Spot(NamedTuple):
    """Where a test looks: SQL of the value's key and JSON type (NULL: missing), and the arguments
    with which `json_each` opens it. `is_id`: the column `id`, which is text."""

    key: str
    type: str
    source: str
    is_id: bool = False


_ID_SPOT: Final = Spot("id", "'text'", "", True)


@lru_cache(maxsize=4096)
def path_spot(path: Path, json: str = "doc") -> Spot:
    where = f"{json},{json_path(path)}"
    return Spot(key_sql(path, json), f"json_type({where})", where)


@lru_cache(maxsize=256)
def _row_spot(row: str) -> Spot:
    return Spot(row_key_sql(row), f"{row}.type", f"{row}.value")


class Compiler:
    """Compiles for one statement: collects its parameters, numbered from 1."""

    __slots__ = ("_aliases", "collection", "opened", "params", "spent")

    def __init__(self, collection: CollectionInfo) -> None:
        self.collection = collection
        self.params: list[Any] = []
        self.spent = 0
        self.opened = 0
        self._aliases = count(1)

    def bind(self, value: Any) -> str:
        self.params.append(value)
        return f"?{len(self.params)}"

    def alias(self) -> str:
        return f"e{next(self._aliases)}"

    def call(self, predicate: Predicate, json: str) -> str:
        """A Python predicate over the document in the column `json`."""
        return f"{MATCH}({self.bind(apsw.pyobject(predicate))},{json})"

    def filter(self, node: ast.Filter, json: str = "doc") -> str:
        return _NODES[type(node)](self, node, json)


# -- nodes -----------------------------------------------------------------------------------------


def _and(to: Compiler, node: ast.And, json: str) -> str:
    bounded = _two_sided(to, node.items, json)
    parts = [
        _bare_range(to, item) if position in bounded else to.filter(item, json)
        for position, item in enumerate(node.items)
    ]
    return joined(" AND ", parts) if parts else "1"


def _or(to: Compiler, node: ast.Or, json: str) -> str:
    parts = [to.filter(item, json) for item in node.items]
    return joined(" OR ", parts) if parts else "0"


def joined(word: str, parts: list[str]) -> str:
    while len(parts) > _GROUP:
        starts = range(0, len(parts), _GROUP)
        parts = [f"({word.join(parts[start : start + _GROUP])})" for start in starts]
    return f"({word.join(parts)})"


def _not(to: Compiler, node: ast.Not, json: str) -> str:
    return f"(({to.filter(node.item, json)}) IS NOT TRUE)"


def _field(to: Compiler, node: ast.Field, json: str) -> str:
    path, test = node.path, node.test
    if json == "doc":
        if path == _ID:
            return _test(to, test, _ID_SPOT)
        if path in to.collection.plain:
            return _test(to, test, path_spot(path))
    if len(path) > _LONGEST_GENERAL or any(name.isdigit() for name in path[1:]):
        return _evaluated(to, node, json)
    if to.spent > _MAX_GENERAL or to.opened > _MAX_OPENED:
        return _evaluated(to, node, json)
    return _general(to, test, path, json)


def _evaluated(to: Compiler, node: ast.Filter, json: str) -> str:
    return to.call(lambda document, lookups: matches(node, document), json)


def _where(to: Compiler, node: ast.Where, json: str) -> str:
    from baas.engines.sqlite.conditions import condition  # it compiles with this module's parts

    return condition(to, node.expr)


def _text_search(to: Compiler, node: ast.TextSearch, json: str) -> str:
    raise Problem(Code.NOT_SUPPORTED, "$text is not supported yet.")


def _two_sided(to: Compiler, items: Iterable[ast.Filter], json: str) -> set[int]:
    """Positions of ranges that, with others on the same plain path, bound it from both sides.

    They need no bounds of their kind, and SQLite gets the narrowest range it can.
    """
    groups: dict[tuple[Path, Kind], list[tuple[int, bool]]] = {}
    for position, item in enumerate(items):
        if type(item) is not ast.Field or type(item.test) is not ast.Range or json != "doc":
            continue
        kind = kind_of(item.test.value)
        if kind is not Kind.NULL and item.path != _ID and item.path in to.collection.plain:
            above = item.test.op[0] == "g"
            groups.setdefault((item.path, kind), []).append((position, above))
    both = [group for group in groups.values() if len({above for _, above in group}) == 2]
    return {position for group in both for position, _ in group}


def _bare_range(to: Compiler, item: Any) -> str:
    value = to.bind(encode_key(item.test.value))
    return f"{key_sql(item.path)} {_OPERATORS[item.test.op]} {value}"


# -- arrays ----------------------------------------------------------------------------------------


def _general(to: Compiler, test: Any, path: Path, json: str) -> str:
    """`reach` of the evaluator: the first array on the path is opened, and so on inside it."""
    branches = []
    for end in range(1, len(path)):
        prefix = json_path(path[:end])
        row = to.alias()
        inner = _general(to, test, path[end:], f"{row}.value")
        branches.append(
            f"WHEN json_type({json},{prefix})='array' THEN EXISTS(SELECT 1 FROM "
            f"json_each({json},{prefix}) {row} WHERE {_is_object(row)} AND {inner})"
        )
    spot = path_spot(path, json)
    if type(test) in _WHOLE:
        last = _test(to, test, spot)
    else:
        # The array case comes first in the text, so parameters are bound in no certain order.
        elements = _elements(to, test, spot)
        branches.append(f"WHEN {spot.type}='array' THEN {elements} OR {_test(to, test, spot)}")
        last = _test(to, test, spot)
    to.spent += len(last)
    return f"CASE {' '.join(branches)} ELSE {last} END" if branches else last


def _elements(to: Compiler, test: Any, spot: Spot) -> str:
    row = to.alias()
    inner = _test(to, test, _row_spot(row))
    return f"EXISTS(SELECT 1 FROM json_each({spot.source}) {row} WHERE {inner})"


def _is_object(row: str) -> str:
    """Whether a row of `json_each` is an object and no date; lazy, for other rows are no JSON."""
    date = json_path((DATE,))
    return f"CASE {row}.type WHEN 'object' THEN json_type({row}.value,{date}) IS NULL ELSE 0 END"


# -- tests -----------------------------------------------------------------------------------------


def _test(to: Compiler, test: Any, spot: Spot) -> str:
    return _TESTS[type(test)](to, test, spot)


def _eq(to: Compiler, test: ast.Eq, spot: Spot) -> str:
    return equals(to, spot, test.value)


def equals(to: Compiler, spot: Spot, value: Value) -> str:
    """Two-valued: 1 or 0, never NULL."""
    if value is None:
        return "0" if spot.is_id else f"{spot.key} IS NULL"
    if spot.is_id:
        return f"id={to.bind(value)}" if type(value) is str else "0"
    if type(value) is bool and spot.key not in to.collection.index_keys:
        # Where no index could serve the key, its type alone is cheaper to have. Never NULL.
        return f"{spot.type} IS '{'true' if value else 'false'}'"
    return f"{spot.key} IS {to.bind(encode_key(value))}"


def _range(to: Compiler, test: ast.Range, spot: Spot) -> str:
    return ranged(to, spot, _OPERATORS[test.op], test.value)


def ranged(to: Compiler, spot: Spot, operator: str, value: Value) -> str:
    """NULL for a missing value or null, unless it is those that `value` null asks for."""
    if value is None:
        return equals(to, spot, None) if operator in (">=", "<=") else "0"
    if spot.is_id and type(value) is not str:
        return "0"
    low, high = kind_bounds(kind_of(value))
    parts = [f"{spot.key} {operator} {to.bind(encode_key(value))}"]
    if operator[0] == ">" and not spot.is_id:
        parts.append(f"{spot.key} < {high}")
    elif operator[0] == "<" and low is not None:
        parts.append(f"{spot.key} >= {low}")
    return "(" + " AND ".join(parts) + ")"


def _in(to: Compiler, test: ast.In, spot: Spot) -> str:
    parts = [_regex(to, pattern, spot) for pattern in test.patterns]
    parts.append(one_of(to, spot, test.values))
    return "(" + " OR ".join(parts) + ")"


def one_of(to: Compiler, spot: Spot, values: Iterable[Value]) -> str:
    """NULL for a missing value or null, unless null is one of `values`."""
    listed = [v for v in values if v is not None and (type(v) is str or not spot.is_id)]
    parts = []
    if any(v is None for v in values) and not spot.is_id:
        parts.append(f"{spot.key} IS NULL")
    if listed:
        keys = [encode_key(value) for value in listed]
        padding = next((n for n in _LIST_LENGTHS if n >= len(keys)), len(keys)) - len(keys)
        names = [to.bind(key) for key in keys] + [to.bind(keys[-1]) for _ in range(padding)]
        parts.append(f"{spot.key} IN ({','.join(names)})")
    return "(" + " OR ".join(parts) + ")" if parts else "0"


def _exists(to: Compiler, test: ast.Exists, spot: Spot) -> str:
    return f"{spot.type} IS NOT NULL"


def _type(to: Compiler, test: ast.Type, spot: Spot) -> str:
    return "(" + " OR ".join([_is_kind(spot, name) for name in test.names]) + ")"


def _is_kind(spot: Spot, name: str) -> str:
    if name == "null":
        return f"{spot.type}='null'"
    low, high = kind_bounds(_KINDS[name])
    if low is None:
        return f"{spot.key} < {high}" if not spot.is_id else "0"
    return f"({spot.key} >= {low} AND {spot.key} < {high})"


def _size(to: Compiler, test: ast.Size, spot: Spot) -> str:
    if not spot.source:
        return "0"
    length = to.bind(test.length)
    return f"CASE {spot.type} WHEN 'array' THEN json_array_length({spot.source})={length} END"


def _mod(to: Compiler, test: ast.Mod, spot: Spot) -> str:
    if spot.is_id:
        return "0"
    divisor, remainder = to.bind(test.divisor), to.bind(test.remainder)
    return (
        f"({spot.key} >= -{_INT64_END} AND {spot.key} < {_INT64_END} AND "
        f"CAST({spot.key} AS INTEGER) % {divisor} = {remainder})"
    )


def _regex(to: Compiler, test: ast.Regex, spot: Spot) -> str:
    call = f"{REGEXP}({to.bind(test.pattern)},{to.bind(test.flags)},{spot.key})"
    return f"CASE {spot.type} WHEN 'text' THEN {call} END"


def _elem_match(to: Compiler, test: ast.ElemMatch, spot: Spot) -> str:
    if not spot.source:
        return "0"
    row = to.alias()
    to.opened += 1
    inner = to.filter(test.filter, f"{row}.value")
    to.opened -= 1
    rows = f"json_each({spot.source}) {row} WHERE {_is_object(row)} AND {inner}"
    return f"CASE {spot.type} WHEN 'array' THEN EXISTS(SELECT 1 FROM {rows}) END"


def _elem_test(to: Compiler, test: ast.ElemTest, spot: Spot) -> str:
    if not spot.source:
        return "0"
    elements = _elements(to, test.test, spot)
    return f"CASE {spot.type} WHEN 'array' THEN {elements} END"


def _all_of(to: Compiler, test: ast.AllOf, spot: Spot) -> str:
    return "(" + " AND ".join([_test(to, item, spot) for item in test.tests]) + ")"


def _not_test(to: Compiler, test: ast.NotTest, spot: Spot) -> str:
    return f"(({_test(to, test.test, spot)}) IS NOT TRUE)"


def _geo(to: Compiler, test: ast.Geo, spot: Spot) -> str:
    raise Problem(Code.NOT_SUPPORTED, f"${test.op} is not supported yet.")


_NODES: Final[dict[type, Callable[[Compiler, Any, str], str]]] = {
    ast.Always: lambda to, node, json: "1",
    ast.Never: lambda to, node, json: "0",
    ast.And: _and,
    ast.Or: _or,
    ast.Not: _not,
    ast.Field: _field,
    ast.Where: _where,
    ast.TextSearch: _text_search,
}
_TESTS: Final[dict[type, Callable[[Compiler, Any, Spot], str]]] = {
    ast.Eq: _eq,
    ast.Range: _range,
    ast.In: _in,
    ast.Exists: _exists,
    ast.Type: _type,
    ast.Size: _size,
    ast.Mod: _mod,
    ast.Regex: _regex,
    ast.ElemMatch: _elem_match,
    ast.ElemTest: _elem_test,
    ast.AllOf: _all_of,
    ast.NotTest: _not_test,
    ast.Geo: _geo,
}
#: Tests of an array as a whole, never of its elements.
_WHOLE: Final = frozenset({ast.Size, ast.ElemMatch, ast.ElemTest})
