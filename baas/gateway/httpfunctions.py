"""`ANY /http/...`: HTTP functions, webhooks and mounted apps.

Declaring one is the permission; `http:` in rules/_functions.yaml narrows. A bearer token that is
sent to a function must be good; to a mounted app only where a rule looks at it, since the app may
have tokens of its own.
"""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import Any, Final

import msgspec

from baas.auth.scopes import require_scope
from baas.errors import Code, Problem, not_found
from baas.functions.model import Call, TriggerInfo, WebhookTrigger, kind_of
from baas.functions.once import Stored
from baas.functions.registry import Serving
from baas.functions.routes import FunctionMatch, MountMatch, WrongMethod
from baas.functions.triggers.webhooks import verify
from baas.gateway.actor import settle
from baas.gateway.body import check_length, read_body
from baas.gateway.exchange import Answer, Exchange, Message, Receive, Scope, Send
from baas.gateway.functions import WRITE
from baas.gateway.httpbody import Unsendable, answer_of, event_of, headers_of
from baas.gateway.mounted import PREFIX, MountedApps
from baas.gateway.problems import render
from baas.gateway.services import Services
from baas.guard import RequestFacts
from baas.ids import new_id
from baas.schema.actor import NOBODY, Actor

_log: Final = logging.getLogger("baas.functions")
#: Sockets last too long to be timed like requests, so they are only counted.
SOCKETS: Final = "baas_mount_sockets_total"
SOCKETS_REFUSED: Final = "baas_mount_sockets_refused_total"
_READING: Final = ("GET", "HEAD", "OPTIONS")


def is_http_path(path: str) -> bool:
    return path == PREFIX or path.startswith(PREFIX + "/")


