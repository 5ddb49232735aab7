"""Function routes: calls by name, and what became of asynchronous ones."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from baas.auth.scopes import require_scope
from baas.database.bodies import BodyDecoder
from baas.errors import Problem, invalid, not_found
from baas.functions.context import MAX_DELAY
from baas.functions.invocations import Invocation, invocation_of
from baas.functions.model import Call
from baas.functions.once import Stored
from baas.functions.registry import caller_of
from baas.gateway.actor import settle
from baas.gateway.body import check_json_type, read_body
from baas.gateway.exchange import JSON, NO_STORE, Answer, Exchange
from baas.gateway.route import Call as RouteCall
from baas.gateway.services import Services
from baas.guard import RequestFacts
from baas.ports.documents import resolve
from baas.schema.actor import Actor

READ: Final = "functions:read"
WRITE: Final = "functions:write"
#: Longest query string of these routes; `mode` and `delay` are all there is.
_MAX_QUERY: Final = 200

#: For the description of the call route.
QUERY: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "mode",
        "in": "query",
        "required": False,
        "description": "`async` answers 202 as soon as the call is durable, and runs it later.",
        "schema": {"type": "string", "enum": ["sync", "async"], "default": "sync"},
    },
    {
        "name": "delay",
        "in": "query",
        "required": False,
        "description": "Seconds until an asynchronous call may begin.",
        "schema": {"type": "number", "minimum": 0, "maximum": MAX_DELAY},
    },
)

_decode_event: Final = BodyDecoder(Any)
_encoder: Final = msgspec.json.Encoder()


class Accepted(msgspec.Struct, rename="camel"):
    """An asynchronous call, durable. `GET /v1/functions/invocations/{invocationId}` says what
    becomes of it."""

    invocation_id: str


async def call_function(route: RouteCall) -> Answer:
    """`POST /v1/functions/{name}`: the body is the event, the answer the result.

    `?mode=async` and `delay` (seconds): 202 as soon as the call is durable.
    """
    services, exchange = route.services, route.exchange
    actor = exchange.actor = await settle(services.callers.actor(exchange))
    services.limits.take_write(actor, exchange.ip)
    require_scope(actor, WRITE)
    delay = read_mode(route.query)
    check_json_type(exchange)
    body = await read_body(exchange, route.receive, services.body_bytes)
    call = _call(route.params["name"], body, actor, exchange)
    await _check(services, call)
    where = f"functions/{call.function}?{'sync' if delay is None else 'async'}"

    async def work(id: str) -> Stored:
        identified = msgspec.structs.replace(call, invocation_id=id)
        if delay is None:
            result = await services.functions.service.invoke(identified)
            return Stored(200, _encoder.encode(result))
        queued = await services.functions.service.enqueue(identified, delay)
        return Stored(202, _encoder.encode(Accepted(queued)))

    key = exchange.text(b"idempotency-key")
    stored = await services.functions.once.run(key, actor, where, body, work)
    return Answer(stored.body, stored.status, (JSON, NO_STORE))


def read_mode(query: bytes) -> float | None:
    """Seconds of delay of an asynchronous call, None for one that is waited for."""
    if not query:
        return None
    if len(query) > _MAX_QUERY:
        raise invalid("", "the query is too long")
    given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    mode, delay = given.pop("mode", "sync"), given.pop("delay", None)
    for name in given:
        raise invalid(name[:64], "is not a known parameter")
    if mode not in ("sync", "async"):
        raise invalid("mode", "is sync or async")
    if mode == "sync":
        if delay is not None:
            raise invalid("delay", "only with mode=async")
        return None
    return _seconds(delay or "0")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not isfinite(seconds) or not 0 <= seconds <= MAX_DELAY:
        raise invalid("delay", f"is 0 to {MAX_DELAY:.0f} seconds")
    return seconds


def _call(name: str, body: bytes, actor: Actor, exchange: Exchange) -> Call:
    return Call(
        function=name,
        event=_decode_event(body) if body else {},
        actor=actor,
        request_id=exchange.id,
        ip=exchange.ip,
    )


async def _check(services: Services, call: Call) -> None:
    """NOT_FOUND for a function that is not there, PERMISSION_DENIED where no rule allows it."""
    functions = services.functions
    _, spec = functions.service.registry.current(call.function, caller_of(call), call.alias)
    facts = RequestFacts(time_ms=services.clock.now_ms(), ip=call.ip, data=call.event)
    await functions.guard.check_invoke(spec, call.actor, facts)


async def get_invocation(route: RouteCall) -> Answer:
    """`GET /v1/functions/invocations/{id}`: for its caller and for admin keys; NOT_FOUND for all
    others, as if it were not there."""
    services, exchange = route.services, route.exchange
    actor = exchange.actor = await settle(services.callers.actor(exchange))
    services.limits.take_read(actor, exchange.ip)
    require_scope(actor, READ)
    found = await find_invocation(services, route.params["id"])
    is_owner = actor.uid is not None and actor.uid == found[1]
    if not is_owner and not actor.trusted:
        raise no_invocation()
    return Answer(_encoder.encode(found[0]), 200, (JSON, NO_STORE))


async def find_invocation(services: Services, id: str) -> tuple[Invocation, str | None]:
    """An asynchronous call and the uid of its caller."""
    job = await resolve(services.functions.jobs().get(id))
    if job is None:
        raise no_invocation()
    invocation = invocation_of(job)
    if invocation is None:
        raise no_invocation()
    return invocation, job.owner


def no_invocation() -> Problem:
    return not_found("There is no such invocation.")
