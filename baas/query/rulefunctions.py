"""The functions and operators of rules over values: docs/rules.md says what each one takes.

Each gives UNDEFINED for what it does not take. Arguments are never UNDEFINED themselves: that has
passed through before. Pure; shared by the evaluator, the reducer and the engines.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final

from baas.query.instants import Instant, plain
from baas.query.patterns import compile_pattern
from baas.schema.values import (
    DATE,
    MAX_INTEGER,
    Document,
    Path,
    Value,
    canonical_number,
    compare,
    date_from_ms,
    date_to_ms,
    encode,
    equal,
    is_date,
    kind_of,
)

#: Longest pattern that `matches` takes from a document or a request (the protocol's for $regex).
MAX_PATTERN: Final = 256
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Undefined(Enum):
    UNDEFINED = "undefined"

    def __bool__(self) -> bool:
        return False


#: The value of what is not there, and of an operator given what it does not take.
UNDEFINED: Final = _Undefined.UNDEFINED


def is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def _canonical(value: int | float) -> Any:
    """A number as the value model keeps it; UNDEFINED for no number at all."""
    if type(value) is int:
        return value if -MAX_INTEGER <= value <= MAX_INTEGER else float(value)
    return canonical_number(value) if math.isfinite(value) else UNDEFINED


# -- comparison -----------------------------------------------------------------------------------


def values_equal(left: Any, right: Any) -> bool:
    """`==`: exact, never looking inside an array; an Instant as the other side needs it."""
    kind = type(left)
    if kind is str or kind is bool or kind is int:
        # The common cases, without the general comparison: text, flags, counts.
        if type(right) is kind:
            return bool(left == right)
        if kind is not int:
            return False
    if type(left) is Instant or type(right) is Instant:
        left, right = _beside(left, right), _beside(right, left)
    return equal(left, right)


def ordered(op: str, left: Any, right: Any) -> bool:
    """`< <= > >=`: false between values of unlike kinds."""
    left, right = _beside(left, right), _beside(right, left)
    if kind_of(left) is not kind_of(right):
        return False
    verdict = compare(left, right)
    if op[0] == "<":
        return verdict < 0 or (verdict == 0 and len(op) == 2)
    return verdict > 0 or (verdict == 0 and len(op) == 2)


def _beside(value: Any, other: Any) -> Any:
    """An Instant beside a number, or another Instant, is milliseconds; else a date."""
    if type(value) is not Instant:
        return value
    return value.ms if is_number(other) or type(other) is Instant else plain(value)


def member_of(item: Any, items: Any) -> Any:
    """`in`: some element of the list equals the item. UNDEFINED unless the right side is a list."""
    if type(items) is not list:
        return UNDEFINED
    return any(values_equal(item, other) for other in items)


# -- arithmetic -----------------------------------------------------------------------------------


def arithmetic(op: str, left: Any, right: Any, *, moment: bool = False) -> Any:
    """`+ - * / %` over numbers; `+` joins strings; dates move by milliseconds.

    `date + ms` and `date - ms` are dates, `date - date` is milliseconds. `moment` says that the
    result, where an Instant moves by a number, is an Instant again (see `instants.is_instant`).
    """
    if type(left) is Instant or type(right) is Instant:
        return _instant_arithmetic(op, left, right, moment)
    if is_number(left) and is_number(right):
        return _numeric(op, left, right)
    if op == "+" and type(left) is str and type(right) is str:
        return left + right
    if is_date(left) or is_date(right):
        return _dated(op, left, right)
    return UNDEFINED


def _instant_arithmetic(op: str, left: Any, right: Any, moment: bool) -> Any:
    result = arithmetic(op, _beside(left, right), _beside(right, left))
    both = type(left) is type(right)
    if moment and not both and type(result) is int:
        return Instant(result) if _is_moment_ms(result) else UNDEFINED
    return result


def _is_moment_ms(ms: int) -> bool:
    try:
        date_from_ms(ms)
    except (ValueError, OverflowError):
        return False
    return True


def _numeric(op: str, left: int | float, right: int | float) -> Any:
    try:
        if op == "+":
            return _canonical(left + right)
        if op == "-":
            return _canonical(left - right)
        if op == "*":
            return _canonical(left * right)
        if op == "/":
            return _canonical(left / right)
        if type(left) is int and type(right) is int:
            return abs(left) % abs(right) * (-1 if left < 0 else 1)
        return _canonical(math.fmod(left, right))
    except (ZeroDivisionError, OverflowError, ValueError):
        return UNDEFINED


def _dated(op: str, left: Any, right: Any) -> Any:
    if op == "-" and is_date(left) and is_date(right):
        return date_to_ms(left) - date_to_ms(right)
    if op == "+" and is_number(left):
        left, right = right, left
    if op not in ("+", "-") or not is_date(left) or not is_number(right):
        return UNDEFINED
    return _date_of_ms(date_to_ms(left) + (right if op == "+" else -right))


def _date_of_ms(ms: int | float) -> Any:
    try:
        return date_from_ms(math.floor(ms))
    except (ValueError, OverflowError):
        return UNDEFINED


def negative(value: Any) -> Any:
    value = value.ms if type(value) is Instant else value
    return _canonical(-value) if is_number(value) else UNDEFINED


# -- functions ------------------------------------------------------------------------------------


def _size(value: Value) -> Any:
    if is_date(value) or type(value) not in (str, list, dict):
        return UNDEFINED
    return len(value)


def _strings(work: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*args: Value) -> Any:
        return work(*args) if all(type(item) is str for item in args) else UNDEFINED

    return checked


def _matches(text: str, pattern: str) -> Any:
    if len(pattern) > MAX_PATTERN:
        return UNDEFINED
    try:
        compiled = compile_pattern(pattern)
    except ValueError:
        return UNDEFINED
    # Undefined and no fault: else whoever stores a long text could fail everybody's reads.
    return compiled.search(text) if compiled.fits(text) else UNDEFINED


_NUMERAL: Final = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)
_MAX_NUMERAL: Final = 40


def _float(value: Value) -> Any:
    if type(value) is bool:
        return int(value)
    if is_date(value):
        return date_to_ms(value)
    if type(value) is str and len(value) <= _MAX_NUMERAL and _NUMERAL.fullmatch(value.strip()):
        return _canonical(float(value))
    return value if is_number(value) else UNDEFINED


def _int(value: Value) -> Any:
    number = _float(value)
    return number if number is UNDEFINED else _canonical(math.trunc(number))


def _string(value: Value) -> Any:
    if type(value) is str:
        return value
    if is_date(value):
        return value[DATE]
    if is_number(value) or type(value) is bool:
        return encode(value).decode()
    return UNDEFINED


_BOOLEANS: Final = {"true": True, "false": False}


def _bool(value: Value) -> Any:
    if type(value) is bool:
        return value
    return _BOOLEANS.get(value, UNDEFINED) if type(value) is str else UNDEFINED


def _date(value: Value) -> Any:
    if is_date(value):
        return value
    if is_number(value):
        return _date_of_ms(value)
    return _parse_date(value) if type(value) is str else UNDEFINED


def _parse_date(text: str) -> Any:
    """ISO with a zone, or a bare day (midnight UTC)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return UNDEFINED
    if moment.tzinfo is None:
        if len(text) != len("2026-11-20"):
            return UNDEFINED
        moment = moment.replace(tzinfo=UTC)
    return _date_of_ms((moment - _EPOCH) // timedelta(milliseconds=1))


_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d|w)", re.ASCII)


