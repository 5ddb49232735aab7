"""Strings, by code point. A null or missing operand makes the result null unless it says else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from baas.query.aggregate.budget import Budget
from baas.query.aggregate.functions.base import Fault, Function, absent, text, whole
from baas.query.aggregate.functions.types import to_text
from baas.query.parse import parse_regex
from baas.query.patterns import compile_pattern
from baas.schema.values import MISSING, Value


def _concat(budget: Budget, *args: Value) -> Value:
    if any(map(absent, args)):
        return None
    budget.made_text(sum(len(text(arg)) for arg in args))
    return "".join(args)


def _case(change: Callable[[str], str]) -> Callable[[Budget, Value], Value]:
    def run(budget: Budget, value: Value) -> Value:
        """Null and missing are the empty string."""
        if absent(value):
            return ""
        given = to_text(budget, value)
        budget.made_text(len(given))
        return change(given)

    return run


def _substring(budget: Budget, value: Value, start: Value, count: Value) -> Value:
    given = "" if absent(value) else to_text(budget, value)
    first, length = whole(start, "start"), whole(count, "length")
    if first < 0 or length < 0:
        raise Fault("takes no negative start or length")
    result = given[first : first + length]
    budget.made_text(len(result))
    return result


def _length(budget: Budget, value: Value) -> Value:
    return len(text(value))


def _split(budget: Budget, value: Value, separator: Value) -> Value:
    if absent(value) or absent(separator):
        return None
    given, mark = text(value), text(separator, "separator")
    if not mark:
        raise Fault("takes a separator that is not empty")
    budget.made_text(len(given))
    budget.made_entries(2 * (1 + given.count(mark)))
    return given.split(mark)


def _trim(change: Callable[[str, str | None], str]) -> Callable[..., Value]:
    def run(budget: Budget, value: Value, characters: Value) -> Value:
        if absent(value) or characters is None:
            return None
        unwanted = None if characters is MISSING else text(characters, "chars")
        given = text(value, "input")
        budget.made_text(len(given))
        return change(given, unwanted)

    return run


def _position(
    budget: Budget, value: Value, part: Value, start: Value = MISSING, end: Value = MISSING
) -> Value:
    """-1 where `part` is not found."""
    if absent(value):
        return None
    given, wanted = text(value), text(part, "what to find")
    first = 0 if start is MISSING else whole(start, "start")
    last = len(given) if end is MISSING else whole(end, "end")
    if first < 0 or last < 0:
        raise Fault("takes no negative start or end")
    budget.spend(1 + len(given) // 64)
    return given.find(wanted, first, last)


def _replace(most: int) -> Callable[..., Value]:
    def run(budget: Budget, value: Value, find: Value, replacement: Value) -> Value:
        if absent(value) or absent(find) or absent(replacement):
            return None
        given, wanted = text(value, "input"), text(find, "find")
        new = text(replacement, "replacement")
        if not wanted:
            raise Fault("takes something to find that is not empty")
        times = given.count(wanted) if most < 0 else 1
        budget.made_text(len(given) + times * len(new))
        return given.replace(wanted, new, most)

    return run


def _matches(budget: Budget, value: Value, regex: Value, options: Value) -> Value:
    """Null and missing match nothing. The pattern was checked when the pipeline was read."""
    if absent(value):
        return False
    given = text(value, "input")
    budget.spend(1 + len(given) // 16)
    pattern = parse_regex(regex, "" if options is MISSING else options, "regex")
    return bool(compile_pattern(pattern.pattern, pattern.flags).search(given))


STRINGS: Final[dict[str, Function]] = {
    "$concat": Function(_concat, 0, None),
    "$toUpper": Function(_case(str.upper)),
    "$toLower": Function(_case(str.lower)),
    "$substrCP": Function(_substring, 3, 3),
    "$strLenCP": Function(_length),
    "$split": Function(_split, 2, 2),
    "$trim": Function(_trim(str.strip), 1, names=("input", "chars")),
    "$ltrim": Function(_trim(str.lstrip), 1, names=("input", "chars")),
    "$rtrim": Function(_trim(str.rstrip), 1, names=("input", "chars")),
    "$indexOfCP": Function(_position, 2, 4),
    "$replaceOne": Function(_replace(1), 3, names=("input", "find", "replacement")),
    "$replaceAll": Function(_replace(-1), 3, names=("input", "find", "replacement")),
    "$regexMatch": Function(_matches, 2, names=("input", "regex", "options")),
}
