"""Claims jobs, has them handled, so many at once, and keeps their leases meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from enum import Enum
from typing import Final

from baas.errors import Problem
from baas.ports.jobs import Job, JobQueue, JobState, LeaseLost

_log: Final = logging.getLogger("baas.functions")
#: How long a claim holds without a sign of life; renewed three times as often.
LEASE_SECONDS: Final = 10.0
#: Longest wait for a wake-up before looking anyway.
LOOK_SECONDS: Final = 1.0

#: Runs claimed jobs and settles each. A single job's handler is cancelled where it is to stop.
Handler = Callable[[list[Job]], Awaitable[None]]


class _Why(Enum):
    STOP = "a stop was asked for"
    LOST = "another worker has it"
    SHUTDOWN = "the gateway stops"


class _Held:
    """A batch under way."""

    __slots__ = ("jobs", "task", "why")

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.task: asyncio.Task[None] | None = None
        self.why: _Why | None = None

    def cancel(self, why: _Why) -> None:
        if self.why is None and self.task is not None:
            self.why = why
            self.task.cancel()


class Pump:
    """`batch` jobs go to one call of `handle`, at most `at_once` calls at a time."""

    def __init__(
        self,
        jobs: JobQueue,
        queues: Sequence[str],
        handle: Handler,
        *,
        at_once: int,
        batch: int = 1,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._jobs = jobs
        self._queues = tuple(queues)
        self._handle = handle
        self._at_once = at_once
        self._batch = batch
        self._lease = lease_seconds
        self._held: set[_Held] = set()
        self._room = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._renewed = 0.0

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._renewed = loop.time()
        name = f"baas-jobs-{self._queues[0]}"
        self._tasks = [
            loop.create_task(self._run(), name=name),
            loop.create_task(self._renew(), name=f"{name}-leases"),
        ]

    async def stop(self, drain_seconds: float = 0.0) -> None:
        """Claims nothing more, waits so long for what runs, then hands the rest back."""
        if not self._tasks:
            return
        await _cancelled(self._tasks[0])
        if tasks := [held.task for held in self._held if held.task is not None]:
            await asyncio.wait(tasks, timeout=drain_seconds)
        for held in self._held:
            held.cancel(_Why.SHUTDOWN)
        await asyncio.gather(*tasks, return_exceptions=True)
        await _cancelled(self._tasks[1])
        self._tasks = []

    # -- claiming ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                await self._claim()
            except Problem as problem:
                _log.error("jobs cannot be claimed: %s", problem)
                await asyncio.sleep(LOOK_SECONDS)
            except Exception:
                _log.exception("jobs of %s could not be claimed", self._queues[0])
                await asyncio.sleep(LOOK_SECONDS)

    async def _claim(self) -> None:
        while len(self._held) >= self._at_once:
            self._room.clear()
            await self._room.wait()
        await self._keep_leases()
        wanted = (self._at_once - len(self._held)) * self._batch
        found = await self._jobs.claim(self._queues, wanted, self._lease)
        if not found:
            await self._jobs.wait(self._queues, LOOK_SECONDS)
        self._begin(found)

    async def _keep_leases(self) -> None:
        """Where the loop stood still: not to take over from ourselves what we still work on."""
        if self._held and asyncio.get_running_loop().time() - self._renewed > self._lease / 2:
            await self._renew_all()

    def _begin(self, found: list[Job]) -> None:
        for start in range(0, len(found), self._batch):
            held = _Held(found[start : start + self._batch])
            self._held.add(held)
            held.task = asyncio.get_running_loop().create_task(self._work(held))

    async def run_once(self) -> int:
        """Handles what is due now and waits for its end; how many jobs there were."""
        found = await self._found_once()
        self._begin(found)
        await asyncio.gather(*(held.task for held in self._held if held.task is not None))
        return len(found)

    async def _found_once(self) -> list[Job]:
        return await self._jobs.claim(self._queues, self._at_once * self._batch, self._lease)

    async def _work(self, held: _Held) -> None:
        try:
            await self._handle(held.jobs)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            await self._let_go(held)
        except LeaseLost as lost:
            _log.warning("job %s went to another worker: its outcome here does not count", lost)
        except Exception:
            # Its lease ends, and it is tried again: nothing is lost by leaving it alone.
            _log.exception("job %s could not be settled", held.jobs[0].id)
        finally:
            self._held.discard(held)
            self._room.set()

    async def _let_go(self, held: _Held) -> None:
        for job in held.jobs:
            with suppress(LeaseLost, Problem):
                if held.why is _Why.STOP:
                    await self._jobs.stopped(job)
                elif held.why is not _Why.LOST:
                    await self._jobs.release(job)

    # -- leases ------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            await self._renew_all()

    async def _renew_all(self) -> None:
        started = asyncio.get_running_loop().time()
        renewing = (self._renew_one(held) for held in list(self._held))
        for fault in await asyncio.gather(*renewing, return_exceptions=True):
            if isinstance(fault, BaseException):
                _log.error("a lease could not be renewed", exc_info=fault)
        self._renewed = started

    async def _renew_one(self, held: _Held) -> None:
        for job in held.jobs:
            try:
                state = await self._jobs.renew(job, self._lease)
            except LeaseLost:
                if len(held.jobs) == 1 and held in self._held:
                    held.cancel(_Why.LOST)
            except Problem as problem:
                _log.error("a lease cannot be renewed: %s", problem)
            else:
                if state is JobState.STOPPING and len(held.jobs) == 1:
                    held.cancel(_Why.STOP)

    def hasten(self, id: str) -> None:
        """A stop of this job was asked for here: no need to wait for the next renewal."""
        for held in self._held:
            if len(held.jobs) == 1 and held.jobs[0].id == id:
                held.cancel(_Why.STOP)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
