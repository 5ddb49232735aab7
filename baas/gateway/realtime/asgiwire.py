"""The realtime protocol over any ASGI server: frames wait in a queue of the gateway's own.

Used where the server is not the one the kit runs on (`socket.py`): tests, and whoever mounts the
app elsewhere.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from baas.gateway.exchange import Send
from baas.gateway.realtime.numbers import Sent
from baas.gateway.realtime.socket import CONTROL_BYTES
from baas.push.wire import TOO_MUCH, Ending


class AsgiWire:
    """See `baas.push.wire.Wire`. `run` sends what is queued, until the connection is closed."""

    transport = "socket"

    def __init__(self, send: Send, limit: int, sent: Sent) -> None:
        self._send = send
        self._limit = limit
        self._sent = sent
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._ending: Ending | None = None
        self._waiting: list[Callable[[], None]] = []

    @property
    def lasting(self) -> bool:
        return False

    @property
    def queued(self) -> int:
        return self._size

    @property
    def has_room(self) -> bool:
        return self._size < self._limit

    def send(self, frame: bytes) -> None:
        if self._ending is not None:
            return
        if self._size > self._limit + CONTROL_BYTES:  # it reads nothing, and asks on and on
            self._frames.clear()
            self.close(TOO_MUCH)
            return
        self._sent.count(frame)
        self._frames.append(frame)
        self._size += len(frame)
        self._wake.set()

    def send_shared(self, shared: bytes, own: bytes) -> None:
        self.send(shared + own)

    def on_room(self, call: Callable[[], None]) -> None:
        self._waiting.append(call)
        self._wake.set()

    def close(self, ending: Ending) -> None:
        if self._ending is None:
            self._ending = ending
            self._wake.set()

    async def run(self) -> None:
        """Until `close`, with whose code the connection then ends."""
        while True:
            while self._frames:
                frame = self._frames.popleft()
                await self._send({"type": "websocket.send", "text": frame.decode()})
                self._size -= len(frame)
                self._tell_room()
            self._tell_room()
            if self._ending is not None and not self._frames:
                break
            self._wake.clear()
            await self._wake.wait()
        ending = self._ending
        message = {"type": "websocket.close", "code": ending.code, "reason": ending.reason}
        await self._send(message)

    def _tell_room(self) -> None:
        if self._waiting and self.has_room:
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                call()
