"""Between Python values and the wire's: datetimes stand for `{"$date": ...}`, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from baas.schema.values import DATE, Value, is_date

#: Types that are their own JSON.
_PLAIN: Final = frozenset((str, int, float, bool, type(None)))


class NotJson(TypeError):
    """A value that has no form in JSON; says of which type it is."""


def to_wire(value: Any) -> Value:
    """A copy of `value` as JSON: datetimes (naive ones are UTC) become `{"$date": ...}`, Structs,
    dataclasses and sets what they hold. NotJson for anything else."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return _object(value)
    if kind is list or kind is tuple:
        return [one if type(one) in _PLAIN else to_wire(one) for one in value]
    if isinstance(value, datetime):
        return {DATE: _instant(value)}
    return _other(value)


def _object(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        name if type(name) is str else _name(name): (one if type(one) in _PLAIN else to_wire(one))
        for name, one in value.items()
    }


def _name(name: Any) -> str:
    if isinstance(name, str):
        return str(name)
    if isinstance(name, int):
        return str(int(name))
    raise NotJson(f"an object's names are texts, not {type(name).__name__}")


def _instant(value: datetime) -> str:
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    text = moment.strftime("%m-%dT%H:%M:%S")
    return f"{moment.year:04d}-{text}.{moment.microsecond // 1000:03d}Z"


def _other(value: Any) -> Value:
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, (str, bool, int, float)):
        return msgspec.to_builtins(value)
    try:
        plain = msgspec.to_builtins(value, builtin_types=(datetime, date), str_keys=True)
    except (TypeError, ValueError) as fault:
        raise NotJson(f"{type(value).__name__} has no form in JSON") from fault
    if type(plain) is date:
        return plain.isoformat()
    if type(plain) is type(value):
        raise NotJson(f"{type(value).__name__} has no form in JSON")
    return to_wire(plain)


def from_wire(value: Value) -> Any:
    """A copy of `value` in which every date is an aware datetime in UTC."""
    kind = type(value)
    if kind is dict:
        if is_date(value):
            return _moment(value)
        return {
            name: from_wire(one) if type(one) in (dict, list) else one
            for name, one in value.items()
        }
    if kind is list:
        return [from_wire(one) if type(one) in (dict, list) else one for one in value]
    return value


def _moment(value: dict[str, Any]) -> Any:
    """What is not a date after all (`{"$date": {"offset": 0}}`) stays as it is."""
    try:
        return datetime.fromisoformat(value[DATE]).astimezone(UTC)
    except (TypeError, ValueError):
        return value
