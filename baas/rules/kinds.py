"""What kind of value an expression can have, as far as its text tells: for warnings alone."""

from __future__ import annotations

from typing import Final

from baas.query import expr as e
from baas.query.instants import is_instant
from baas.schema.values import Kind, kind_of

_AUTH: Final = {
    "uid": Kind.STRING,
    "openid": Kind.STRING,
    "unionid": Kind.STRING,
    "appid": Kind.STRING,
    "loginType": Kind.STRING,
    "roles": Kind.ARRAY,
    "claims": Kind.OBJECT,
    "identities": Kind.OBJECT,
}
_REQUEST: Final = {
    "ip": Kind.STRING,
    "operation": Kind.STRING,
    "data": Kind.OBJECT,
    "fields": Kind.ARRAY,
}
_SERVER_FIELDS: Final[dict[tuple[str, ...], Kind]] = {
    ("_id",): Kind.STRING,
    ("_openid",): Kind.STRING,
    ("_createTime",): Kind.DATE,
    ("_updateTime",): Kind.DATE,
}
_RESULTS: Final = {
    "size": Kind.NUMBER,
    "int": Kind.NUMBER,
    "float": Kind.NUMBER,
    "duration": Kind.NUMBER,
    "lower": Kind.STRING,
    "upper": Kind.STRING,
    "string": Kind.STRING,
    "concat": Kind.STRING,
    "date": Kind.DATE,
}
_TEXT_FUNCTIONS: Final = frozenset(
    ("matches", "startsWith", "endsWith", "contains", "lower", "upper")
)
_COMPARISONS: Final = frozenset(("==", "!=", "<", "<=", ">", ">=", "in"))


def static_kind(expr: e.Expr) -> Kind | None:
    """The one kind of this expression's values (null and undefined apart), or None."""
    if isinstance(expr, e.Literal):
        return kind_of(expr.value)
    if isinstance(expr, e.ListOf):
        return Kind.ARRAY
    if isinstance(expr, e.DocField):
        return _SERVER_FIELDS.get(expr.path)
    if isinstance(expr, e.Member):
        return _member_kind(expr)
    if isinstance(expr, e.Call):
        return _RESULTS.get(expr.name, Kind.BOOLEAN)
    if isinstance(expr, e.Binary):
        return _binary_kind(expr)
    if isinstance(expr, e.Unary):
        return Kind.BOOLEAN if expr.op == "!" else Kind.NUMBER
    return Kind.BOOLEAN if isinstance(expr, (e.Logic, e.LookupExists)) else None


def _member_kind(expr: e.Member) -> Kind | None:
    if expr.target == e.Variable("auth"):
        return _AUTH.get(expr.name)
    return _REQUEST.get(expr.name) if expr.target == e.Variable("request") else None


def _binary_kind(expr: e.Binary) -> Kind | None:
    if expr.op in _COMPARISONS:
        return Kind.BOOLEAN
    if expr.op in ("*", "/", "%"):
        return Kind.NUMBER
    left, right = static_kind(expr.left), static_kind(expr.right)
    return left if left is right and left in (Kind.NUMBER, Kind.STRING) else None


def never_true(expr: e.Expr) -> bool:
    """Whether the kinds alone keep this condition from being true."""
    if isinstance(expr, e.Call):
        return expr.name in _TEXT_FUNCTIONS and any(
            static_kind(arg) not in (None, Kind.STRING) for arg in expr.args
        )
    if not isinstance(expr, e.Binary) or is_instant(expr.left) or is_instant(expr.right):
        return False
    left, right = static_kind(expr.left), static_kind(expr.right)
    if expr.op == "in":
        return right not in (None, Kind.ARRAY)
    if left is None or right is None or left is right or expr.op == "!=":
        return False
    return expr.op != "==" or Kind.NULL not in (left, right)
