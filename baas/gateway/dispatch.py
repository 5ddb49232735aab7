"""The edge: every request enters and leaves here.

A plain ASGI app in front of Litestar's router. It gives each request its id, address, CORS headers,
log line and numbers, and answers the database verbs by itself, because a framework's way to a
handler costs more than the handler (numbers in bench/). All else goes to Litestar, or, outside of
the API's paths, to the app's public files. Both ways to a verb end in `database.answer_verb`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import random
from time import perf_counter
from typing import Any, Final, cast

from baas.database.verbs import VERBS
from baas.errors import Code, Problem, not_found
from baas.gateway.actor import refuse_query_token
from baas.gateway.admin import is_admin_path, require_admin_key
from baas.gateway.body import CLIENT_CLOSED, ClientGone
from baas.gateway.cors import is_open
from baas.gateway.database import answer_verb
from baas.gateway.downloads import download, is_download
from baas.gateway.exchange import (
    NO_SNIFF,
    SCOPE_KEY,
    Answer,
    Exchange,
    Header,
    Message,
    Receive,
    Scope,
    Send,
    Stream,
)
from baas.gateway.httpfunctions import HttpFunctions, is_http_path
from baas.gateway.panel import PanelFiles, is_panel_path
from baas.gateway.problems import internal, render
from baas.gateway.protocol import answer_at_once
from baas.gateway.public import PublicFiles
from baas.gateway.ratelimit import network_of
from baas.gateway.realtime.serve import Realtime
from baas.gateway.realtime.socket import PATH as REALTIME_PATH
from baas.gateway.route import Call
from baas.gateway.services import Services
from baas.observe.logs import REQUEST_ID, Access, stamp

log = logging.getLogger(__name__)

AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

#: How long a client may take for the next piece of a file, before it is hung up on.
SEND_SECONDS: Final = 60.0
#: What Litestar serves; every other path is one of the app's public files.
API_PATHS: Final = frozenset(
    {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/.well-known/jwks.json"}
)
API_PREFIXES: Final = ("/v1/", "/docs/")
#: The API's own ground: never a public file, whatever lies in the app's folder.
_RESERVED: Final = frozenset({"v1", "docs", "admin", "http", ".well-known"})

_HOT_PREFIX: Final = "/v1/database/"
_HOT_START: Final = len(_HOT_PREFIX)
_HOT_ROUTES: Final = {verb: f"database.{verb}" for verb in VERBS}

_BODILESS: Final = (204, 304)


class Edge:
    """The ASGI app. `other_protocols` takes what is neither an HTTP request nor a socket: the
    lifespan."""

    def __init__(self, services: Services, other_protocols: AsgiApp) -> None:
        self._other_protocols = other_protocols
        self._services = services
        self._litestar: AsgiApp | None = None
        self._making: asyncio.Future[AsgiApp] | None = None
        self._public = PublicFiles(services.public)
        self._panel = PanelFiles(enabled=services.settings.admin.panel)
        self._functions = HttpFunctions(services)
        self._realtime = Realtime(services)
        self._sample = services.settings.observe.access_sample
        self._log_all = self._sample >= 1
        self._log_info = services.logs.level <= logging.INFO
        self._address_of = services.addresses.of
        self._cors_headers = services.cors.headers
        self._count = services.metrics.request
        self._log = services.logs.add
        self._now_ms = services.clock.now_ms

    async def litestar(self) -> AsgiApp:
        """Made once, in a thread, so that the loop goes on serving verbs meanwhile."""
        if self._litestar is None:
            if self._making is None:
                self._making = asyncio.ensure_future(asyncio.to_thread(self._make_litestar))
            self._litestar = await asyncio.shield(self._making)
        return self._litestar

    def _make_litestar(self) -> AsgiApp:
        from baas.gateway.framework import make_litestar

        app: Any = make_litestar(self._services, self.answer_for)
        return cast("AsgiApp", app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._answer_other_protocol(scope, receive, send)
            return
        exchange = Exchange(scope)
        exchange.ip = self._address_of(exchange, scope)
        REQUEST_ID.set(exchange.id)
        verb = hot_verb(exchange)
        try:
            if verb is None:
                await self._answer_other(exchange, scope, receive, send)
                return
            exchange.route = _HOT_ROUTES[verb]
            try:
                exchange.check_headers()
                refuse_query_token(scope)
                collection = exchange.path[_HOT_START : -len(verb) - 1]
                answer = await answer_verb(self._services, exchange, verb, collection, receive)
            except ClientGone:
                raise
            except Exception as fault:
                answer = self.answer_for(fault, exchange)
            await self._send(exchange, answer, send)
        except ClientGone:
            exchange.status = CLIENT_CLOSED
        except asyncio.CancelledError:
            await self._break_off(exchange, send)
            raise
        finally:
            self._finish(exchange)

    async def _break_off(self, exchange: Exchange, send: Send) -> None:
        """The drain has ended before the request: whoever still waits is told to come again."""
        if not exchange.status:
            problem = Problem(Code.UNAVAILABLE, "The service is stopping.", retry_after=1)
            await self._send(exchange, self.answer_for(problem, exchange), send)

    async def _answer_other_protocol(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._other_protocols(scope, receive, send)
        elif scope["path"] == REALTIME_PATH:
            await self._realtime.serve(scope, receive, send)
        elif is_http_path(scope["path"]):
            await self._functions.websocket(scope, receive, send)
        else:  # refused before the handshake
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _answer_other(
        self, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            exchange.check_headers()
            if is_open(exchange.path):
                refuse_query_token(scope)
                preflight = self._services.cors.preflight(exchange)
                if preflight is not None:
                    exchange.route = "preflight"
                    return await self._send(exchange, preflight, send)
            if is_admin_path(exchange.path):
                await require_admin_key(self._services, exchange)
            if is_download(exchange):
                return await self._download(exchange, scope, receive, send)
            if _is_api(exchange.path):
                return await self._through_litestar(exchange, scope, receive, send)
            if is_http_path(exchange.path):
                wrapped = self._wrap(exchange, send)
                answer = await self._functions.serve(exchange, scope, receive, wrapped)
                return None if answer is None else await self._send(exchange, answer, send)
            if is_panel_path(exchange.path):
                exchange.route = "panel"
                return await self._send(exchange, await self._panel.answer(exchange), send)
            if _is_reserved(exchange.path):
                raise not_found("There is no such route.")
            exchange.route = "public"
            await self._public.serve(exchange, self._wrap(exchange, send))
        except ClientGone:
            raise
        except Exception as fault:
            if exchange.is_answered:
                # Frameworks answer a failure themselves and raise it to be logged. To raise it
                # further would end a connection that the next request may be on already.
                log.exception("it failed after its answer")
                return None
            if exchange.status:  # the head has left: all that can be done is to break off
                log.exception("an answer broke off")
                raise
            await self._send(exchange, self.answer_for(fault, exchange), send)

    async def _download(
        self, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """By the path as it was sent: a router that folds it would find other files."""
        exchange.route = "storage.download"
        query = scope.get("query_string", b"")
        answer = await download(Call(self._services, exchange, receive, {}, query))
        if answer.stream is None:
            await self._send(exchange, answer, send)
        else:
            await self._send_stream(exchange, answer, answer.stream, self._wrap(exchange, send))

    async def _send_stream(
        self, exchange: Exchange, answer: Answer, stream: Stream, send: Send
    ) -> None:
        head = [*answer.headers, (b"content-length", b"%d" % stream.length)]
        try:
            await send({"type": "http.response.start", "status": answer.status, "headers": head})
            async for piece in stream.pieces:
                try:
                    async with asyncio.timeout(SEND_SECONDS):
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                except TimeoutError:
                    raise ClientGone from None
            await send({"type": "http.response.body", "body": b""})
        finally:
            await stream.close()

    async def _through_litestar(
        self, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """HEAD is GET without the body; Litestar's router knows no HEAD of its own."""
        method = "GET" if exchange.method == "HEAD" else exchange.method
        scope = {**scope, "method": method, SCOPE_KEY: exchange}
        app = await self.litestar()
        await app(scope, receive, self._wrap(exchange, send))

    def answer_for(self, fault: Exception, exchange: Exchange) -> Answer:
        """Any fault to its answer. What nobody foresaw is logged with its stack, not told."""
        if isinstance(fault, Problem):
            problem = fault
        else:
            log.error("unexpected fault in %s", exchange.route, exc_info=fault)
            problem = internal()
        if problem.code.status == 401:
            problem = self._count_failed_token(problem, exchange)
        return render(problem, exchange.id)

    def _count_failed_token(self, problem: Problem, exchange: Exchange) -> Problem:
        """Checking a signature is dear: who sends bad tokens all the time is told to wait."""
        try:
            self._services.limits.read.take(f"401/{network_of(exchange.ip)}")
        except Problem as limited:
            return limited
        return problem

    async def _send(self, exchange: Exchange, answer: Answer, send: Send) -> None:
        body = answer.body
        exchange.status = answer.status
        exchange.size = len(body)
        exchange.error = answer.error
        head = [*answer.headers, *self._common_headers(exchange)]
        if answer.status not in _BODILESS:
            head.append((b"content-length", b"%d" % len(body)))
            if exchange.method == "POST" and answer_at_once(
                send, answer.status, header_lines(head), body
            ):
                return
        await send({"type": "http.response.start", "status": answer.status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    def _common_headers(self, exchange: Exchange) -> tuple[Header, ...]:
        """What every answer carries, however it was made."""
        id = (b"x-request-id", exchange.id.encode())
        if is_open(exchange.path):
            return (id, NO_SNIFF, *self._cors_headers(exchange))
        return (id, NO_SNIFF)

    def _wrap(self, exchange: Exchange, send: Send) -> Send:
        """`send` for answers that others make: adds the common headers, counts the bytes."""

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = exchange.status = message["status"]
                given = message["headers"]
                common = self._common_headers(exchange)
                ours = {name for name, _ in common}  # an app below /http may have set one too
                if status in _BODILESS:  # a length would be that of what is not sent
                    ours.add(b"content-length")
                given = [header for header in given if header[0] not in ours]
                message["headers"] = [*given, *common]
            elif message["type"] == "http.response.body":
                if exchange.method == "HEAD":
                    message["body"] = b""
                exchange.size += len(message.get("body", b""))
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                exchange.is_answered = True

        return wrapped

    def _finish(self, exchange: Exchange) -> None:
        """Numbers and the log line. Failures are always logged, successes by sample."""
        seconds = perf_counter() - exchange.started
        status = exchange.status or CLIENT_CLOSED
        self._count(exchange.route, status, seconds)
        if status < 400 and not self._log_all and random() >= self._sample:  # noqa: S311
            return
        if not self._log_info and status < 500:
            return
        actor = exchange.actor
        self._log(
            Access(
                stamp(self._now_ms()),
                "info" if status < 500 else "error",
                "request",
                exchange.id,
                exchange.method,
                exchange.path,
                exchange.route,
                status,
                round(seconds * 1000, 2),
                exchange.size,
                exchange.ip,
                actor.uid if actor is not None else None,
                actor.key if actor is not None else None,
                exchange.error,
                exchange.trace,
            )
        )


def header_lines(headers: list[Header]) -> bytes:
    """The lines of a head; ValueError where a value would make lines of its own."""
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers):
        raise ValueError("a header value with a line break")
    return lines


def hot_verb(exchange: Exchange) -> str | None:
    """The verb of a `POST /v1/database/{collection}/{verb}`; None for every other request."""
    path = exchange.path
    if exchange.method != "POST" or not path.startswith(_HOT_PREFIX):
        return None
    collection, _, verb = path[_HOT_START:].partition("/")
    return verb if collection and verb in _HOT_ROUTES else None


def _is_api(path: str) -> bool:
    """Doubled slashes are no spelling of an API path: Litestar would fold them, and what folds
    paths differently from those who check them opens doors."""
    if "//" in path:
        return False
    return path in API_PATHS or path.startswith(API_PREFIXES)


def _is_reserved(path: str) -> bool:
    first = path.lstrip("/").partition("/")[0].lower()
    return first in _RESERVED or path.startswith("//")
