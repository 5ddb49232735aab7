"""`GET /v1/realtime`: from the handshake to the last line in the log."""

from __future__ import annotations

import asyncio
import logging
from random import random
from time import perf_counter
from typing import Any, Final

from baas.errors import Code, Problem
from baas.gateway.actor import refuse_query_token
from baas.gateway.exchange import Exchange, Receive, Scope, Send
from baas.gateway.ratelimit import network_of
from baas.gateway.realtime.asgiwire import AsgiWire
from baas.gateway.realtime.socket import RealtimeSocket, SocketWire
from baas.gateway.services import Services
from baas.observe.logs import Access, stamp
from baas.push.frames import encode_frame, error_frame
from baas.push.session import Session
from baas.push.wire import DRAIN, TOO_MUCH

_ROUTE: Final = "realtime"
_SWITCHED: Final = 101
#: A handshake that is not to be: the page or the address is at fault, not the moment.
_FORBIDDEN: Final = 1008


class Realtime:
    """Serves the sockets of the process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sessions = services.realtime.sessions
        self._sent = services.realtime.sent
        push = services.settings.push
        self._frame_bytes = push.frame_bytes
        self._buffer_bytes = push.buffer_bytes
        self._sample = services.settings.observe.access_sample
        self._log_info = services.logs.level <= logging.INFO

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange({**scope, "method": "GET"})
        exchange.ip = self._services.addresses.of(exchange, scope)
        exchange.route = _ROUTE
        await receive()
        fault = self._refusal(exchange, scope)
        if fault is not None:
            await send({"type": "websocket.close", "code": _FORBIDDEN})
            self._log(exchange, 403, None, fault.public.name)
            return
        await send({"type": "websocket.accept"})
        protocol = getattr(send, "__self__", None)
        if isinstance(protocol, RealtimeSocket):
            await self._serve_direct(exchange, protocol, receive)
        else:
            await self._serve_plain(exchange, receive, send)

    def _refusal(self, exchange: Exchange, scope: Scope) -> Problem | None:
        """A browser names the page's origin and asks nobody for leave: sockets know no CORS. There
        are no cookies that a foreign page could ride on, but `server.origins` is to hold here too.
        """
        try:
            exchange.check_headers()
            refuse_query_token(scope)
        except Problem as problem:
            return problem
        if not self._services.cors.allows(exchange):
            return Problem(Code.PERMISSION_DENIED, "This origin may not connect.")
        return None

    async def _serve_direct(
        self, exchange: Exchange, protocol: RealtimeSocket, receive: Receive
    ) -> None:
        wire = SocketWire(protocol, self._buffer_bytes, self._sent)
        session = self._open(exchange, wire)
        if session is None:
            return
        protocol.attach(session, wire, self._frame_bytes)
        try:
            await self._listen(session, receive)
        finally:
            session.lost()
            self._finish(exchange, session)

    async def _serve_plain(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        wire = AsgiWire(send, self._buffer_bytes, self._sent)
        tasks = [asyncio.create_task(wire.run())]
        session = self._open(exchange, wire)
        try:
            if session is not None:
                tasks.append(asyncio.create_task(self._listen(session, receive)))
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                session.lost()
                self._finish(exchange, session)
            if session is None or session.ending is not None:
                await asyncio.wait(tasks[:1])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _open(self, exchange: Exchange, wire: Any) -> Session | None:
        """None where there are too many: the client was told."""
        try:
            return self._sessions.open(wire, exchange.ip, network_of(exchange.ip))
        except Problem as problem:
            ending = DRAIN if problem.code is Code.UNAVAILABLE else TOO_MUCH
            wire.send(error_frame(problem))
            wire.send(encode_frame("bye", reason=ending.reason))
            wire.close(ending)
            self._log(exchange, _SWITCHED, None, ending.reason)
            return None

    async def _listen(self, session: Session, receive: Receive) -> None:
        """Until the connection ends. A direct one's frames do not come by here, save those that
        came with the handshake."""
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return
            text = message.get("text")
            if text is None:
                session.refuse("Frames are text.")
            elif len(text) > self._frame_bytes:
                session.refuse(f"A frame may have {self._frame_bytes} bytes.")
            else:
                session.take(text)

    def _finish(self, exchange: Exchange, session: Session) -> None:
        exchange.actor = session.caller.actor
        reason = session.ending.reason if session.ending is not None else None
        self._log(exchange, _SWITCHED, session, reason)

    def _log(
        self, exchange: Exchange, status: int, session: Session | None, reason: str | None
    ) -> None:
        """A connection's one line, at its end; `error` is the reason of its `bye`. Those that the
        client ended are logged by sample, as good answers are."""
        if not self._log_info:
            return
        if reason is None and random() >= self._sample:  # noqa: S311
            return
        actor = exchange.actor
        self._services.logs.add(
            Access(
                stamp(self._services.clock.now_ms()),
                "info",
                "connection",
                exchange.id,
                exchange.method,
                exchange.path,
                exchange.route,
                status,
                round((perf_counter() - exchange.started) * 1000, 2),
                0,
                exchange.ip,
                actor.uid if actor is not None else None,
                actor.key if actor is not None else None,
                reason,
                exchange.trace,
            )
        )
