"""Plays the server's part of the exchanges in tests/golden/frames, for clients.

The gateway is held to them too (tests/e2e/test_golden_frames.py), so a client that gets on
with them gets on with the gateway. A client may choose its own ids, and ask to have its messages
acknowledged; all else must be as it stands there. Besides the steps of the files there is
`{"close": [code, reason]}`: the server closes the connection, and waits for the next.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

PATIENCE: Final = 10.0
_MOMENT: Final = {"$date": "2026-11-21T08:00:00.000Z"}


class GoldenServer:
    """`finished()` once the client has done its part; AssertionError where it did otherwise."""

    def __init__(self, steps: list[dict[str, Any]]) -> None:
        self.url = ""
        self._steps = steps
        self._at = 0
        self._done = threading.Event()
        self._fault: str | None = None
        #: By a name of the file, what it stands for: the client's ids, the server's cursors.
        self._bound: dict[str, Any] = {}
        self._cursors = 0

    def finished(self) -> None:
        assert self._done.wait(PATIENCE), f"step {self._at} is waited for: {self._steps[self._at]}"
        assert self._fault is None, self._fault

    async def meet(self, socket: ServerConnection) -> None:
        try:
            await self._play(socket)
            while True:
                await self._frame(socket)
        except ConnectionClosed:
            pass
        except AssertionError as fault:
            self._fault = f"step {self._at}, {self._steps[self._at]}: {fault}"
            self._done.set()

    async def _play(self, socket: ServerConnection) -> None:
        while self._at < len(self._steps):
            ((kind, given),) = self._steps[self._at].items()
            if kind == "connect":
                self._at += 1
                socket.transport.abort()
                return
            if kind == "close":
                self._at += 1
                await socket.close(*given)
                return
            if kind == "client":
                await self._expect(socket, given)
            elif kind in ("server", "servers"):
                for frame in given if kind == "servers" else [given]:
                    await self._say(socket, self._filled(frame, ""))
            self._at += 1
        self._done.set()

    async def _frame(self, socket: ServerConnection) -> Any:
        """The next but for pings, which come when they come."""
        while True:
            frame = json.loads(await socket.recv())
            if frame["type"] != "ping":
                return frame
            await self._say(socket, {"type": "pong"})

    async def _say(self, socket: ServerConnection, frame: Any) -> None:
        await socket.send(json.dumps(frame))

    async def _expect(self, socket: ServerConnection, expected: dict[str, Any]) -> None:
        if expected["type"] == "ping":
            return
        got = await self._frame(socket)
        if "ack" in got and "ack" not in expected:
            asked = got.pop("ack")
            await self._say(socket, {"type": "ack", "id": got["id"], "ref": asked})
        if got["type"] == "join" and "cursor" not in expected and expected["id"] in self._bound:
            got.pop("cursor", None)  # a channel that is joined already: nothing goes on from it
        assert set(got) == set(expected), got
        for name, value in expected.items():
            self._match(name, value, got[name])

    def _match(self, name: str, expected: Any, got: Any) -> None:
        if name in ("id", "ack"):
            assert self._bound.setdefault(expected, got) == got, f"{name} is {got}"
        elif name == "sort":
            assert dict(got) == expected, f"sort is {got}"
        elif isinstance(expected, str) and expected.startswith("<token:"):
            assert got == expected[1:-1], f"token is {got}"
        elif isinstance(expected, str) and expected.startswith("<"):
            assert got == self._bound[expected], f"{name} is {got}"
        else:
            assert got == expected, f"{name} is {got}"

    def _filled(self, value: Any, name: str) -> Any:
        """What the server says, with something in every place."""
        if isinstance(value, dict):
            return {key: self._filled(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item, name) for item in value]
        if name in ("id", "ref"):
            return self._bound.get(value, value)
        if not (isinstance(value, str) and value.startswith("<")):
            return value
        made = self._anything(name)
        return made if value == "<any>" else self._bound.setdefault(value, made)

    def _anything(self, name: str) -> Any:
        if name in ("serverTime", "since"):
            return _MOMENT
        if name == "document":
            return {"_id": "r1", "title": "Rhubarb"}
        self._cursors += 1
        return f"{name}-{self._cursors}"


@contextmanager
def playing(steps: list[dict[str, Any]]) -> Iterator[GoldenServer]:
    server = GoldenServer(steps)
    with meeting(server.meet) as url:
        server.url = url
        yield server


@contextmanager
def meeting(meet: Callable[[ServerConnection], Awaitable[None]]) -> Iterator[str]:
    """A server's URL; each of its connections is met in a thread that all share."""
    ready, address = threading.Event(), []
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def listen() -> None:
        async with serve(meet, "127.0.0.1", 0, compression=None) as server:
            address.append(next(iter(server.sockets)).getsockname()[1])
            ready.set()
            await stop.wait()

    def run() -> None:
        # Ends connections, too, that are only just being opened.
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(listen())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield f"http://127.0.0.1:{address[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
