"""Filters as the server's own, over rows (`values.row_of`).

What is compiled holds wherever the filter does; `exact` says that it holds nowhere else. Where it
is not exact the reader asks `baas.query.evaluate`, the definition, of every row that comes back.
So a form is called exact only where the server's meaning is known to be the evaluator's; regular
expressions (RE2 here, PCRE there), positions in arrays, and rules beyond the usual comparisons are
not. docs/decisions/mongo.md has the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from baas.engines.mongo.catalogue import CollectionInfo
from baas.engines.mongo.conditions import true_of
from baas.engines.mongo.driver import Row
from baas.engines.mongo.natives import ALL, INEXACT, NOTHING, Native, all_of, any_of, negation
from baas.engines.mongo.places import cells_for
from baas.engines.mongo.values import BSON, server_path, to_bson
from baas.query import ast
from baas.query.text import wanted_tokens
from baas.schema.values import Kind, Path, Value, kind_of

#: Where rows have the words, or the cells, of which fields together.
Filed: TypeAlias = Mapping[tuple[Path, ...], str]
#: Behind every text that begins alike.
_LAST: Final = "\U0010ffff"
_OPERATORS: Final = {"gt": "$gt", "gte": "$gte", "lt": "$lt", "lte": "$lte"}
_SCALARS: Final = frozenset({Kind.NUMBER, Kind.STRING, Kind.BOOLEAN, Kind.DATE})
#: A longer `$and` or `$or` is left to the evaluator: the server bounds the size of a query.
_MOST_ITEMS: Final = 2000
#: So is what nests deeper: the server takes documents of up to a hundred levels, a query too.
_DEEPEST: Final = 60


def compile_filter(filter: ast.Filter, info: CollectionInfo | None = None) -> Native:
    """For rows of a collection, through its text and geo indexes where `info` knows of any."""
    words: Filed = {} if info is None else info.filed("text")
    places: Filed = {} if info is None else info.filed("geo")
    native = _Compiler(BSON, words, places).filter(filter)
    return INEXACT if _depth(native.filter) > _DEEPEST else native


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
        return 1 + max(map(_depth, value))
    return 0


class _Compiler(NamedTuple):
    """`root` is where documents lie in what is asked: `d` in a row, nothing in an element."""

    root: str
    words: Filed
    places: Filed

    def filter(self, node: ast.Filter) -> Native:
        return _NODES[type(node)](self, node)

    def path(self, path: tuple[str, ...]) -> str:
        return server_path(path, self.root)


def _and(to: _Compiler, node: ast.And) -> Native:
    if len(node.items) > _MOST_ITEMS:
        return INEXACT
    return all_of([to.filter(item) for item in node.items])


def _or(to: _Compiler, node: ast.Or) -> Native:
    if len(node.items) > _MOST_ITEMS:
        return INEXACT
    return any_of([to.filter(item) for item in node.items])


def _not(to: _Compiler, node: ast.Not) -> Native:
    return negation(to.filter(node.item))


def _where(to: _Compiler, node: ast.Where) -> Native:
    return true_of(node.expr)


def _text_search(to: _Compiler, node: ast.TextSearch) -> Native:
    """By the words that rows are filed under. Not exact: a phrase is several, and a document may be
    filed under more words than are searched."""
    field = to.words.get(node.paths)
    if field is None:
        return INEXACT
    parts = [_needle(field, needle) for needle in node.every]
    if node.some:
        parts.append(any_of([_needle(field, needle) for needle in node.some]))
    return all_of(parts) if parts else NOTHING


def _needle(field: str, needle: str) -> Native:
    parts = []
    for token, begins in wanted_tokens(needle):
        test: Row = {"$eq": token}
        if begins:
            test = {"$elemMatch": {"$gte": token, "$lt": token + _LAST}}
        parts.append(Native({field: test}, False))
    return all_of(parts)


def is_filed(filter: ast.Filter) -> bool:
    """Whether what the server is asked may rest on what rows are filed under."""
    if isinstance(filter, (ast.And, ast.Or)):
        return any(is_filed(item) for item in filter.items)
    if isinstance(filter, ast.Not):
        return is_filed(filter.item)
    if isinstance(filter, ast.Field):
        return isinstance(filter.test, ast.Geo)
    return isinstance(filter, ast.TextSearch)


def _field(to: _Compiler, node: ast.Field) -> Native:
    # A row's own fields are an object; the elements of an array may be arrays with positions.
    positions = node.path[1:] if to.root else node.path
    if any(name.isdigit() for name in positions):
        return INEXACT
    compiled = _TESTS.get(type(node.test))
    return INEXACT if compiled is None else compiled(to, node)


# -- tests -----------------------------------------------------------------------------------------


def _on(to: _Compiler, node: ast.Field, test: Row, exact: bool = True) -> Native:
    return Native({to.path(node.path): test}, exact)


def _nulls_are_clear(to: _Compiler, node: ast.Field) -> bool:
    """Whether null and missing mean the same on both sides: not where a parent may be an array."""
    return len(node.path) == 1


def _eq(to: _Compiler, node: ast.Field) -> Native:
    test: Any = node.test
    if test.value is None and not _nulls_are_clear(to, node):
        return INEXACT
    return _on(to, node, {"$eq": to_bson(test.value)}, _is_held(test.value))


def _is_held(value: Value) -> bool:
    """Whether the server has the very value: integers beyond 64 bits are doubles there."""
    return type(value) is not int or -(2**63) < value < 2**63


def _range(to: _Compiler, node: ast.Field) -> Native:
    test: Any = node.test
    if test.value is None:
        if test.op in ("gt", "lt"):
            return NOTHING
        return _on(to, node, {"$eq": None}) if _nulls_are_clear(to, node) else INEXACT
    if kind_of(test.value) not in _SCALARS:
        return INEXACT
    operator = {_OPERATORS[test.op]: to_bson(test.value)}
    return _on(to, node, operator, _is_held(test.value)) if _is_held(test.value) else INEXACT


def _in(to: _Compiler, node: ast.Field) -> Native:
    test: Any = node.test
    if any(value is None for value in test.values) and not _nulls_are_clear(to, node):
        return INEXACT
    if not all(_is_held(value) for value in test.values):
        return INEXACT
    listed = _on(to, node, {"$in": [to_bson(value) for value in test.values]})
    if not test.values:
        listed = NOTHING
    if not test.patterns:
        return listed
    return any_of([listed, _on(to, node, {"$type": "string"}, exact=False)])


def _exists(to: _Compiler, node: ast.Field) -> Native:
    return _on(to, node, {"$exists": True})


def _type(to: _Compiler, node: ast.Field) -> Native:
    test: Any = node.test
    return _on(to, node, {"$type": list(test.names)})


def _size(to: _Compiler, node: ast.Field) -> Native:
    test: Any = node.test
    return _on(to, node, {"$size": test.length})


def _geo(to: _Compiler, node: ast.Field) -> Native:
    test: Any = node.test
    field = to.places.get((node.path,))
    cells = None if field is None else cells_for(test.region)
    return INEXACT if field is None or cells is None else Native({field: {"$in": cells}}, False)


def _mod(to: _Compiler, node: ast.Field) -> Native:
    return _on(to, node, {"$type": "number"}, exact=False)


def _regex(to: _Compiler, node: ast.Field) -> Native:
    return _on(to, node, {"$type": "string"}, exact=False)


def _elem_match(to: _Compiler, node: ast.Field) -> Native:
    # Not exact: the server also asks elements that are arrays, as documents of positions.
    test: Any = node.test
    inner = _Compiler("", {}, {}).filter(test.filter)
    if inner.filter == ALL.filter:
        return _on(to, node, {"$type": "array"}, exact=False)
    return _on(to, node, {"$elemMatch": inner.filter}, exact=False)


def _elem_test(to: _Compiler, node: ast.Field) -> Native:
    test: Any = node.test
    conditions = test.test.tests if isinstance(test.test, ast.AllOf) else (test.test,)
    operators: Row = {}
    for condition in conditions:
        operators.update(_element_operator(condition))
    if not operators:
        return _on(to, node, {"$type": "array"}, exact=False)
    return _on(to, node, {"$elemMatch": operators}, exact=False)


def _element_operator(condition: Any) -> Row:
    """The part of it that the server can ask of an element; nothing where that is not clear."""
    if isinstance(condition, ast.Eq) and kind_of(condition.value) in _SCALARS:
        return {"$eq": to_bson(condition.value)} if _is_held(condition.value) else {}
    if not isinstance(condition, ast.Range) or kind_of(condition.value) not in _SCALARS:
        return {}
    held = _is_held(condition.value)
    return {_OPERATORS[condition.op]: to_bson(condition.value)} if held else {}


_TESTS: Final[dict[type, Callable[[_Compiler, Any], Native]]] = {
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
    ast.Geo: _geo,
}

_NODES: Final[dict[type, Callable[[_Compiler, Any], Native]]] = {
    ast.Always: lambda to, node: ALL,
    ast.Never: lambda to, node: NOTHING,
    ast.And: _and,
    ast.Or: _or,
    ast.Not: _not,
    ast.Field: _field,
    ast.Where: _where,
    ast.TextSearch: _text_search,
}
