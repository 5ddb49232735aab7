"""Where the outcome of an asynchronous call goes: jobs that are added as it is settled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from baas.functions.model import (
    Call,
    Destination,
    FunctionDestination,
    QueueDestination,
    RetryPolicy,
    TriggerInfo,
)
from baas.ids import new_id
from baas.ports.jobs import Job, NewJob
from baas.schema.values import date_from_ms

#: Kind of asynchronous calls. Each function has a queue of its own, so that none stands in the way
#: of another; before each had one, all were in that of this name.
CALLS: Final = "calls"
CALL: Final = "call"
#: Queue and kind of webhooks to be sent.
WEBHOOKS: Final = "webhooks"
WEBHOOK: Final = "webhook"
#: Kind of what is in an app's own queues.
MESSAGE: Final = "message"
#: How long a message waits for a function to take it.
MESSAGE_MS: Final = 4 * 86_400_000
#: How long a webhook is tried.
WEBHOOK_MS: Final = 86_400_000


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a message in a queue. `actor` is the uid behind it."""

    body: Any
    actor: str | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a webhook. `secret` is the name of the one that signs, or empty."""

    url: str
    secret: str
    type: str
    data: Any


def call_queue(function: str) -> str:
    """The queue of a function's asynchronous calls."""
    return f"{CALLS}:{function}"


def called_from(queue: str) -> str:
    """The function whose calls are in this queue; empty for one of old, which has any's."""
    return queue.removeprefix(CALLS).removeprefix(":")


def queue_name(queue: str) -> str:
    """An app's queue as the job queue names it: apart from the kit's own."""
    return f"queue:{queue}"


def call_job(
    call: Call,
    *,
    now_ms: int,
    policy: RetryPolicy,
    delay: float = 0.0,
    id: str | None = None,
    ordering: str | None = None,
) -> NewJob:
    """The job that runs `call`; its id is the invocation's."""
    due = now_ms + round(delay * 1000)
    return NewJob(
        id=id or call.invocation_id or new_id(),
        queue=call_queue(call.function),
        kind=CALL,
        payload=msgspec.json.encode(msgspec.structs.replace(call, mode="async", deadline=None)),
        due_ms=due,
        expires_ms=due + round(policy.max_age * 1000),
        ordering=ordering,
        owner=call.actor.uid,
        depth=call.depth,
    )


def message_job(
    queue: str,
    message: Message,
    *,
    now_ms: int,
    delay: float = 0.0,
    ordering: str | None = None,
    depth: int = 0,
) -> NewJob:
    due = now_ms + round(delay * 1000)
    return NewJob(
        id=new_id(),
        queue=queue_name(queue),
        kind=MESSAGE,
        payload=msgspec.json.encode(message),
        due_ms=due,
        expires_ms=due + MESSAGE_MS,
        ordering=ordering,
        depth=depth,
    )


def outcome(
    job: Job,
    function: str,
    event: Any,
    state: str,
    now_ms: int,
    **more: Any,
) -> dict[str, Any]:
    """What a destination is given: `invocationId function state attempts time event`, and `result`
    or `error` and `reason`."""
    return {
        "invocationId": job.id,
        "function": function,
        "state": state,
        "attempts": job.attempt,
        "time": date_from_ms(now_ms),
        "event": event,
        **more,
    }


def forward(
    destinations: Sequence[Destination],
    told: dict[str, Any],
    *,
    now_ms: int,
    depth: int,
    actor: str | None,
    policies: dict[str, RetryPolicy],
) -> list[NewJob]:
    """The jobs that tell of an outcome; `depth` is that of the call that had it."""
    return [
        _job(destination, told, now_ms, depth + 1, actor, policies) for destination in destinations
    ]


def _job(
    destination: Destination,
    told: dict[str, Any],
    now_ms: int,
    depth: int,
    actor: str | None,
    policies: dict[str, RetryPolicy],
) -> NewJob:
    if isinstance(destination, QueueDestination):
        message = Message(body=told, actor=actor)
        return message_job(destination.queue, message, now_ms=now_ms, depth=depth)
    if isinstance(destination, FunctionDestination):
        details = {"function": told["function"], "invocationId": told["invocationId"]}
        call = Call(
            function=destination.function,
            event={**told, "actor": actor},
            trigger=TriggerInfo(kind="destination", details=details),
            depth=depth,
        )
        policy = policies.get(destination.function, RetryPolicy())
        return call_job(call, now_ms=now_ms, policy=policy)
    delivery = Delivery(
        url=destination.url,
        secret=destination.secret,
        type=f"baas.invocation.{told['state']}",
        data=told,
    )
    return NewJob(
        id=new_id(),
        queue=WEBHOOKS,
        kind=WEBHOOK,
        payload=msgspec.json.encode(delivery),
        due_ms=now_ms,
        expires_ms=now_ms + WEBHOOK_MS,
        depth=depth,
    )