class HttpFunctions:
    """Everything below `/http`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._apps = MountedApps()
        services.metrics.counter(SOCKETS, "WebSockets handed to mounted apps.")
        services.metrics.counter(SOCKETS_REFUSED, "WebSockets below /http that were refused.")

    async def serve(
        self, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> Answer | None:
        """The answer, or None where it went out through `send`."""
        actor, fault = await self._caller(exchange)
        serving, found = self._find(exchange, actor, exchange.method)
        if isinstance(found, FunctionMatch):
            return await self._function(found, exchange, scope, receive, send, actor, fault)
        if isinstance(found, MountMatch):
            with self._services.functions.service.registry.keep(serving):
                await self._mount(serving, found, exchange, scope, receive, send, actor, fault)
            return None
        if isinstance(found, WrongMethod):
            return _wrong_method(found, exchange)
        raise not_found("There is no such route.")

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """To a mounted app; else refused before the handshake."""
        exchange = Exchange({**scope, "method": "GET"})
        metrics = self._services.metrics
        exchange.ip = self._services.addresses.of(exchange, scope)
        try:
            actor, fault = await self._caller(exchange)
            serving, found = self._find(exchange, actor, "GET")
            if not isinstance(found, MountMatch) or found.mount.wsgi:
                raise not_found("There is no such route.")
            await self._allow_mount(found, exchange, actor, fault)
        except Problem as problem:
            _log.info("websocket at %s refused: %s", exchange.path, problem.public.name)
            metrics.increment(SOCKETS_REFUSED)
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        metrics.increment(SOCKETS)
        with self._services.functions.service.registry.keep(serving):
            await self._apps.of(serving, found.mount)(scope, receive, send)

    # -- who and what ------------------------------------------------------------------------------

    async def _caller(self, exchange: Exchange) -> tuple[Actor, Problem | None]:
        """Who calls, and why a token that was sent does not hold. Other schemes than Bearer are
        not ours to judge."""
        given = exchange.headers.get(b"authorization", b"")
        if given[:7].lower() != b"bearer ":
            return NOBODY, None
        try:
            return await settle(self._services.callers.actor(exchange)), None
        except Problem as fault:
            return NOBODY, fault

    def _find(self, exchange: Exchange, actor: Actor, method: str) -> tuple[Serving, Any]:
        serving = self._services.functions.service.registry.pick(actor.uid or exchange.ip)
        if serving is None:
            raise not_found("There is no such route.")
        return serving, serving.routes.find(method, exchange.path.removeprefix(PREFIX) or "/")

    def _count(self, exchange: Exchange, actor: Actor) -> None:
        limits = self._services.limits
        take = limits.take_read if exchange.method in _READING else limits.take_write
        take(actor, exchange.ip)

    # -- functions ---------------------------------------------------------------------------------

    async def _function(
        self,
        found: FunctionMatch,
        exchange: Exchange,
        scope: Scope,
        receive: Receive,
        send: Send,
        actor: Actor,
        fault: Problem | None,
    ) -> Answer | None:
        exchange.route = f"http.{found.spec.name}"
        if isinstance(found.trigger, WebhookTrigger):
            return await self._webhook(found, found.trigger, exchange, scope, receive)
        if fault is not None:
            raise fault
        exchange.actor = actor
        self._count(exchange, actor)
        require_scope(actor, WRITE)
        body = await read_body(exchange, receive, self._services.body_bytes)
        call = _call(found, exchange, scope, body, actor)
        facts = self._facts(exchange, call.event)
        await self._services.functions.guard.check_http(found.spec.name, actor, facts)
        result = await self._services.functions.service.invoke(call)
        app = _as_app(result, scope)
        if app is None:
            return _answer(found, result)
        await app(scope, receive, send)
        return None

    async def _webhook(
        self,
        found: FunctionMatch,
        trigger: WebhookTrigger,
        exchange: Exchange,
        scope: Scope,
        receive: Receive,
    ) -> Answer:
        """Its signature is all that counts: no token is looked at. A message that comes again is
        answered as the first time; one that failed is run again."""
        services = self._services
        self._count(exchange, NOBODY)
        body = await read_body(exchange, receive, services.body_bytes)
        secret = services.functions.service.secrets.current().get(trigger.secret, "")
        headers = headers_of(exchange.raw_headers)
        id = verify(trigger.scheme, secret, headers, body, services.clock.now_ms())
        call = _call(found, exchange, scope, body, NOBODY)

        async def work(invocation: str) -> Stored:
            identified = msgspec.structs.replace(call, invocation_id=invocation)
            result = await services.functions.service.invoke(identified)
            return Stored(200, msgspec.msgpack.encode(_answer(found, result)))

        # The sender stands for a caller: its ids are its own.
        sender = Actor(key=f"webhook {found.spec.name}")
        key = None if id is None else sha256(id.encode()).hexdigest()
        stored = await services.functions.once.run(key, sender, trigger.path, body, work)
        return msgspec.msgpack.decode(stored.body, type=Answer)

    def _facts(self, exchange: Exchange, data: Any) -> RequestFacts:
        return RequestFacts(time_ms=self._services.clock.now_ms(), ip=exchange.ip, data=data)

    # -- mounts ------------------------------------------------------------------------------------

    async def _mount(
        self,
        serving: Serving,
        found: MountMatch,
        exchange: Exchange,
        scope: Scope,
        receive: Receive,
        send: Send,
        actor: Actor,
        fault: Problem | None,
    ) -> None:
        exchange.route = f"mount.{found.mount.path or '/'}"
        self._count(exchange, actor)
        await self._allow_mount(found, exchange, actor, fault)
        limit = self._services.body_bytes
        check_length(exchange, limit)
        app = self._apps.of(serving, found.mount)
        await app(scope, _limited(receive, limit), send)

    async def _allow_mount(
        self, found: MountMatch, exchange: Exchange, actor: Actor, fault: Problem | None
    ) -> None:
        guard = self._services.functions.guard
        name = found.mount.path or "/"
        if not guard.narrows_http(name):
            return
        if fault is not None:
            raise fault
        exchange.actor = actor
        require_scope(actor, WRITE)
        data = {"method": exchange.method, "path": found.path}
        await guard.check_http(name, actor, self._facts(exchange, data))


def _call(
    found: FunctionMatch, exchange: Exchange, scope: Scope, body: bytes, actor: Actor
) -> Call:
    path = exchange.path.removeprefix(PREFIX) or "/"
    query: bytes = scope.get("query_string", b"")
    native = found.spec.contract == "native"
    details = {"method": exchange.method, "path": found.trigger.path}
    return Call(
        function=found.spec.name,
        event=event_of(exchange, path, found.params, query, body, strict=native),
        actor=actor,
        trigger=TriggerInfo(kind=kind_of(found.trigger), details=details),
        request_id=exchange.id,
        invocation_id=new_id(),
        raw_event=None if native else _raw(exchange, scope, body),
        ip=exchange.ip,
    )


def _raw(exchange: Exchange, scope: Scope, body: bytes) -> dict[str, Any]:
    """For handlers of other clouds, whose shapes hold the request as it came."""
    path: bytes = scope.get("raw_path") or b""
    query: bytes = scope.get("query_string", b"")
    return {
        "rawBody": body,
        "rawPath": path.decode("latin-1").removeprefix(PREFIX),
        "rawQuery": query.decode("latin-1"),
        "ip": exchange.ip,
    }


def _answer(found: FunctionMatch, result: Any) -> Answer:
    try:
        return answer_of(result)
    except Unsendable as fault:
        _log.error("the answer of %s cannot be sent: %s", found.spec.name, fault)
        raise Problem(Code.FUNCTION_FAILED, "The function failed.") from fault


def _wrong_method(found: WrongMethod, exchange: Exchange) -> Answer:
    answer = render(
        Problem(Code.METHOD_NOT_ALLOWED, "This route does not take that method."), exchange.id
    )
    allow = (b"allow", ", ".join(found.allowed).encode())
    return Answer(answer.body, answer.status, (*answer.headers, allow), answer.error)


def _as_app(result: Any, scope: Scope) -> Any:
    """A response object as the ASGI app that sends it: Litestar's, or any that is one itself, as
    Starlette's are. None for what is none."""
    if hasattr(result, "to_asgi_response"):
        from litestar import Request

        return result.to_asgi_response(None, Request(scope))
    return result if callable(result) and not isinstance(result, type) else None


def _limited(receive: Receive, limit: int) -> Receive:
    """PAYLOAD_TOO_LARGE for a body without a length that grows beyond `limit`."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise Problem(Code.PAYLOAD_TOO_LARGE, f"The body may have {limit} bytes.")
        return message

    return limited
