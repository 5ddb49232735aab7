"""Claims over many functions: a slow one with a backlog keeps nobody waiting."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from baas.app import App, build
from baas.clock import SystemClock
from baas.engines.sqlite.store import SqliteStore
from baas.functions.fair import FairPump, most_at_once, shares
from baas.functions.model import Call, FunctionSpec
from baas.observe.logs import LogWriter
from baas.ports.documents import resolve
from baas.ports.jobs import Job, JobState, NewJob
from baas.settings import JobSettings, Settings


def given(ready: list[str], running: dict[str, int], room: int, **most: int) -> dict[str, int]:
    return shares(ready, Counter(running), room, lambda queue: most.get(queue))


def test_one_alone_has_all_the_room() -> None:
    assert given(["a"], {}, 16) == {"a": 16}
    assert given(["a"], {"a": 16}, 16) == {}


def test_room_goes_to_whoever_has_the_fewest() -> None:
    assert given(["a", "b", "c"], {}, 16) == {"a": 6, "b": 5, "c": 5}
    assert given(["a", "b"], {"a": 10}, 16) == {"b": 6}
    assert given(["a", "b"], {"a": 3, "b": 1}, 16) == {"a": 5, "b": 7}


def test_a_function_of_which_nothing_runs_begins_one_however_full_it_is() -> None:
    assert given(["slow", "fast"], {"slow": 16}, 16) == {"fast": 1}
    assert given(["a", "b", "c"], {"slow": 16}, 16) == {"a": 1, "b": 1, "c": 1}
    assert given(["fast"], {"slow": 16, "fast": 1}, 16) == {}


def test_nobody_is_given_more_than_it_can_run() -> None:
    assert given(["a", "b"], {}, 16, a=2) == {"a": 2, "b": 14}
    assert given(["a"], {"a": 2}, 16, a=2) == {}
    assert given([], {}, 16) == {}


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({}, None),
        ({"concurrency": 3}, 3),
        ({"isolation": "process"}, 2),
        ({"isolation": "process", "concurrency": 5, "max_workers": 3}, 15),
    ],
)
def test_what_a_function_can_run_at_once(options: dict[str, object], most: int | None) -> None:
    spec = FunctionSpec(name="f", handler=print, target="m:f", file="m", line=1, **options)  # type: ignore[arg-type]
    assert most_at_once(spec) == most


# -- on the real queue -----------------------------------------------------------------------------

MAIN = """
import asyncio
from baas import fn

@fn.event()
async def slow(ctx, event):
    await asyncio.sleep(30)

@fn.event(concurrency=2)
async def narrow(ctx, event):
    await asyncio.sleep(30)

@fn.event()
async def fast(ctx, event):
    return event
"""


class _Nowhere:
    def write(self, data: bytes) -> None:
        pass


async def finished(app: App, queue: str, wanted: int, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while (await app.store.jobs.counts()).get((queue, JobState.SUCCEEDED), 0) < wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_500_slow_calls_do_not_hold_up_fast_ones(tmp_path: Path) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "main.py").write_text(MAIN)

    async def run() -> float:
        app = build(
            tmp_path, Settings(jobs=JobSettings(concurrency=4)),
            logs=LogWriter(_Nowhere(), form="json"),
        )  # fmt: skip
        await app.start()
        try:
            for name in ("slow", "narrow"):
                many = (app.functions.enqueue(Call(function=name)) for _ in range(250))
                await asyncio.gather(*many)
            async with asyncio.timeout(10):
                while (await app.store.jobs.counts()).get(("calls:slow", JobState.RUNNING), 0) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            began = time.perf_counter()
            for number in range(20):
                await app.functions.enqueue(Call(function="fast", event=number))
            await finished(app, "calls:fast", 20, 10)
            counts = await app.store.jobs.counts()
            assert counts[("calls:slow", JobState.ENQUEUED)] > 200
            assert counts[("calls:narrow", JobState.RUNNING)] <= 2
            return time.perf_counter() - began
        finally:
            await app.stop()

    assert asyncio.run(run()) < 5


def test_jobs_of_a_function_that_is_gone_and_of_the_old_queue_are_claimed_too() -> None:
    async def run() -> list[str]:
        store = SqliteStore.memory(clock=SystemClock())
        await store.open()
        done: list[str] = []

        async def handle(batch: list[Job]) -> None:
            done.extend(job.id for job in batch)
            await store.jobs.succeed(batch[0], None)

        try:
            names = ("calls", "calls:gone", "calls:x")
            await store.jobs.add(
                [NewJob(id=n, queue=n, kind="call", payload=b"", due_ms=0) for n in names]
            )
            pump = FairPump(store.jobs, ("calls*",), handle, at_once=1, most=lambda queue: None)
            pump.start()
            async with asyncio.timeout(10):
                while len(done) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await pump.stop(1)
            assert await resolve(store.jobs.ready(("calls*",))) == []
        finally:
            await store.close()
        return sorted(done)

    assert asyncio.run(run()) == ["calls", "calls:gone", "calls:x"]
