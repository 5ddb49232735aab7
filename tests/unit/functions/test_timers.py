"""When timers are due: zones, clock changes, weekday names, missed ticks; one fire over all."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import islice, takewhile
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from baas.clock import ManualClock
from baas.engines.sqlite.store import SqliteStore
from baas.functions.model import TimerTrigger
from baas.functions.triggers.timers import MAX_MISSED, Timers, due_ticks, ticks
from baas.ports.documents import resolve
from tests.support.background import Yard, yard
from tests.support.functions import released

BERLIN = ZoneInfo("Europe/Berlin")


def ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None
    return round(moment.timestamp() * 1000)


def after(cron: str, tz: str, start: str, count: int) -> list[str]:
    """The next ticks, in UTC to the second."""
    found = islice(ticks(cron, tz, ms(start)), count)
    return [datetime.fromtimestamp(t / 1000, UTC).strftime("%m-%dT%H:%M:%S") for t in found]


# -- expressions -----------------------------------------------------------------------------------


def test_the_zone_is_the_timers_own() -> None:
    assert after("30 2 * * *", "Asia/Shanghai", "2026-03-01T00:00+00:00", 2) == [
        "03-01T18:30:00", "03-02T18:30:00",
    ]  # fmt: skip


def test_weekdays_have_names() -> None:
    # 2026-03-06 is a Friday.
    assert after("0 9 * * MON-FRI", "UTC", "2026-03-06T08:00+00:00", 3) == [
        "03-06T09:00:00", "03-09T09:00:00", "03-10T09:00:00",
    ]  # fmt: skip


def test_six_fields_begin_with_seconds() -> None:
    assert after("*/20 * * * * *", "UTC", "2026-03-06T08:00:05+00:00", 3) == [
        "03-06T08:00:20", "03-06T08:00:40", "03-06T08:01:00",
    ]  # fmt: skip


def test_a_tick_is_strictly_later_than_the_last() -> None:
    assert after("0 9 * * *", "UTC", "2026-03-06T09:00+00:00", 1) == ["03-07T09:00:00"]


# -- clock changes: Berlin springs forward on 2026-03-29 and back on 2026-10-25 --------------------


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 30 2 * * *"])
def test_a_time_that_spring_skips_comes_right_after_the_gap(cron: str) -> None:
    assert after(cron, "Europe/Berlin", "2026-03-28T12:00+00:00", 2) == [
        "03-29T01:00:00",  # 03:00 in Berlin, the first moment after the gap
        "03-30T00:30:00",
    ]


def test_two_times_in_one_gap_come_once() -> None:
    assert after("15,45 2 * * *", "Europe/Berlin", "2026-03-29T00:00+00:00", 2) == [
        "03-29T01:00:00", "03-30T00:15:00",
    ]  # fmt: skip


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 30 2 * * *"])
@pytest.mark.parametrize(
    "start", ["2026-10-24T12:00+00:00", "2026-10-25T00:10+00:00", "2026-10-25T00:29:59+00:00"]
)
def test_a_time_that_autumn_repeats_comes_once(cron: str, start: str) -> None:
    assert after(cron, "Europe/Berlin", start, 2) == ["10-25T00:30:00", "10-26T01:30:00"]


@pytest.mark.parametrize("start", ["2026-10-25T00:30+00:00", "2026-10-25T01:10+00:00"])
def test_in_the_repeated_hour_it_does_not_come_again(start: str) -> None:
    assert after("30 2 * * *", "Europe/Berlin", start, 1) == ["10-26T01:30:00"]


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_rhythm_goes_on_through_a_clock_change(day: str) -> None:
    start, end = ms(f"{day}T00:00+00:00"), ms(f"{day}T04:00+00:00")
    found = list(takewhile(lambda t: t <= end, ticks("*/30 * * * *", "Europe/Berlin", start)))
    assert found == list(range(start + 1_800_000, end + 1, 1_800_000))


def test_a_year_of_days_has_a_tick_each() -> None:
    start = ms("2026-01-01T00:00+01:00") - 1
    end = ms("2027-01-01T00:00+01:00")
    found = list(takewhile(lambda t: t < end, ticks("30 2 * * *", "Europe/Berlin", start)))
    days = [datetime.fromtimestamp(t / 1000, BERLIN).date() for t in found]
    assert len(days) == len(set(days)) == 365


# -- missed ticks ----------------------------------------------------------------------------------

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("missed", "expected"),
    [("skip", []), ("once", [5]), ("all", [1, 2, 3, 4, 5])],
)
def test_ticks_that_nobody_was_there_for(missed: Any, expected: list[int]) -> None:
    start = ms("2026-03-01T00:00+00:00")
    trigger = TimerTrigger(cron="0 * * * *", missed=missed)
    found = due_ticks(trigger, start, start + 5 * HOUR + HOUR // 2)
    assert [(tick - start) / HOUR for tick in found] == expected


@pytest.mark.parametrize("missed", ["skip", "once", "all"])
def test_a_tick_a_moment_ago_was_not_missed(missed: Any) -> None:
    start = ms("2026-03-01T00:00+00:00")
    trigger = TimerTrigger(cron="0 * * * *", missed=missed)
    assert due_ticks(trigger, start, start + HOUR + 9000) == [start + HOUR]


def test_what_is_made_up_for_is_bounded_and_the_newest() -> None:
    now = ms("2026-03-01T00:00+00:00")
    trigger = TimerTrigger(cron="* * * * * *", missed="all")
    found = due_ticks(trigger, now - 3 * 365 * 24 * HOUR, now)
    assert found == [now - 1000 * n for n in reversed(range(MAX_MISSED))]


# -- firing ----------------------------------------------------------------------------------------

REPORT = """
@fn.timer("30 2 * * MON-FRI", tz="Asia/Shanghai", payload={"kind": "daily"})
async def report(ctx, event):
    await note(ctx, name=event.name, payload=event.payload, scheduled=event.scheduled,
               time=event.time, auth=ctx.auth, trigger=ctx.trigger.kind)
