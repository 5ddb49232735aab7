"""What /metrics shows of the job queue: how much there is to do, and how late it is.

The numbers are the store's, the same at every gateway on it. They are asked for at a scrape, but
not more often than every few seconds, whoever scrapes.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

from baas.clock import Clock
from baas.errors import Problem
from baas.functions.once import QUEUE as ONCE
from baas.observe.metrics import Metrics, label
from baas.ports.documents import resolve
from baas.ports.jobs import Depth, JobQueue, JobState

_log: Final = logging.getLogger("baas.functions")
#: Queues that have series of their own, those with the most jobs; the rest are one.
MAX_QUEUES: Final = 200
OTHERS: Final = "(others)"
_FRESH_SECONDS: Final = 2.0
_DEAD: Final = (JobState.FAILED, JobState.EXPIRED)


def measure_jobs(metrics: Metrics, jobs: Callable[[], JobQueue], clock: Clock) -> None:
    """Makes known what /metrics shows of jobs."""
    measures = Measures(jobs, clock)
    metrics.before.append(measures.refresh)
    metrics.table("baas_jobs", "Jobs not done with, by queue and state.", measures.jobs, "gauge")
    metrics.table(
        "baas_jobs_oldest_seconds",
        "How long the job that waits the longest has been due, by queue.",
        measures.ages,
        "gauge",
    )
    metrics.gauge(
        "baas_dead_letters", "Jobs that failed for good and were not redriven.", measures.dead
    )


class Measures:
    """The numbers as of the last scrape."""

    def __init__(self, jobs: Callable[[], JobQueue], clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self._depths: list[Depth] = []
        self._asked: float | None = None

    async def refresh(self) -> None:
        now = time.monotonic()
        if self._asked is not None and now - self._asked < _FRESH_SECONDS:
            return
        self._asked = now
        try:
            found = await resolve(self._jobs().depths())
        except Problem as problem:
            _log.error("jobs cannot be counted: %s", problem)
            return
        self._depths = _bounded([depth for depth in found if depth.queue != ONCE])

    def jobs(self) -> Iterator[tuple[str, float]]:
        for depth in self._depths:
            labels = f"{label('queue', depth.queue)},{label('state', depth.state.value)}"
            yield labels, depth.jobs

    def ages(self) -> Iterator[tuple[str, float]]:
        now = self._clock.now_ms()
        due: dict[str, int] = {depth.queue: now for depth in self._depths}
        for depth in self._depths:
            if depth.due_ms is not None:
                due[depth.queue] = min(due[depth.queue], depth.due_ms)
        for queue, since in due.items():
            yield label("queue", queue), (now - since) / 1000

    def dead(self) -> int:
        return sum(depth.jobs for depth in self._depths if depth.state in _DEAD)


def _bounded(depths: list[Depth]) -> list[Depth]:
    """Anybody's code may name queues, so how many there are is nobody's to promise."""
    sizes: dict[str, int] = defaultdict(int)
    for depth in depths:
        sizes[depth.queue] += depth.jobs
    if len(sizes) <= MAX_QUEUES:
        return depths
    shown = set(sorted(sizes, key=lambda queue: (-sizes[queue], queue))[:MAX_QUEUES])
    rest: dict[JobState, list[Depth]] = defaultdict(list)
    for depth in depths:
        if depth.queue not in shown:
            rest[depth.state].append(depth)
    return [depth for depth in depths if depth.queue in shown] + [
        _summed(state, some) for state, some in rest.items()
    ]


def _summed(state: JobState, depths: list[Depth]) -> Depth:
    due = [depth.due_ms for depth in depths if depth.due_ms is not None]
    return Depth(OTHERS, state, sum(depth.jobs for depth in depths), min(due, default=None))
