"""uvicorn's HTTP protocol with the bounds that it leaves open: how large a request's head may
grow, and how long it may take to arrive.

Without them one connection could fill memory with headers, and connections that never say anything
would stay for ever. A request that is no HTTP gets a problem document like any other fault.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from baas.errors import Code, Problem
from baas.gateway.exchange import NO_SNIFF, new_request_id
from baas.gateway.problems import render

#: Request line and headers together. A little more may pass: whole reads are counted.
MAX_HEAD_BYTES: Final = 64 * 1024
#: From the connection, or from a request's first byte, to the end of its head.
HEAD_SECONDS: Final = 20.0


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
