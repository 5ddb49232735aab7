"""Kinds of callers, and what a rule could ever allow them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import msgspec

from baas.query import expr as e
from baas.query.ast import Always, Never
from baas.rules.model import CollectionRules, Operation, Rule, RuleBook
from baas.rules.residual import Known, reduce, to_filter
from baas.schema.values import Path

#: `always` and `never` whatever the document; `depends` on the document or the request.
Verdict: TypeAlias = Literal["always", "never", "depends"]


class Access(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One collection for one audience. `operations` by name; `unreadable` and `unwritable` are
    dotted paths that this audience can never read or write, whosever the document is; `masked`
    those that it may read of some documents and not of others."""

    operations: dict[str, Verdict]
    unreadable: tuple[str, ...] = ()
    unwritable: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()


class Audience(msgspec.Struct, frozen=True):
    """Some kind of caller. `roles` None: one who is not signed in; else its roles are exactly
    these, and all else about it is open."""

    roles: tuple[str, ...] | None


def audiences(book: RuleBook) -> dict[str, Audience]:
    """`nobody`, `user`, and one for each role that a rule of the book asks for by name."""
    found = {"nobody": Audience(None), "user": Audience(())}
    for role in sorted(set(_roles(book))):
        found.setdefault(role, Audience((role,)))
    return found


def access_of(rules: CollectionRules, audience: Audience) -> Access:
    """What callers of this kind may ever do with a collection."""
    operations = {one.value: verdict(rules.rules[one], audience) for one in Operation}
    read = [(mask.path, mask.read) for mask in rules.masks]
    written = [(mask.path, mask.write) for mask in rules.masks]
    return Access(
        operations=operations,
        unreadable=_those(read, audience, "never"),
        unwritable=_those(written, audience, "never"),
        masked=_those(read, audience, "depends"),
    )


def verdict(rule: Rule, audience: Audience) -> Verdict:
    """What is left of a rule once no more is known than what kind of caller asks."""
    left = to_filter(reduce(_as_known(rule.expr, audience), Known({})))
    if isinstance(left, (Always, Never)):
        return "always" if isinstance(left, Always) else "never"
    return "depends"


def _those(
    masks: list[tuple[Path, Rule | None]], audience: Audience, wanted: Verdict
) -> tuple[str, ...]:
    """The paths of which that much can be said."""
    return tuple(
        ".".join(path) for path, rule in masks if rule and verdict(rule, audience) == wanted
    )


def _as_known(expr: e.Expr, audience: Audience) -> e.Expr:
    """With `auth` filled in as far as the audience says: null, or its roles."""
    if audience.roles is None:
        return reduce(expr, Known({"auth": None}))
    if _is_roles(expr):
        return e.Literal(list(audience.roles))
    if isinstance(expr, e.Binary) and expr.op in ("==", "!=") and _asks_for_caller(expr):
        return e.Literal(expr.op == "!=")
    return _rebuilt(expr, lambda child: _as_known(child, audience))


def _rebuilt(expr: e.Expr, change: Callable[[e.Expr], e.Expr]) -> e.Expr:
    """A copy of a node with each child changed."""
    fields: dict[str, Any] = {}
    for name in expr.__struct_fields__:
        value = getattr(expr, name)
        if isinstance(value, e.ExprNode):
            fields[name] = change(value)  # type: ignore[arg-type]
        elif isinstance(value, tuple) and value and isinstance(value[0], e.ExprNode):
            fields[name] = tuple(change(item) for item in value)
    return msgspec.structs.replace(expr, **fields)


def _asks_for_caller(expr: e.Binary) -> bool:
    """`auth == null` either way round."""
    sides = (expr.left, expr.right)
    return e.Literal(None) in sides and e.Variable("auth") in sides


# -- roles that rules name ------------------------------------------------------------------------


def _roles(book: RuleBook) -> Iterator[str]:
    for rules in book.collections.values():
        masks = [rule for mask in rules.masks for rule in (mask.read, mask.write) if rule]
        for rule in [*rules.rules.values(), *masks]:
            yield from _named_in(rule.expr)


def _named_in(expr: e.Expr) -> Iterator[str]:
    """`'x' in auth.roles`: x."""
    if isinstance(expr, e.Binary) and expr.op == "in" and _is_roles(expr.right):
        role = expr.left
        if isinstance(role, e.Literal) and isinstance(role.value, str):
            yield role.value
    for child in e.children(expr):
        yield from _named_in(child)


def _is_roles(expr: e.Expr) -> bool:
    return (
        isinstance(expr, e.Member)
        and expr.name == "roles"
        and isinstance(expr.target, e.Variable)
        and expr.target.name == "auth"
    )
