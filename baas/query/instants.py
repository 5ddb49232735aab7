"""`now` and `request.time` in rules: a date beside dates, milliseconds beside numbers."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from baas.query.expr import (
    Binary,
    DocField,
    Expr,
    Lookup,
    LookupExists,
    Member,
    Variable,
    children,
)
from baas.schema.values import Value, date_from_ms


class Instant(msgspec.Struct, frozen=True):
    """A moment that has not yet met another value. Never stored, never sent."""

    ms: int


#: The names that stand for an Instant.
NOW: Final = Variable("now")
REQUEST_TIME: Final = Member(Variable("request"), "time")


def plain(value: Any) -> Value:
    """The value as a document could hold it: an Instant becomes a date."""
    return date_from_ms(value.ms) if type(value) is Instant else value


def is_instant(expr: Expr) -> bool:
    """Whether the text itself says that this is a moment: `now`, `now - 5`, `5 + now`.

    Decided from the text and not from values, so that a rule means the same whether its
    documents are known yet or not.
    """
    if expr in (NOW, REQUEST_TIME):
        return True
    if not isinstance(expr, Binary) or expr.op not in ("+", "-"):
        return False
    if is_instant(expr.left):
        return not is_instant(expr.right) and not reads_documents(expr.right)
    return expr.op == "+" and is_instant(expr.right) and not reads_documents(expr.left)


def reads_documents(expr: Expr) -> bool:
    """Whether the value depends on a document: `doc`, `newDoc`, `get()` or `exists()`."""
    if isinstance(expr, (DocField, Lookup, LookupExists)):
        return True
    return any(reads_documents(child) for child in children(expr))
