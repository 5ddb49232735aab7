"""A realtime client for tests against a running gateway: says frames, waits for answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.gateway import Gateway

PATIENCE = 10.0


class Socket:
    """`members` are those who keep what is said to their ids (`tests.support.rooms`)."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.members: dict[str, Any] = {}

    async def say(self, **frame: Any) -> None:
        await self.connection.send(json.dumps(frame))

    async def heard(self, seconds: float = PATIENCE) -> Any:
        async with asyncio.timeout(seconds):
            return json.loads(await self.connection.recv())

    async def next(self, type: str) -> Any:
        """The next frame of this type; others are passed over."""
        while (frame := await self.heard())["type"] != type:
            pass
        return frame

    async def asked(self, **frame: Any) -> Any:
        """The next frame after this one was sent."""
        await self.say(**frame)
        return await self.heard()

    async def the_end(self, seconds: float = PATIENCE) -> tuple[Any, int | None]:
        """The last frame, and the close code."""
        last = None
        try:
            while True:
                last = await self.heard(seconds)
        except ConnectionClosed as closed:
            return last, closed.rcvd.code if closed.rcvd is not None else None


@asynccontextmanager
async def connected(gateway: Gateway, token: str | None, **options: Any) -> AsyncIterator[Socket]:
    """Past `ready`."""
    url = f"{gateway.url.replace('http', 'ws', 1)}/v1/realtime"
    async with connect(url, proxy=None, ping_interval=None, **options) as connection:
        socket = Socket(connection)
        ready = await socket.asked(type="auth", token=token)
        assert ready["type"] == "ready", ready
        yield socket
