"""The operands of filter operators: values, lists, numbers, patterns; and what they cost."""

from __future__ import annotations

from typing import Any, Final

from baas.errors import invalid
from baas.query import ast
from baas.query.limits import LISTS_PER_FILTER, MAX_PATTERN_LENGTH, QueryLimits, exceeded
from baas.query.patterns import FLAGS, compile_pattern
from baas.schema.admit import admit_value, check_text
from baas.schema.values import DATE, MAX_INTEGER, Value

_PLACEHOLDERS: Final = frozenset({"{openid}", "{uid}"})


class NoCaller(Exception):
    """A value names the caller, and there is none."""


class OperandReader:
    """Reads the operands of one filter and counts what the filter has cost so far."""

    __slots__ = ("items_left", "limits", "nodes_left", "now_ms", "uid")

    def __init__(self, limits: QueryLimits, now_ms: int, uid: str | None) -> None:
        self.limits = limits
        self.now_ms = now_ms
        self.uid = uid
        self.nodes_left = limits.filter_nodes
        self.items_left = limits.list_items * LISTS_PER_FILTER

    def value(self, raw: object, where: str) -> Value:
        if type(raw) is str:
            if raw in _PLACEHOLDERS:
                return self.caller()
            if raw.isascii() and "\0" not in raw:
                return raw
        elif raw is None or type(raw) is bool:
            return raw
        elif type(raw) is list or type(raw) is dict:
            self._spend_items(raw, where)
        value = admit_value(raw, self.limits, now_ms=self.now_ms, path=where)
        if type(value) is dict or type(value) is list:
            return self.filled(value)
        return value

    def caller(self) -> str:
        if self.uid is None:
            raise NoCaller
        return self.uid

    def filled(self, value: Value) -> Value:
        """`value`, already admitted, with the caller in place of the placeholders in it."""
        if type(value) is str:
            return self.caller() if value in _PLACEHOLDERS else value
        if type(value) is dict and DATE not in value:
            return {name: self.filled(item) for name, item in value.items()}
        if type(value) is list:
            return [self.filled(item) for item in value]
        return value

    def list_of(self, raw: object, where: str, *, least: int = 0) -> list[Any]:
        if type(raw) is not list:
            raise invalid(where, "must be a list")
        if len(raw) < least:
            raise invalid(where, "must not be empty")
        if len(raw) > self.limits.list_items:
            raise exceeded(where, f"a list has at most {self.limits.list_items} items")
        self._take(len(raw), where)
        return raw

    def _spend_items(self, raw: Any, where: str) -> None:
        """Counts what is in a list or an object that is compared with as a whole, all the way
        down; stops at the limit, so that it costs no more itself."""
        todo = [raw]
        while todo:
            value = todo.pop()
            self._take(len(value), where)
            inner = value.values() if type(value) is dict else value
            todo += [item for item in inner if type(item) is dict or type(item) is list]

    def _take(self, items: int, where: str) -> None:
        self.items_left -= items
        if self.items_left < 0:
            most = self.limits.list_items * LISTS_PER_FILTER
            raise exceeded(where, f"the lists of a filter have at most {most} items together")

    def spend(self, where: str) -> None:
        """Counts one condition."""
        self.nodes_left -= 1
        if self.nodes_left < 0:
            most = self.limits.filter_nodes
            raise exceeded(where, f"a filter has at most {most} conditions")

    def check_depth(self, where: str, depth: int) -> None:
        if depth > self.limits.filter_depth:
            raise exceeded(where, f"a filter is at most {self.limits.filter_depth} levels deep")


def whole_number(raw: object, where: str) -> int:
    if type(raw) is float and raw.is_integer():
        raw = int(raw)
    if type(raw) is not int or not -MAX_INTEGER <= raw <= MAX_INTEGER:
        raise invalid(where, "must be an integer within +-(2^53-1)")
    return raw


def parse_regex(pattern: object, options: object, where: str) -> ast.Regex:
    """RE2 syntax, flags `i m s`; compiled here, so a pattern that is refused is refused early."""
    if type(pattern) is not str:
        raise invalid(f"{where}.$regex", "$regex takes a string")
    if type(options) is not str or not FLAGS.issuperset(options):
        raise invalid(f"{where}.$options", "$options takes the flags i, m and s")
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise exceeded(f"{where}.$regex", f"a pattern has at most {MAX_PATTERN_LENGTH} characters")
    check_text(pattern, f"{where}.$regex")
    flags = "".join(sorted(set(options)))
    try:
        compile_pattern(pattern, flags)
    except ValueError as fault:
        raise invalid(f"{where}.$regex", f"not an RE2 pattern: {fault}") from None
    return ast.Regex(pattern, flags)
