"""An HTTP server that answers as it is told, for clients: it listens on the loopback in threads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Reply(msgspec.Struct, frozen=True):
    """`drop`: the connection ends, before anything came unless there is `raw`; `after`: seconds
    before anything comes."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = {}
    drop: bool = False
    after: float = 0.0
    raw: bytes | None = None


def problem(status: int, code: str, **more: Any) -> Reply:
    headers = more.pop("headers", {})
    return Reply(
        {"code": code, "detail": f"{code} it is.", "requestId": "r-1", **more}, status, headers
    )


#: What answers requests of a path, one after the other, the last again and again; or a function.
Script = dict[str, list[Reply] | Callable[[Request], Reply]]


class Scripted:
    def __init__(self, url: str, script: Script) -> None:
        self.url = url
        self.script = script
        self.requests: list[Request] = []
        self._lock = threading.Lock()

    def of(self, path: str) -> list[Request]:
        return [one for one in self.requests if one.path == path]

    def answer(self, request: Request) -> Reply:
        with self._lock:
            number = len(self.of(request.path))
            self.requests.append(request)
        found = self.script.get(request.path.partition("?")[0], [problem(404, "NOT_FOUND")])
        return found(request) if callable(found) else found[min(number, len(found) - 1)]


@contextmanager
def scripted(script: Script) -> Iterator[Scripted]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(length))
            self._send(running.answer(request))

        do_GET = do_POST

        def _send(self, reply: Reply) -> None:
            time.sleep(reply.after)
            self.close_connection = reply.drop
            if reply.drop and reply.raw is None:
                return
            body = reply.raw if reply.raw is not None else json.dumps(reply.body).encode()
            try:
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Not on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    running = Scripted(f"http://127.0.0.1:{server.server_port}", script)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
