"""Cron expressions as other clouds write them. ValueError where there is no such form."""

from __future__ import annotations

from typing import Final

from baas.functions.model import TimerTrigger

_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_EVERY: Final = ("*", "*/1")
#: Tencent Cloud's timers run in Beijing time, whatever the function's zone is.
_BEIJING: Final = ("Asia/Shanghai", "Asia/Chongqing", "Asia/Harbin", "PRC")


def fields_of(timer: TimerTrigger) -> list[str]:
    """seconds, minutes, hours, day of the month, month, weekday."""
    parts = timer.cron.split()
    return parts if len(parts) == 6 else ["0", *parts]


def aws(timer: TimerTrigger) -> str:
    """EventBridge: `cron(minutes hours day month weekday year)`, one of the days a `?`."""
    seconds, minutes, hours, day, month, weekday = fields_of(timer)
    if seconds != "0":
        raise ValueError("that cloud's timers have no seconds")
    weekday = _weekdays(weekday)
    _refuse_both(day, weekday)
    days = ("?", weekday) if weekday != "*" else (_day(day), "?")
    return f"cron({minutes} {hours} {days[0]} {month} {days[1]} *)"


def alibaba(timer: TimerTrigger) -> str:
    """Function Compute: six fields with seconds first, the zone before them."""
    seconds, minutes, hours, day, month, weekday = fields_of(timer)
    weekday = _weekdays(weekday)
    _refuse_both(day, weekday)
    days = f"{_day(day)} {month} {weekday}"
    return f"CRON_TZ={timer.tz} {seconds} {minutes} {hours} {days}"


def tencent(timer: TimerTrigger) -> str:
    """SCF: seven fields, seconds first and the year last, in Beijing time. Where a day and a
    weekday are given, either fires there too."""
    if timer.tz not in _BEIJING:
        raise ValueError(f"that cloud's timers run in Beijing time, not in {timer.tz}")
    seconds, minutes, hours, day, month, weekday = fields_of(timer)
    return f"{seconds} {minutes} {hours} {_day(day)} {month} {_weekdays(weekday)} *"


def _refuse_both(day: str, weekday: str) -> None:
    if day not in _EVERY and weekday != "*":
        raise ValueError("that cloud takes a day of the month or a weekday, not both")


def _day(day: str) -> str:
    if any(letter in day for letter in "LW"):
        raise ValueError(f"day of the month {day!r} is written in another way there")
    return day


def _weekdays(field: str) -> str:
    """Each weekday by its name: the clouds number them differently."""
    if field in (*_EVERY, "?"):
        return "*"
    found = {day for part in field.upper().split(",") for day in _span(part)}
    if found == set(_DAYS):
        return "*"
    return ",".join(day for day in _DAYS[:7] if day in found)


def _span(part: str) -> list[str]:
    span, _, step = part.partition("/")
    first, dash, last = span.partition("-")
    start = 0 if first == "*" else _number(first)
    end = 6 if first == "*" or (step and not dash) else _number(last) if dash else start
    if end < start:
        end += 7
    return [_DAYS[day % 7] for day in range(start, end + 1, int(step or 1))]


def _number(text: str) -> int:
    if text in _DAYS:
        return _DAYS.index(text)
    if text.isdecimal() and int(text) < len(_DAYS):
        return int(text)
    raise ValueError(f"weekday {text!r} has no like there")
