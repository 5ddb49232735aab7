"""Client JSON becomes values of the kit: names, depth, numbers, strings and dates are checked.

One pass over the input, which is never modified. What needs no change is not copied, so the
result may share parts with the input; the outermost object of a document is always a new one.
Size in bytes is the caller's to check, on the encoded document.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Any, Final, NoReturn, Protocol

from baas.errors import Code, FieldError, Problem, invalid
from baas.schema.values import DATE, MAX_INTEGER, Document, Value, date_from_ms

#: Characters in a field name, and so in one component of a dotted path.
MAX_NAME_LENGTH: Final = 128

# RFC 3339 with the zone required. The rest of ISO 8601 (weeks, ordinals, no separators) is refused.
_ISO_DATE: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}([.]\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_CANONICAL_DATE: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}[.]\d{3}Z",
    re.ASCII,
)
_DATE_FORMS: Final = (
    "an ISO date with a zone (2026-11-20T08:00:00.000Z), milliseconds since 1970, "
    'or {"offset": milliseconds}'
)


class DepthLimit(Protocol):
    """`LimitSettings` and `QueryLimits` both fit."""

    @property
    def document_depth(self) -> int: ...


def admit_document(
    raw: object, limits: DepthLimit, *, now_ms: int, path: str = "document"
) -> Document:
    """A new document from client JSON; the document itself is the first level of its depth.

    `now_ms` (since 1970) is server time, for `{"$date": {"offset": ms}}`. Raises Problem:
    INVALID_ARGUMENT, or LIMIT_EXCEEDED for depth, with the dotted path of the fault below `path`.
    """
    if type(raw) is not dict:
        raise invalid(path, "must be an object")
    if DATE in raw:
        raise invalid(path, "must be a document, not a date")
    document = admit_value(raw, limits, now_ms=now_ms, path=path)
    return dict(document) if document is raw else document


def admit_value(raw: object, limits: DepthLimit, *, now_ms: int, path: str) -> Value:
    """As `admit_document`, for a value of any type; an object or array here has depth 1."""
    return _admit(raw, path, limits.document_depth, now_ms)


def _admit(raw: Any, path: str, depth_left: int, now_ms: int) -> Value:
    kind = type(raw)
    if kind is str:
        if not raw.isascii() or "\0" in raw:
            check_text(raw, path)
        return raw
    if kind is int:
        if not -MAX_INTEGER <= raw <= MAX_INTEGER:
            raise invalid(path, "integers lie within +-(2^53-1); send it as a string")
        return raw
    if raw is None or kind is bool:
        return raw
    if kind is float:
        return _admit_float(raw, path)
    if kind is dict:
        if DATE in raw:
            return _admit_date(raw, path, now_ms)
        return _admit_object(raw, path, depth_left - 1, now_ms)
    if kind is list:
        return _admit_array(raw, path, depth_left - 1, now_ms)
    raise invalid(path, "must be a JSON value")


def _admit_object(raw: dict[str, Any], path: str, depth_left: int, now_ms: int) -> Value:
    if depth_left < 0:
        _too_deep(path)
    changed: dict[str, Any] | None = None
    for name, value in raw.items():
        _check_known_name(name, path)
        kind = type(value)
        # The common cases of `_admit`, here to spare a call and a path for each field.
        if kind is str and value.isascii() and "\0" not in value:
            continue
        if kind is bool or value is None:
            continue
        admitted = _admit(value, f"{path}.{name}", depth_left, now_ms)
        if admitted is not value:
            if changed is None:
                changed = dict(raw)
            changed[name] = admitted
    return raw if changed is None else changed


def _admit_array(raw: list[Any], path: str, depth_left: int, now_ms: int) -> Value:
    if depth_left < 0:
        _too_deep(path)
    changed: list[Any] | None = None
    for position, value in enumerate(raw):
        kind = type(value)
        if kind is str and value.isascii() and "\0" not in value:
            continue
        if kind is bool or value is None:
            continue
        if kind is int and -MAX_INTEGER <= value <= MAX_INTEGER:
            continue
        admitted = _admit(value, f"{path}.{position}", depth_left, now_ms)
        if admitted is not value:
            if changed is None:
                changed = list(raw)
            changed[position] = admitted
    return raw if changed is None else changed


def _too_deep(path: str) -> NoReturn:
    message = "nested too deeply"
    raise Problem(Code.LIMIT_EXCEEDED, f"{path}: {message}", errors=(FieldError(path, message),))


def _admit_float(raw: float, path: str) -> int | float:
    if not isfinite(raw):
        raise invalid(path, "NaN and Infinity are not JSON numbers")
    if raw.is_integer() and -MAX_INTEGER <= raw <= MAX_INTEGER:
        return int(raw)
    return raw


def check_text(text: str, path: str) -> None:
    """INVALID_ARGUMENT for U+0000 and for lone surrogates, which UTF-8 cannot hold."""
    if "\0" in text:
        raise invalid(path, "strings cannot contain U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid(path, "strings cannot contain lone surrogates") from None


def name_fault(name: object) -> str | None:
    """Why `name` cannot be a field name (or one component of a path); None where it can."""
    if type(name) is not str:
        return "a field name must be a string"
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        return f"a field name has 1 to {MAX_NAME_LENGTH} characters"
    if name[0] == "$":
        return "a field name cannot start with '$'"
    if "." in name:
        return "a field name cannot contain '.'"
    if "\0" in name:
        return "a field name cannot contain U+0000"
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            return "a field name cannot contain lone surrogates"
    return None


class _BadName(Exception):
    pass


@lru_cache(maxsize=4096)
def _known_name(name: str) -> None:
    """Remembers good names only: an exception is not cached, so hostile names take no room."""
    if fault := name_fault(name):
        raise _BadName(fault)


def _check_known_name(name: str, path: str) -> None:
    try:
        _known_name(name)
    except (_BadName, TypeError):
        raise invalid(path, f"{shown(name)}: {name_fault(name)}") from None


def shown(name: object) -> str:
    """A stranger's name as it may appear in a message: short, printable, quoted."""
    text = str(name)
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


