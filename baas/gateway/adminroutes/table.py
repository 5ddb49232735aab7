"""What the families of the admin API share: a route from a scope, a body and what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec

from baas.auth.scopes import require_scope
from baas.database.bodies import BodyDecoder
from baas.errors import Code, Problem
from baas.gateway.body import check_json_type, read_body
from baas.gateway.exchange import JSON, NO_STORE, Answer
from baas.gateway.route import Access, Call, Endpoint, Route
from baas.gateway.services import Services
from baas.schema.actor import Actor

#: What a route does with a good body, for a caller who may.
Work: TypeAlias = Callable[[Services, Actor, Any], Awaitable[Any]]

_encoder: Final = msgspec.json.Encoder()


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Unknown members are refused by name."""


class Nothing(Body, frozen=True):
    """`{}`"""


class Done(msgspec.Struct, frozen=True):
    """`{}`: it is done."""


def answer(value: Any) -> Answer:
    return Answer(_encoder.encode(value), 200, (JSON, NO_STORE))


def admin_actor(call: Call) -> Actor:
    actor = call.exchange.actor
    if actor is None:  # the edge was gone round: better no answer than one to a stranger
        raise Problem(Code.UNAUTHENTICATED, "An admin key is needed here.")
    return actor


async def decoded(call: Call, decode: BodyDecoder[Any], limit: int = 0) -> Any:
    """The body as its Struct; an empty one is `{}`."""
    check_json_type(call.exchange)
    body = await read_body(call.exchange, call.receive, limit or call.services.body_bytes)
    return decode(body or b"{}")


def admin_route(
    path: str,
    summary: str,
    scope: str,
    work: Work,
    body: Any = None,
    answers: Any = dict[str, Any],
    *codes: Code,
    recorded: tuple[str, ...] = (),
    limit: int = 0,
) -> Route:
    """`GET /v1/admin/{path}` without a body, else POST. A `scope` that ends in `:read` promises
    that nothing is changed; any other call is in the audit log, with the members `recorded`.
    `limit` is of the body's bytes, 0 for what all bodies have."""
    return Route(
        method="GET" if body is None else "POST",
        path=f"/v1/admin/{path}",
        name=f"admin.{path.replace('/', '.')}",
        endpoint=_endpoint(scope, body, work, limit),
        access="admin",
        summary=summary,
        tag="admin",
        body=body,
        answer=answers,
        codes=codes,
        scope=scope,
        recorded=recorded,
    )


def _endpoint(scope: str, body_type: Any, work: Work, limit: int) -> Endpoint:
    decode = None if body_type is None else BodyDecoder(body_type)

    async def endpoint(call: Call) -> Answer:
        actor = admin_actor(call)
        require_scope(actor, scope)
        body = None if decode is None else await decoded(call, decode, limit)
        return answer(await work(call.services, actor, body))

    return endpoint


def own_route(
    path: str,
    summary: str,
    endpoint: Endpoint,
    *,
    method: Any = "POST",
    access: Access = "admin",
    body: Any = None,
    answers: Any = Done,
    codes: tuple[Code, ...] = (),
    scope: str | None = None,
    recorded: tuple[str, ...] = (),
    description: str = "",
) -> Route:
    """A route whose endpoint sees the whole call."""
    return Route(
        method=method,
        path=f"/v1/admin/{path}",
        name=f"admin.{path.replace('/', '.')}",
        endpoint=endpoint,
        access=access,
        summary=summary,
        tag="admin",
        body=body,
        answer=answers,
        codes=codes,
        scope=scope,
        recorded=recorded,
        description=description,
    )
