"""What the gateway did of late: samples of its numbers, kept for the panel's charts.

Each process takes a sample every ten seconds and writes those of a minute as one document, so the
charts survive a restart and show every worker, for one small write a minute. A scraper that reads
/metrics does this better and for longer; this is for whoever has none.
"""

from __future__ import annotations

import asyncio
import logging
import os
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Final

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
    jobs, memory) its largest. `p50`, `p95` in seconds, None where nothing was asked."""

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
    calls: int = 0
    errors: int = 0


class Totals(msgspec.Struct, frozen=True):
    """Counters since the start of the process, without the panel's own calls."""

    requests: int
    refused: int
    failed: int
    buckets: tuple[int, ...]
    calls: int
    errors: int


class History:
    """`connections` and `calls` (of functions, by name and outcome) are read in passing."""

    def __init__(
        self,
        store: DocumentStore,
        metrics: Metrics,
        clock: Clock,
        jobs: Callable[[], JobQueue],
        connections: Callable[[], int],
        calls: Callable[[], dict[tuple[str, str], int]],
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._jobs = jobs
        self._connections = connections
        self._calls = calls
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
        self._held.append(
            {
                "t": self._clock.now_ms(),
                "requests": now.requests - before.requests,
                "refused": now.refused - before.refused,
                "failed": now.failed - before.failed,
                "buckets": [a - b for a, b in zip(now.buckets, before.buckets, strict=True)],
                "calls": now.calls - before.calls,
                "errors": now.errors - before.errors,
                "connections": self._connections(),
                "jobs": jobs,
                "dead": dead,
                "memory": resident_bytes(),
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

    async def _depths(self) -> tuple[int, int]:
        """Jobs that wait or run, and dead letters."""
        depths = await resolve(self._jobs().depths())
        dead = sum(one.jobs for one in depths if one.state in _DEAD)
        return sum(one.jobs for one in depths) - dead, dead

    def _totals(self) -> Totals:
        requests, buckets = self._metrics.counted(lambda route: not route.startswith(_OWN))
        calls = self._calls()
        return Totals(
            requests=sum(requests.values()),
            refused=sum(count for status, count in requests.items() if 400 <= status < 500),
            failed=sum(count for status, count in requests.items() if status >= 500),
            buckets=buckets,
            calls=sum(calls.values()),
            errors=sum(count for (_, result), count in calls.items() if result != "ok"),
        )


def _point(time: int, samples: list[Document]) -> Point:
    def added(name: str) -> int:
        return sum(int(sample[name]) for sample in samples)

    def largest(name: str) -> int:
        return max(int(sample[name]) for sample in samples)

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
        calls=added("calls"),
        errors=added("errors"),
    )


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


def top_calls(calls: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
    """Functions by calls since the start, the busiest first."""
    found: dict[str, dict[str, Any]] = {}
    for (name, result), count in calls.items():
        row = found.setdefault(name, {"name": name, "calls": 0, "errors": 0})
        row["calls"] += count
        row["errors"] += count if result != "ok" else 0
    return sorted(found.values(), key=lambda row: (-row["calls"], row["name"]))
