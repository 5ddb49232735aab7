"""Comparison across all kinds, in the order of `schema.values.compare`; missing before null."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from baas.query.aggregate.budget import Budget, tree_size
from baas.query.aggregate.functions.base import Function, truthy
from baas.query.aggregate.limits import MAX_VALUE_SIZE
from baas.schema.values import MISSING, Value, compare


def order(budget: Budget, left: Value, right: Value) -> int:
    if left is MISSING or right is MISSING:
        return (left is not MISSING) - (right is not MISSING)
    if type(left) in (dict, list) and type(left) is type(right):
        budget.spend(tree_size(left, MAX_VALUE_SIZE) // 8)
    return compare(left, right)


def _holds(accept: Callable[[int], bool]) -> Callable[[Budget, Value, Value], Value]:
    return lambda budget, left, right: accept(order(budget, left, right))


def _not(budget: Budget, value: Value) -> Value:
    return not truthy(value)


COMPARISON: Final[dict[str, Function]] = {
    "$cmp": Function(order, 2, 2),
    "$eq": Function(_holds(lambda verdict: verdict == 0), 2, 2),
    "$ne": Function(_holds(lambda verdict: verdict != 0), 2, 2),
    "$gt": Function(_holds(lambda verdict: verdict > 0), 2, 2),
    "$gte": Function(_holds(lambda verdict: verdict >= 0), 2, 2),
    "$lt": Function(_holds(lambda verdict: verdict < 0), 2, 2),
    "$lte": Function(_holds(lambda verdict: verdict <= 0), 2, 2),
    "$not": Function(_not),
}
