"""Timers: one fire per tick over all gateways.

Every gateway computes every timer's ticks; the job queue lets one of them record each. What a
clock change does (as Debian's cron): a tick at a fixed time that the spring change skips comes
right after the gap, and one that the autumn change repeats comes once, at the first of the two.
Expressions whose minutes or hours begin with `*` keep to their rhythm in real time.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim

from baas.clock import Clock
from baas.errors import Problem
from baas.functions.destinations import call_job
from baas.functions.model import Call, FunctionSpec, Release, TimerTrigger, TriggerInfo
from baas.ports.documents import resolve
from baas.ports.jobs import JobQueue, NewJob
from baas.schema.values import date_from_ms

_log: Final = logging.getLogger("baas.functions")
#: A tick that is later than this was missed: nobody was there for it.
GRACE_MS: Final = 10_000
#: Of `missed: all`, the most that are made up for.
MAX_MISSED: Final = 100
#: Longest sleep before looking at the clock again, which may have been set.
_LOOK_SECONDS: Final = 30.0
_HOUR_MS: Final = 3_600_000


def ticks(cron: str, tz: str, after_ms: int) -> Iterator[int]:
    """When an expression is due, in ms, strictly after `after_ms`; ends where it never is again."""
    zone = ZoneInfo(tz)
    start = datetime.fromtimestamp(after_ms / 1000, UTC).astimezone(zone)
    last = after_ms
    for moment in _moments(cron, start, zone):
        due = round(moment.timestamp() * 1000)
        if due > last:
            last = due
            yield due


def _moments(cron: str, start: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    if _keeps_rhythm(cron):
        # In UTC and back: the zone's offset at each moment, whichever of two equal hours it is.
        yield from CronSim(cron, start)
        return
    # A little earlier, because the first of two equal hours may lie behind and is passed over.
    for naive in CronSim(cron, start.replace(tzinfo=None) - timedelta(hours=3)):
        yield _existing(naive.replace(tzinfo=zone, fold=0))


def _keeps_rhythm(cron: str) -> bool:
    *_, minutes, hours, _, _, _ = cron.split()
    return minutes.startswith("*") or hours.startswith("*")


def _existing(moment: datetime) -> datetime:
    """The same, or where a clock change skips it the first moment after the gap."""
    while moment != moment.astimezone(UTC).astimezone(moment.tzinfo):
        moment += timedelta(minutes=1)
    return moment


def due_ticks(trigger: TimerTrigger, last_ms: int, now_ms: int) -> list[int]:
    """Which ticks after `last_ms` are to be fired now, by the trigger's policy for missed ones."""
    found = _newest(trigger, last_ms, now_ms)
    late = [tick for tick in found if tick < now_ms - GRACE_MS]
    on_time = found[len(late) :]
    if trigger.missed == "skip":
        return on_time
    if trigger.missed == "once" and late:
        return on_time or late[-1:]
    return late + on_time


def _newest(trigger: TimerTrigger, last_ms: int, now_ms: int) -> list[int]:
    """The last MAX_MISSED ticks up to now; looks back in doubling steps, because a timer of every
    second may have been away for years."""
    span = _HOUR_MS
    while True:
        start = max(last_ms, now_ms - span)
        found: deque[int] = deque(maxlen=MAX_MISSED)
        for tick in ticks(trigger.cron, trigger.tz, start):
            if tick > now_ms:
                break
            found.append(tick)
        if start == last_ms or len(found) == MAX_MISSED:
            return list(found)
        span *= 4


def timer_name(spec: FunctionSpec, trigger: TimerTrigger) -> str:
    """The same in every gateway and version, until its expression, zone or payload changes."""
    payload = msgspec.json.encode(trigger.payload, order="deterministic")
    text = f"{spec.name}\0{trigger.cron}\0{trigger.tz}\0".encode() + payload
    return f"{spec.name}:{hashlib.sha256(text).hexdigest()[:16]}"


class Timers:
    """Fires the timers of the release in force."""

    def __init__(self, jobs: JobQueue, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self._timers: dict[str, tuple[FunctionSpec, TimerTrigger]] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def fit(self, release: Release | None) -> None:
        found = [] if release is None else release.with_trigger(TimerTrigger)
        self._timers = {timer_name(spec, trigger): (spec, trigger) for spec, trigger in found}
        self._changed.set()

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="baas-timers")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                wait = await self.fire()
            except Problem as problem:
                _log.error("timers cannot be looked at: %s", problem)
                wait = 1.0
            except Exception:
                _log.exception("timers could not be looked at")
                wait = 1.0
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def fire(self) -> float:
        """Fires what is due; how many seconds until there may be more."""
        upcoming = [await self._fire(name, *timer) for name, timer in list(self._timers.items())]
        now = self._clock.now_ms()
        nearest = min((due for due in upcoming if due is not None), default=None)
        if nearest is None:
            return _LOOK_SECONDS
        return min(max(0.0, (nearest - now) / 1000), _LOOK_SECONDS)

    async def _fire(self, name: str, spec: FunctionSpec, trigger: TimerTrigger) -> int | None:
        """When it is due next."""
        now = self._clock.now_ms()
        last = await resolve(self._jobs.last_tick(name))
        if last is None:
            # The first time that anybody sees it: nothing was missed before.
            await self._jobs.tick(name, now, None)
            last = now
        fired = due_ticks(trigger, last, now)
        for tick in fired:
            await self._jobs.tick(name, tick, self._job(name, spec, trigger, tick, now))
        if not fired and now - last > _HOUR_MS and trigger.missed == "skip":
            # So that the next look back is short.
            await self._jobs.tick(name, now - GRACE_MS, None)
        return next(ticks(trigger.cron, trigger.tz, max(now, *fired, last)), None)

    def _job(
        self, name: str, spec: FunctionSpec, trigger: TimerTrigger, tick: int, now: int
    ) -> NewJob:
        event: dict[str, Any] = {
            "time": date_from_ms(now),
            "scheduled": date_from_ms(tick),
            "name": spec.name,
            "payload": trigger.payload,
        }
        details = {"cron": trigger.cron, "tz": trigger.tz}
        call = Call(
            function=spec.name,
            event=event,
            trigger=TriggerInfo(kind="timer", details=details),
            depth=1,
        )
        id = hashlib.sha256(f"{name}\0{tick}".encode()).hexdigest()[:40]
        return call_job(call, now_ms=now, policy=spec.retries, id=f"tick-{id}")
