"""The socket: through uvicorn's protocol and through plain ASGI, and what is abused there."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from baas.gateway.realtime import socket as realtime_socket
from baas.gateway.realtime.socket import MAX_FRAGMENTS, header
from tests.support.realtime import heard, open_door, until
from tests.support.sessions import in_loop

BOTH = pytest.mark.parametrize("protocol", [realtime_socket.RealtimeSocket, "websockets-sansio"])
WATCH = '{"type":"watch","id":"w","collection":"posts"}'


async def close_code(socket: Any) -> int | None:
    """Reads to the end; the code it ended with."""
    try:
        async with asyncio.timeout(10):
            while True:
                await socket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else None


@BOTH
@in_loop
async def test_auth_ping_watch_and_the_end(protocol: Any) -> None:
    async with open_door(protocol=protocol) as door:
        async with door.client() as client:
            await client.send('{"type":"ping"}')
            assert await heard(client) == {"type": "pong"}
            await client.send(WATCH)
            assert (await heard(client))["type"] == "snapshot"
            assert (len(door.bench.sessions), door.bench.sessions.watches) == (1, 1)
        await until(lambda: len(door.bench.sessions) == 0)
        assert door.bench.service.opened[0].closed
        await until(lambda: door.log.lines)
        (line,) = door.log.lines
        assert (line.route, line.status, line.error) == ("realtime", 101, None)
        assert door.sent.frames == 3


@BOTH
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
@in_loop
async def test_frames_of_any_size_arrive_whole(protocol: Any, size: int) -> None:
    async with open_door(protocol=protocol) as door, door.client(max_size=2**20) as client:
        await client.send(WATCH)
        await heard(client)
        outbox = door.bench.service.opened[0].outbox
        text = b'"' + b"x" * size + b'"'
        shared = b'["' + b"s" * size + b'",'
        outbox.send(text)
        outbox.send_shared(shared, b'"own"]')
        outbox.send_shared(shared, b'"owl"]')
        outbox.send_shared(shared, b'"other"]')
        outbox.send_shared(text, b"")
        assert await heard(client) == "x" * size
        assert await heard(client) == ["s" * size, "own"]
        assert await heard(client) == ["s" * size, "owl"]
        assert await heard(client) == ["s" * size, "other"]
        assert await heard(client) == "x" * size


def test_headers_are_those_of_rfc_6455() -> None:
    assert header(0) == b"\x81\x00"
    assert header(125) == b"\x81\x7d"
    assert header(126) == b"\x81\x7e\x00\x7e"
    assert header(65_535) == b"\x81\x7e\xff\xff"
    assert header(65_536) == b"\x81\x7f" + struct.pack("!Q", 65_536)


@BOTH
@in_loop
async def test_a_client_that_does_not_read_is_held_back_and_then_told(protocol: Any) -> None:
    async with (
        open_door(protocol=protocol, buffer_bytes=100_000) as door,
        door.client(max_size=2**22, max_queue=1) as slow,
        door.client() as other,
    ):
        await slow.send(WATCH)
        await heard(slow)
        outbox = door.bench.service.opened[0].outbox
        assert outbox.has_room
        sent = 0
        while outbox.has_room:  # the kernel takes some megabytes
            outbox.send(b'"' + b"x" * 50_000 + b'"')
            sent += 1
            await asyncio.sleep(0)
        room = []
        outbox.on_room(lambda: room.append(outbox.has_room))
        await asyncio.sleep(0.1)
        assert room == []
        await other.send('{"type":"ping"}')
        assert await heard(other) == {"type": "pong"}
        for _ in range(sent):
            await heard(slow)
        await until(lambda: room == [True])


@in_loop
async def test_room_is_told_although_the_transport_never_paused() -> None:
    async with open_door(buffer_bytes=1000) as door, door.client() as client:
        await client.send(WATCH)
        await heard(client)
        outbox = door.bench.service.opened[0].outbox
        outbox.send(b'"' + b"x" * 5000 + b'"')
        room = []
        outbox.on_room(lambda: room.append(outbox.has_room))
        await until(lambda: room == [True])


@in_loop
async def test_control_frames_to_one_who_never_reads_end_it() -> None:
    async with open_door(buffer_bytes=10_000, rate_frames="off") as door:
        reader, writer = await raw_client(door.port)
        for _ in range(2_000_000):
            if len(door.bench.sessions) == 0:
                break
            writer.write(client_frame(0x81, b'{"type":"ping"}') * 1000)
            await asyncio.wait_for(drained(writer), 5)
        assert len(door.bench.sessions) == 0
        writer.transport.abort()
        del reader


@in_loop
async def test_one_for_whom_too_much_waits_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime_socket, "MOST_BYTES", 1_000_000)
    async with open_door() as door:
        _, writer = await raw_client(door.port)
        writer.write(client_frame(0x81, WATCH.encode()))
        await until(lambda: door.bench.service.opened)
        outbox = door.bench.service.opened[0].outbox
        for _ in range(200):
            outbox.send_shared(b'"' + b"x" * 100_000, b'"')
        await until(lambda: len(door.bench.sessions) == 0)
        writer.transport.abort()


@in_loop
async def test_pings_of_one_who_never_reads_the_pongs_end_it() -> None:
    async with open_door(rate_frames="off") as door:
        _, writer = await raw_client(door.port)
        for _ in range(200_000):
            if len(door.bench.sessions) == 0:
                break
            writer.write(client_frame(0x89, b"p" * 125) * 100)
            await asyncio.wait_for(drained(writer), 5)
        assert len(door.bench.sessions) == 0
        writer.transport.abort()


@in_loop
async def test_a_message_in_endless_pieces_ends_it() -> None:
    async with open_door() as door:
        _, writer = await raw_client(door.port)
        writer.write(client_frame(0x01, b""))
        for _ in range(MAX_FRAGMENTS + 10):
            writer.write(client_frame(0x00, b""))
        await until(lambda: len(door.bench.sessions) == 0)
        writer.transport.abort()


@BOTH
@in_loop
async def test_a_message_in_a_few_pieces_is_one(protocol: Any) -> None:
    async with open_door(protocol=protocol) as door, door.client() as client:
        await client.send(['{"type":', '"pi', 'ng"}'])
        assert await heard(client) == {"type": "pong"}


@in_loop
async def test_a_giant_frame_is_refused_by_its_header() -> None:
    async with open_door(frame_bytes=1000) as door, door.client() as client:
        await client.send("x" * 1001)
        assert await close_code(client) == 1009
        await until(lambda: len(door.bench.sessions) == 0)


@in_loop
async def test_pieces_are_counted_together() -> None:
    async with open_door(frame_bytes=1000) as door, door.client() as client:
        await client.send(["x" * 400] * 3)
        assert await close_code(client) == 1009


@BOTH
@in_loop
async def test_binary_messages_end_with_4400(protocol: Any) -> None:
    async with open_door(protocol=protocol) as door, door.client() as client:
        await client.send(b'{"type":"ping"}')
        assert (await heard(client))["type"] == "error"
        assert await close_code(client) == 4400


@BOTH
@in_loop
async def test_text_that_is_no_utf8_ends_it(protocol: Any) -> None:
    async with open_door(protocol=protocol) as door, door.client() as client:
        await client.send(b'{"type":"ping","\xff":1}', text=True)
        assert await close_code(client) in (1007, 4400)


@in_loop
async def test_compression_is_not_agreed_to() -> None:
    async with open_door() as door, door.client(compression="deflate") as client:
        assert client.response.headers.get("Sec-WebSocket-Extensions") is None


@BOTH
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(None, True), ("https://app.example.com", True), ("https://evil.example", False)],
)
@in_loop
async def test_pages_of_other_origins_do_not_get_in(
    protocol: Any, origin: Any, allowed: bool
) -> None:
    async with open_door(("https://app.example.com",), protocol=protocol) as door:
        if allowed:
            async with door.client(origin=origin):
                pass
        else:
            with pytest.raises(InvalidStatus) as refused:
                async with door.client(origin=origin):
                    pass
            assert refused.value.response.status_code == 403
            assert door.log.lines[0].error == "PERMISSION_DENIED"


@in_loop
async def test_the_gateways_own_pages_get_in() -> None:
    async with open_door(("https://app.example.com",)) as door:
        own = f"http://127.0.0.1:{door.port}"
        async with door.client(origin=own) as client:
            await client.send('{"type":"ping"}')
            assert await heard(client) == {"type": "pong"}


@in_loop
async def test_a_token_in_the_url_is_refused() -> None:
    async with open_door() as door:
        for name in ("token", "access_token", "Authorization"):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(f"{door.url}?{name}=x", proxy=None):
                    pass
            assert refused.value.response.status_code == 403


@BOTH
@in_loop
async def test_one_too_many_is_told_and_closed_with_4429(protocol: Any) -> None:
    async with open_door(protocol=protocol, sockets=1) as door, door.client():
        async with connect(door.url, proxy=None) as second:
            assert (await heard(second))["code"] == "RATE_LIMITED"
            assert await heard(second) == {"type": "bye", "reason": "limits"}
            assert await close_code(second) == 4429
        await until(lambda: door.log.lines)
        assert door.log.lines[0].error == "limits"


@BOTH
@in_loop
async def test_a_drain_ends_with_bye_and_1001(protocol: Any) -> None:
    async with open_door(protocol=protocol) as door, door.client() as client:
        door.bench.sessions.drain()
        assert await heard(client) == {"type": "bye", "reason": "drain"}
        assert await close_code(client) == 1001


@in_loop
async def test_one_who_does_not_answer_the_close_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(realtime_socket, "CLOSE_SECONDS", 0.1)
    async with open_door() as door:
        reader, writer = await raw_client(door.port)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        door.bench.sessions.drain()
        async with asyncio.timeout(5):
            assert b"drain" in await reader.read()
        writer.transport.abort()


@in_loop
async def test_one_who_says_goodbye_and_reads_nothing_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(realtime_socket, "CLOSE_SECONDS", 0.2)
    async with open_door() as door:
        _, writer = await raw_client(door.port, small=True)
        writer.write(client_frame(0x81, WATCH.encode()))
        await until(lambda: door.bench.service.opened)
        protocol = door.bench.service.opened[0].outbox._protocol
        door.bench.service.opened[0].outbox.send(b'"' + b"x" * 20_000_000 + b'"')
        writer.write(client_frame(0x88, struct.pack("!H", 1000)))
        await until(lambda: protocol.disconnected)
        writer.transport.abort()


async def raw_client(
    port: int, small: bool = False
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client by hand, past the handshake and `ready`, that reads nothing more by itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
    writer.write(
        b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert b"101" in await reader.readuntil(b"\r\n\r\n")
    writer.write(client_frame(0x81, b'{"type":"auth","token":null}'))
    assert b"ready" in await reader.read(1000)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    return reader, writer


def client_frame(first: int, payload: bytes) -> bytes:
    """Masked with zeros, which changes nothing."""
    size = len(payload)
    head = (
        bytes((first, 0x80 | size))
        if size < 126
        else bytes((first, 0xFE)) + struct.pack("!H", size)
    )
    return head + bytes(4) + payload


async def drained(writer: asyncio.StreamWriter) -> None:
    try:
        await writer.drain()
    except ConnectionError:
        return
    await asyncio.sleep(0)
