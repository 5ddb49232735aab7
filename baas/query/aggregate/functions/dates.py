"""Dates: their parts, text, and arithmetic in a zone. Null and missing dates give null."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from baas.query.aggregate.budget import Budget
from baas.query.aggregate.functions.base import Fault, Function, absent, text, whole
from baas.query.aggregate.functions.zones import date_of, moment
from baas.schema.values import MISSING, Value, date_to_ms

_DEFAULT_FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%L"
_LONGEST_FORMAT: Final = 256

#: Units of fixed length, in milliseconds.
_LENGTHS: Final = {"hour": 3_600_000, "minute": 60_000, "second": 1000, "millisecond": 1}
#: Units of the calendar by months, and by days.
_MONTHS: Final = {"year": 12, "quarter": 3, "month": 1}
_DAYS: Final = {"week": 7, "day": 1}
UNITS: Final = (*_MONTHS, *_DAYS, *_LENGTHS)


def _iso_week_year(at: datetime) -> int:
    return at.isocalendar().year


def _week_of_year(at: datetime) -> int:
    """Weeks begin on Sunday; days before the first Sunday are in week 0."""
    return (at.timetuple().tm_yday + 6 - at.isoweekday() % 7) // 7


_PARTS: Final[dict[str, Callable[[datetime], int]]] = {
    "$year": lambda at: at.year,
    "$month": lambda at: at.month,
    "$dayOfMonth": lambda at: at.day,
    "$hour": lambda at: at.hour,
    "$minute": lambda at: at.minute,
    "$second": lambda at: at.second,
    "$millisecond": lambda at: at.microsecond // 1000,
    "$dayOfYear": lambda at: at.timetuple().tm_yday,
    "$dayOfWeek": lambda at: at.isoweekday() % 7 + 1,
    "$isoDayOfWeek": datetime.isoweekday,
    "$isoWeek": lambda at: at.isocalendar().week,
    "$isoWeekYear": _iso_week_year,
    "$week": _week_of_year,
}


def _part(take: Callable[[datetime], int]) -> Callable[..., Value]:
    def run(budget: Budget, date: Value, zone: Value = MISSING) -> Value:
        if absent(date) or zone is None:
            return None
        return take(moment(date, zone))

    return run


# -- text -----------------------------------------------------------------------------------------


def _offset(at: datetime) -> tuple[str, int]:
    minutes = (at.utcoffset() or timedelta(0)) // timedelta(minutes=1)
    return ("-" if minutes < 0 else "+"), abs(minutes)


def _zone_text(at: datetime) -> str:
    sign, minutes = _offset(at)
    return f"{sign}{minutes // 60:02d}{minutes % 60:02d}"


def _zone_minutes(at: datetime) -> str:
    sign, minutes = _offset(at)
    return f"{sign}{minutes}"


_LETTERS: Final[dict[str, Callable[[datetime], str]]] = {
    "Y": lambda at: f"{at.year:04d}",
    "m": lambda at: f"{at.month:02d}",
    "d": lambda at: f"{at.day:02d}",
    "H": lambda at: f"{at.hour:02d}",
    "M": lambda at: f"{at.minute:02d}",
    "S": lambda at: f"{at.second:02d}",
    "L": lambda at: f"{at.microsecond // 1000:03d}",
    "j": lambda at: f"{at.timetuple().tm_yday:03d}",
    "w": lambda at: str(at.isoweekday() % 7 + 1),
    "u": lambda at: str(at.isoweekday()),
    "U": lambda at: f"{_week_of_year(at):02d}",
    "V": lambda at: f"{at.isocalendar().week:02d}",
    "G": lambda at: f"{at.isocalendar().year:04d}",
    "z": _zone_text,
    "Z": _zone_minutes,
    "%": lambda at: "%",
}


def _to_string(budget: Budget, date: Value, format: Value, zone: Value, on_null: Value) -> Value:
    if absent(date):
        return None if on_null is MISSING else on_null
    if format is None or zone is None:
        return None
    at = moment(date, zone)
    if format is MISSING:
        return _formatted(at, _DEFAULT_FORMAT) + ("Z" if zone is MISSING else "")
    return _formatted(at, text(format, "format"))


def _formatted(at: datetime, format: str) -> str:
    if len(format) > _LONGEST_FORMAT:
        raise Fault(f"takes a format of at most {_LONGEST_FORMAT} characters")
    parts = []
    letters = iter(format)
    for letter in letters:
        if letter == "%":
            letter = next(letters, "")
            if letter not in _LETTERS:
                raise Fault(f"does not know the format '%{letter}'")
            parts.append(_LETTERS[letter](at))
        else:
            parts.append(letter)
    return "".join(parts)


# -- arithmetic -----------------------------------------------------------------------------------


def _unit(value: Value) -> str:
    if value in UNITS:
        return str(value)
    raise Fault(f"takes as unit one of {', '.join(UNITS)}")


def _shift(sign: int) -> Callable[..., Value]:
    def run(budget: Budget, date: Value, unit: Value, amount: Value, zone: Value) -> Value:
        if absent(date) or absent(unit) or absent(amount) or zone is None:
            return None
        return _shifted(moment(date, zone), _unit(unit), sign * whole(amount, "amount"))

    return run


def _shifted(at: datetime, unit: str, amount: int) -> Value:
    """Months end on the last day where the day does not exist; local time of day is kept."""
    try:
        if unit in _LENGTHS:
            # In UTC: real time passes, whatever the local clock does meanwhile.
            return date_of(at.astimezone(UTC) + timedelta(milliseconds=amount * _LENGTHS[unit]))
        if unit in _DAYS:
            return date_of(at + timedelta(days=amount * _DAYS[unit]))
        months = at.year * 12 + at.month - 1 + amount * _MONTHS[unit]
        year, month = months // 12, months % 12 + 1
        last = monthrange(year, month)[1] if 1 <= year <= 9999 else 0
        return date_of(at.replace(year=year, month=month, day=min(at.day, last)))
    except (OverflowError, ValueError):
        raise Fault("leaves the years 1 to 9999") from None


def _difference(
    budget: Budget, start: Value, end: Value, unit: Value, zone: Value, first_day: Value
) -> Value:
    """How many borders between units lie from start to end; weeks begin on Sunday, or as said."""
    if absent(start) or absent(end) or absent(unit) or zone is None or first_day is None:
        return None
    name = _unit(unit)
    one, other = moment(start, zone), moment(end, zone)
    if name in _LENGTHS:
        length = _LENGTHS[name]
        return date_to_ms(end) // length - date_to_ms(start) // length
    if name in _MONTHS:
        size = _MONTHS[name]
        return _months(other) // size - _months(one) // size
    if name == "day":
        return other.toordinal() - one.toordinal()
    shift = _first_day(first_day)
    return (other.toordinal() - shift) // 7 - (one.toordinal() - shift) // 7


def _months(at: datetime) -> int:
    return at.year * 12 + at.month - 1


_WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def _first_day(value: Value) -> int:
    """The weekday's number; the day with ordinal 0 would be a Sunday."""
    if value is MISSING:
        return 0
    name = text(value, "startOfWeek").lower()
    if name not in _WEEKDAYS:
        raise Fault("takes as startOfWeek the English name of a day")
    return _WEEKDAYS.index(name)


