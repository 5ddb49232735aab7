"""The pump: bounded, keeps its leases, hands back at a stop what it could not finish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from baas.clock import SystemClock
from baas.engines.sqlite.store import SqliteStore
from baas.functions.pump import Pump
from baas.ports.documents import resolve
from baas.ports.jobs import Job, JobQueue, JobState, NewJob

Test = Callable[[JobQueue], Awaitable[None]]


def on_a_store(test: Test) -> Callable[[], None]:
    async def run() -> None:
        store = SqliteStore.memory(clock=SystemClock())
        await store.open()
        try:
            await test(store.jobs)
        finally:
            await store.close()

    def sync() -> None:
        asyncio.run(run())

    sync.__name__, sync.__doc__ = test.__name__, test.__doc__  # type: ignore[attr-defined]
    return sync


def new(id: str, due_ms: int = 0) -> NewJob:
    return NewJob(id=id, queue="q", kind="k", payload=b"", due_ms=due_ms)


async def states(jobs: JobQueue) -> dict[str, JobState]:
    return {job.id: job.state for job in await resolve(jobs.list())}


class Gate:
    """A handler whose jobs end when they are let through."""

    def __init__(self, jobs: JobQueue) -> None:
        self.jobs = jobs
        self.running = 0
        self.most = 0
        self.begun: list[str] = []
        self.open = asyncio.Event()
        self.changed = asyncio.Condition()

    async def handle(self, batch: list[Job]) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        self.begun += [job.id for job in batch]
        await self.tell()
        try:
            await self.open.wait()
        finally:
            self.running -= 1
        await asyncio.gather(*(self.jobs.succeed(job, None) for job in batch))
        await self.tell()

    async def tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, count: int) -> None:
        """Until so many jobs were begun."""
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: len(self.begun) >= count)


@on_a_store
async def test_no_more_at_once_than_asked(jobs: JobQueue) -> None:
    gate = Gate(jobs)
    await jobs.add([new(f"j{n:02}") for n in range(12)])
    pump = Pump(jobs, ("q",), gate.handle, at_once=3)
    pump.start()
    await gate.until(3)
    gate.open.set()
    await gate.until(12)
    await pump.stop(10)
    assert gate.most == 3
    assert set((await states(jobs)).values()) == {JobState.SUCCEEDED}


@on_a_store
async def test_a_stop_waits_then_hands_back_what_runs(jobs: JobQueue) -> None:
    gate = Gate(jobs)
    await jobs.add([new("a")])
    pump = Pump(jobs, ("q",), gate.handle, at_once=1)
    pump.start()
    await gate.until(1)
    await pump.stop(0)
    job = await resolve(jobs.get("a"))
    assert job is not None
    assert (job.state, job.attempt) == (JobState.ENQUEUED, 0)


@on_a_store
async def test_a_stop_lets_what_runs_end_in_time(jobs: JobQueue) -> None:
    gate = Gate(jobs)
    await jobs.add([new("a")])
    pump = Pump(jobs, ("q",), gate.handle, at_once=1)
    pump.start()
    await gate.until(1)
    stopping = asyncio.create_task(pump.stop(10))
    await asyncio.sleep(0)
    gate.open.set()
    await stopping
    assert await states(jobs) == {"a": JobState.SUCCEEDED}


@on_a_store
async def test_a_pump_whose_loop_stood_still_does_not_run_its_own_job_again(
    jobs: JobQueue,
) -> None:
    gate = Gate(jobs)
    await jobs.add([new("a")])
    pump = Pump(jobs, ("q",), gate.handle, at_once=2, lease_seconds=0.15)
    pump.start()
    await gate.until(1)
    time.sleep(0.3)  # noqa: ASYNC251 - the loop stands still: that is what this is about
    # Due after the lease of "a" ended, so that "a" would be claimed before it.
    await jobs.add([new("b", due_ms=SystemClock().now_ms())])
    await gate.until(2)
    gate.open.set()
    await pump.stop(10)
    assert gate.begun == ["a", "b"]
    assert set((await states(jobs)).values()) == {JobState.SUCCEEDED}


@on_a_store
async def test_a_handler_that_breaks_leaves_its_job_to_the_lease(jobs: JobQueue) -> None:
    seen: list[int] = []
    done = asyncio.Event()

    async def breaks_once(batch: list[Job]) -> None:
        seen.append(batch[0].attempt)
        if len(seen) == 1:
            raise RuntimeError("no")
        await jobs.succeed(batch[0], None)
        done.set()

    await jobs.add([new("a")])
    pump = Pump(jobs, ("q",), breaks_once, at_once=1, lease_seconds=0.1)
    pump.start()
    async with asyncio.timeout(10):
        await done.wait()
    await pump.stop(10)
    assert seen == [1, 2]
