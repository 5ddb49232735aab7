"""Rows judged by the evaluator, from where it stopped for a document that a rule wanted to see."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from baas.errors import Code, Problem
from baas.ports.documents import KnownLookups
from baas.query import ast
from baas.query import expr as e
from baas.query.evaluate import matches
from baas.query.patterns import WATCH, OutOfTime
from baas.schema.values import Document, decode


class Judge:
    """`take` bodies, `run` until `done`; `passed` are those that match. `run` may be called in a
    thread, and raises LookupNeeded to be called again once `lookups` knows."""

    def __init__(
        self, filter: ast.Filter, accept: Callable[[Document], bool] | None, end: float
    ) -> None:
        self._filter = filter
        self._accept = accept
        self._end = end
        self._bodies: list[bytes] = []
        self._at = 0
        self.passed: list[bytes] = []
        self.lookups = KnownLookups()

    def take(self, bodies: list[bytes]) -> None:
        self._bodies, self._at, self.passed = bodies, 0, []

    @property
    def done(self) -> bool:
        return self._at >= len(self._bodies)

    def run(self) -> None:
        WATCH.lacks = self._lacks
        try:
            while self._at < len(self._bodies):
                self._judge(self._bodies[self._at])
                self._at += 1
        except OutOfTime:
            raise Problem(Code.QUERY_TIMEOUT, "The query ran longer than it may.") from None
        finally:
            WATCH.lacks = None

    def _judge(self, body: bytes) -> None:
        if time.monotonic() > self._end:
            raise OutOfTime
        document = decode(body)
        if not matches(self._filter, document, self.lookups):
            return
        if self._accept is None or self._accept(document):
            self.passed.append(body)

    def _lacks(self, seconds: float) -> bool:
        return time.monotonic() + seconds > self._end


def needs_lookups(filter: ast.Filter) -> bool:
    """Whether a rule in it reads other documents."""
    if isinstance(filter, (ast.And, ast.Or)):
        return any(needs_lookups(item) for item in filter.items)
    if isinstance(filter, ast.Not):
        return needs_lookups(filter.item)
    return isinstance(filter, ast.Where) and _looks_up(filter.expr)


def _looks_up(expr: Any) -> bool:
    if isinstance(expr, (e.Lookup, e.LookupExists)):
        return True
    return any(_looks_up(child) for child in e.children(expr))
