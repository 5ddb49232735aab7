"""What `$group` gathers over the documents of one group. Each is fed in order, then asked once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

from baas.query.aggregate.budget import Budget, too_large, tree_size
from baas.query.aggregate.functions.base import Fault, absent, mapping
from baas.query.aggregate.limits import MAX_VALUE_SIZE
from baas.query.numbers import OutOfRange, held
from baas.schema.values import MISSING, Value, compare, encode


class Accumulator(Protocol):
    def add(self, value: Value) -> None:
        """One more value, perhaps MISSING."""
        ...

    def result(self) -> Value:
        """Never MISSING; Fault where the value cannot be held."""
        ...


def _held(result: int | float) -> Value:
    try:
        return held(result)
    except OutOfRange as fault:
        raise Fault(f"overflows: {fault}") from None


class Sum:
    """Integers exactly; floats with Neumaier's compensation, so that small ones are not lost."""

    def __init__(self, budget: Budget) -> None:
        self.count = 0
        self._integers = 0
        self._floats = 0.0
        self._lost = 0.0

    def add(self, value: Value) -> None:
        if type(value) is int:
            self._integers += value
            self.count += 1
        elif type(value) is float:
            total = self._floats + value
            if abs(self._floats) >= abs(value):
                self._lost += (self._floats - total) + value
            else:
                self._lost += (value - total) + self._floats
            self._floats = total
            self.count += 1

    def total(self) -> int | float:
        fraction = self._floats + self._lost
        return self._integers + fraction if fraction else self._integers

    def result(self) -> Value:
        return _held(self.total())


class Average(Sum):
    """Null where there is no number."""

    def result(self) -> Value:
        return _held(self.total() / self.count) if self.count else None


class Deviation:
    """Standard deviation by Welford's method; null below two values of a sample, one of all."""

    def __init__(self, budget: Budget, least: int = 1) -> None:
        self._least = least
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0

    def add(self, value: Value) -> None:
        if type(value) is int or type(value) is float:
            self._count += 1
            distance = value - self._mean
            self._mean += distance / self._count
            self._squares += distance * (value - self._mean)

    def result(self) -> Value:
        if self._count < self._least:
            return None
        variance = self._squares / (self._count - self._least + 1)
        return _held(math.sqrt(variance) if variance >= 0 else variance)


class Extreme:
    """The least (-1) or greatest (1) value, null and missing left out; null where none is left."""

    def __init__(self, budget: Budget, sign: int) -> None:
        self._sign = sign
        self._budget = budget
        self._found: Value = None

    def add(self, value: Value) -> None:
        if absent(value):
            return
        if type(value) is dict or type(value) is list:
            self._budget.spend(tree_size(value, MAX_VALUE_SIZE) // 8)
        if self._found is None or compare(value, self._found) == self._sign:
            self._found = value

    def result(self) -> Value:
        return self._found


class First:
    def __init__(self, budget: Budget) -> None:
        self._found: Value = None
        self._empty = True

    def add(self, value: Value) -> None:
        if self._empty:
            self._found = value
            self._empty = False

    def result(self) -> Value:
        return None if self._found is MISSING else self._found


class Last:
    def __init__(self, budget: Budget) -> None:
        self._found: Value = None

    def add(self, value: Value) -> None:
        self._found = value

    def result(self) -> Value:
        return None if self._found is MISSING else self._found


class Collect:
    """`$push`; a missing value adds nothing."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._size = 0
        self._items: list[Value] = []

    def add(self, value: Value) -> None:
        if value is MISSING:
            return
        size = tree_size(value, MAX_VALUE_SIZE)
        self._size += size
        if self._size > MAX_VALUE_SIZE:
            too_large()
        self._budget.spend(1 + size // 64)
        self._budget.made_entries(1)
        self._items.append(value)

    def result(self) -> Value:
        return self._items


class CollectOnce(Collect):
    """`$addToSet`: each value once, in the order of its first appearance."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self._known: set[bytes] = set()

    def add(self, value: Value) -> None:
        if value is MISSING:
            return
        key = encode(self._budget.check(value))
        self._budget.spend(1 + len(key) // 64)
        if key not in self._known:
            self._budget.made_text(len(key))
            self._known.add(key)
            super().add(value)


class Count:
    def __init__(self, budget: Budget) -> None:
        self._count = 0

    def add(self, value: Value) -> None:
        self._count += 1

    def result(self) -> Value:
        return self._count


class Merge:
    """`$mergeObjects`: later members win; null and missing are passed over."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._merged: dict[str, Value] = {}

    def add(self, value: Value) -> None:
        if not absent(value):
            given = mapping(value)
            self._budget.spend(1 + len(given) // 16)
            self._budget.made_entries(len(given))
            self._merged.update(given)

    def result(self) -> Value:
        return self._budget.check(self._merged)


#: By name on the wire; each call makes one for one field of one group.
ACCUMULATORS: Final[dict[str, Callable[[Budget], Accumulator]]] = {
    "$sum": Sum,
    "$avg": Average,
    "$min": lambda budget: Extreme(budget, -1),
    "$max": lambda budget: Extreme(budget, 1),
    "$first": First,
    "$last": Last,
    "$push": Collect,
    "$addToSet": CollectOnce,
    "$count": Count,
    "$stdDevPop": Deviation,
    "$stdDevSamp": lambda budget: Deviation(budget, 2),
    "$mergeObjects": Merge,
}
