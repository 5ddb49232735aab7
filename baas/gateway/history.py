"""What the gateway did of late: samples of its numbers, kept for the panel's charts.

Each process takes a sample every ten seconds and writes those of a minute as one document, so the
charts survive a restart and show every worker, for one small write a minute. A scraper that reads
/metrics does this better and for longer; this is for whoever has none.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from baas.auth.steps import insert, write
from baas.clock import Clock
from baas.errors import Problem
from baas.ids import new_id
from baas.observe.metrics import BUCKETS, Metrics
from baas.ports.documents import DocumentStore, Find, resolve
from baas.ports.jobs import JobQueue, JobState
from baas.query.ast import Field, Range
from baas.schema.model import CollectionSpec, IndexKey, IndexSpec
from baas.schema.values import Document, date_from_ms, decode

_log: Final = logging.getLogger("baas.gateway")

SAMPLES: Final = "_samples"
EVERY_SECONDS: Final = 10.0
PER_DOCUMENT: Final = 6
KEEP_MS: Final = 48 * 3_600_000
#: Points of one answer; more samples are put together.
MAX_POINTS: Final = 360
MAX_MINUTES: Final = 48 * 60
#: Functions of one sample, and of one point: those called most.
MAX_TOP: Final = 10
#: Of files looked at for the size of the data folder.
MAX_FILES: Final = 100_000
_FRESH_SECONDS: Final = 30.0
SAMPLE_COLLECTIONS: Final = {
    SAMPLES: CollectionSpec(
        name=SAMPLES,
        indexes=(IndexSpec(name="time", keys=(IndexKey(("time",)),)),),
        ttl=("expires",),
    ),
}
_DEAD: Final = (JobState.FAILED, JobState.EXPIRED)
#: The panel's own calls would be most of what an idle gateway shows.
_OWN: Final = ("admin.", "panel", "operations.")


class Point(msgspec.Struct, kw_only=True):
    """A stretch of time. Counts are those of the stretch, over all workers; levels (connections,
    jobs, memory, data) its largest. `p50`, `p95` in seconds, None where nothing was asked. `data`
    is the size of the data folder; `functions` those called most, as `{name, calls, errors}`."""

    time: int
    requests: int = 0
    refused: int = 0
    failed: int = 0
    p50: float | None = None
    p95: float | None = None
    connections: int = 0
    jobs: int = 0
    dead: int = 0
    memory: int = 0
    data: int = 0
    calls: int = 0
    errors: int = 0
    functions: list[dict[str, Any]] = []


#: Calls of functions, by name and outcome.
_Calls: TypeAlias = dict[tuple[str, str], int]


class Totals(msgspec.Struct, frozen=True):
    """Counters since the start of the process, without the panel's own calls; `calls` are of
    functions, by name and outcome."""

    requests: int
    refused: int
    failed: int
    buckets: tuple[int, ...]
    calls: _Calls


class History:
    """`connections` and `calls` (of functions, by name and outcome) are read in passing; `folder`
    is that of the data."""

    def __init__(
        self,
        store: DocumentStore,
        metrics: Metrics,
        clock: Clock,
        jobs: Callable[[], JobQueue],
        connections: Callable[[], int],
        calls: Callable[[], _Calls],
        folder: Path,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._jobs = jobs
        self._connections = connections
        self._calls = calls
        self._folder = folder
        self._last = self._totals()
        self._held: list[Document] = []

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.sample()
            except Problem as problem:
                _log.warning("numbers for the panel were not kept: %s", problem.detail)

    async def sample(self) -> None:
        """Takes one; writes those of a minute. What cannot be written is lost, and said."""
        before, now = self._last, self._totals()
        self._last = now
        jobs, dead = await self._depths()
        calls = top_calls(_added(now.calls, before.calls))
        self._held.append(
            {
                "t": self._clock.now_ms(),
                "requests": now.requests - before.requests,
                "refused": now.refused - before.refused,
                "failed": now.failed - before.failed,
                "buckets": [a - b for a, b in zip(now.buckets, before.buckets, strict=True)],
                "calls": sum(one["calls"] for one in calls),
                "errors": sum(one["errors"] for one in calls),
                "functions": [dict(one) for one in calls[:MAX_TOP]],
                "connections": self._connections(),
                "jobs": jobs,
                "dead": dead,
                "memory": resident_bytes(),
                "data": await self.data_bytes(),
            }
        )
        if len(self._held) >= PER_DOCUMENT:
            held, self._held = self._held, []
            await self._write(held)

    async def _write(self, held: list[Document]) -> None:
        now_ms = self._clock.now_ms()
        document: Document = {
            "_id": new_id(),
            "time": date_from_ms(now_ms),
            "expires": date_from_ms(now_ms + KEEP_MS),
            "worker": os.getpid(),
            "samples": held,
        }
        await write(self._store, insert(SAMPLES, document))

    async def points(self, minutes: int) -> list[Point]:
        """The last `minutes`, the oldest first, of every worker."""
        now_ms = self._clock.now_ms()
        since = now_ms - minutes * 60_000
        recent = Field(("time",), Range("gte", date_from_ms(since)))
        query = Find(collection=SAMPLES, filter=recent)
        stored = [decode(body) for body in await resolve(self._store.find(query))]
        samples = [one for document in stored for one in document["samples"]] + self._held
        width = max(int(EVERY_SECONDS * 1000), minutes * 60_000 // MAX_POINTS)
        by_time: dict[int, list[Document]] = {}
        for sample in samples:
            if sample["t"] >= since:
                by_time.setdefault(sample["t"] // width * width, []).append(sample)
        return [_point(time, found) for time, found in sorted(by_time.items())]

    async def data_bytes(self) -> int:
        """What the data folder takes; as of half a minute ago at most."""
        return await asyncio.to_thread(folder_bytes, self._folder)

    async def _depths(self) -> tuple[int, int]:
        """Jobs that wait or run, and dead letters."""
        depths = await resolve(self._jobs().depths())
        dead = sum(one.jobs for one in depths if one.state in _DEAD)
        return sum(one.jobs for one in depths) - dead, dead

    def _totals(self) -> Totals:
        requests, buckets = self._metrics.counted(lambda route: not route.startswith(_OWN))
        return Totals(
            requests=sum(requests.values()),
            refused=sum(count for status, count in requests.items() if 400 <= status < 500),
            failed=sum(count for status, count in requests.items() if status >= 500),
            buckets=buckets,
            calls=dict(self._calls()),
        )


def _point(time: int, samples: list[Document]) -> Point:
    def added(name: str) -> int:
        return sum(int(sample[name]) for sample in samples)

    def largest(name: str) -> int:
        return max(int(sample.get(name, 0)) for sample in samples)

    buckets = [sum(column) for column in zip(*(one["buckets"] for one in samples), strict=True)]
    return Point(
        time=time,
        requests=added("requests"),
        refused=added("refused"),
        failed=added("failed"),
        p50=quantile(buckets, 0.5),
        p95=quantile(buckets, 0.95),
        connections=largest("connections"),
        jobs=largest("jobs"),
        dead=largest("dead"),
        memory=largest("memory"),
        data=largest("data"),
        calls=added("calls"),
        errors=added("errors"),
        functions=_together(one for sample in samples for one in sample.get("functions", ())),
    )


def _added(now: _Calls, before: _Calls) -> _Calls:
    """What was called since."""
    since = {key: count - before.get(key, 0) for key, count in now.items()}
    return {key: count for key, count in since.items() if count > 0}


def _together(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same function of several samples as one, those called most."""
    calls: _Calls = {}
    for one in found:
        for result, count in (("ok", one["calls"] - one["errors"]), ("error", one["errors"])):
            key = (one["name"], result)
            calls[key] = calls.get(key, 0) + count
    return top_calls(calls)[:MAX_TOP]


