"""Answers written in one piece are the answers that uvicorn's own two messages would be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn

from baas.gateway.dispatch import header_lines
from baas.gateway.protocol import GatewayProtocol, answer_at_once

HEADERS = [(b"content-type", b"application/json"), (b"x-request-id", b"r1")]
BODY = b'{"documents":[]}'


async def _exchange(at_once: bool, request: bytes) -> bytes:
    """What a client reads to the end of the connection, from a real server."""
    used: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [*HEADERS, (b"content-length", b"%d" % len(BODY))]
        if at_once and answer_at_once(send, 200, header_lines(headers), BODY):
            used.append(True)
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})

    config = uvicorn.Config(
        app, port=0, http=GatewayProtocol, lifespan="off", log_config=None, server_header=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answers = b""
    for _ in range(request.count(b"POST ")):
        head = await reader.readuntil(b"\r\n\r\n")
        answers += head + await reader.readexactly(len(BODY))
    writer.close()
    await writer.wait_closed()
    server.should_exit = True
    await serving
    assert bool(used) is (at_once and b"close" not in request)
    return b"\r\n".join(line for line in answers.split(b"\r\n") if not line.startswith(b"date:"))


def _post(connection: bytes = b"keep-alive") -> bytes:
    lines = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: %b\r\nContent-Length: 2\r\n\r\n{}"
    return lines % connection


@pytest.mark.parametrize(
    "request_bytes",
    [_post(), _post() + _post() + _post(), _post(b"close")],
    ids=["one", "pipelined", "closing"],
)
def test_one_write_is_two_messages(request_bytes: bytes) -> None:
    async def both() -> tuple[bytes, bytes]:
        return await _exchange(True, request_bytes), await _exchange(False, request_bytes)

    whole, parts = asyncio.run(both())
    assert whole == parts


def test_another_servers_send_is_left_alone() -> None:
    async def send(message: Any) -> None:
        raise AssertionError

    assert not answer_at_once(send, 200, b"", b"")


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb"])
def test_a_value_cannot_make_a_line_of_its_own(value: bytes) -> None:
    with pytest.raises(ValueError, match="line break"):
        header_lines([(b"etag", value)])
