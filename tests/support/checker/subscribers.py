"""One who follows: watches, a channel and an inbox, by connections that are cut at any moment."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support.checker.targets import Caller
from tests.support.checker.views import ChannelView, Fault, View, WatchView

HALL: Final = "hall:main"
#: Queries of every kind that the protocol knows.
QUERIES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"filter": {"n": 3}},
    {"filter": {"n": {"$gte": 2, "$lt": 6}}, "sort": {"n": 1}},
    {"filter": {"tag": "a"}, "sort": {"n": -1}, "limit": 5},
    {"sort": {"n": 1}, "limit": 3},
    {"filter": {"tags": "b"}, "fields": {"tags": 1, "v": 1}},
    {"filter": {"open": True}, "fields": {"text": 0}, "limit": 10},
    {"filter": {"$or": [{"n": 1}, {"tag": "c"}]}, "sort": {"_updateTime": -1}, "limit": 7},
    {"filter": {"n": {"$in": [1, 2, 3]}}, "sort": {"tag": 1, "n": -1}},
)
#: Refusals that leave nothing wrong: the client comes again with a good token, or later.
_PASSING: Final = ("TOKEN_EXPIRED", "UNAUTHENTICATED", "RATE_LIMITED", "UNAVAILABLE")
_CONNECT_SECONDS: Final = 10.0
_SETTLE_SECONDS: Final = 30.0


class _Over(Exception):
    """This connection is of no more use."""


class Subscriber:
    def __init__(self, name: str, caller: Caller, random: Random, watches: int = 3) -> None:
        self.name = name
        self.caller = caller
        self.random = random
        queries = random.sample(QUERIES, watches)
        self.watches = [
            WatchView(name, {"type": "watch", "id": f"w{n}", "collection": "items", **query})
            for n, query in enumerate(queries)
        ]
        self.hall = ChannelView(name, _join("hall", HALL, {"name": name}))
        self.inbox = ChannelView(name, _join("inbox", "inbox"))
        self.confirmed: list[Any] = []
        self.session = ""
        self.visits = 0
        self._published: dict[str, Any] = {}
        self._count = 0
        self._names = 0
        self._socket: ClientConnection | None = None

    @property
    def views(self) -> list[View]:
        return [*self.watches, self.hall, self.inbox]

    async def run(self, stopped: asyncio.Event) -> None:
        while not stopped.is_set():
            self.visits += 1
            visit = self._poll if self.random.random() < 0.25 else self._visit
            with suppress(_Over, OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                await visit()
            await asyncio.sleep(self.random.random() * 0.2)

    # -- by socket ---------------------------------------------------------------------------------

    async def _visit(self) -> None:
        """From a connection to its end, in one of the ways in which connections end."""
        connection = await self._connect()
        try:
            async with asyncio.timeout(self.random.random() ** 2 * 5):
                while True:
                    await self._something(connection)
        except TimeoutError:
            pass
        finally:
            if self.random.random() < 0.5:
                connection.transport.abort()
            with suppress(Exception):
                await connection.close()

    async def _connect(self) -> ClientConnection:
        narrow = socket.socket()
        try:
            connection = await self._open(narrow)
        except BaseException:
            narrow.close()
            raise
        try:
            await _say(connection, {"type": "auth", "token": self.caller.token})
            for view in self.views:
                await _say(connection, view.opening())
        except BaseException:
            connection.transport.abort()
            raise
        return connection

    async def _open(self, narrow: socket.socket) -> ClientConnection:
        """With little room on the way, so that one who does not read is felt soon."""
        url = urlsplit(self.caller.target.url(self.random))
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_SECONDS):
            await loop.sock_connect(narrow, (url.hostname or "", url.port or 80))
            return await connect(
                f"ws://{url.netloc}/v1/realtime",
                sock=narrow,
                proxy=None,
                ping_interval=None,
                max_queue=1,
                max_size=2**26,
                close_timeout=1,
            )

    async def _something(self, connection: ClientConnection) -> None:
        chance = self.random.random()
        if chance < 0.9:
            await self._hear(connection, 0.2)
        elif chance < 0.93:
            await asyncio.sleep(self.random.random() * 1.5)  # reads nothing for a while
        elif chance < 0.96:
            await _say(connection, self._message())
        elif chance < 0.97 and self.inbox.cursor is not None and self.inbox.answered:
            await _say(connection, {"type": "ack", "id": "inbox", "cursor": self.inbox.cursor})
        elif chance < 0.98:
            await self.caller.refresh()
            await _say(connection, {"type": "auth", "token": self.caller.token})
        elif chance < 0.99:
            await self._watch_anew(connection)

    async def _watch_anew(self, connection: ClientConnection) -> None:
        """By another id: what is on its way to the old one is nobody's."""
        view = self.random.choice(self.watches)
        await _say(connection, {"type": "unwatch", "id": view.id})
        self._names += 1
        view.asked = {**view.asked, "id": f"{view.id.partition('-')[0]}-{self._names}"}
        await _say(connection, view.opening())

    def _message(self) -> dict[str, Any]:
        self._count += 1
        ref, data = f"m{self._count}", [self.name, self._count]
        self._published[ref] = data
        return {"type": "publish", "id": "hall", "event": "said", "data": data, "ack": ref}

    async def publish(self, data: Any) -> bool:
        """On the connection that `settle` has left open: whether it is known to be durable."""
        frame = {**self._message(), "data": data}
        self._published[frame["ack"]] = data
        try:
            assert self._socket is not None
            await _say(self._socket, frame)
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._follow(lambda: data in self.confirmed)
        except (_Over, OSError, ConnectionClosed, TimeoutError):
            await self.leave()
        return data in self.confirmed

    # -- by long-poll ------------------------------------------------------------------------------

    async def _poll(self) -> None:
        for _ in range(self.random.randint(1, 4)):
            frames = [{"type": "auth", "token": self.caller.token}]
            frames += [_unseen(view.opening()) for view in self.views]
            if self.random.random() < 0.3:
                frames.append(self._message())
            wait = round(self.random.random() * 1.5, 2)
            body = {"session": self.name, "frames": frames, "wait": wait}
            asking = asyncio.create_task(self.caller.ask("/v1/realtime/poll", body, None))
            if self.random.random() < 0.2:  # the answer is lost on the way
                await asyncio.sleep(self.random.random() * wait)
                asking.cancel()
                with suppress(asyncio.CancelledError):
                    await asking
                continue
            answer = await asking
            if answer is None or answer.status_code != 200:
                raise _Over
            for frame in answer.json()["frames"]:
                await self._take(frame)

    # -- what comes --------------------------------------------------------------------------------

    async def _hear(self, connection: ClientConnection, seconds: float) -> None:
        """A frame, if one comes so soon; what it leads to has its time."""
        try:
            async with asyncio.timeout(seconds):
                text = await connection.recv()
        except TimeoutError:
            return
        await self._take(json.loads(text))

    async def _take(self, frame: dict[str, Any]) -> None:
        kind, id = frame["type"], frame.get("id")
        if kind == "error":
            await self._refused(frame)
        elif kind == "ready":
            self.session = frame["session"]
        elif kind == "bye":
            raise _Over
        elif kind == "ack":
            self.confirmed.append(self._published[frame["ref"]])
        else:
            for view in self.views:
                if view.id == id:
                    view.take(frame)

    async def _refused(self, frame: dict[str, Any]) -> None:
        if frame["code"] not in _PASSING:
            raise Fault(f"{self.name} was refused: {frame}")
        if frame["code"] in ("TOKEN_EXPIRED", "UNAUTHENTICATED"):
            await self.caller.refresh()
        if "ref" not in frame:
            raise _Over

    # -- the end -----------------------------------------------------------------------------------

    async def settle(self, done: Callable[[], bool], what: str) -> None:
        """Follows on until that is so. Broken connections are made again."""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                while not done():
                    try:
                        await self._follow(done)
                    except (_Over, OSError, ConnectionClosed, InvalidHandshake):
                        await self.leave()
                        await asyncio.sleep(0.1)
        except TimeoutError:
            for view in self.views:
                view.must(view.answered, f"no answer, while waiting for {what}")
            raise Fault(f"{self.name}: {what} did not come") from None

    async def _follow(self, done: Callable[[], bool]) -> None:
        if self._socket is None:
            await self.caller.refresh()
            self._socket = await self._connect()
        while not done():
            await self._hear(self._socket, 0.1)

    async def leave(self) -> None:
        connection, self._socket = self._socket, None
        for view in self.views:
            view.answered = False
        if connection is not None:
            with suppress(Exception):
                await connection.close()


def _join(id: str, channel: str, presence: Any = None) -> dict[str, Any]:
    frame = {"type": "join", "id": id, "channel": channel}
    return frame if presence is None else {**frame, "presence": presence}


def _unseen(frame: dict[str, Any]) -> dict[str, Any]:
    """A long-poll's presence would outlive it."""
    return {name: value for name, value in frame.items() if name != "presence"}


async def _say(connection: ClientConnection, frame: dict[str, Any]) -> None:
    await connection.send(json.dumps(frame))
