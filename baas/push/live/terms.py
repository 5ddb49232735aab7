"""Which queries a change can touch: an index of queries by what they ask of a document.

Every query is filed once, under the most telling condition that all its documents fulfil: equality
with a scalar (or one of a few), else a place on the globe, else a range of one kind, else nothing.
Looking a document up gives every query whose condition it fulfils, and some more; never one less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
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
#: Elements of arrays that are looked at for each query filed under a path: about what it costs to
#: ask that query. A document with more at that path touches all of them.
ELEMENTS_PER_QUERY: Final = 500


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
        #: How many queries are filed under each.
        self._paths: Counter[Path] = Counter()

    def __len__(self) -> int:
        return len(self._filed)

    def add(self, query: Q, filter: Filter) -> Path | None:
        """What it is filed under; None: every change touches it."""
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
        if term is None:
            return None
        self._paths[term.path] += 1
        return term.path

    def remove(self, query: Q) -> None:
        term = self._filed.pop(query)
        if term is not None:
            self._paths[term.path] -= 1
            if not self._paths[term.path]:
                del self._paths[term.path]
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
        for path, filed in self._paths.items():
            for image in images:
                values = reached(image, path, ELEMENTS_PER_QUERY * filed)
                found |= self._under(path) if values is None else self._holding(path, values)
        return found

    def _holding(self, path: Path, values: list[Value]) -> set[Q]:
        found: set[Q] = set()
        if by_value := self._equal.get(path):
            found = found.union(*[by_value.get(_hashable(value), _NONE) for value in values])
        if values and (ranges := self._ranges.get(path)):
            keys = [order_key(value) for value in values]
            found |= ranges.holding(min(keys), max(keys))
        if places := self._places.get(path):
            found |= places.holding(values)
        return found

    def _under(self, path: Path) -> set[Q]:
        """All that are filed under this path."""
        found = set[Q]().union(*self._equal.get(path, {}).values())
        if ranges := self._ranges.get(path):
            found |= ranges.all()
        if places := self._places.get(path):
            found |= places.all()
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


def reached(document: Document, path: Path, most: int) -> list[Value] | None:
    """Every value at the path, elements and positions of arrays included; None where more than
    `most` elements would have to be looked at."""
    found: list[Value] = []
    return None if _reach(document, path, 0, most, found) < 0 else found


def _reach(value: Value, path: Path, at: int, left: int, found: list[Value]) -> int:
    """How many more elements may be looked at; negative: too many were."""
    if type(value) is list:
        left -= len(value)
        for element in value:
            if left < 0:
                return left
            left = _reach(element, path, at, left, found)
        if at < len(path) and path[at].isascii() and path[at].isdigit():
            place = int(path[at])
            if place < len(value):
                left = _reach(value[place], path, at + 1, left, found)
        if at == len(path):
            found.append(value)
    elif at == len(path):
        found.append(value)
    elif type(value) is dict and path[at] in value:
        return _reach(value[path[at]], path, at + 1, left, found)
    return left
