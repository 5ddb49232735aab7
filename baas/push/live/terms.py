"""Which queries a change can touch: an index of queries by what they ask of a document.

Every query is filed once, under the most telling condition that all its documents fulfil: equality
with a scalar (or one of a few), else a range of one kind, else nothing. Looking a document up gives
every query whose condition it fulfils, and some more; never one less.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Hashable, Iterator
from typing import Any, Final, Generic, TypeVar

import msgspec

from baas.query import ast
from baas.query import expr as e
from baas.query.ast import Filter
from baas.query.order import order_key
from baas.schema.values import Document, Path, Value

Q = TypeVar("Q", bound=Hashable)

#: A query with more alternatives is filed under something else.
MAX_ALTERNATIVES: Final = 100


class Equal(msgspec.Struct, frozen=True):
    path: Path
    values: tuple[Hashable, ...]


class Between(msgspec.Struct, frozen=True):
    """`low` and `high` are order keys; None: open."""

    path: Path
    low: Any = None
    high: Any = None


class TermIndex(Generic[Q]):
    """The queries of one collection."""

    def __init__(self) -> None:
        self._equal: dict[Path, dict[Hashable, set[Q]]] = {}
        self._ranges: dict[Path, _Ranges[Q]] = {}
        self._rest: set[Q] = set()
        self._filed: dict[Q, Equal | Between | None] = {}

    def __len__(self) -> int:
        return len(self._filed)

    def add(self, query: Q, filter: Filter) -> None:
        term = term_of(filter)
        self._filed[query] = term
        if isinstance(term, Equal):
            by_value = self._equal.setdefault(term.path, {})
            for value in term.values:
                by_value.setdefault(value, set()).add(query)
        elif isinstance(term, Between):
            self._ranges.setdefault(term.path, _Ranges()).add(query, term)
        else:
            self._rest.add(query)

    def remove(self, query: Q) -> None:
        term = self._filed.pop(query)
        if isinstance(term, Equal):
            self._remove_equal(query, term)
        elif isinstance(term, Between):
            ranges = self._ranges[term.path]
            ranges.remove(query, term)
            if not ranges:
                del self._ranges[term.path]
        else:
            self._rest.discard(query)

    def _remove_equal(self, query: Q, term: Equal) -> None:
        by_value = self._equal[term.path]
        for value in term.values:
            queries = by_value.get(value, set())
            queries.discard(query)
            if not queries:
                by_value.pop(value, None)
        if not by_value:
            del self._equal[term.path]

    def touched(self, *images: Document) -> set[Q]:
        """Those that any of these images could belong to."""
        found = set(self._rest)
        for image in images:
            for path, by_value in self._equal.items():
                for value in _reached(image, path, 0):
                    found |= by_value.get(_hashable(value), _NONE)
            for path, ranges in self._ranges.items():
                for value in _reached(image, path, 0):
                    found |= ranges.holding(order_key(value))
        return found


_NONE: Final[frozenset[Any]] = frozenset()


class _Ranges(Generic[Q]):
    """Ranges over one path, by their lower end."""

    def __init__(self) -> None:
        self._open: dict[Q, Any] = {}
        self._lows: list[tuple[Any, int]] = []
        self._by_number: dict[int, tuple[Q, Any]] = {}
        self._numbers: dict[Q, int] = {}
        self._next = 0

    def __bool__(self) -> bool:
        return bool(self._open or self._lows)

    def add(self, query: Q, term: Between) -> None:
        if term.low is None:
            self._open[query] = term.high
            return
        self._next += 1
        self._numbers[query] = self._next
        self._by_number[self._next] = (query, term.high)
        insort(self._lows, (term.low, self._next))

    def remove(self, query: Q, term: Between) -> None:
        if self._open.pop(query, None) is not None:
            return
        number = self._numbers.pop(query)
        del self._by_number[number]
        self._lows.remove((term.low, number))

    def holding(self, key: Any) -> set[Q]:
        found = {query for query, high in self._open.items() if not high < key}
        upto = bisect_right(self._lows, (key, self._next + 1))
        for _, number in self._lows[:upto]:
            query, high = self._by_number[number]
            if high is None or not high < key:
                found.add(query)
        return found


# -- what a filter asks ---------------------------------------------------------------------------


def term_of(filter: Filter) -> Equal | Between | None:
    """A condition that every document of the filter fulfils."""
    conjuncts = filter.items if isinstance(filter, ast.And) else (filter,)
    equal = [term for one in conjuncts if (term := _equal_of(one)) is not None]
    if equal:
        return min(equal, key=_preference)
    ranges = [found for one in conjuncts if (found := _range_of(one)) is not None]
    return _joined(ranges)


def _preference(term: Equal) -> tuple[int, int]:
    """Few alternatives first; a boolean divides documents worst."""
    return (sum(isinstance(value, tuple) for value in term.values), len(term.values))


def _equal_of(filter: Filter) -> Equal | None:
    if isinstance(filter, ast.Field):
        if isinstance(filter.test, ast.Eq):
            return _term(filter.path, (filter.test.value,))
        if isinstance(filter.test, ast.In) and not filter.test.patterns:
            return _term(filter.path, filter.test.values)
    if isinstance(filter, ast.Where) and isinstance(filter.expr, e.Binary):
        sides = (filter.expr.left, filter.expr.right)
        for field, other in (sides, sides[::-1]):
            known = isinstance(other, e.Literal)
            if filter.expr.op == "==" and known and isinstance(field, e.DocField) and field.path:
                return _term(field.path, (other.value,))  # type: ignore[union-attr]
    return None


def _term(path: Path, values: tuple[Value, ...]) -> Equal | None:
    if not values or len(values) > MAX_ALTERNATIVES:
        return None
    if not all(isinstance(value, (str, int, float)) for value in values):
        return None
    return Equal(path, tuple(dict.fromkeys(_hashable(value) for value in values)))


def _hashable(value: Value) -> Hashable:
    """Of a scalar: true is not 1. Of anything else what no query is filed under."""
    if isinstance(value, bool):
        return ("boolean", value)
    return value if isinstance(value, (str, int, float)) else None


def _range_of(filter: Filter) -> Between | None:
    if not isinstance(filter, ast.Field) or not isinstance(filter.test, ast.Range):
        return None
    value = filter.test.value
    if value is None or isinstance(value, (list, bool)):
        return None
    key = order_key(value)
    if filter.test.op in ("gt", "gte"):
        return Between(filter.path, low=key)
    return Between(filter.path, high=key)


def _joined(ranges: list[Between]) -> Between | None:
    """One lower and one upper end of the same path, where arrays cannot come between: a document
    may fulfil each end by another element, so only one of them counts there. The lower one."""
    return min(ranges, key=lambda term: term.low is None, default=None)


def _reached(value: Value, path: Path, at: int) -> Iterator[Value]:
    """Every value at the path, elements and positions of arrays included."""
    if type(value) is list:
        for element in value:
            yield from _reached(element, path, at)
        if at < len(path) and path[at].isascii() and path[at].isdigit():
            place = int(path[at])
            if place < len(value):
                yield from _reached(value[place], path, at + 1)
        if at == len(path):
            yield value
        return
    if at == len(path):
        yield value
    elif type(value) is dict and path[at] in value:
        yield from _reached(value[path[at]], path, at + 1)
