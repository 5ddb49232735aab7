"""Accumulators as functions of one document: over an array, or over several operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from baas.query.aggregate.budget import Budget
from baas.query.aggregate.functions.accumulators import ACCUMULATORS
from baas.query.aggregate.functions.base import Function
from baas.schema.values import Value

_NAMES: Final = ("$sum", "$avg", "$min", "$max", "$stdDevPop", "$stdDevSamp")


def _over(name: str) -> Callable[..., Value]:
    def run(budget: Budget, *args: Value) -> Value:
        """One operand that is an array stands for its elements; what is no number is left out."""
        items = args[0] if len(args) == 1 and type(args[0]) is list else args
        budget.spend(len(items))
        accumulator = ACCUMULATORS[name](budget)
        for item in items:
            accumulator.add(item)
        return accumulator.result()

    return run


STATISTICS: Final[dict[str, Function]] = {name: Function(_over(name), 0, None) for name in _NAMES}
