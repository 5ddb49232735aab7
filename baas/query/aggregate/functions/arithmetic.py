"""Numbers. A null or missing operand makes the result null; dates take part in + and -."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from baas.query.aggregate.budget import Budget
from baas.query.aggregate.functions.base import Fault, Function, absent, number, whole
from baas.query.numbers import OutOfRange, held
from baas.schema.values import MISSING, Value, date_from_ms, date_to_ms, is_date

#: Decimal places that `$round` and `$trunc` take, to either side.
_MOST_PLACES: Final = 20
#: From here on every float is an integer.
_NO_FRACTION: Final = 2.0**53


def _held(result: int | float) -> int | float:
    try:
        return held(result)
    except OutOfRange as fault:
        raise Fault(f"overflows: {fault}") from None


def date_at(ms: int | float) -> Value:
    """The date value of a number of milliseconds; Fault outside years 1 to 9999."""
    try:
        return date_from_ms(round(ms))
    except (ValueError, OverflowError):
        raise Fault("leaves the years 1 to 9999") from None


def _add(budget: Budget, *args: Value) -> Value:
    if any(map(absent, args)):
        return None
    dates = [arg for arg in args if is_date(arg)]
    if len(dates) > 1:
        raise Fault("takes one date at most")
    total: int | float = 0
    for arg in args:
        total = _held(total + (date_to_ms(arg) if is_date(arg) else number(arg)))
    return date_at(total) if dates else total


def _subtract(budget: Budget, left: Value, right: Value) -> Value:
    if absent(left) or absent(right):
        return None
    if is_date(left):
        if is_date(right):
            return date_to_ms(left) - date_to_ms(right)
        return date_at(date_to_ms(left) - number(right))
    return _held(number(left) - number(right))


def _multiply(budget: Budget, *args: Value) -> Value:
    if any(map(absent, args)):
        return None
    product: int | float = 1
    for arg in args:
        product = _held(product * number(arg))
    return product


def _divide(budget: Budget, left: Value, right: Value) -> Value:
    if absent(left) or absent(right):
        return None
    dividend, divisor = number(left, "dividend"), number(right, "divisor")
    if divisor == 0:
        raise Fault("divides by zero")
    return _held(dividend / divisor)


def _mod(budget: Budget, left: Value, right: Value) -> Value:
    """The remainder has the sign of the dividend."""
    if absent(left) or absent(right):
        return None
    dividend, divisor = number(left, "dividend"), number(right, "divisor")
    if divisor == 0:
        raise Fault("divides by zero")
    if type(dividend) is int and type(divisor) is int:
        rest = abs(dividend) % abs(divisor)
        return rest if dividend >= 0 else -rest
    return _held(math.fmod(dividend, divisor))


def _power(budget: Budget, left: Value, right: Value) -> Value:
    if absent(left) or absent(right):
        return None
    base, exponent = number(left, "base"), number(right, "exponent")
    if base == 0 and exponent < 0:
        raise Fault("divides by zero")
    try:
        # In floats first: an integer power of that size would fill the memory.
        result = math.pow(base, exponent)
    except OverflowError:
        raise Fault("overflows: the result is not a finite number") from None
    except ValueError:
        raise Fault("has no real result") from None
    if type(base) is int and type(exponent) is int and exponent >= 0 and abs(result) < 2.0**54:
        return _held(base**exponent)
    return _held(result)


def _square_root(budget: Budget, value: Value) -> Value:
    if absent(value):
        return None
    if number(value) < 0:
        raise Fault("takes no negative number")
    return _held(math.sqrt(value))


def _unary(function: Callable[[int | float], int | float]) -> Callable[[Budget, Value], Value]:
    def run(budget: Budget, value: Value) -> Value:
        return None if absent(value) else _held(function(number(value)))

    return run


def _whole_part(function: Callable[[int | float], int]) -> Callable[[int | float], int | float]:
    """`function`, for floats so large that they have no fraction the identity."""
    return lambda value: value if abs(value) >= _NO_FRACTION else function(value)


def _placed(function: Callable[[int | float, int], int | float]) -> Callable[..., Value]:
    def run(budget: Budget, value: Value, places: Value = 0) -> Value:
        if absent(value) or places is None:
            return None
        digits = 0 if places is MISSING else whole(places, "places")
        if abs(digits) > _MOST_PLACES:
            raise Fault(f"takes -{_MOST_PLACES} to {_MOST_PLACES} places")
        return _held(function(number(value), digits))

    return run


def _truncate(value: int | float, places: int) -> int | float:
    if type(value) is int and places >= 0:
        return value
    if abs(value) >= _NO_FRACTION and places >= 0:
        return value
    factor = 10.0**places
    scaled = value * factor
    return math.trunc(scaled) / factor if math.isfinite(scaled) else value


ARITHMETIC: Final[dict[str, Function]] = {
    "$add": Function(_add, 0, None),
    "$subtract": Function(_subtract, 2, 2),
    "$multiply": Function(_multiply, 0, None),
    "$divide": Function(_divide, 2, 2),
    "$mod": Function(_mod, 2, 2),
    "$pow": Function(_power, 2, 2),
    "$sqrt": Function(_square_root),
    "$abs": Function(_unary(abs)),
    "$ceil": Function(_unary(_whole_part(math.ceil))),
    "$floor": Function(_unary(_whole_part(math.floor))),
    "$round": Function(_placed(round), 1, 2),
    "$trunc": Function(_placed(_truncate), 1, 2),
}
