"""A handler behind HTTP, for container images on SCF: the platform POSTs each event.

Source: Tencent Cloud documents 583/41076 "WebServer Image Function" (a server on port 9000 of every
address, up within 30 s; the event is the body) and 583/40688 (the headers that stand for the
context); the vendor's samples for images (github.com/awesome-scf/scf-custom-container-code-snippet:
the path `/event-invoke`). How a failed call is to be answered is on neither; any status but 200 is
this module's choice.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec

PORT: Final = 9000
INVOKE_PATH: Final = "/event-invoke"
#: More than SCF passes on (6 MB), so that its limit is the one that is met.
MAX_BYTES: Final = 16 * 1024**2
#: For a client that sends a part of a request and no more.
READ_SECONDS: Final = 30

#: Members of a context, and the headers that they come in.
_TEXTS: Final = {
    "request_id": "X-Scf-Request-Id",
    "function_name": "X-Scf-Name",
    "function_version": "X-Scf-Version",
    "namespace": "X-Scf-Namespace",
    "tencentcloud_region": "X-Scf-Region",
    "tencentcloud_appid": "X-Scf-Appid",
    "tencentcloud_uin": "X-Scf-Uin",
}
_NUMBERS: Final = {"memory_limit_in_mb": "X-Scf-Memory", "time_limit_in_ms": "X-Scf-Timeout"}

Handler = Callable[[Any, Any], Any]


class _Server(ThreadingHTTPServer):
    #: `server_close` waits for the calls under way.
    daemon_threads = False


def server_of(handler: Handler, address: tuple[str, int]) -> ThreadingHTTPServer:
    """A server that is not running yet."""

    class Invoked(BaseHTTPRequestHandler):
        timeout = READ_SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if self.path != INVOKE_PATH:
                self.answer(404, {"errorMessage": f"POST {INVOKE_PATH} is all there is."})
            elif not length.isdecimal():
                self.answer(411, {"errorMessage": "A Content-Length is needed."})
            elif int(length) > MAX_BYTES:
                self.answer(413, {"errorMessage": f"An event has {MAX_BYTES} bytes at most."})
            else:
                self.invoke(self.rfile.read(int(length)))

        def invoke(self, body: bytes) -> None:
            try:
                event = msgspec.json.decode(body or b"null")
            except ValueError:
                self.answer(400, {"errorMessage": "The event is not JSON."})
                return
            try:
                made = msgspec.json.encode(handler(event, context_of(self.headers)))
            except Exception as fault:  # what the function raised is in its log
                self.answer(500, {"errorMessage": str(fault)})
            else:
                self.answer(200, msgspec.Raw(made))

        def answer(self, status: int, value: Any) -> None:
            body = msgspec.json.encode(value)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: Any) -> None:
            """The platform has its own log of requests."""

    return _Server(address, Invoked)


def context_of(headers: Message) -> dict[str, Any]:
    """The members that SCF's own runtimes give, as far as the headers have them."""
    found: dict[str, Any] = {name: headers.get(of, "") for name, of in _TEXTS.items()}
    for name, of in _NUMBERS.items():
        value = headers.get(of, "")
        found[name] = int(value) if value.isdecimal() else 0
    return found


def serve(handler: Handler) -> None:
    """Where the platform looks for it, until SIGTERM; calls under way are finished first. HOST and
    PORT say otherwise, for a try at home."""
    host, port = os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", PORT))  # noqa: S104
    with server_of(handler, (host, port)) as server:
        signal.signal(signal.SIGTERM, lambda number, frame: _stop(server))
        print(f"listening on {server.server_address[0]!s}:{server.server_address[1]}", flush=True)
        server.serve_forever(poll_interval=0.1)


def _stop(server: ThreadingHTTPServer) -> None:
    """In a container this is process 1, for which SIGTERM does nothing by itself. `shutdown` waits
    for the loop, which runs in the thread that is interrupted here."""
    threading.Thread(target=server.shutdown, daemon=True).start()
