"""Rule conditions (`ast.Where`) as the server's: where an expression is true, and where false.

An expression may also be undefined, so the two are compiled apart. A field of a document is never
undefined, and a rule never looks into an array: every comparison says that the value, and whatever
lies above it, is none. The usual ends of rules are exact; any other expression is left to
`baas.query.conditions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from baas.engines.mongo.natives import ALL, INEXACT, NOTHING, Native, all_of, any_of, negation, on
from baas.engines.mongo.values import server_path, to_bson
from baas.query import expr as e
from baas.query.instants import Instant, plain
from baas.schema.values import Kind, Path, Value, kind_of

_FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPERATORS: Final = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_SCALARS: Final = frozenset({Kind.NUMBER, Kind.STRING, Kind.BOOLEAN, Kind.DATE})
_ID: Final[Path] = ("_id",)


def true_of(expr: e.Expr) -> Native:
    """Where the expression is exactly true."""
    return _TRUE.get(type(expr), _unknown)(expr)


def false_of(expr: e.Expr) -> Native:
    """Where the expression is exactly false."""
    return _FALSE.get(type(expr), _unknown)(expr)


def _unknown(expr: e.Expr) -> Native:
    return INEXACT


def _nowhere(expr: e.Expr) -> Native:
    return NOTHING


def _logic(expr: e.Logic, decided: bool) -> Native:
    of = true_of if decided else false_of
    parts = [of(item) for item in expr.items]
    return all_of(parts) if (expr.op == "&&") is decided else any_of(parts)


def _unary(expr: e.Unary, decided: bool) -> Native:
    if expr.op != "!":
        return NOTHING
    return false_of(expr.operand) if decided else true_of(expr.operand)


def _conditional(expr: e.Conditional, decided: bool) -> Native:
    of = true_of if decided else false_of
    then = all_of([true_of(expr.test), of(expr.then)])
    return any_of([then, all_of([false_of(expr.test), of(expr.other)])])


# -- comparisons -----------------------------------------------------------------------------------


def _binary(expr: e.Binary, decided: bool) -> Native:
    if expr.op == "in":
        return _member(expr, decided)
    sides = _sides(expr)
    if sides is None:
        return INEXACT
    path, op, value = sides
    if op in _OPERATORS:
        found = _compared(path, op, value)
    elif op in ("==", "!="):
        found = _equal(path, value)
        decided = decided is (op == "==")
    else:
        return INEXACT
    return found if decided else negation(found)


def _sides(expr: e.Binary) -> tuple[Path, str, Any] | None:
    """A field, the operator and the literal beside it, whichever way round it was written."""
    if isinstance(expr.right, e.Literal) and (path := _field(expr.left)):
        return path, expr.op, expr.right.value
    if isinstance(expr.left, e.Literal) and (path := _field(expr.right)):
        return path, _FLIPPED.get(expr.op, expr.op), expr.left.value
    return None


def _field(node: e.Expr) -> Path | None:
    """The path of a field of the stored document; None for any other expression."""
    path: Path = ()
    while isinstance(node, e.Member):
        path = (node.name, *path)
        node = node.target
    if not isinstance(node, e.DocField) or node.root != "doc":
        return None
    return (*node.path, *path) or None


def _outside_arrays(path: Path) -> list[Native]:
    """No array lies on the path, its end included."""
    if path == _ID:
        return []
    return [negation(on(server_path(path[: end + 1]), type="array")) for end in range(len(path))]


def _equal(path: Path, value: Any) -> Native:
    if type(value) is Instant:
        return any_of([_equal(path, plain(value)), _equal(path, value.ms)])
    kind = kind_of(value)
    if kind is Kind.NULL:
        return _null(path)
    if kind not in _SCALARS:
        return Native({server_path(path): {"$eq": to_bson(value)}}, False)
    return all_of([on(server_path(path), eq=to_bson(value)), *_outside_arrays(path)])


def _null(path: Path) -> Native:
    if len(path) > 1:
        return INEXACT  # null also where something above it is an array
    return all_of([on(server_path(path), eq=None), *_outside_arrays(path)])


def _compared(path: Path, op: str, value: Any) -> Native:
    if type(value) is Instant:
        return any_of([_compared(path, op, plain(value)), _compared(path, op, value.ms)])
    if kind_of(value) not in _SCALARS:
        return INEXACT
    test = Native({server_path(path): {f"${_OPERATORS[op]}": to_bson(value)}})
    return all_of([test, *_outside_arrays(path)])


# -- membership ------------------------------------------------------------------------------------


def _member(expr: e.Binary, decided: bool) -> Native:
    path, values = _field(expr.left), _listed(expr.right)
    if path is not None and values is not None:
        found = any_of([_equal(path, value) for value in values])
        if all(kind_of(value) in _SCALARS for value in values):
            names = [to_bson(value) for value in values]
            listed = Native({server_path(path): {"$in": names}})
            found = all_of([listed, *_outside_arrays(path)]) if values else NOTHING
        return found if decided else negation(found)
    if isinstance(expr.left, e.Literal) and kind_of(expr.left.value) in _SCALARS:
        return _contains(expr.left.value, expr.right, decided)
    return INEXACT


def _listed(node: e.Expr) -> list[Value] | None:
    if isinstance(node, e.Literal) and type(node.value) is list:
        values = node.value
    elif isinstance(node, e.ListOf) and all(isinstance(item, e.Literal) for item in node.items):
        values = [item.value for item in node.items if isinstance(item, e.Literal)]
    else:
        return None
    return None if any(type(value) is Instant for value in values) else values


def _contains(value: Any, node: e.Expr, decided: bool) -> Native:
    """A literal in a list that is a top-level field; undefined where the field is no list."""
    if not isinstance(node, e.DocField) or node.root != "doc" or len(node.path) != 1:
        return INEXACT
    if type(value) is Instant:
        return INEXACT
    where = server_path(node.path)
    found = Native({where: {"$elemMatch": {"$eq": to_bson(value)}}})
    if decided:
        return found
    return all_of([on(where, type="array"), negation(found)])


def _literal(expr: e.Literal, decided: bool) -> Native:
    return ALL if expr.value is decided else NOTHING


def _of(work: Callable[[Any, bool], Native], decided: bool) -> Callable[[Any], Native]:
    return lambda expr: work(expr, decided)


_WORK: Final[dict[type, Callable[[Any, bool], Native]]] = {
    e.Literal: _literal,
    e.Logic: _logic,
    e.Unary: _unary,
    e.Conditional: _conditional,
    e.Binary: _binary,
}
_TRUE: Final = {**{kind: _of(work, True) for kind, work in _WORK.items()}, e.Undefined: _nowhere}
_FALSE: Final = {**{kind: _of(work, False) for kind, work in _WORK.items()}, e.Undefined: _nowhere}
