"""Which queries a change can touch: an index of queries by what they ask of a document.

Every query is filed once, under the most telling condition that all its documents fulfil: equality
with a scalar (or one of a few), else a place on the globe, else a range of one kind, else nothing.
Looking a document up gives every query whose condition it fulfils, and some more; never one less.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from baas.push.live.places import Places
from baas.push.live.ranges import Ranges
from baas.query import ast
from baas.query import expr as e
from baas.query.ast import Filter
from baas.query.geo import search_box
from baas.query.order import order_key
from baas.query.sphere import Box
from baas.schema.values import Document, Path, Value

Q = TypeVar("Q", bound=Hashable)

#: A query with more alternatives is filed under something else.
MAX_ALTERNATIVES: Final = 100


class Equal(msgspec.Struct, frozen=True):
    path: Path
    values: tuple[Hashable, ...]


class Between(msgspec.Struct, frozen=True):
    """A value at or behind `low`, and one at or before `high`; order keys, None: open."""

    path: Path
    low: Any = None
    high: Any = None


class Around(msgspec.Struct, frozen=True):
    """A place that meets a box in space."""

    path: Path
    box: Box


Term: TypeAlias = Equal | Between | Around


class TermIndex(Generic[Q]):
    """The queries of one collection."""

    def __init__(self) -> None:
        self._equal: dict[Path, dict[Hashable, set[Q]]] = {}
        self._ranges: dict[Path, Ranges[Q]] = {}
        self._places: dict[Path, Places[Q]] = {}
        self._rest: set[Q] = set()
        self._filed: dict[Q, Term | None] = {}

    def __len__(self) -> int:
        return len(self._filed)

    def add(self, query: Q, filter: Filter) -> bool:
        """Whether there is something to file it under: else every change touches it."""
        term = term_of(filter)
        self._filed[query] = term
        if isinstance(term, Equal):
            by_value = self._equal.setdefault(term.path, {})
            for value in term.values:
                by_value.setdefault(value, set()).add(query)
        elif isinstance(term, Between):
            self._ranges.setdefault(term.path, Ranges()).add(query, term.low, term.high)
        elif isinstance(term, Around):
            self._places.setdefault(term.path, Places()).add(query, term.box)
        else:
            self._rest.add(query)
        return term is not None

    def remove(self, query: Q) -> None:
        term = self._filed.pop(query)
        if isinstance(term, Equal):
            self._remove_equal(query, term)
        elif isinstance(term, Between):
            ranges = self._ranges[term.path]
            ranges.remove(query)
            if not ranges:
                del self._ranges[term.path]
        elif isinstance(term, Around):
            places = self._places[term.path]
            places.remove(query)
            if not places:
                del self._places[term.path]
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
                keys = [order_key(value) for value in _reached(image, path, 0)]
                if keys:
                    found |= ranges.holding(min(keys), max(keys))
            for path, places in self._places.items():
                found |= places.holding(_reached(image, path, 0))
        return found


_NONE: Final[frozenset[Any]] = frozenset()


# -- what a filter asks ---------------------------------------------------------------------------


def term_of(filter: Filter) -> Term | None:
    """A condition that every document of the filter fulfils."""
    conjuncts = filter.items if isinstance(filter, ast.And) else (filter,)
    equal = [term for one in conjuncts if (term := _equal_of(one)) is not None]
    best = min(equal, key=_preference, default=None)
    if best is not None and _preference(best)[0] == 0:
        return best
    around = [place for one in conjuncts if (place := _around_of(one)) is not None]
    if around or best is not None:
        return around[0] if around else best
    ranges = [found for one in conjuncts if (found := _range_of(one)) is not None]
    return _joined(ranges)


def _preference(term: Equal) -> tuple[int, int]:
    """Few alternatives first; a boolean divides documents worst."""
    return (sum(isinstance(value, tuple) for value in term.values), len(term.values))


def _around_of(filter: Filter) -> Around | None:
    if not isinstance(filter, ast.Field) or not isinstance(filter.test, ast.Geo):
        return None
    box = search_box(filter.test.region)
    return None if box is None else Around(filter.path, box)


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
    """The lower and the upper end of one path, where there is one with both. Several values (of an
    array) may fulfil each end by another: the index knows."""
    both: dict[Path, Between] = {}
    for one in ranges:
        known = both.get(one.path, Between(one.path))
        low = one.low if known.low is None else known.low
        high = one.high if known.high is None else known.high
        both[one.path] = Between(one.path, low, high)
    return min(both.values(), key=_openness, default=None)


def _openness(term: Between) -> tuple[bool, bool]:
    return (term.low is None or term.high is None, term.low is None)


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
