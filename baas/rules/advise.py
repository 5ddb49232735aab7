"""Warnings about rules that load: what can never be true, what is open, what will be slow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

from baas.query import ast
from baas.query import expr as e
from baas.query.conditions import is_null
from baas.query.fields import overlap
from baas.query.implies import implies
from baas.query.instants import reads_documents
from baas.rules.kinds import never_true
from baas.rules.model import FieldMask, Rule
from baas.rules.render import render
from baas.rules.residual import Known, reduce, to_filter
from baas.rules.vocabulary import LOGIN_TYPES, closest
from baas.schema.model import CollectionSpec
from baas.schema.values import Path

#: Keywords of JSON Schema by which one field of an object decides about another.
_COUNTING: Final = ("minProperties", "maxProperties")
_TYING: Final = (
    *("dependentRequired", "dependentSchemas", "if", "then", "else"),
    *("oneOf", "anyOf", "allOf", "not", *_COUNTING),
)
_WRITES: Final = frozenset(("create", "update", "delete"))
_AUTH: Final = e.Variable("auth")
_LOGIN_TYPE: Final = e.Member(_AUTH, "loginType")


def advise_rule(rule: Rule, operation: str) -> Iterator[str]:
    """What is odd about one rule; `operation` is its key, or `mask`."""
    if rule.expr == e.TRUE and operation in _WRITES:
        yield f"'{operation}' is true for everyone, signed in or not"
    yield from _dead_clauses(rule.expr)


# -- what can never be true -----------------------------------------------------------------------


def _dead_clauses(expr: e.Expr) -> Iterator[str]:
    if expr == e.FALSE:
        return
    if _is_dead(expr):
        yield f"'{render(expr)}' can never be true{_reason(expr)}"
        return
    if isinstance(expr, e.Logic):
        for item in expr.items:
            if item == e.FALSE:
                yield "'false' here makes no difference"
            yield from _dead_clauses(item)
    elif isinstance(expr, e.Conditional):
        for part in (expr.test, expr.then, expr.other):
            yield from _dead_clauses(part)


def _is_dead(expr: e.Expr) -> bool:
    if never_true(expr) or _unknown_login_type(expr):
        return True
    if isinstance(expr, e.Logic):
        parts = [_is_dead(item) for item in expr.items]
        if all(parts) or (expr.op == "&&" and any(parts)) or _contradiction(expr):
            return True
    return _fails(_with_auth(expr)) and _fails(reduce(expr, Known({"auth": None})))


def _fails(expr: e.Expr) -> bool:
    return isinstance(reduce(expr, Known({})), e.Undefined) or reduce(expr, Known({})) == e.FALSE


def _with_auth(expr: e.Expr) -> e.Expr:
    """The condition for a caller who is signed in."""
    if isinstance(expr, e.Binary) and _AUTH in (expr.left, expr.right):
        if expr.op in ("==", "!=") and (is_null(expr.left) or is_null(expr.right)):
            return e.Literal(expr.op == "!=")
    elif isinstance(expr, e.Unary):
        return e.Unary(expr.op, _with_auth(expr.operand))
    elif isinstance(expr, e.Logic):
        return e.Logic(expr.op, tuple(_with_auth(item) for item in expr.items))
    return expr


def _contradiction(expr: e.Logic) -> bool:
    """`doc.a == 1 && doc.a == 2`."""
    if expr.op != "&&":
        return False
    items = [to_filter(item) for item in expr.items if not isinstance(item, e.Literal)]
    return any(implies(one, ast.Not(other)) for one, other in combinations(items, 2))


def _unknown_login_type(expr: e.Expr) -> str:
    """The text that `auth.loginType` is compared with, where it is none of them."""
    if not isinstance(expr, e.Binary) or expr.op != "==":
        return ""
    other = expr.right if expr.left == _LOGIN_TYPE else expr.left
    if _LOGIN_TYPE not in (expr.left, expr.right) or not isinstance(other, e.Literal):
        return ""
    known = other.value is None or other.value in LOGIN_TYPES
    return "" if known else str(other.value)


def _reason(expr: e.Expr) -> str:
    if login := _unknown_login_type(expr):
        return closest(login, LOGIN_TYPES) or f"; login types are {', '.join(LOGIN_TYPES)}"
    if isinstance(expr, e.Binary) and e.Member(_AUTH, "roles") in (expr.left, expr.right):
        return "; roles are a list: 'moderator' in auth.roles"
    return ""


# -- what will be slow ----------------------------------------------------------------------------


def advise_read(rule: Rule, spec: CollectionSpec) -> Iterator[str]:
    """What makes lists under this read rule slow."""
    if looks_up_by_document(rule.expr):
        yield "a get() that depends on doc runs for every document looked at; no index serves it"
    served = {index.keys[0].path for index in spec.indexes if index.kind == "plain"} | {("_id",)}
    for fields in _unserved(rule.expr, served):
        names = " or ".join(sorted(".".join(path) for path in fields))
        yield f"the read rule filters by {names}, which no index begins with"


def advise_search(masks: tuple[FieldMask, ...], spec: CollectionSpec) -> Iterator[tuple[Rule, str]]:
    """Masks that keep callers from searching, and why."""
    paths = [k.path for index in spec.indexes if index.kind == "text" for k in index.keys]
    for mask in masks:
        if mask.read is None or mask.read.expr == e.TRUE:
            continue
        for path in paths:
            if overlap(path, mask.path):
                name = ".".join(path)
                yield (
                    mask.read,
                    f"the text index has '{name}': who may not read that cannot search at all",
                )


def advise_schema(masks: tuple[FieldMask, ...], spec: CollectionSpec) -> Iterator[tuple[Rule, str]]:
    """Masks that a schema gives away: what it refuses depends on a field that is hidden."""
    for mask in masks:
        if mask.read is None or mask.read.expr == e.TRUE:
            continue
        for keyword in _ties(spec.schema, mask.path):
            name = ".".join(mask.path)
            yield (
                mask.read,
                f"'{keyword}' in the schema ties '{name}' to other fields: by what is refused, who"
                " may not read it can find out about it",
            )


def _ties(schema: Any, path: Path) -> Iterator[str]:
    """Keywords of the objects that hold `path` whose verdict on other fields rests on it."""
    for name in path:
        if not isinstance(schema, dict):
            return
        for keyword in _TYING:
            if keyword in schema and (keyword in _COUNTING or name in _names(schema[keyword])):
                yield keyword
        schema = schema.get("properties", {}).get(name)


def _names(part: Any) -> set[str]:
    """Every name and every text in a part of a schema: property names are among them."""
    if isinstance(part, dict):
        return set(part).union(*map(_names, part.values()))
    if isinstance(part, list):
        return set().union(*map(_names, part))
    return {part} if isinstance(part, str) else set()


def looks_up_by_document(expr: e.Expr) -> bool:
    """Whether a `get` or `exists` of this rule takes its id from a document."""
    if isinstance(expr, (e.Lookup, e.LookupExists)):
        return reads_documents(expr.id)
    return any(looks_up_by_document(child) for child in e.children(expr))


def _unserved(expr: e.Expr, served: set[Path]) -> Iterator[frozenset[Path]]:
    """For each alternative of the rule that no index serves: the fields one of which would need
    one."""
    if isinstance(expr, e.Logic) and expr.op == "||":
        for item in expr.items:
            yield from _unserved(item, served)
        return
    items = expr.items if isinstance(expr, e.Logic) else (expr,)
    fields = frozenset(path for item in items for path in _compared(item))
    if fields and not fields & served:
        yield fields


def _compared(expr: e.Expr) -> Iterator[Path]:
    """Fields that a comparison could find through an index."""
    if not isinstance(expr, e.Binary) or expr.op == "!=":
        return
    for side in (expr.left, expr.right):
        if isinstance(side, e.DocField) and side.root == "doc" and side.path:
            yield side.path
