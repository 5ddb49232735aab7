"""`Idempotency-Key` of a call: one run, one stored answer.

A record is opened before the run, as a job that the caller works on itself: RUNNING under a lease
that is renewed while the call lasts. A 2xx answer is kept in it; any other outcome takes the record
away, so that the same key may try again. After a crash its lease ends, and the next one runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from typing import Final

import msgspec

from baas.clock import Clock
from baas.database.idempotency import check_key, is_honoured
from baas.errors import Code, Problem
from baas.ids import new_id
from baas.ports.jobs import Job, JobQueue, JobState, LeaseLost, NewJob
from baas.schema.actor import Actor
from baas.settings import LimitSettings

#: Never claimed from: whoever opens a record works on it.
QUEUE: Final = "idempotency"
LEASE_SECONDS: Final = 10.0
_RENEW_SECONDS: Final = 3.0
_PURGE_EVERY: Final = 1000


class Stored(msgspec.Struct, frozen=True):
    """An answer: its status and its JSON."""

    status: int
    body: bytes


class Once:
    """`jobs` gives the queue of now."""

    def __init__(self, jobs: Callable[[], JobQueue], clock: Clock, limits: LimitSettings) -> None:
        self._jobs = jobs
        self._clock = clock
        self._keep_ms = int(limits.idempotency_hours * 3_600_000)
        self._keep_records = limits.idempotency_records
        self._begun = 0

    async def run(
        self,
        key: str | None,
        actor: Actor,
        route: str,
        body: bytes,
        work: Callable[[str], Awaitable[Stored]],
    ) -> Stored:
        """What `work` answers, or what it answered the first time.

        `work` is given an id: the same one where it is run again for this record after a crash.

        IDEMPOTENCY_MISMATCH for another body, IDEMPOTENCY_IN_PROGRESS while the first still runs.
        Strangers' keys do not count: they would share one scope.
        """
        if key is None or not is_honoured(actor):
            return await work(new_id())
        check_key(key)
        await self._purge()
        fingerprint = sha256(body).digest()
        job, ours = await self._open(key, actor, route, fingerprint)
        if job.payload != fingerprint:
            # One left behind by a crash and taken over just now: its lease will end once more.
            raise Problem(
                Code.IDEMPOTENCY_MISMATCH, "This Idempotency-Key was used with another body."
            )
        if ours:
            return await self._work(job, work)
        if job.state is not JobState.SUCCEEDED or job.result is None:
            raise Problem(
                Code.IDEMPOTENCY_IN_PROGRESS, "The first request with this key is still running."
            )
        return msgspec.msgpack.decode(job.result, type=Stored)

    async def _open(
        self, key: str, actor: Actor, route: str, fingerprint: bytes
    ) -> tuple[Job, bool]:
        now = self._clock.now_ms()
        scope = msgspec.json.encode([actor.uid, actor.key, route, key])
        record = NewJob(
            id=f"once-{sha256(scope).hexdigest()[:50]}",
            queue=QUEUE,
            kind=QUEUE,
            payload=fingerprint,
            due_ms=now,
            expires_ms=now + self._keep_ms,
            owner=actor.uid,
        )
        return await self._jobs().begin(record, LEASE_SECONDS)

    async def _work(self, job: Job, work: Callable[[str], Awaitable[Stored]]) -> Stored:
        renewing = asyncio.create_task(self._renew(job), name="baas-idempotency-lease")
        try:
            stored = await work(sha256(f"{job.id}/{job.created_ms}".encode()).hexdigest()[:32])
        except BaseException:
            await self._settle(renewing, self._jobs().discard(job))
            raise
        result = msgspec.msgpack.encode(stored)
        await self._settle(renewing, self._jobs().succeed(job, result))
        return stored

    async def _settle(self, renewing: asyncio.Task[None], settled: Awaitable[None]) -> None:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        # The lease can only be lost by a loop that stood still for longer than it lasts: the call
        # has run all the same, and its answer is the one to give.
        with suppress(LeaseLost):
            await asyncio.shield(asyncio.ensure_future(settled))

    async def _renew(self, job: Job) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            try:
                await self._jobs().renew(job, LEASE_SECONDS)
            except LeaseLost:
                return

    async def _purge(self) -> None:
        """Every so often: records whose time is over, and the oldest of too many."""
        self._begun += 1
        if self._begun % _PURGE_EVERY == 0:
            before = self._clock.now_ms() - self._keep_ms
            await self._jobs().purge(before, queue=QUEUE, at_most=self._keep_records)
