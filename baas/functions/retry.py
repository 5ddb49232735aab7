"""When a failed asynchronous call is tried again: by class of error, from a policy.

| class | what it is | default policy |
|---|---|---|
| `function` | the function raised, or ran out of time | 3 tries more, after 1, 2 and 4 s |
| `system` | the kit, the machine or a worker failed | 0.5 s doubling to 300 s, until `max_age` |
| `throttled` | told to come back later (429) | 1 s doubling to 60 s, until `max_age` |
| `refused` | the call itself cannot work: a bad event, a loop, no right | never |

Tries are counted per class. Nothing begins later than `max_age` after it was due.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from baas.errors import Code, Problem
from baas.functions.model import Backoff, RetryPolicy

ErrorClass: TypeAlias = Literal["function", "system", "throttled", "refused"]

#: A job whose worker died this often while it ran is taken to be the cause.
MAX_LAPSES: Final = 5

_TOO_MANY: Final = 429
_REFUSED: Final = frozenset(
    {
        Code.INVALID_ARGUMENT,
        Code.VALIDATION_FAILED,
        Code.LIMIT_EXCEEDED,
        Code.PAYLOAD_TOO_LARGE,
        Code.PERMISSION_DENIED,
        Code.NOT_SUPPORTED,
        Code.LOOP_DETECTED,
    }
)
_FUNCTION: Final = frozenset({Code.FUNCTION_FAILED, Code.FUNCTION_TIMEOUT})


def classify(problem: Problem) -> ErrorClass:
    """Of a Problem as the invoker raises it. A function that is not there counts as a fault of
    the system: its file may be broken just now, and the call is not to be lost for that."""
    if problem.status == _TOO_MANY:
        return "throttled"
    if problem.own is not None or problem.code in _FUNCTION:
        return "function"
    return "refused" if problem.code in _REFUSED else "system"


class Tried(msgspec.Struct, frozen=True):
    """What a failed attempt comes to. `error` is what the job keeps; `wait_ms` is None where it
    is not tried again, and then `reason` says why."""

    error: dict[str, Any]
    reason: str
    wait_ms: int | None


def consider(
    problem: Problem,
    policy: RetryPolicy,
    *,
    before: dict[str, Any] | None,
    now_ms: int,
    expires_ms: int | None,
) -> Tried:
    """Whether to try again. `before` is the error that the job kept from the attempt before."""
    kind = classify(problem)
    tries = dict((before or {}).get("tries", {}))
    tries[kind] = tries.get(kind, 0) + 1
    error = {
        "code": problem.public.name,
        "detail": problem.detail,
        "class": kind,
        "tries": tries,
    }
    wait = _wait_seconds(kind, policy, tries[kind], problem.retry_after)
    if wait is None:
        return Tried(error, "refused" if kind == "refused" else "retries exhausted", None)
    wait_ms = round(wait * 1000)
    if expires_ms is not None and now_ms + wait_ms >= expires_ms:
        return Tried(error, "too old to be tried again", None)
    return Tried(error, "", wait_ms)


def _wait_seconds(
    kind: ErrorClass, policy: RetryPolicy, failures: int, asked: float | None
) -> float | None:
    if kind == "refused":
        return None
    backoff: Backoff = getattr(policy, kind)
    if backoff.tries is not None and failures > backoff.tries:
        return None
    wait = delay_seconds(backoff, failures)
    return max(wait, asked or 0.0) if kind == "throttled" else wait


def delay_seconds(backoff: Backoff, failures: int) -> float:
    """Before the next try, after so many failures."""
    try:
        grown = backoff.first * backoff.factor ** (failures - 1)
    except OverflowError:
        return backoff.cap
    return min(grown, backoff.cap)
