"""What an asynchronous call costs: promised (durable), and promised and run.

    python -m bench.jobs [--calls 2000] [--durability full]

One gateway's parts in this process, without HTTP: a trivial inline function, its job added,
claimed, run and settled through the store's one writer. `at_once` is how many callers add at the
same time. CPU is this process's, user and system, per call.
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
from baas.ports.jobs import JobState
from baas.settings import DatabaseSettings, JobSettings, Settings

FUNCTIONS = """
from baas import fn

@fn.event()
async def echo(ctx, event):
    return event
"""
AT_ONCE = (1, 64)


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


async def _run(folder: Path, calls: int, durability: Any) -> list[dict[str, Any]]:
    (folder / "functions").mkdir()
    (folder / "functions" / "main.py").write_text(FUNCTIONS)
    settings = Settings(
        database=DatabaseSettings(durability=durability), jobs=JobSettings(concurrency=64)
    )
    app = build(folder, settings, logs=LogWriter(_Nowhere(), form="json"))
    await app.start()
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
        for row in asyncio.run(_run(Path(folder), given.calls, given.durability)):
            print(json.dumps(row))


if __name__ == "__main__":
    main()
