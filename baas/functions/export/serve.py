"""A handler behind HTTP, for container images on SCF: the platform POSTs each event.

Source: Tencent Cloud document 583/56051 ("Deploying function with an image"): port 9000, path
`/event-invoke` for event functions, the request's id in a header.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec

PORT: Final = 9000
INVOKE_PATH: Final = "/event-invoke"
_MAX_BYTES: Final = 16 * 1024**2


def server_of(handler: Callable[[Any, Any], Any], address: tuple[str, int]) -> ThreadingHTTPServer:
    """A server that is not running yet."""

    class Invoked(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            if self.path != INVOKE_PATH or length > _MAX_BYTES:
                self.send_error(404)
                return
            context = {"request_id": self.headers.get("X-Scf-Request-Id", "")}
            try:
                event = msgspec.json.decode(self.rfile.read(length) or b"null")
                status, body = 200, msgspec.json.encode(handler(event, context))
            except Exception as fault:  # what the function raised is in its log
                status, body = 500, msgspec.json.encode({"errorMessage": str(fault)})
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: Any) -> None:
            """The platform has its own log of requests."""

    return ThreadingHTTPServer(address, Invoked)


def serve(handler: Callable[[Any, Any], Any]) -> None:
    """For ever, where the platform looks for it."""
    port = int(os.environ.get("PORT", PORT))
    server_of(handler, ("0.0.0.0", port)).serve_forever()  # noqa: S104  the container's own
