"""WSGI apps (PEP 3333) below a mount: the request read whole, the app in a thread, its answer
sent on as it comes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO
from typing import Any, Final

from baas.functions.isolation.threads import Threads
from baas.gateway.exchange import Header, Message, Receive, Scope, Send

#: Requests that WSGI apps work on at once; further ones wait.
THREADS: Final = 16

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class WsgiToAsgi:
    """`app` as an ASGI app for HTTP. The body is in memory: whoever calls limits its size."""

    def __init__(self, app: WsgiApp, threads: Threads) -> None:
        self._app = app
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _whole(receive)
        loop = asyncio.get_running_loop()

        def send_now(message: Message) -> None:
            """From the thread: waits until it is sent, so a slow client slows the app."""
            asyncio.run_coroutine_threadsafe(_sent(send, message), loop).result()

        response = _Response(send_now)
        await self._threads.run(partial(response.run, self._app, environ_of(scope, body)))


async def _sent(send: Send, message: Message) -> None:
    await send(message)


async def _whole(receive: Receive) -> bytes:
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def environ_of(scope: Scope, body: bytes) -> dict[str, Any]:
    """The environment of a request; texts are latin-1 views of bytes, as PEP 3333 has them."""
    root: str = scope.get("root_path", "")
    host, port = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": _native(root),
        "PATH_INFO": _native(scope["path"].removeprefix(root)),
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(body)),
    }
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1")
        # `a_b` and `a-b` would be one variable: what proxies drop is dropped here too.
        if name == "content-length" or "_" in name:
            continue
        key = name.upper().replace("-", "_")
        key = key if key == "CONTENT_TYPE" else f"HTTP_{key}"
        value = raw_value.decode("latin-1")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def _native(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


class _Response:
    """One answer in the making, in the app's thread."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._head: tuple[int, list[Header]] | None = None
        self._sent = False

    def run(self, app: WsgiApp, environ: dict[str, Any]) -> None:
        chunks = app(environ, self.start)
        try:
            for chunk in chunks:
                if chunk:
                    self.write(chunk)
            self._begin()
            self._send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        if exc_info is not None and self._sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._head is not None and exc_info is None:
            raise AssertionError("start_response was called twice")
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._head = (int(status.split(" ", 1)[0]), raw)
        return self.write

    def write(self, chunk: bytes) -> None:
        self._begin()
        self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    def _begin(self) -> None:
        """The head leaves with the first part of the body: till then it can be taken back."""
        if self._sent:
            return
        if self._head is None:
            raise AssertionError("the app answered without start_response")
        self._sent = True
        status, headers = self._head
        self._send({"type": "http.response.start", "status": status, "headers": headers})
