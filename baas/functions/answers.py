"""`Idempotency-Key` of calls: one run, one stored answer.

The record is opened before the run and holds a lease while it lasts. What succeeded is kept; what
failed is forgotten, so that it can be tried again. After a crash the record is opened again as
soon as its lease has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Final

import msgspec

from baas.clock import Clock
from baas.database.idempotency import check_key, is_honoured
from baas.errors import Code, Problem
from baas.functions.pump import LEASE_SECONDS
from baas.ports.jobs import Job, JobQueue, JobState, LeaseLost, NewJob
from baas.schema.actor import Actor
from baas.settings import LimitSettings

ANSWERS: Final = "answers"
_KIND: Final = "answer"
#: Does the work: the answer as bytes, and jobs to be added in the step that stores it.
Run = Callable[[], Awaitable[tuple[bytes, Sequence[NewJob]]]]


class Answers:
    def __init__(self, jobs: JobQueue, clock: Clock, limits: LimitSettings) -> None:
        self._jobs = jobs
        self._clock = clock
        self._keep_ms = limits.idempotency_hours * 3_600_000
        self._at_most = limits.idempotency_records

    async def once(self, key: str, actor: Actor, route: str, body: bytes, run: Run) -> bytes:
        """The answer of `run`, or the one stored under this key for this caller and route.

        IDEMPOTENCY_MISMATCH for another body, IDEMPOTENCY_IN_PROGRESS while the first runs. For
        callers without a name the key does not count. What `run` raises goes through.
        """
        if not is_honoured(actor):
            answer, then = await run()
            await self._jobs.add(then)
            return answer
        check_key(key)
        fingerprint = sha256(body).digest()
        job, begun = await self._jobs.begin(
            self._record(key, actor, route, fingerprint), LEASE_SECONDS
        )
        if job.payload != fingerprint:
            detail = "This Idempotency-Key was used with another request."
            raise Problem(Code.IDEMPOTENCY_MISMATCH, detail)
        if begun:
            return await self._run(job, run)
        if job.state is not JobState.SUCCEEDED or job.result is None:
            raise _in_progress()
        return job.result

    def _record(self, key: str, actor: Actor, route: str, fingerprint: bytes) -> NewJob:
        now = self._clock.now_ms()
        scope = msgspec.json.encode([actor.uid, actor.key, route, key])
        return NewJob(
            id=f"answer-{sha256(scope).hexdigest()}",
            queue=ANSWERS,
            kind=_KIND,
            payload=fingerprint,
            due_ms=now,
            expires_ms=now + self._keep_ms,
        )

    async def _run(self, job: Job, run: Run) -> bytes:
        keeper = asyncio.get_running_loop().create_task(self._keep(job))
        try:
            answer, then = await run()
        except BaseException:
            with suppress(LeaseLost, Problem):
                await self._jobs.discard(job)
            raise
        finally:
            keeper.cancel()
        try:
            await self._jobs.succeed(job, answer, then)
        except LeaseLost:
            if then:  # they were not added: whoever has the record now adds its own
                raise _in_progress() from None
        return answer

    async def _keep(self, job: Job) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(LeaseLost, Problem):
                await self._jobs.renew(job, LEASE_SECONDS)

    async def purge(self) -> int:
        """Removes records past their time, and the oldest over the cap."""
        before = self._clock.now_ms() - self._keep_ms
        return await self._jobs.purge(before, queue=ANSWERS, at_most=self._at_most)


def _in_progress() -> Problem:
    detail = "The first request with this key is still running."
    return Problem(Code.IDEMPOTENCY_IN_PROGRESS, detail, retry_after=1.0)
