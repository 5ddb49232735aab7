"""What rules look at beside the caller, the name and the document: what may change their answer."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from baas.query import expr as e


class Needs(msgspec.Struct, frozen=True):
    """The `time` (or another passing fact of the request), and documents of other `collections`."""

    time: bool = False
    collections: frozenset[str] = frozenset()


def needs_of(exprs: Iterable[e.Expr]) -> Needs:
    nodes = [node for expr in exprs for node in walk(expr)]
    time = any(isinstance(n, e.Variable) and n.name in ("now", "request") for n in nodes)
    others = {n.collection for n in nodes if isinstance(n, (e.Lookup, e.LookupExists))}
    return Needs(time, frozenset(others))


def walk(expr: e.Expr) -> list[e.Expr]:
    """The expression and all below it."""
    found = [expr]
    for child in e.children(expr):
        found += walk(child)
    return found
