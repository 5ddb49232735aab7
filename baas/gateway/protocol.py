"""uvicorn's HTTP protocol with the bounds that it leaves open: how large a request's head may
grow, and how long it may take to arrive.

Without them one connection could fill memory with headers, and connections that never say anything
would stay for ever. A request that is no HTTP gets a problem document like any other fault.

`answer_at_once` writes a whole answer in one piece. ASGI's two messages become two writes, and
each is a packet: a third of the cost of a small answer (bench/README.md).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from baas.errors import Code, Problem
from baas.gateway.exchange import NO_SNIFF, new_request_id
from baas.gateway.problems import render

#: Request line and headers together. A little more may pass: whole reads are counted.
MAX_HEAD_BYTES: Final = 64 * 1024
#: From the connection, or from a request's first byte, to the end of its head.
HEAD_SECONDS: Final = 20.0


def answer_at_once(send: Any, status: int, head: bytes, body: bytes) -> bool:
    """Sends a whole answer through uvicorn's `send`, as one write.

    `head` is the header lines, complete with `content-length` and each ending in CRLF; the server
    puts its own before them. False, and nothing done, where the server is another or has to wait:
    then send the ASGI messages. Does to the cycle what its own `send` would do with both of them.
    """
    cycle = getattr(send, "__self__", None)
    if type(cycle) is not RequestResponseCycle or not cycle.keep_alive:
        return False
    if cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    lines = [STATUS_LINE[status]]
    for name, value in cycle.default_headers:
        lines += (name, b": ", value, b"\r\n")
    lines += (head, b"\r\n", body)
    cycle.transport.write(b"".join(lines))
    cycle.message_event.set()
    cycle.on_response()
    return True


class GatewayProtocol(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_complete()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        scope: Any = self.scope
        if scope is None or "method" in scope:
            if self._head_timer is not None or self._head_bytes:
                self._head_is_complete()
        elif not self.transport.is_closing():
            self._head_goes_on(len(data))

    def _head_goes_on(self, size: int) -> None:
        self._head_bytes += size
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.send_400_response("The request line and headers are too large.")

    def _head_is_complete(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Also what uvicorn calls for bytes that are no HTTP."""
        self._head_is_complete()
        request_id = new_request_id()
        answer = render(Problem(Code.INVALID_ARGUMENT, msg), request_id)
        head = [
            *answer.headers,
            (b"x-request-id", request_id.encode()),
            NO_SNIFF,
            (b"content-length", b"%d" % len(answer.body)),
            (b"connection", b"close"),
        ]
        lines = b"".join(b"%s: %s\r\n" % header for header in head)
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + lines + b"\r\n" + answer.body)
        self.transport.close()
