"""Expressions and filters as text: for people, in messages and in `baas rules explain`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from baas.query import ast
from baas.query import expr as e
from baas.query.instants import plain
from baas.schema.values import DATE, Value, is_date

#: Binding strength of what an operator makes, as in the grammar.
_STRENGTH: Final = {
    "||": 1,
    "&&": 2,
    "==": 3,
    "!=": 3,
    "<": 4,
    "<=": 4,
    ">": 4,
    ">=": 4,
    "in": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "%": 6,
}
_UNARY: Final = 7


def render(expr: e.Expr) -> str:
    """The expression in the rule language."""
    return _text(expr, 0)


def render_value(value: Value) -> str:
    value = plain(value)
    if is_date(value):
        return f"date('{value[DATE]}')"
    if type(value) is str:
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if type(value) is list:
        return f"[{', '.join(render_value(item) for item in value)}]"
    return msgspec.json.encode(value).decode()


def _text(expr: e.Expr, outer: int) -> str:
    if isinstance(expr, e.Literal):
        return render_value(expr.value)
    if isinstance(expr, e.Logic):
        own = _STRENGTH[expr.op]
        return _wrapped(
            f" {expr.op} ".join(_text(item, own + 1) for item in expr.items), own, outer
        )
    if isinstance(expr, e.Binary):
        own = _STRENGTH[expr.op]
        text = f"{_text(expr.left, own)} {expr.op} {_text(expr.right, own + 1)}"
        return _wrapped(text, own, outer)
    if isinstance(expr, e.Unary):
        return f"{expr.op}{_text(expr.operand, _UNARY)}"
    if isinstance(expr, e.Conditional):
        parts = (_text(expr.test, 1), _text(expr.then, 0), _text(expr.other, 0))
        return _wrapped("{} ? {} : {}".format(*parts), 0, outer)
    return _simple(expr)


def _wrapped(text: str, own: int, outer: int) -> str:
    return f"({text})" if own < outer else text


def _simple(expr: Any) -> str:
    if isinstance(expr, e.DocField):
        return ".".join((expr.root, *expr.path))
    if isinstance(expr, e.Member):
        return f"{_text(expr.target, _UNARY)}.{expr.name}"
    if isinstance(expr, e.Index):
        return f"{_text(expr.target, _UNARY)}[{render(expr.key)}]"
    if isinstance(expr, (e.Lookup, e.LookupExists)):
        name = "get" if isinstance(expr, e.Lookup) else "exists"
        return f"{name}('database.{expr.collection}.' + {_text(expr.id, _STRENGTH['+'] + 1)})"
    if isinstance(expr, e.ListOf):
        return f"[{', '.join(render(item) for item in expr.items)}]"
    if isinstance(expr, e.Call):
        return f"{expr.name}({', '.join(render(arg) for arg in expr.args)})"
    return expr.name if isinstance(expr, e.Variable) else "undefined"


# -- what a query lacks ---------------------------------------------------------------------------

_OPERATORS: Final = {"!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "in": "$in"}


def as_query(filter: ast.Filter, uid: str | None) -> str:
    """A rule's condition as the part of `where` that asks for it: `_openid: '{openid}'`."""
    if isinstance(filter, ast.And):
        return ", ".join(as_query(item, uid) for item in filter.items)
    if isinstance(filter, ast.Or):
        return " or ".join(as_query(item, uid) for item in filter.items)
    if isinstance(filter, ast.Where):
        return _condition(filter.expr, uid)
    return "what the rule asks for"


def _condition(expr: e.Expr, uid: str | None) -> str:
    if isinstance(expr, e.Logic):
        joint = ", " if expr.op == "&&" else " or "
        return joint.join(_condition(item, uid) for item in expr.items)
    if isinstance(expr, e.Binary):
        left, right = expr.left, expr.right
        if isinstance(left, e.DocField) and isinstance(right, e.Literal):
            return _member(".".join(left.path), expr.op, _placeholder(right.value, uid))
        if (
            isinstance(right, e.DocField)
            and isinstance(left, e.Literal)
            and expr.op in ("==", "in")
        ):
            return _member(".".join(right.path), "==", _placeholder(left.value, uid))
    return f"what makes true: {render(expr)}"


def _member(path: str, op: str, value: str) -> str:
    key = path if "." not in path else f"'{path}'"
    return f"`{key}: {value}`" if op == "==" else f"`{key}: {{{_OPERATORS[op]}: {value}}}`"


def _placeholder(value: Value, uid: str | None) -> str:
    return "'{openid}'" if uid is not None and value == uid else render_value(value)
