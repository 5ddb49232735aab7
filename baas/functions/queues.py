"""Queues of the app's own: messages taken in batches by the function that listens.

A batch is one call. It answers `{"failed": [ids]}` where only some of its messages failed; what it
raises fails them all. Each message is tried again, and becomes a dead letter, by itself. Messages
with one ordering key come one after the other.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeAlias

import msgspec

from baas.clock import Clock
from baas.errors import Code, Problem
from baas.functions.delivery import Functions, Invoke, Settlement, Work
from baas.functions.destinations import Message, queue_name
from baas.functions.model import Call, QueueTrigger, Release, TriggerInfo
from baas.functions.pump import Pump
from baas.ids import new_id
from baas.ports.jobs import Job, JobQueue

#: Batches of one queue that one gateway process works on, unless `concurrency` says otherwise.
DEFAULT_BATCHES: Final = 4
#: Queue, function, messages per batch, batches at once.
Consumer: TypeAlias = tuple[str, str, int, int]
_MESSAGES: Final = msgspec.json.Decoder(Message)


class BatchRunner:
    """Handles messages of one queue for one function."""

    def __init__(
        self,
        queue: str,
        function: str,
        invoke: Invoke,
        functions: Functions,
        settlement: Settlement,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._function = function
        self._invoke = invoke
        self._functions = functions
        self._settlement = settlement
        self._clock = clock

    async def run(self, batch: list[Job]) -> None:
        now = self._clock.now_ms()
        works = [self._work(job) for job in batch]
        late = [work for work in works if work.job.is_overdue(now)]
        due = [work for work in works if not work.job.is_overdue(now)]
        await asyncio.gather(*(self._settlement.expired(work) for work in late))
        if not due:
            return
        try:
            failed = _failed_ids(await self._invoke(self._call(due)))
        except Problem as problem:
            await asyncio.gather(*(self._settlement.failed(work, problem) for work in due))
            return
        await asyncio.gather(*(self._settle(work, failed) for work in due))

    async def _settle(self, work: Work, failed: frozenset[str]) -> None:
        if work.job.id in failed:
            problem = Problem(Code.FUNCTION_FAILED, "The function named this message as failed.")
            await self._settlement.failed(work, problem)
        else:
            await self._settlement.succeeded(work, None, None)

    def _work(self, job: Job) -> Work:
        message = _MESSAGES.decode(job.payload)
        return Work(
            job=job,
            spec=self._functions().get(self._function),
            function=self._function,
            event=message.body,
            actor=message.actor,
            depth=job.depth,
        )

    def _call(self, works: list[Work]) -> Call:
        actors = {work.actor for work in works}
        messages = [
            {"id": work.job.id, "body": work.event, "attempt": work.job.attempt} for work in works
        ]
        return Call(
            function=self._function,
            event={"messages": messages, "actor": actors.pop() if len(actors) == 1 else None},
            trigger=TriggerInfo(kind="queue", details={"queue": self._queue}),
            invocation_id=new_id(),
            mode="async",
            attempt=max(work.job.attempt for work in works),
            depth=max(work.depth for work in works),
        )


def _failed_ids(answer: Any) -> frozenset[str]:
    """Of `{"failed": [...]}`; any other answer means that all went well."""
    if not isinstance(answer, dict) or not isinstance(answer.get("failed"), list):
        return frozenset()
    return frozenset(str(id) for id in answer["failed"])


class Queues:
    """A pump per queue and function of the release in force."""

    def __init__(
        self,
        jobs: JobQueue,
        invoke: Invoke,
        functions: Functions,
        settlement: Settlement,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._parts = (invoke, functions, settlement, clock)
        self._pumps: dict[Consumer, Pump] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    def fit(self, release: Release | None, drain_seconds: float, *, start: bool = True) -> None:
        """Begins and ends consumers so that they are those of `release`."""
        wanted = set() if release is None else _consumers(release)
        for key in self._pumps.keys() - wanted:
            pump = self._pumps.pop(key)
            task = asyncio.get_running_loop().create_task(pump.stop(drain_seconds))
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)
        for key in wanted - self._pumps.keys():
            queue, function, batch, at_once = key
            runner = BatchRunner(queue, function, *self._parts)
            pump = Pump(self._jobs, (queue_name(queue),), runner.run, at_once=at_once, batch=batch)
            if start:
                pump.start()
            self._pumps[key] = pump

    async def run_once(self) -> int:
        """Handles the messages that are due now; how many."""
        return sum([await pump.run_once() for pump in list(self._pumps.values())])

    async def stop(self, drain_seconds: float) -> None:
        self.fit(None, drain_seconds)
        await asyncio.gather(*self._stopping, return_exceptions=True)


def _consumers(release: Release) -> set[Consumer]:
    return {
        (trigger.queue, spec.name, trigger.batch, spec.concurrency or DEFAULT_BATCHES)
        for spec, trigger in release.with_trigger(QueueTrigger)
    }