def _truncated(budget: Budget, date: Value, unit: Value, zone: Value, first_day: Value) -> Value:
    """The beginning of the unit that the date lies in."""
    if absent(date) or absent(unit) or zone is None or first_day is None:
        return None
    name = _unit(unit)
    at = moment(date, zone)
    if name in _LENGTHS:
        # In UTC again, by as much as the local clock shows: an hour that comes twice stays apart.
        return date_of(at.astimezone(UTC) - _within(at, _LENGTHS[name]))
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    try:
        if name == "week":
            back = (midnight.toordinal() - _first_day(first_day)) % 7
            return date_of(midnight - timedelta(days=back))
    except OverflowError:
        raise Fault("leaves the years 1 to 9999") from None
    if name == "day":
        return date_of(midnight)
    size = _MONTHS[name]
    return date_of(midnight.replace(month=(at.month - 1) // size * size + 1, day=1))


def _within(at: datetime, length: int) -> timedelta:
    local = at.replace(tzinfo=None) - datetime(1, 1, 1)
    return local % timedelta(milliseconds=length)


def _dated(run: Callable[..., Value]) -> Function:
    return Function(run, 1, names=("date", "timezone"))


DATES: Final[dict[str, Function]] = {
    **{name: _dated(_part(take)) for name, take in _PARTS.items()},
    "$dateToString": Function(_to_string, 1, names=("date", "format", "timezone", "onNull")),
    "$dateAdd": Function(_shift(1), 3, names=("startDate", "unit", "amount", "timezone")),
    "$dateSubtract": Function(_shift(-1), 3, names=("startDate", "unit", "amount", "timezone")),
    "$dateDiff": Function(
        _difference, 3, names=("startDate", "endDate", "unit", "timezone", "startOfWeek")
    ),
    "$dateTrunc": Function(_truncated, 2, names=("date", "unit", "timezone", "startOfWeek")),
}

#: These also take the date alone: `{"$year": "$at"}`.
DATE_PARTS: Final = frozenset(_PARTS)
