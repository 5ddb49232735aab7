"""Types and conversions. Null and missing convert to null; what cannot be converted is a fault."""

from __future__ import annotations

import re
from typing import Final

from baas.errors import Problem
from baas.query.aggregate.budget import Budget
from baas.query.aggregate.functions.arithmetic import date_at
from baas.query.aggregate.functions.base import Fault, Function, absent, type_name
from baas.query.numbers import OutOfRange, held
from baas.schema.admit import canonical_date
from baas.schema.values import DATE, Value, date_to_ms, encode, is_date

#: No number of the value model needs more characters; longer texts are not tried.
_LONGEST_NUMBER: Final = 64
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_DECIMAL: Final = re.compile(
    r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,4})?",
    re.ASCII,
)


def _type(budget: Budget, value: Value) -> Value:
    return type_name(value)


def _is_number(budget: Budget, value: Value) -> Value:
    return type(value) is int or type(value) is float


def to_text(budget: Budget, value: Value) -> str:
    """Strings as they are, dates in ISO form, numbers and booleans as JSON writes them."""
    if type(value) is str:
        return value
    if is_date(value):
        return value[DATE]
    if type(value) in (bool, int, float):
        return encode(value).decode()
    raise Fault(f"does not make a string of {type_name(value)}")


def _to_string(budget: Budget, value: Value) -> Value:
    return None if absent(value) else to_text(budget, value)


def _to_number(value: Value) -> int | float:
    if type(value) in (bool, int):
        return int(value)
    if type(value) is float:
        return value
    if is_date(value):
        return date_to_ms(value)
    if type(value) is str and len(value) <= _LONGEST_NUMBER and _DECIMAL.fullmatch(value):
        return int(value) if _INTEGER.fullmatch(value) else float(value)
    raise Fault(f"does not make a number of this {type_name(value)}")


def _held(result: int | float) -> int | float:
    try:
        return held(result)
    except OutOfRange as fault:
        raise Fault(str(fault)) from None


def _to_double(budget: Budget, value: Value) -> Value:
    return None if absent(value) else _held(_to_number(value))


def _to_integer(budget: Budget, value: Value) -> Value:
    """Numbers lose their fraction; a string must be an integer's."""
    if absent(value):
        return None
    if type(value) is str and not _INTEGER.fullmatch(value):
        raise Fault("does not make an integer of this string")
    result = _held(_to_number(value))
    return _held(int(result))


def _to_boolean(budget: Budget, value: Value) -> Value:
    if absent(value):
        return None
    return bool(value) if type(value) in (bool, int, float) else True


def _to_date(budget: Budget, value: Value) -> Value:
    """Of milliseconds since 1970, or a string in ISO form with a zone."""
    if absent(value) or is_date(value):
        return value if is_date(value) else None
    if type(value) is str:
        try:
            return {DATE: canonical_date(value, "")}
        except Problem as problem:
            raise Fault(f"does not make a date of this string: {problem.detail}") from None
    if type(value) in (int, float):
        return date_at(value)
    raise Fault(f"does not make a date of {type_name(value)}")


TYPES: Final[dict[str, Function]] = {
    "$type": Function(_type),
    "$isNumber": Function(_is_number),
    "$toString": Function(_to_string),
    "$toInt": Function(_to_integer),
    "$toLong": Function(_to_integer),
    "$toDouble": Function(_to_double),
    "$toBool": Function(_to_boolean),
    "$toDate": Function(_to_date),
}
