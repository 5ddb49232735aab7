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
from itertools import count
from typing import Any, Final

import apsw

from baas.engines.sqlite.catalogue import CollectionInfo
from baas.engines.sqlite.conditions import condition
from baas.engines.sqlite.keys import encode_key, json_path, key_sql
from baas.engines.sqlite.nearby import geo_candidates, is_exact, text_candidates
from baas.engines.sqlite.predicates import (
    ID_SPOT,
    OPERATORS,
    WHOLE,
    is_object,
    joined,
    passes,
    path_spot,
    some_element,
)
from baas.query import ast
from baas.query.evaluate import matches
from baas.schema.values import Document, Kind, Path, kind_of

#: SQL function: `baas_match(predicate, json)`, a Python predicate over a document and lookups.
MATCH: Final = "baas_match"
#: Each component of a path doubles the general form; longer paths go to the evaluator.
_LONGEST_GENERAL: Final = 4
#: Characters of general forms in one statement; what comes after goes to the evaluator, so that no
#: nesting of arrays in arrays makes a statement that takes long to prepare.
_MAX_GENERAL: Final = 40_000
#: Arrays opened within arrays; deeper ones go to the evaluator, for SQLite bounds the depth of an
#: expression.
_MAX_OPENED: Final = 4
_ID: Final[Path] = ("_id",)
Predicate = Callable[[Document, Any], bool | None]


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


def _not(to: Compiler, node: ast.Not, json: str) -> str:
    return f"(({to.filter(node.item, json)}) IS NOT TRUE)"


def _field(to: Compiler, node: ast.Field, json: str) -> str:
    """A negated geographic condition has its candidates inside the negation, which stays right."""
    path, test = node.path, node.test
    if json == "doc" and type(test) is ast.Geo:
        parts = [*geo_candidates(to, path, test.region), _tested(to, node, json)]
        return joined(" AND ", parts)
    return _tested(to, node, json)


def _tested(to: Compiler, node: ast.Field, json: str) -> str:
    path, test = node.path, node.test
    if json == "doc":
        if path == _ID:
            return passes(to, test, ID_SPOT)
        if path in to.collection.plain:
            return passes(to, test, path_spot(path))
    if len(path) > _LONGEST_GENERAL or any(name.isdigit() for name in path[1:]):
        return _evaluated(to, node, json)
    if to.spent > _MAX_GENERAL or to.opened > _MAX_OPENED:
        return _evaluated(to, node, json)
    return _general(to, test, path, json)


def _evaluated(to: Compiler, node: ast.Filter, json: str) -> str:
    return to.call(lambda document, lookups: matches(node, document), json)


def _where(to: Compiler, node: ast.Where, json: str) -> str:
    return condition(to, node.expr)


def _text_search(to: Compiler, node: ast.TextSearch, json: str) -> str:
    found = text_candidates(to, node) if json == "doc" else []
    if found and is_exact(node):
        return found[0]
    return joined(" AND ", [*found, _evaluated(to, node, json)])


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
    return f"{key_sql(item.path)} {OPERATORS[item.test.op]} {value}"


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
            f"json_each({json},{prefix}) {row} WHERE {is_object(row)} AND {inner})"
        )
    spot = path_spot(path, json)
    last = passes(to, test, spot)
    if type(test) not in WHOLE:
        elements = some_element(to, test, spot)
        branches.append(f"WHEN {spot.type}='array' THEN {elements} OR {last}")
    to.spent += len(last)
    return f"CASE {' '.join(branches)} ELSE {last} END" if branches else last


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
