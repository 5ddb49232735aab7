"""A route as data, and how it becomes a Litestar handler.

Every route states who may call it. A route that is not in the table does not exist, and one without
a statement cannot be written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec
from litestar import Request
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response

from baas.errors import Code, Problem
from baas.gateway.exchange import Answer, Exchange, Receive, exchange_of
from baas.gateway.services import Services

#: `open`: no caller is needed or looked at. `anyone`: a token may be sent and must then be good;
#: rules or the service decide. `user`: a signed-in user. `admin`: an admin key, told from anything
#: else before the body is read.
Access: TypeAlias = Literal["open", "anyone", "user", "admin"]


class Call(msgspec.Struct, frozen=True, eq=False):
    """What an endpoint is given."""

    services: Services
    exchange: Exchange
    receive: Receive
    params: Mapping[str, str]
    query: bytes = b""


Endpoint: TypeAlias = Callable[[Call], Awaitable[Answer]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the operation's id, in logs and metrics too. `body` and `answer` are the Structs
    that describe them; `media` the answer's type. `codes` are the problems that a caller should
    expect besides those that any route can meet."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    endpoint: Endpoint
    access: Access
    summary: str
    tag: str
    description: str = ""
    body: Any = None
    answer: Any = None
    media: str = "application/json"
    codes: tuple[Code, ...] = ()
    #: Whether Idempotency-Key counts here.
    idempotent: bool = False
    documented: bool = True


_NO_PARAMS: Final[dict[str, str]] = {}


def to_litestar(route: Route, services: Services, operation_class: Any) -> HTTPRouteHandler:
    """The handler that Litestar routes to. The edge adds what every answer carries."""

    async def handle(request: Request[Any, Any, Any]) -> Response[bytes]:
        scope: Any = request.scope
        exchange = exchange_of(scope)
        exchange.route = route.name
        params = scope.get("path_params") or _NO_PARAMS
        query = scope.get("query_string", b"")
        call = Call(services, exchange, request.receive, params, query)
        return to_response(await route.endpoint(call))

    handle.__name__ = route.name.replace(".", "_")
    handler = HTTPRouteHandler(
        route.path,
        http_method=HttpMethod(route.method),
        name=route.name,
        operation_id=route.name,
        summary=route.summary,
        description=route.description or None,
        tags=[route.tag],
        status_code=200,
        include_in_schema=route.documented,
        operation_class=operation_class,
    )
    return handler(handle)


def to_response(answer: Answer) -> Response[bytes]:
    (_, media_type), *others = answer.headers
    return Response(
        answer.body,
        status_code=answer.status,
        media_type=media_type.decode("latin-1"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in others},
    )


def not_yet(what: str) -> Endpoint:
    """An endpoint of the protocol that this version does not serve."""

    async def endpoint(call: Call) -> Answer:
        raise Problem(Code.NOT_SUPPORTED, f"{what} is not supported yet.")

    return endpoint
