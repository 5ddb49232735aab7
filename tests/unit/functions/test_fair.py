"""Claims over many functions: a slow one with a backlog keeps nobody waiting."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from baas.app import App, build
from baas.clock import SystemClock
from baas.engines.sqlite.store import SqliteStore
from baas.functions.fair import FairPump, most_at_once, shares
from baas.functions.model import Call, FunctionSpec
from baas.observe.logs import LogWriter
from baas.ports.jobs import Job, JobState, NewJob
from baas.settings import JobSettings, Settings


def given(ready: list[str], running: dict[str, int], room: int, **most: int) -> dict[str, int]:
    return shares(ready, Counter(running), room, lambda queue: most.get(queue))


def test_one_alone_has_all_but_what_is_kept_for_others() -> None:
    assert given(["a"], {}, 16) == {"a": 12}
    assert given(["a"], {"a": 12}, 16) == {}
    assert given(["a"], {}, 2) == {"a": 1}
    assert given(["a"], {}, 1) == {"a": 1}


def test_room_goes_to_whoever_has_the_fewest() -> None:
    assert given(["a", "b", "c"], {}, 16) == {"a": 4, "b": 4, "c": 4}
    assert given(["a", "b"], {"a": 8}, 16) == {"b": 4}
    assert given(["a", "b"], {"a": 3, "b": 1}, 16) == {"a": 3, "b": 5}


def test_a_function_of_which_nothing_runs_begins_one_in_what_is_kept() -> None:
    assert given(["slow", "fast"], {"slow": 12}, 16) == {"fast": 1}
    assert given(["a", "b", "c"], {"slow": 12}, 16) == {"a": 1, "b": 1, "c": 1}
    assert given(["fast"], {"slow": 12, "fast": 1}, 16) == {}


def test_whoever_has_nothing_running_comes_before_who_has_something() -> None:
    full = {"slow": 12, "a": 1, "b": 1, "c": 1}

    assert given(["d", "slow"], full, 16) == {"d": 1}
    assert given(["d", "e", "slow"], full, 16) == {"d": 1}
    assert given(["e", "slow"], {**full, "d": 1}, 16) == {}
    # One ends: the newcomer has its place, not the one with the backlog.
    assert given(["e", "slow"], {**full, "d": 1, "slow": 11}, 16) == {"e": 1}


@given_any(
    st.integers(1, 40),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 12)),
    st.lists(st.sampled_from("abcdefgh"), unique=True),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 5)),
)
def test_never_more_than_there_is_room_for(
    room: int, running: dict[str, int], ready: list[str], most: dict[str, int]
) -> None:
    found = given(ready, running, room, **most)

    assert sum(found.values()) <= max(0, room - sum(running.values()))
    assert all(number > 0 for number in found.values())
    assert found.keys() <= set(ready)
    # Nobody's second goes where a first could have gone.
    left = {queue for queue in ready if not running.get(queue)} - found.keys()
    assert not left or all(number == 1 and not running.get(q) for q, number in found.items())


def test_nobody_is_given_more_than_it_can_run() -> None:
    assert given(["a", "b"], {}, 16, a=2) == {"a": 2, "b": 10}
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
            tmp_path, Settings(jobs=JobSettings(concurrency=8)),
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
            running = sum(n for (_, state), n in counts.items() if state is JobState.RUNNING)
            assert running <= 8
            return time.perf_counter() - began
        finally:
            await app.stop()

    assert asyncio.run(run()) < 5


def test_more_functions_than_room_all_get_through_and_the_room_is_never_exceeded() -> None:
    """Ten functions of which three can run; each has more to do."""

    async def run() -> int:
        store = SqliteStore.memory(clock=SystemClock())
        await store.open()
        running, most, done = 0, 0, 0

        async def handle(batch: list[Job]) -> None:
            nonlocal running, most, done
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            await store.jobs.succeed(batch[0], None)
            running -= 1
            done += 1

        try:
            await store.jobs.add(
                [
                    NewJob(id=f"{q}-{n}", queue=f"calls:{q}", kind="call", payload=b"", due_ms=0)
                    for q in range(10)
                    for n in range(5)
                ]
            )
            pump = FairPump(store.jobs, ("calls*",), handle, at_once=3, most=lambda queue: None)
            pump.start()
            async with asyncio.timeout(10):
                while done < 50:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await pump.stop(1)
        finally:
            await store.close()
        return most

    assert asyncio.run(run()) == 3


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
            assert await store.jobs.ready(("calls*",)) == []
        finally:
            await store.close()
        return sorted(done)

    assert asyncio.run(run()) == ["calls", "calls:gone", "calls:x"]
