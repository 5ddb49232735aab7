"""Arithmetic of the value model: exact on integers, canonical, and never beyond its range."""

from __future__ import annotations

from math import isfinite

from baas.schema.values import MAX_INTEGER, Value, canonical_number


class OutOfRange(ArithmeticError):
    """A result that no document can hold."""


def is_number(value: Value) -> bool:
    return type(value) is int or type(value) is float


def is_integer(value: Value) -> bool:
    return type(value) is int


def held(result: int | float) -> int | float:
    """The result in canonical form; OutOfRange where it cannot be stored exactly as it is.

    Integers end at +-(2^53-1); floats may be larger, but are finite.
    """
    if type(result) is int:
        if not -MAX_INTEGER <= result <= MAX_INTEGER:
            raise OutOfRange("the integer result lies beyond +-(2^53-1)")
        return result
    if not isfinite(result):
        raise OutOfRange("the result is not a finite number")
    return canonical_number(result)


def add(left: int | float, right: int | float) -> int | float:
    return held(left + right)


def multiply(left: int | float, right: int | float) -> int | float:
    return held(left * right)
