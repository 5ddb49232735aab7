"""What the array operators make of an array. All return a new list, or the given one unchanged."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from baas.errors import Code, Problem
from baas.query.ast import Sort, SortKey
from baas.query.evaluate import matches
from baas.query.order import order_key, sort_value
from baas.query.update.model import ELEMENT, Pull, Push
from baas.schema.values import Kind, Value, encode, kind_of

#: Most elements that `$push` with `$sort` orders: it runs while other writers wait.
MAX_SORTED: Final = 10_000

#: Most tests (elements times conditions) of one `$pull`, for the same reason.
MAX_PULL_TESTS: Final = 200_000


def push(array: list[Value], operation: Push) -> list[Value]:
    at = len(array) if operation.position is None else operation.position
    result = array.copy()
    result[at:at] = operation.values
    if operation.order:
        result = _ordered(result, operation.order)
    if operation.slice is None:
        return result
    if operation.slice < 0:
        return result[operation.slice :]
    return result[: operation.slice]


def _ordered(array: list[Value], order: Sort) -> list[Value]:
    if len(array) > MAX_SORTED:
        message = f"$push can sort at most {MAX_SORTED} elements."
        raise Problem(Code.LIMIT_EXCEEDED, message)
    result = array.copy()
    # Python's sort is stable, so the last key goes first.
    for key in reversed(order):
        result.sort(key=partial(_element_key, key), reverse=key.descending)
    return result


def _element_key(key: SortKey, element: Value) -> tuple[Any, ...]:
    """An element that is no object has none of the fields."""
    if not key.path:
        return order_key(element)
    return order_key(sort_value(element if kind_of(element) is Kind.OBJECT else {}, key))


def add_to_set(array: list[Value], values: Iterable[Value]) -> list[Value]:
    # Canonical values are equal exactly when their JSON is, which makes this linear.
    present = {encode(element) for element in array}
    added = []
    for value in values:
        key = encode(value)
        if key not in present:
            present.add(key)
            added.append(value)
    return array + added if added else array


def pull_all(array: list[Value], values: Iterable[Value]) -> list[Value]:
    unwanted = {encode(value) for value in values}
    return [element for element in array if encode(element) not in unwanted]


def pull(array: list[Value], operation: Pull) -> list[Value]:
    if len(array) * operation.cost > MAX_PULL_TESTS:
        message = f"$pull makes at most {MAX_PULL_TESTS} tests (elements times conditions)."
        raise Problem(Code.LIMIT_EXCEEDED, message)
    return [element for element in array if not _pulled(element, operation)]


def _pulled(element: Value, operation: Pull) -> bool:
    if operation.whole:
        return kind_of(element) is Kind.OBJECT and matches(operation.filter, element)
    return matches(operation.filter, {ELEMENT: element})
