"""Arrays and sets. A null or missing array makes the result null, unless it says otherwise."""

from __future__ import annotations

from typing import Final

from baas.query.aggregate.budget import Budget
from baas.query.aggregate.functions.base import Fault, Function, absent, array, whole
from baas.query.aggregate.limits import MAX_RANGE
from baas.schema.values import MISSING, Value, encode


def _built(budget: Budget, result: list[Value]) -> list[Value]:
    budget.made_entries(len(result))
    budget.check(result)
    return result


def _size(budget: Budget, value: Value) -> Value:
    return len(array(value))


def _element_at(budget: Budget, value: Value, position: Value) -> Value:
    """MISSING outside the array; a negative position counts from the end."""
    if absent(value) or absent(position):
        return None
    items, at = array(value), whole(position, "position")
    return items[at] if -len(items) <= at < len(items) else MISSING


def _first(budget: Budget, value: Value) -> Value:
    return None if absent(value) else (array(value) or [MISSING])[0]


def _last(budget: Budget, value: Value) -> Value:
    return None if absent(value) else (array(value) or [MISSING])[-1]


def _concat(budget: Budget, *args: Value) -> Value:
    if any(map(absent, args)):
        return None
    # Counted before it is made: every argument may be the same large array.
    budget.made_entries(sum(len(array(arg)) for arg in args))
    result = [item for arg in args for item in arg]
    budget.check(result)
    return result


def _slice(budget: Budget, value: Value, first: Value, count: Value = MISSING) -> Value:
    """`[array, n]`: the first, or last, n. `[array, position, n]`."""
    if absent(value) or absent(first) or count is None:
        return None
    items, start = array(value), whole(first, "position")
    if count is MISSING:
        result = items[:start] if start >= 0 else items[start:]
    else:
        length = whole(count, "length")
        if length < 1:
            raise Fault("takes a positive length after a position")
        start = max(len(items) + start, 0) if start < 0 else start
        result = items[start : start + length]
    budget.made_entries(len(result))
    return result


def _contains(budget: Budget, value: Value, items: Value) -> Value:
    given = array(items, "second operand")
    if value is MISSING:
        return False
    wanted = _key(budget, value)
    return any(_key(budget, item) == wanted for item in given)


def _reverse(budget: Budget, value: Value) -> Value:
    if absent(value):
        return None
    result = array(value)[::-1]
    budget.made_entries(len(result))
    return result


def _range(budget: Budget, start: Value, end: Value, step: Value = MISSING) -> Value:
    stride = 1 if step is MISSING else whole(step, "step")
    if stride == 0:
        raise Fault("takes a step that is not 0")
    numbers = range(whole(start, "start"), whole(end, "end"), stride)
    if len(numbers[: MAX_RANGE + 1]) > MAX_RANGE:
        raise Fault(f"makes at most {MAX_RANGE} numbers")
    budget.spend(len(numbers))
    budget.made_entries(len(numbers))
    return list(numbers)


def _is_array(budget: Budget, value: Value) -> Value:
    return type(value) is list


# -- sets -----------------------------------------------------------------------------------------


def _key(budget: Budget, value: Value) -> bytes:
    """Equal values have equal keys (canonical JSON)."""
    key = encode(None if value is MISSING else budget.check(value))
    budget.spend(1 + len(key) // 64)
    return key


def distinct(budget: Budget, items: list[Value]) -> dict[bytes, Value]:
    """Each value once, in the order of its first appearance."""
    found: dict[bytes, Value] = {}
    for item in items:
        found.setdefault(_key(budget, item), item)
    return found


def _union(budget: Budget, *args: Value) -> Value:
    if any(map(absent, args)):
        return None
    found: dict[bytes, Value] = {}
    for arg in args:
        for key, item in distinct(budget, array(arg)).items():
            found.setdefault(key, item)
    return _built(budget, list(found.values()))


def _intersection(budget: Budget, *args: Value) -> Value:
    if any(map(absent, args)):
        return None
    found = distinct(budget, array(args[0]))
    for arg in args[1:]:
        others = distinct(budget, array(arg))
        found = {key: item for key, item in found.items() if key in others}
    return _built(budget, list(found.values()))


def _difference(budget: Budget, left: Value, right: Value) -> Value:
    if absent(left) or absent(right):
        return None
    unwanted = distinct(budget, array(right))
    found = distinct(budget, array(left))
    return _built(budget, [item for key, item in found.items() if key not in unwanted])


ARRAYS: Final[dict[str, Function]] = {
    "$size": Function(_size),
    "$arrayElemAt": Function(_element_at, 2, 2),
    "$first": Function(_first),
    "$last": Function(_last),
    "$concatArrays": Function(_concat, 0, None),
    "$slice": Function(_slice, 2, 3),
    "$in": Function(_contains, 2, 2),
    "$reverseArray": Function(_reverse),
    "$range": Function(_range, 2, 3),
    "$isArray": Function(_is_array),
    "$setUnion": Function(_union, 0, None),
    "$setIntersection": Function(_intersection, 1, None),
    "$setDifference": Function(_difference, 2, 2),
}
