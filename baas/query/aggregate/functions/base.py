"""What the functions of expressions have in common: faults, argument checks, the table's rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from baas.schema.values import MISSING, Kind, Value, is_date, kind_of


class Fault(Exception):
    """An operator does not take what it was given. The run adds the stage to it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def within(self, operator: str) -> Fault:
        """The fault, naming the operator that it happened in."""
        return self if self.message.startswith("$") else Fault(f"{operator} {self.message}")


class Function(msgspec.Struct, frozen=True):
    """`run(budget, *args)` takes `least` to `most` arguments (None: any number).

    `names`: the operand is an object with these members in this order, of which the first `least`
    must be given; the others are MISSING then.
    """

    run: Callable[..., Value]
    least: int = 1
    most: int | None = 1
    names: tuple[str, ...] = ()


_WORDS: Final = {
    Kind.NULL: "null",
    Kind.NUMBER: "number",
    Kind.STRING: "string",
    Kind.OBJECT: "object",
    Kind.ARRAY: "array",
    Kind.BOOLEAN: "bool",
    Kind.DATE: "date",
}


def type_name(value: Value) -> str:
    """The name of a value's type, as `$type` says it."""
    return "missing" if value is MISSING else _WORDS[kind_of(value)]


def absent(value: Value) -> bool:
    return value is None or value is MISSING


def truthy(value: Value) -> bool:
    """False are null, missing, false and 0; all else is true, the empty string too."""
    if value is None or value is MISSING or value is False:
        return False
    return not (type(value) in (int, float) and value == 0)


def number(value: Value, role: str = "its operand") -> int | float:
    if type(value) is int or type(value) is float:
        return value
    raise Fault(f"takes a number as {role}, not {type_name(value)}")


def whole(value: Value, role: str) -> int:
    if type(value) is int:
        return value
    raise Fault(f"takes an integer as {role}")


def text(value: Value, role: str = "its operand") -> str:
    if type(value) is str:
        return value
    raise Fault(f"takes a string as {role}, not {type_name(value)}")


def array(value: Value, role: str = "its operand") -> list[Value]:
    if type(value) is list:
        return value
    raise Fault(f"takes an array as {role}, not {type_name(value)}")


def mapping(value: Value, role: str = "its operand") -> dict[str, Value]:
    if type(value) is dict and not is_date(value):
        return value
    raise Fault(f"takes an object as {role}, not {type_name(value)}")
