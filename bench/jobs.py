"""What an asynchronous call costs: promised (durable), promised and run, and how long one takes
beside slow ones.

    python -m bench.jobs [--calls 2000] [--durability full]

One gateway's parts in this process, without HTTP: a trivial inline function, its job added,
claimed, run and settled through the store's one writer. `at_once` is how many callers add at the
same time. CPU is this process's, user and system, per call.

"beside" has BACKLOG calls of a function that sleeps for a second waiting, with room for 16 at once,
and measures one call of another function after the other, from its promise to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from baas.app import App, build
from baas.functions.model import Call
from baas.observe.logs import LogWriter
from baas.ports.documents import resolve
from baas.ports.jobs import JobState
from baas.settings import DatabaseSettings, JobSettings, Settings

FUNCTIONS = """
import asyncio
from baas import fn

@fn.event()
async def echo(ctx, event):
    return event

@fn.event()
async def slow(ctx, event):
    await asyncio.sleep(1)
"""
AT_ONCE = (1, 64)
BACKLOG = 500
BESIDE = 200


class _Nowhere:
    def write(self, data: bytes) -> None:
        pass


async def _many(count: int, at_once: int, one: Callable[[int], Awaitable[Any]]) -> None:
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await one(number)

    await asyncio.gather(*(caller() for _ in range(at_once)))


async def _measure(name: str, calls: int, at_once: int, work: Awaitable[Any]) -> dict[str, Any]:
    started, cpu = time.perf_counter(), time.process_time()
    await work
    seconds, used = time.perf_counter() - started, time.process_time() - cpu
    return {
        "what": name,
        "at_once": at_once,
        "per_second": round(calls / seconds),
        "cpu_us": round(used / calls * 1e6),
    }


async def _finished(app: App, wanted: int) -> None:
    """Until so many calls have succeeded in all."""
    done = ("calls:echo", JobState.SUCCEEDED)
    while (await app.store.jobs.counts()).get(done, 0) < wanted:  # noqa: ASYNC110 - polled on purpose
        await asyncio.sleep(0.02)


async def _started(folder: Path, durability: Any, concurrency: int) -> App:
    (folder / "functions").mkdir(parents=True)
    (folder / "functions" / "main.py").write_text(FUNCTIONS)
    settings = Settings(
        database=DatabaseSettings(durability=durability), jobs=JobSettings(concurrency=concurrency)
    )
    app = build(folder, settings, logs=LogWriter(_Nowhere(), form="json"))
    await app.start()
    return app


async def _beside(folder: Path, calls: int, durability: Any) -> dict[str, Any]:
    app = await _started(folder, durability, 16)
    try:
        await _many(BACKLOG, 64, lambda n: app.functions.enqueue(Call(function="slow")))
        times = []
        for number in range(calls):
            started = time.perf_counter()
            id = await app.functions.enqueue(Call(function="echo", event=number))
            while True:
                job = await resolve(app.store.jobs.get(id))
                if job is not None and job.state is JobState.SUCCEEDED:
                    break
                await asyncio.sleep(0.001)
            times.append((time.perf_counter() - started) * 1000)
        waiting = (await app.store.jobs.counts())[("calls:slow", JobState.ENQUEUED)]
    finally:
        await app.stop()
    times.sort()
    return {
        "what": f"beside {BACKLOG} slow ones",
        "p50_ms": round(times[len(times) // 2], 1),
        "p99_ms": round(times[len(times) * 99 // 100], 1),
        "slow_left": waiting,
    }


async def _run(folder: Path, calls: int, durability: Any) -> list[dict[str, Any]]:
    app = await _started(folder, durability, 64)
    found, done = [], 0
    try:
        for at_once in AT_ONCE:

            async def later(number: int) -> None:
                await app.functions.enqueue(Call(function="echo", event=number), 86_400.0)

            async def now(number: int) -> None:
                await app.functions.enqueue(Call(function="echo", event=number))

            work = _many(calls, at_once, later)
            found.append(await _measure("enqueue", calls, at_once, work))
            done += calls

            async def through(total: int, at_once: int = at_once) -> None:
                await _many(calls, at_once, now)
                await _finished(app, total)

            found.append(await _measure("enqueue and run", calls, at_once, through(done)))
    finally:
        await app.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--durability", choices=("full", "normal"), default="full")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for row in asyncio.run(_run(Path(folder, "calls"), given.calls, given.durability)):
            print(json.dumps(row))
        beside = _beside(Path(folder, "beside"), BESIDE, given.durability)
        print(json.dumps(asyncio.run(beside)))


if __name__ == "__main__":
    main()