# -- dates ----------------------------------------------------------------------------------------


def _admit_date(raw: dict[str, Any], path: str, now_ms: int) -> Value:
    if len(raw) != 1:
        raise invalid(path, f"a date is {{'$date': ...}} alone: {_DATE_FORMS}")
    inner = raw[DATE]
    if type(inner) is str:
        text = canonical_date(inner, path)
        return raw if text == inner else {DATE: text}
    if type(inner) is dict:
        if inner.keys() != {"offset"}:
            raise invalid(path, f"a date is {_DATE_FORMS}")
        inner = now_ms + _milliseconds(inner["offset"], f"{path}.{DATE}.offset")
    return _date_from_ms(_milliseconds(inner, path), path)


def _milliseconds(raw: object, path: str) -> int:
    if type(raw) is float and raw.is_integer():
        raw = int(raw)
    if type(raw) is not int:
        raise invalid(path, f"a date is {_DATE_FORMS}")
    return raw


def _date_from_ms(ms: int, path: str) -> dict[str, str]:
    try:
        return date_from_ms(ms)
    except ValueError:
        raise invalid(path, "a date lies in the years 1 to 9999") from None


def canonical_date(text: str, path: str) -> str:
    """The same moment in UTC with `Z`, cut off to the millisecond; INVALID_ARGUMENT for no date."""
    if not _ISO_DATE.fullmatch(text):
        raise invalid(path, f"a date is {_DATE_FORMS}")
    try:
        moment = datetime.fromisoformat(text.upper())
        if _CANONICAL_DATE.fullmatch(text):
            return text
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(path, "there is no such date in the years 1 to 9999") from None
    shape = moment.strftime("-%m-%dT%H:%M:%S")
    return f"{moment.year:04d}{shape}.{moment.microsecond // 1000:03d}Z"
