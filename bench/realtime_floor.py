"""The least that pushing a frame to many sockets could cost: uvicorn's sans-IO WebSocket protocol,
its transport within reach, one pre-encoded frame written to all. No sessions, no rules, no queries.

    python -m bench.realtime_floor

Prints its port as JSON. Any text on a socket subscribes it; `POST /emit` sends the body to all.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class FloorSocket(WebSocketsSansIOProtocol):
    subscribers: ClassVar[set[FloorSocket]] = set()

    def send_receive_event_to_app(self) -> None:
        self.frames = []
        if self not in self.subscribers:
            self.subscribers.add(self)
            self.stop_keepalive()
            self.transport.write(b"\x81\x02{}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.subscribers.discard(self)
        super().connection_lost(exc)


def emit(body: bytes) -> None:
    size = len(body)
    head = bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")
    frame = head + body
    for one in FloorSocket.subscribers:
        if one.transport.get_write_buffer_size() < 1024**2:
            one.transport.write(frame)


async def app(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await receive()
        return
    emit(message["body"])
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws=FloorSocket,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
    )
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
