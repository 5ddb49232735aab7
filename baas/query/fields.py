"""The paths that queries name, and exact access by path."""

from __future__ import annotations

from collections.abc import Iterator

from baas.query import ast, expr
from baas.schema.values import DATE, MISSING, Document, Path, Value


def get_path(document: Document, path: Path) -> Value:
    """The value at `path` through objects alone: no array is opened. MISSING where there is none.

    An empty path is the document. Dates are values, not objects.
    """
    value: Value = document
    for component in path:
        if type(value) is not dict or DATE in value:
            return MISSING
        value = value.get(component, MISSING)
    return value


def paths_in_filter(filter: ast.Filter) -> frozenset[Path]:
    """Every path that decides the filter, those below `$elemMatch` and in `Where` included.

    Components that are positions stay in: compare with `overlap`.
    """
    return frozenset(_paths(filter, ()))


def _paths(node: ast.Filter, above: Path) -> Iterator[Path]:
    if isinstance(node, ast.Field):
        path = above + node.path
        yield path
        yield from _paths_in_test(node.test, path)
    elif isinstance(node, ast.And | ast.Or):
        for item in node.items:
            yield from _paths(item, above)
    elif isinstance(node, ast.Not):
        yield from _paths(node.item, above)
    elif isinstance(node, ast.Where):
        yield from paths_in_expression(node.expr)
    elif isinstance(node, ast.TextSearch):
        # Whose fields are not known yet may look at any of them.
        yield from node.paths or ((),)


def _paths_in_test(test: ast.Condition, path: Path) -> Iterator[Path]:
    if isinstance(test, ast.ElemMatch):
        yield from _paths(test.filter, path)
    elif isinstance(test, ast.ElemTest | ast.NotTest):
        yield from _paths_in_test(test.test, path)
    elif isinstance(test, ast.AllOf):
        for item in test.tests:
            yield from _paths_in_test(item, path)


def paths_in_expression(node: expr.Expr) -> Iterator[Path]:
    """The paths of a rule expression's document fields; the empty path is the whole document."""
    if isinstance(node, expr.DocField):
        yield node.path
    for child in expr.children(node):
        yield from paths_in_expression(child)


def paths_in_sort(sort: ast.Sort) -> frozenset[Path]:
    return frozenset(key.path for key in sort)


def overlap(used: Path, named: Path) -> bool:
    """Whether `used` is `named`, lies above it or below it, arrays in between allowed.

    In `used`, a path of a query or an update, a component of digits may be a position in an array,
    and then stands for no name: `items.0.key` overlaps `items.key`. What may be read in two ways
    overlaps if either reading does. In `named`, a mask's path, every component is a name.
    """
    if not used or not named:
        return True
    # The first component is a field of the document, never a position. The rest is a search over
    # pairs of places, each visited once: paths come from clients, and may be all digits.
    todo, seen = [(1, 1)] if used[0] == named[0] else [], set[tuple[int, int]]()
    while todo:
        place = i, j = todo.pop()
        if i == len(used) or j == len(named):
            return True
        if place in seen:
            continue
        seen.add(place)
        if used[i] == named[j]:
            todo.append((i + 1, j + 1))
        if _maybe_position(used[i]):
            todo.append((i + 1, j))
    return False


def _maybe_position(component: str) -> bool:
    return component.isascii() and component.isdigit()
