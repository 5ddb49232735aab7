"""Many WebSocket clients that cost little: by hand, counting what they get."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any, Final

_STAMP: Final = re.compile(rb'"stamp":\s*(\d+)')
#: Every so many clients look at their frames for a stamp.
SAMPLED: Final = 20
#: Connections opened at once.
_AT_ONCE: Final = 200
_HANDSHAKE: Final = (
    b"GET /v1/realtime HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def text_frame(text: bytes) -> bytes:
    """Masked with zeros, which changes nothing."""
    size = len(text)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + text


class Crowd:
    """All of them. `frames` counts what has come, `latencies` (seconds) what the sampled saw."""

    def __init__(self) -> None:
        self.members: list[Subscriber] = []
        self.frames = 0
        self.latencies: list[float] = []

    async def open(self, port: int, number: int, hello: Callable[[int], bytes], first: int) -> None:
        """`hello` is what the n-th sends after the handshake; `first` the frames that answer it."""
        loop = asyncio.get_running_loop()
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(n: int) -> None:
            async with gate:
                sampled = n % SAMPLED == 0
                made = await loop.create_connection(
                    lambda: Subscriber(self, hello(n), first, sampled), "127.0.0.1", port
                )
                self.members.append(made[1])
                await made[1].settled

        await asyncio.gather(*(one(n) for n in range(number)))
        self.frames = 0

    async def heard(self, frames: int, seconds: float) -> None:
        """Until `frames` have come; TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            while self.frames < frames:  # noqa: ASYNC110 - an event per frame would be dear
                await asyncio.sleep(0.002)

    def say(self, text: bytes) -> None:
        frame = text_frame(text)
        for one in self.members:
            one.transport.write(frame)

    def close(self) -> None:
        for one in self.members:
            one.transport.abort()


class Subscriber(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, crowd: Crowd, hello: bytes, first: int, sampled: bool) -> None:
        self._crowd = crowd
        self._hello = hello
        self._first = first
        self._sampled = sampled
        self._rest = b""
        self._greeted = False
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(_HANDSHAKE)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.settled.done():
            self.settled.set_exception(ConnectionError(f"ended: {self._rest!r}"))

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._greeted:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._greeted = True
            self.transport.write(self._hello)
        self._rest = self._take(data)

    def _take(self, data: bytes) -> bytes:
        """Counts whole frames; what is left of the last."""
        at = 0
        while len(data) >= at + 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if len(data) < start + size:
                break
            self._frame(data, start, start + size)
            at = start + size
        return data[at:]

    def _frame(self, data: bytes, start: int, end: int) -> None:
        self._crowd.frames += 1
        if self._first:
            self._first -= 1
            if not self._first:
                self.settled.set_result(None)
        elif self._sampled:
            stamp = _STAMP.search(data, start, end)
            if stamp is not None:
                self._crowd.latencies.append((time.monotonic_ns() - int(stamp[1])) / 1e9)
