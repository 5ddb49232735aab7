"""Counters and histograms in Prometheus' text form (exposition format 0.0.4), without a library.

A request costs one dictionary look-up, one bisect and three additions. Label values come from the
route table, never from a request, so the number of series is bounded.
"""

from __future__ import annotations

import os
import platform
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Literal, TypeAlias

#: Upper bounds in seconds.
BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


#: Each series: its labels as they are written (`a="b",c="d"`, see `label`), and its value. Their
#: number must be bounded.
Table: TypeAlias = Callable[[], Iterable[tuple[str, float]]]
Kind: TypeAlias = Literal["counter", "gauge"]


class _Histogram:
    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.total = 0.0


class Metrics:
    """The numbers of one process. With several workers each answers for itself: the label
    `worker` is the process id, and a scraper sees whichever worker took its request."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._started = time.time()
        self._worker = str(os.getpid())
        self._requests: dict[tuple[str, int], int] = {}
        self._seconds: dict[str, _Histogram] = {}
        self._counters: dict[str, float] = {}
        self._gauges: dict[str, Callable[[], float]] = {}
        self._help: dict[str, str] = {}
        self._tables: dict[str, tuple[Kind, Table]] = {}
        #: Awaited before each scrape, for what cannot be read in passing.
        self.before: list[Callable[[], Awaitable[None]]] = []
        self._totals: dict[str, Callable[[], float]] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Counts one answered request. `route` is a name of the route table."""
        key = (route, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        histogram = self._seconds.get(route)
        if histogram is None:
            histogram = self._seconds[route] = _Histogram()
        histogram.buckets[bisect_left(BUCKETS, seconds)] += 1
        histogram.total += seconds

    @property
    def started(self) -> float:
        """When this process started, in seconds since 1970."""
        return self._started

    def counted(self, wanted: Callable[[str], bool]) -> tuple[dict[int, int], tuple[int, ...]]:
        """Requests by status, and their times by bucket, of the routes that are `wanted`."""
        by_status: dict[int, int] = {}
        for (route, status), count in self._requests.items():
            if wanted(route):
                by_status[status] = by_status.get(status, 0) + count
        buckets = [0] * (len(BUCKETS) + 1)
        for route, histogram in self._seconds.items():
            if wanted(route):
                buckets = [a + b for a, b in zip(buckets, histogram.buckets, strict=True)]
        return by_status, tuple(buckets)

    def counter(self, name: str, help: str) -> None:
        """Makes a counter known, so that it is shown from the first scrape on, as 0."""
        self._help[name] = help
        self._counters.setdefault(name, 0)

    def increment(self, name: str, by: float = 1) -> None:
        self._counters[name] += by

    def value(self, name: str) -> float:
        return self._counters[name]

    def gauge(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A number asked for at each scrape."""
        self._help[name] = help
        self._gauges[name] = read

    def total(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A counter that is kept elsewhere, asked for at each scrape."""
        self._help[name] = help
        self._totals[name] = read

    def table(self, name: str, help: str, read: Table, kind: Kind = "counter") -> None:
        """Numbers with labels, asked for at each scrape."""
        self._help[name] = help
        self._tables[name] = (kind, read)

    async def refresh(self) -> None:
        for prepare in self.before:
            await prepare()

    def render(self) -> bytes:
        lines = [
            *_head("baas_build_info", "gauge", "The version that runs."),
            f'baas_build_info{{version="{self._version}",python="{platform.python_version()}",'
            f'worker="{self._worker}"}} 1',
            *_head("process_start_time_seconds", "gauge", "When this process started."),
            f"process_start_time_seconds {self._started:.3f}",
        ]
        counters = {**self._counters, **{name: read() for name, read in self._totals.items()}}
        for name, value in counters.items():
            lines += [*_head(name, "counter", self._help[name]), f"{name} {value:g}"]
        for name, read in self._gauges.items():
            lines += [*_head(name, "gauge", self._help[name]), f"{name} {read():g}"]
        for name, (kind, table) in self._tables.items():
            lines += _head(name, kind, self._help[name])
            lines += [f"{name}{{{labels}}} {value:g}" for labels, value in sorted(table())]
        lines += self._request_lines()
        return ("\n".join(lines) + "\n").encode()

    def _request_lines(self) -> list[str]:
        worker = f'worker="{self._worker}"'
        lines = _head("baas_requests_total", "counter", "Requests answered, by route and status.")
        for (route, status), count in sorted(self._requests.items()):
            labels = f'route="{route}",status="{status}",{worker}'
            lines.append(f"baas_requests_total{{{labels}}} {count}")
        name = "baas_request_seconds"
        lines += _head(name, "histogram", "Time from a request's head to its answer's last byte.")
        for route, histogram in sorted(self._seconds.items()):
            lines += _histogram_lines(name, f'route="{route}",{worker}', histogram)
        return lines


def label(name: str, value: str) -> str:
    """One label as it is written, whatever the value is."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name}="{escaped}"'


def _head(name: str, kind: str, help: str) -> list[str]:
    return [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]


def _histogram_lines(name: str, labels: str, histogram: _Histogram) -> list[str]:
    lines = []
    running = 0
    for bound, count in zip((*BUCKETS, "+Inf"), histogram.buckets, strict=True):
        running += count
        lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {running}')
    lines.append(f"{name}_sum{{{labels}}} {histogram.total:.6f}")
    lines.append(f"{name}_count{{{labels}}} {running}")
    return lines