def _duration(value: Value) -> Any:
    """Milliseconds of `1d12h`, `90s`, `1.5h`; a number is milliseconds already."""
    if type(value) is not str:
        return value if is_number(value) else UNDEFINED
    total, position = 0.0, 0
    while part := _DURATION.match(value, position):
        total += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    return _canonical(total) if value and position == len(value) else UNDEFINED


def _concat(*parts: Value) -> Any:
    """A template: strings, numbers, booleans and dates as text."""
    texts = [_string(part) for part in parts]
    return UNDEFINED if UNDEFINED in texts else "".join(texts)


#: Functions of values alone. `has`, `unchanged` and `changed` ask about documents and are not here.
FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "size": _size,
    "matches": _strings(_matches),
    "startsWith": _strings(str.startswith),
    "endsWith": _strings(str.endswith),
    "contains": _strings(str.__contains__),
    "lower": _strings(str.lower),
    "upper": _strings(str.upper),
    "int": _int,
    "float": _float,
    "string": _string,
    "bool": _bool,
    "date": _date,
    "duration": _duration,
    "concat": _concat,
}


def call(name: str, args: tuple[Any, ...]) -> Any:
    """A function of FUNCTIONS; UNDEFINED passes through."""
    if UNDEFINED in args:
        return UNDEFINED
    return FUNCTIONS[name](*(plain(item) for item in args))


# -- paths ----------------------------------------------------------------------------------------


def field(document: Any, path: Path) -> Any:
    """The value at `path`, null where there is none. Objects only: no array is entered."""
    for name in path:
        if type(document) is not dict:
            return None
        document = document.get(name)
    return document


def spread(value: Any, path: Path) -> Any:
    """As `field`, but where the path meets arrays of objects: the list of the values found.

    This is what the right side of `in` sees. Elements without the rest of the path add nothing.
    """
    values, entered = [value], False
    for name in path:
        found: list[Any] = []
        for item in values:
            entered = entered or type(item) is list
            owners = item if type(item) is list else [item]
            found.extend(o[name] for o in owners if type(o) is dict and name in o)
        values = found
    if entered:
        return values
    return values[0] if values else None


def trace(value: Any, path: Path) -> Any:
    """All that lies at `path`, arrays entered, with its positions: for `unchanged` and `changed`.

    A missing field counts as null.
    """
    if not path:
        return value
    if type(value) is list:
        return [trace(item, path) for item in value]
    if type(value) is not dict:
        return None
    return trace(value.get(path[0]), path[1:])


def unchanged(before: Document | None, after: Document | None, paths: tuple[Path, ...]) -> bool:
    return all(equal(trace(before, path), trace(after, path)) for path in paths)
