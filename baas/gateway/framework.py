"""The route table as a Litestar app.

Imported when the first request needs it: Litestar takes longer
to import than the rest of the gateway to start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from litestar import Litestar, Request
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response, Stream

from baas.errors import Code, Problem
from baas.functions.model import Release
from baas.gateway.actor import settle
from baas.gateway.audit import changes, may_be_admin, recorded
from baas.gateway.body import CLIENT_CLOSED, ClientGone
from baas.gateway.exchange import Answer, Exchange, Receive, exchange_of
from baas.gateway.openapi import openapi_config, operation_class
from baas.gateway.route import Call, Route
from baas.gateway.routes import all_routes
from baas.gateway.services import Services

_NO_PARAMS: Final[dict[str, str]] = {}

NO_ROUTE: Final = "There is no such route; the page /docs lists all there are."
#: Litestar's own refusals in our words; its texts are not for strangers.
_FROM_STATUS: Final = {
    400: (Code.INVALID_ARGUMENT, "The request is not well formed."),
    404: (Code.NOT_FOUND, NO_ROUTE),
    405: (
        Code.METHOD_NOT_ALLOWED,
        "This route does not take that method; the header Allow says which it takes.",
    ),
}


def make_litestar(
    services: Services, answer_for: Callable[[Exception, Exchange], Answer]
) -> Litestar:
    """Litestar with every route of the table. `answer_for` turns any fault into an answer."""
    routes = all_routes(services.settings)
    described = tuple(route for route in routes if route.documented)
    registry = services.functions.service.registry

    def release() -> Release | None:
        return registry.primary.release if registry.primary else None

    return Litestar(
        [_handler(route, services) for route in routes],
        openapi_config=openapi_config(services.settings.app.name, described, release),
        exception_handlers={Exception: _fault_handler(answer_for)},
        logging_config=None,
        request_max_body_size=None,  # `body.read_body` is the limit, on both ways to a verb
        debug=False,
    )


def _handler(route: Route, services: Services) -> HTTPRouteHandler:
    async def handle(request: Request[Any, Any, Any]) -> Response[bytes]:
        scope: Any = request.scope
        exchange = exchange_of(scope)
        exchange.route = route.name
        params = scope.get("path_params") or _NO_PARAMS
        call = Call(services, exchange, request.receive, params, scope.get("query_string", b""))
        try:
            return _response(await _called(route, call))
        except ClientGone:
            return Response(b"", status_code=CLIENT_CLOSED)  # nobody is there to read it

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
        operation_class=operation_class(route),
    )
    return handler(handle)


async def _called(route: Route, call: Call) -> Answer:
    """The endpoint's answer; a change by an admin key is in the audit log."""
    exchange, services = call.exchange, call.services
    if not changes(route) or not may_be_admin(exchange):
        return await route.endpoint(call)
    actor = await settle(services.callers.actor(exchange))
    if actor.key is None or (route.access != "admin" and actor.operator is None):
        return await route.endpoint(call)

    async def work(receive: Receive) -> Answer:
        return await route.endpoint(msgspec.structs.replace(call, receive=receive))

    audit = services.panel.audit
    return await recorded(audit, route.name, route.recorded, exchange, actor, call.receive, work)


def _response(answer: Answer) -> Response[Any]:
    (_, content_type), *others = answer.headers
    media_type = content_type.decode("latin-1")
    if media_type.startswith("text/"):  # Litestar adds the charset to these
        media_type = media_type.removesuffix("; charset=utf-8")
    if answer.stream is not None:
        return Stream(
            answer.stream.pieces,
            status_code=answer.status,
            media_type=media_type,
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in others},
        )
    return Response(
        answer.body,
        status_code=answer.status,
        media_type=media_type,
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in others},
    )


def _fault_handler(
    answer_for: Callable[[Exception, Exchange], Answer],
) -> Callable[[Request[Any, Any, Any], Exception], Response[bytes]]:
    def handle(request: Request[Any, Any, Any], fault: Exception) -> Response[bytes]:
        scope: Any = request.scope
        exchange = exchange_of(scope)
        refusal = _refusal(fault)
        answer = answer_for(refusal or fault, exchange)
        exchange.error = answer.error
        response = _response(answer)
        if refusal is not None and isinstance(fault, HTTPException):
            response.headers.update(fault.headers or {})  # Allow, with a 405
        return response

    return handle


def _refusal(fault: Exception) -> Problem | None:
    if not isinstance(fault, HTTPException):
        return None
    known = _FROM_STATUS.get(fault.status_code)
    return Problem(*known) if known else None
