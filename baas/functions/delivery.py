"""Asynchronous calls: run from their jobs, tried again by class of error, told of at the end."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from baas.clock import Clock
from baas.errors import Code, Problem
from baas.functions.destinations import forward, outcome
from baas.functions.host import uid_behind
from baas.functions.model import MAX_DEPTH, Call, Destination, FunctionSpec, RetryPolicy
from baas.functions.retry import MAX_LAPSES, Tried, consider
from baas.ports.jobs import LEASE_ENDED, Job, JobQueue, JobState, NewJob
from baas.schema.actor import Actor

_log: Final = logging.getLogger("baas.functions")
#: Largest result that is kept, in bytes of JSON; of a larger one only that it was too large.
MAX_RESULT_BYTES: Final = 1024**2

#: The functions whose triggers are in force, by name.
Functions = Callable[[], Mapping[str, FunctionSpec]]
Invoke = Callable[[Call], Awaitable[Any]]


#: Who called, with what he may do by now: a call may have waited for days.
AsOfNow = Callable[[Actor], Awaitable[Actor]]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a job is about, for whoever is told of its end. `spec` None: it is no longer there."""

    job: Job
    spec: FunctionSpec | None
    policy: RetryPolicy = RetryPolicy()
    function: str
    event: Any
    actor: str | None
    depth: int


class Settlement:
    """Turns the end of an attempt into what becomes of its job, destinations included."""

    def __init__(self, jobs: JobQueue, clock: Clock, functions: Functions) -> None:
        self._jobs = jobs
        self._clock = clock
        self._functions = functions

    async def succeeded(self, work: Work, result: Any, kept: bytes | None) -> None:
        told = outcome(
            work.job, work.function, work.event, "succeeded", self._clock.now_ms(), result=result
        )
        then = self._forward(work, work.spec.on_success if work.spec else (), told)
        await self._jobs.succeed(work.job, kept, then)

    async def failed(self, work: Work, problem: Problem) -> None:
        """Tries again as the policy says, else FAILED: a dead letter."""
        tried = self.consider(work, problem)
        if tried.wait_ms is not None:
            due = self._clock.now_ms() + tried.wait_ms
            await self._jobs.retry(work.job, due, tried.error)
            return
        error = {**tried.error, "reason": tried.reason}
        then = self._forward_failure(work, "failed", error)
        await self._jobs.fail(work.job, error, then)
        _log.error(
            "%s failed for good after %d attempts (%s): %s, job %s",
            work.function,
            work.job.attempt,
            tried.reason,
            problem,
            work.job.id,
        )

    def consider(self, work: Work, problem: Problem) -> Tried:
        return consider(
            problem,
            work.spec.retries if work.spec else work.policy,
            before=work.job.error,
            now_ms=self._clock.now_ms(),
            expires_ms=work.job.expires_ms,
        )

    async def expired(self, work: Work) -> None:
        last = work.job.error or {"code": "EXPIRED", "detail": "It was not begun in time."}
        error = {**last, "reason": "expired"}
        then = self._forward_failure(work, "expired", error)
        await self._jobs.expire(work.job, error, then)
        _log.error("%s was not run in time, job %s", work.function, work.job.id)

    def _forward_failure(self, work: Work, state: str, error: dict[str, Any]) -> list[NewJob]:
        shown = {"code": error["code"], "message": error["detail"]}
        told = outcome(
            work.job,
            work.function,
            work.event,
            state,
            self._clock.now_ms(),
            error=shown,
            reason=error["reason"],
        )
        return self._forward(work, work.spec.on_failure if work.spec else (), told)

    def _forward(
        self, work: Work, destinations: tuple[Destination, ...], told: dict[str, Any]
    ) -> list[NewJob]:
        """A chain that is as deep as it may get ends here: one more would only fail in turn."""
        if not destinations or work.depth >= MAX_DEPTH:
            return []
        return forward(
            destinations,
            told,
            now_ms=self._clock.now_ms(),
            depth=work.depth,
            actor=work.actor,
            policies={name: spec.retries for name, spec in self._functions().items()},
        )


class CallRunner:
    """Handles jobs of kind CALL."""

    def __init__(
        self,
        jobs: JobQueue,
        invoke: Invoke,
        functions: Functions,
        settlement: Settlement,
        clock: Clock,
        as_of_now: AsOfNow,
    ) -> None:
        self._jobs = jobs
        self._invoke = invoke
        self._functions = functions
        self._settlement = settlement
        self._clock = clock
        self._as_of_now = as_of_now

    async def run(self, batch: list[Job]) -> None:
        """One attempt of one job."""
        (job,) = batch
        call = decode_call(job)
        call = msgspec.structs.replace(call, actor=await self._as_of_now(call.actor))
        work = self._work(job, call)
        if job.is_overdue(self._clock.now_ms()):
            await self._settlement.expired(work)
            return
        try:
            _check_lapses(job)
            result = await self._invoked(call)
        except Problem as problem:
            await self._settlement.failed(work, problem)
        else:
            await self._settlement.succeeded(work, result, _kept(result))

    async def _invoked(self, call: Call) -> Any:
        try:
            return await self._invoke(call)
        except Problem:
            raise
        except Exception as fault:
            _log.exception("%s could not be run", call.function)
            raise Problem(Code.INTERNAL, f"It could not be run: {type(fault).__name__}.") from fault

    def _work(self, job: Job, call: Call) -> Work:
        return Work(
            job=job,
            spec=self._functions().get(call.function),
            function=call.function,
            event=call.event,
            actor=uid_behind(call),
            depth=call.depth,
        )


def decode_call(job: Job) -> Call:
    """The call of this attempt."""
    call = _CALLS.decode(job.payload)
    return msgspec.structs.replace(
        call, mode="async", deadline=None, attempt=job.attempt, invocation_id=job.id
    )


_CALLS: Final = msgspec.json.Decoder(Call)


def _check_lapses(job: Job) -> None:
    """A call that takes its worker down with it, time and again, is not run once more."""
    lapses = 0
    for state, _, reason in job.history:
        if reason == LEASE_ENDED:
            lapses += 1
        elif state == JobState.ENQUEUED.value:
            lapses = 0  # redriven
    if lapses > MAX_LAPSES:
        detail = f"The worker that ran it died {lapses} times."
        raise Problem(Code.LIMIT_EXCEEDED, detail)


def _kept(result: Any) -> bytes:
    body = msgspec.json.encode(result)
    if len(body) <= MAX_RESULT_BYTES:
        return body
    return msgspec.json.encode({"tooLarge": len(body)})
