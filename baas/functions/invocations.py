"""Asynchronous calls as their callers and admins see them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from baas.ports.jobs import Job, JobState
from baas.schema.values import date_from_ms

#: Kind of the jobs that are calls of functions.
CALL: Final = "call"
#: Only what an invocation shows: a call's event and caller are not told again.
_HIDDEN: Final = frozenset({"tries", "stack", "errorType"})


class _Called(msgspec.Struct):
    """Of a call's payload, what is shown."""

    function: str


class StateChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """`reason` is why, where there is one to tell: an error's code, a lease that ended."""

    state: str
    time: dict[str, str]
    reason: str | None = None


class Invocation(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """`state` is enqueued, running, retrying, succeeded, failed, stopping, stopped or expired;
    `attempts` how often it was begun; `result` is there once it has succeeded, `error` (code,
    detail) after a failed attempt; `due` is when it is tried next, or was begun."""

    invocation_id: str
    function: str
    state: str
    attempts: int
    create_time: dict[str, str]
    update_time: dict[str, str]
    due: dict[str, str]
    result: Any = msgspec.UNSET
    error: dict[str, Any] | None = None
    history: tuple[StateChange, ...] = ()


def invocation_of(job: Job) -> Invocation | None:
    """None for a job that is not a call."""
    if job.kind != CALL:
        return None
    return Invocation(
        invocation_id=job.id,
        function=msgspec.json.decode(job.payload, type=_Called).function,
        state=job.state.value,
        attempts=job.attempt,
        create_time=date_from_ms(job.created_ms),
        update_time=date_from_ms(job.updated_ms),
        due=date_from_ms(job.due_ms),
        result=_result(job),
        error=_error(job),
        history=tuple(StateChange(s, date_from_ms(ms), why) for s, ms, why in job.history),
    )


def _result(job: Job) -> Any:
    if job.state is not JobState.SUCCEEDED:
        return msgspec.UNSET
    return None if job.result is None else msgspec.Raw(job.result)


def _error(job: Job) -> dict[str, Any] | None:
    if job.error is None:
        return None
    return {name: value for name, value in job.error.items() if name not in _HIDDEN}