"""


@yard(REPORT)
async def test_a_timers_function_is_told_what_it_fired_for(app: Yard) -> None:
    await app.settle()
    due = next(ticks("30 2 * * MON-FRI", "Asia/Shanghai", app.clock.now_ms()))
    app.clock.advance((due - app.clock.now_ms()) / 1000 - 0.001)
    await app.settle()
    assert await app.seen() == []
    await app.settle(0.251)
    (seen,) = await app.seen()
    scheduled = datetime.fromtimestamp(due / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert seen["scheduled"] == {"$date": scheduled}
    assert seen["time"] == {"$date": scheduled.replace(".000Z", ".250Z")}
    assert (seen["name"], seen["payload"]) == ("report", {"kind": "daily"})
    assert (seen["trigger"], seen["auth"]) == ("timer", None)


@yard('@fn.timer("* * * * *", missed="all")\nasync def f(ctx, event):\n    await note(ctx, n=1)\n')
async def test_a_timer_seen_for_the_first_time_has_missed_nothing(app: Yard) -> None:
    await app.settle()
    assert await app.seen() == []


@yard('@fn.timer("0 * * * *", missed="once")\nasync def f(ctx, event):\n    await note(ctx, n=1)\n')
async def test_what_was_missed_is_made_up_for_as_declared(app: Yard) -> None:
    await app.settle(5 * 3600 + 1200, 60)
    assert len(await app.seen()) == 1


@yard('@fn.timer("0 * * * *")\nasync def f(ctx, event):\n    await note(ctx, n=1)\n')
async def test_by_default_what_was_missed_is_skipped(app: Yard) -> None:
    await app.settle(5 * 3600 + 1200, 60)
    assert await app.seen() == []
    await app.settle(*[60.0] * 60)
    assert len(await app.seen()) == 1


def test_two_gateways_fire_each_tick_once(tmp_path: Path) -> None:
    async def run() -> None:
        clock = ManualClock()
        first, second = SqliteStore(tmp_path, clock=clock), None
        await first.open()
        second = SqliteStore(tmp_path, clock=clock, shared=True)
        await second.open()
        source = '@fn.timer("* * * * *")\nasync def f(ctx, event):\n    pass\n'
        try:
            with released(source) as release:
                gateways = [Timers(store.jobs, clock) for store in (first, second)]
                for gateway in gateways:
                    gateway.fit(release)
                for _ in range(11):
                    waits = await asyncio.gather(*(gateway.fire() for gateway in gateways * 2))
                    assert all(0 <= wait <= 30 for wait in waits)
                    clock.advance(60)
            jobs = await resolve(first.jobs.list())
            assert len(jobs) == 10
            assert len({job.payload for job in jobs}) == 10
        finally:
            await second.close()
            await first.close()

    asyncio.run(run())
