"""The order of documents under a sort: across types, through arrays, always total.

A key's *sort value* is found by following its path:

- Through an object by name; a field that is not there is null. Dates are values, not objects.
- In an array, a component that is a position of it picks that element. Any other component is
  asked of every element that is an object; an element that is none has null.
- An array at the end of the path stands for its elements (one level); an empty array, at the end
  or on the way, for null.

Of several values the least counts ascending and the greatest descending. A key with `near` has the
least distance in metres for its sort value. Sort values are JSON, so
they travel in cursors; `schema.values.compare` of them, key by key, is the order exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final, TypeAlias

from baas.query.ast import Sort, SortKey
from baas.query.evaluate import array_position, candidates
from baas.query.geo import distance
from baas.query.patterns import in_stretches
from baas.schema.values import DATE, Document, Kind, Path, Value, compare, kind_of

_Key: TypeAlias = tuple[Any, ...]


def sort_values(document: Document, sort: Sort) -> tuple[Value, ...]:
    """One value per key of `sort`; null for what is missing."""
    return tuple([sort_value(document, key) for key in sort])


def sort_value(document: Document, key: SortKey) -> Value:
    path = key.path
    if key.near is not None:
        found = nearest(document, key)
        return None if found is None else found[0]
    if len(path) == 1:
        value = document.get(path[0])
        if type(value) is not list:
            return value
    values = _values(document, path, 0)
    return max(values, key=order_key) if key.descending else min(values, key=order_key)


def nearest(document: Document, key: SortKey) -> tuple[float, Value] | None:
    """The nearest geometry that the key's `near` holds of, with its distance in metres."""
    best: tuple[float, Value] | None = None
    assert key.near is not None
    for value in candidates(document, key.path):
        metres = distance(key.near, value)
        if metres is not None and (best is None or metres < best[0]):
            best = metres, value
    return best


def compare_sort_values(left: tuple[Value, ...], right: tuple[Value, ...], sort: Sort) -> int:
    """-1 where `left` comes first, 1 where `right` does, 0 only where every key ties."""
    for one, other, key in zip(left, right, sort, strict=True):
        if verdict := compare(one, other):
            return -verdict if key.descending else verdict
    return 0


def sort_documents(documents: Iterable[Document], sort: Sort) -> list[Document]:
    """A new list in the order of `sort`."""
    ordered = list(documents)
    # Python's sort is stable, so the last key goes first.
    for key in reversed(sort):
        by_key: Callable[[Document], _Key] = partial(_document_key, key)
        ordered.sort(key=by_key, reverse=key.descending)
    return ordered


def _document_key(key: SortKey, document: Document) -> _Key:
    return order_key(sort_value(document, key))


def _values(value: Value, path: Path, at: int) -> Iterator[Value]:
    while at < len(path):
        if type(value) is list:
            yield from _values_in_array(value, path, at)
            return
        if type(value) is not dict or DATE in value:
            yield None
            return
        value = value.get(path[at])
        at += 1
    if type(value) is list:
        yield from in_stretches(value) if value else (None,)
    else:
        yield value


def _values_in_array(array: list[Value], path: Path, at: int) -> Iterator[Value]:
    chosen = array_position(path[at], len(array))
    if chosen >= 0:
        yield from _values(array[chosen], path, at + 1)
        return
    for element in in_stretches(array):
        if type(element) is dict:
            yield from _values(element, path, at)
        else:
            yield None
    if not array:
        yield None


# -- keys -----------------------------------------------------------------------------------------

_NULL_KEY: Final[_Key] = (Kind.NULL,)


def order_key(value: Value) -> _Key:
    """A tuple that Python orders as `compare` orders values; for sorting many of them."""
    if value is None:
        return _NULL_KEY
    kind = kind_of(value)
    if kind is Kind.ARRAY:
        return (kind, tuple([order_key(item) for item in in_stretches(value)]))
    if kind is Kind.OBJECT:
        fields = [(kind_of(item), name, order_key(item)) for name, item in value.items()]
        return (kind, tuple(fields))
    if kind is Kind.DATE:
        return (kind, value[DATE])
    return (kind,) if kind is Kind.NULL else (kind, value)
