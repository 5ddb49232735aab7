"""Invocations as they are shown, stopped and, where they failed for good, driven again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from baas.clock import Clock
from baas.errors import Problem, not_found
from baas.functions.delivery import Functions
from baas.functions.destinations import CALL, MESSAGE, MESSAGE_MS, WEBHOOK, WEBHOOK_MS
from baas.functions.model import Call, RetryPolicy
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


class Invocations:
    """`hasten` tells this process's workers of a stop, so that they need not find it out."""

    def __init__(
        self, jobs: JobQueue, functions: Functions, clock: Clock, hasten: Any = lambda id: None
    ) -> None:
        self._jobs = jobs
        self._functions = functions
        self._clock = clock
        self._hasten = hasten

    async def show(self, id: str, actor: Actor) -> dict[str, Any]:
        """`invocationId function state attempts createTime updateTime history`, and `result` or
        `error`. NOT_FOUND for all but the caller and admins, whether it is there or not."""
        job = await self._visible(id, actor)
        return shown(job, admin=_is_admin(actor))

    async def stop(self, id: str, actor: Actor) -> dict[str, Any]:
        """Asks for its stop; the invocation as it then stands."""
        await self._visible(id, actor)
        if await self._jobs.stop(id) is JobState.STOPPING:
            self._hasten(id)
        return await self.show(id, actor)

    async def _visible(self, id: str, actor: Actor) -> Job:
        job = await resolve(self._jobs.get(id))
        if job is None or job.kind not in SHOWN:
            raise _unknown()
        if not _is_admin(actor) and (actor.uid is None or job.owner != actor.uid):
            raise _unknown()
        return job

    # -- for admins --------------------------------------------------------------------------------

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
        jobs = [shown(job, admin=True) for job in found if job.kind in SHOWN]
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
        return shown(again or job, admin=True)

    def _age_ms(self, job: Job) -> int:
        """How long it may be tried this time."""
        if job.kind != CALL:
            return MESSAGE_MS if job.kind == MESSAGE else WEBHOOK_MS
        spec = self._functions().get(_CALLS.decode(job.payload).function)
        return round((spec.retries if spec else RetryPolicy()).max_age * 1000)


def shown(job: Job, *, admin: bool) -> dict[str, Any]:
    """A job for its caller; admins see its payload and the class of its error as well."""
    told: dict[str, Any] = {
        "invocationId": job.id,
        "state": job.state.value,
        "attempts": job.attempt,
        "createTime": date_from_ms(job.created_ms),
        "updateTime": date_from_ms(job.updated_ms),
        "dueTime": date_from_ms(job.due_ms),
        "history": [_stamp(*entry) for entry in job.history],
    }
    payload = msgspec.json.decode(job.payload)
    if job.kind == CALL:
        told["function"] = payload["function"]
    if job.state is JobState.SUCCEEDED:
        told["result"] = None if job.result is None else msgspec.Raw(job.result)
    if job.error is not None:
        told["error"] = {"code": job.error.get("code"), "detail": job.error.get("detail")}
    if admin:
        told |= {"kind": job.kind, "queue": job.queue, "owner": job.owner, "depth": job.depth}
        told["payload"] = payload
        if job.error is not None:
            told["error"] = job.error
    return told


def _stamp(state: str, time_ms: int, reason: str | None) -> dict[str, Any]:
    stamp: dict[str, Any] = {"state": state, "time": date_from_ms(time_ms)}
    return stamp if reason is None else {**stamp, "reason": reason}


def _is_admin(actor: Actor) -> bool:
    return actor.trusted or actor.key is not None


def _unknown() -> Problem:
    return not_found("There is no such invocation.")
