"""What was to be done asynchronously: listed, stopped and, where it failed for good, redriven."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from baas.clock import Clock
from baas.errors import not_found
from baas.functions.delivery import Functions
from baas.functions.destinations import CALL, MESSAGE, MESSAGE_MS, WEBHOOK, WEBHOOK_MS
from baas.functions.model import Call, RetryPolicy
from baas.functions.redact import Redactor
from baas.ports.documents import resolve
from baas.ports.jobs import Job, JobQueue, JobState
from baas.schema.actor import Actor
from baas.schema.values import date_from_ms

#: What the dead-letter list shows.
DEAD: Final = (JobState.FAILED, JobState.EXPIRED)
#: The kinds of job that are somebody's business; the rest are the kit's records.
SHOWN: Final = (CALL, MESSAGE, WEBHOOK)
MAX_PAGE: Final = 1000
_CALLS: Final = msgspec.json.Decoder(Call)


class DeadLetters:
    """`hasten` tells this process's workers of a stop, so that they need not find it out;
    `redactor` gives the one for the secrets of now."""

    def __init__(
        self,
        jobs: JobQueue,
        functions: Functions,
        clock: Clock,
        hasten: Callable[[str], None] = lambda id: None,
        redactor: Callable[[], Redactor] = Redactor,
    ) -> None:
        self._jobs = jobs
        self._functions = functions
        self._clock = clock
        self._hasten = hasten
        self._redactor = redactor

    async def stop(self, id: str, actor: Actor) -> JobState:
        """Asks a job to stop; the state that it is in then. Not begun, it is STOPPED; running, it
        is STOPPING until its function has ended. NOT_FOUND for all but its caller and admins."""
        job = await resolve(self._jobs.get(id))
        if job is None or job.kind not in SHOWN or not _may_see(job, actor):
            raise not_found("There is no such invocation.")
        state = await self._jobs.stop(id)
        if state is JobState.STOPPING:
            self._hasten(id)
        return state or job.state

    async def list(
        self,
        *,
        states: Sequence[JobState] = (),
        kind: str | None = CALL,
        queue: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """`{"jobs": [...], "next": id or None}`, newest first. Of DEAD states: the dead letters."""
        found = await resolve(
            self._jobs.list(
                queue=queue, kind=kind, states=states, before=before, limit=min(limit, MAX_PAGE)
            )
        )
        redactor = self._redactor()
        jobs = [shown(job, redactor) for job in found if job.kind in SHOWN]
        return {"jobs": jobs, "next": found[-1].id if len(found) == limit else None}

    async def redrive(self, id: str) -> dict[str, Any]:
        """Has a dead letter tried from the start; NOT_FOUND for any other job."""
        job = await resolve(self._jobs.get(id))
        if job is None or job.kind not in SHOWN or job.state not in DEAD:
            raise not_found("There is no such dead letter.")
        expires = self._clock.now_ms() + self._age_ms(job)
        if not await self._jobs.redrive(id, expires):
            raise not_found("There is no such dead letter.")
        again = await resolve(self._jobs.get(id))
        return shown(again or job, self._redactor())

    def _age_ms(self, job: Job) -> int:
        """How long it may be tried this time."""
        if job.kind != CALL:
            return MESSAGE_MS if job.kind == MESSAGE else WEBHOOK_MS
        spec = self._functions().get(_CALLS.decode(job.payload).function)
        return round((spec.retries if spec else RetryPolicy()).max_age * 1000)


def shown(job: Job, redactor: Redactor) -> dict[str, Any]:
    """A job as admins see it, payload included: a call, a message of a queue, a webhook. Secrets
    are taken out of it as out of captures; what runs has them."""
    told: dict[str, Any] = {
        "id": job.id,
        "kind": job.kind,
        "queue": job.queue,
        "state": job.state.value,
        "attempts": job.attempt,
        "createTime": date_from_ms(job.created_ms),
        "updateTime": date_from_ms(job.updated_ms),
        "due": date_from_ms(job.due_ms),
        "owner": job.owner,
        "depth": job.depth,
        "payload": redactor.value(msgspec.json.decode(job.payload)),
        "history": [_stamp(*entry) for entry in job.history],
    }
    if job.result is not None:
        told["result"] = redactor.value(msgspec.json.decode(job.result))
    if job.error is not None:
        told["error"] = redactor.value(job.error)
    return told


def _stamp(state: str, time_ms: int, reason: str | None) -> dict[str, Any]:
    stamp: dict[str, Any] = {"state": state, "time": date_from_ms(time_ms)}
    return stamp if reason is None else {**stamp, "reason": reason}


def _may_see(job: Job, actor: Actor) -> bool:
    if actor.trusted or actor.key is not None:
        return True
    return actor.uid is not None and job.owner == actor.uid