def quantile(buckets: list[int], share: float) -> float | None:
    """Seconds under which `share` of what the histogram counted lies, as Prometheus estimates it:
    evenly spread within a bucket; the last bound where it lies beyond. None for an empty one."""
    total = sum(buckets)
    if total == 0:
        return None
    running = 0
    sums = []
    for count in buckets:
        running += count
        sums.append(running)
    wanted = share * total
    at = bisect_left(sums, wanted)
    if at >= len(BUCKETS):
        return BUCKETS[-1]
    low = BUCKETS[at - 1] if at else 0.0
    before = sums[at - 1] if at else 0
    return low + (BUCKETS[at] - low) * (wanted - before) / buckets[at]


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not tell (not Linux)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def top_calls(calls: _Calls) -> list[dict[str, Any]]:
    """Functions by calls since the start, the busiest first."""
    found: dict[str, dict[str, Any]] = {}
    for (name, result), count in calls.items():
        row = found.setdefault(name, {"name": name, "calls": 0, "errors": 0})
        row["calls"] += count
        row["errors"] += count if result != "ok" else 0
    return sorted(found.values(), key=lambda row: (-row["calls"], row["name"]))


#: The size as last looked at, and when: walking a folder with many files takes a while.
_sizes: dict[Path, tuple[float, int]] = {}


def folder_bytes(folder: Path) -> int:
    """What the files below take, up to a bound; as of half a minute ago at most."""
    known = _sizes.get(folder)
    if known is not None and time.monotonic() - known[0] < _FRESH_SECONDS:
        return known[1]
    total = looked = 0
    for place, _, names in os.walk(folder):
        for name in names:
            looked += 1
            try:
                total += os.stat(os.path.join(place, name), follow_symlinks=False).st_size
            except OSError:
                continue
        if looked > MAX_FILES:
            break
    _sizes[folder] = (time.monotonic(), total)
    return total
