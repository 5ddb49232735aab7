"""Dates as local time: zones by name or offset, and moments in them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from baas.query.aggregate.functions.base import Fault, absent, text, type_name
from baas.schema.values import Value, date_from_ms, date_to_ms, is_date

#: Names of the zone database alone: nothing that could lead out of its folder.
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z][A-Za-z0-9_+-]{0,31}){0,2}")
_OFFSET: Final = re.compile(r"([+-])([0-9]{2})(?::?([0-9]{2}))?", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo | None:
    if offset := _OFFSET.fullmatch(name):
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        shift = timedelta(minutes=-minutes if offset[1] == "-" else minutes)
        return timezone(shift) if abs(shift) < timedelta(days=1) else None
    if not _NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def zone_of(value: Value) -> tzinfo:
    """UTC for a zone that was not given. `Asia/Shanghai`, `+08:00`, `+0800` and `+08` are zones."""
    if absent(value):
        return UTC
    name = text(value, "timezone")
    zone = _zone(name) if len(name) <= 100 else None
    if zone is None:
        raise Fault("does not know this timezone")
    return zone


def moment(value: Value, zone: Value) -> datetime:
    """The local time of a date value; Fault for what is none."""
    if not is_date(value):
        raise Fault(f"takes a date, not {type_name(value)}")
    try:
        return (_EPOCH + timedelta(milliseconds=date_to_ms(value))).astimezone(zone_of(zone))
    except OverflowError:
        raise Fault("leaves the years 1 to 9999") from None


def date_of(local: datetime) -> Value:
    """The date value of a moment with a zone."""
    try:
        return date_from_ms((local.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1))
    except (OverflowError, ValueError):
        raise Fault("leaves the years 1 to 9999") from None
