"""Tests of one value as SQL: what a `Spot` holds against what a filter asks.

All of them are true or not true (NULL counts as false), as `compile` needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from baas.engines.sqlite.keys import encode_key, json_path, key_sql, kind_bounds, row_key_sql
from baas.query import ast
from baas.query.evaluate import passes as passes_one
from baas.schema.values import DATE, Kind, Path, Value, kind_of

if TYPE_CHECKING:
    from baas.engines.sqlite.compile import Compiler

#: SQL function: `baas_regexp(pattern, flags, text)`.
REGEXP: Final = "baas_regexp"
#: A list is padded to one of these lengths, so that few shapes arise.
_LIST_LENGTHS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256, 512, 1024)
#: SQLite bounds the depth of an expression, so a long AND or OR is written as groups of groups.
_GROUP: Final = 24
_INT64_END: Final = "9223372036854775808.0"
OPERATORS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_KINDS: Final = {
    "number": Kind.NUMBER,
    "string": Kind.STRING,
    "bool": Kind.BOOLEAN,
    "object": Kind.OBJECT,
    "array": Kind.ARRAY,
    "date": Kind.DATE,
}


class Spot(NamedTuple):
    """Where a test looks: SQL of the value's key and JSON type (NULL: missing), and the arguments
    with which `json_each` opens it. `is_id`: the column `id`, which is text."""

    key: str
    type: str
    source: str
    is_id: bool = False


ID_SPOT: Final = Spot("id", "'text'", "", True)


@lru_cache(maxsize=4096)
def path_spot(path: Path, json: str = "doc") -> Spot:
    where = f"{json},{json_path(path)}"
    return Spot(key_sql(path, json), f"json_type({where})", where)


@lru_cache(maxsize=256)
def _row_spot(row: str) -> Spot:
    return Spot(row_key_sql(row), f"{row}.type", f"{row}.value,'$'")


def joined(word: str, parts: list[str]) -> str:
    while len(parts) > _GROUP:
        starts = range(0, len(parts), _GROUP)
        parts = [f"({word.join(parts[start : start + _GROUP])})" for start in starts]
    return f"({word.join(parts)})"


def some_element(to: Compiler, test: Any, spot: Spot) -> str:
    row = to.alias()
    inner = passes(to, test, _row_spot(row))
    return f"EXISTS(SELECT 1 FROM json_each({spot.source}) {row} WHERE {inner})"


def is_object(row: str) -> str:
    """Whether a row of `json_each` is an object and no date; lazy, for other rows are no JSON."""
    date = json_path((DATE,))
    return f"CASE {row}.type WHEN 'object' THEN json_type({row}.value,{date}) IS NULL ELSE 0 END"


def passes(to: Compiler, test: Any, spot: Spot) -> str:
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
    return ranged(to, spot, OPERATORS[test.op], test.value)


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
    rows = f"json_each({spot.source}) {row} WHERE {is_object(row)} AND {inner}"
    return f"CASE {spot.type} WHEN 'array' THEN EXISTS(SELECT 1 FROM {rows}) END"


def _elem_test(to: Compiler, test: ast.ElemTest, spot: Spot) -> str:
    if not spot.source:
        return "0"
    elements = some_element(to, test.test, spot)
    return f"CASE {spot.type} WHEN 'array' THEN {elements} END"


def _all_of(to: Compiler, test: ast.AllOf, spot: Spot) -> str:
    return "(" + " AND ".join([passes(to, item, spot) for item in test.tests]) + ")"


def _not_test(to: Compiler, test: ast.NotTest, spot: Spot) -> str:
    return f"(({passes(to, test.test, spot)}) IS NOT TRUE)"


def _geo(to: Compiler, test: ast.Geo, spot: Spot) -> str:
    if not spot.source:
        return "0"
    call = to.call(lambda value, lookups: passes_one(test, value), f"json_extract({spot.source})")
    return f"CASE {spot.type} WHEN 'object' THEN {call} END"


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
WHOLE: Final = frozenset({ast.Size, ast.ElemMatch, ast.ElemTest})
