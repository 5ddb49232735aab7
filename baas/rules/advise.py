"""Warnings about rules that load: what can never be true, and what is open to everyone."""

from __future__ import annotations

from collections.abc import Iterator

from baas.query import expr as e
from baas.rules.model import Rule

_WRITES = ("create", "update", "delete")


def advise_rule(rule: Rule, operation: str) -> Iterator[str]:
    """What is odd about one rule; `operation` is its key, or `mask`."""
    if rule.expr == e.TRUE and operation in _WRITES:
        yield f"'{operation}' is true: anyone may, without a token"
