"""A web framework's response object, in a worker process, as the dict that stands for one.

Objects cannot cross the pipe. A Litestar `Response`, or any that is an ASGI app itself as
Starlette's are, is run as such, and what it sends becomes status, headers and body.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final

from baas.schema.values import Value

_SCOPE: Final[dict[str, Any]] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "root_path": "",
    "query_string": b"",
    "headers": [],
    "client": None,
    "server": None,
    "state": {},
}


async def sendable(result: Any) -> Value:
    """`result`, or what it would send."""
    app = _app_of(result)
    if app is None:
        return result
    sent: list[Any] = []
    complete = asyncio.Event()

    async def receive() -> Any:
        """As servers do: the connection ends once the answer is whole. Streams wait for that."""
        await complete.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            complete.set()

    await app(dict(_SCOPE), receive, send)
    starts = [message for message in sent if message["type"] == "http.response.start"]
    if not starts:
        raise TypeError(f"a {type(result).__name__} sent no response")
    bodies = [one.get("body", b"") for one in sent if one["type"] == "http.response.body"]
    return {
        "statusCode": starts[0]["status"],
        "headers": _headers(starts[0].get("headers", ())),
        "body": b"".join(bodies),
    }


def _app_of(result: Any) -> Any:
    if hasattr(result, "to_asgi_response"):
        # Whoever made it has imported Litestar; this package does not know it.
        request = sys.modules["litestar"].Request(dict(_SCOPE))
        return result.to_asgi_response(None, request)
    is_app = callable(result) and not isinstance(result, type)
    return result if is_app and hasattr(result, "status_code") else None


def _headers(raw: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in raw:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found
