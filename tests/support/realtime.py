"""The realtime door on a real server, with sessions whose services are fakes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from baas.gateway.actor import Addresses, Callers
from baas.gateway.cors import Cors
from baas.gateway.exchange import Exchange
from baas.gateway.protocol import GatewayProtocol
from baas.gateway.realtime.numbers import Sent
from baas.gateway.realtime.poll import poll
from baas.gateway.realtime.serve import Realtime
from baas.gateway.realtime.socket import PATH, RealtimeSocket
from baas.gateway.route import Call
from baas.gateway.services import RateLimits, RealtimeServices
from baas.schema.actor import NOBODY, Actor
from baas.settings import LimitSettings, ObserveSettings, PushSettings, Settings
from tests.support.sessions import Bench


class Lines:
    """Stands for the log."""

    level = logging.INFO

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def add(self, line: Any) -> None:
        self.lines.append(line)


class HeaderOnly:
    """Whatever a header says holds; sessions look for themselves."""

    def authenticate(self, header: str | None) -> Actor:
        return NOBODY

    async def authenticate_as(self, header: str | None, uid: str) -> Actor:
        raise AssertionError("nobody asks")


class Door:
    """`bench.service` is what is behind it; `realtime.serve` an ASGI app for sockets."""

    def __init__(
        self, origins: tuple[str, ...] = ("*",), secret: bytes = b"!", **push: Any
    ) -> None:
        self.bench = Bench(secret, **push)
        self.log = Lines()
        self.sent = Sent()
        nobody: Any = None  # sends from the server side
        services: Any = SimpleNamespace(
            settings=Settings(push=PushSettings(**push), observe=ObserveSettings(access_sample=1)),
            addresses=Addresses(()),
            cors=Cors(origins),
            logs=self.log,
            clock=self.bench.clock,
            callers=Callers(HeaderOnly()),
            limits=RateLimits(LimitSettings(), self.bench.clock),
            body_bytes=10 * 1024**2,
            realtime=RealtimeServices(self.bench.sessions, self.sent, nobody),
        )
        self.services = services
        self.realtime = Realtime(services)
        self.port = 0

    async def poll(
        self, body: Any, hung_up: asyncio.Event | None = None, **headers: str
    ) -> dict[str, Any]:
        """The answer of a long-poll; whose client hangs up when `hung_up` is set."""
        given = {"content-type": "application/json", **headers}
        raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in given.items()]
        scope = {"headers": raw, "method": "POST", "path": PATH + "/poll"}
        exchange = Exchange(scope)
        exchange.ip = "192.0.2.1"
        messages = [{"type": "http.request", "body": msgspec.json.encode(body)}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await (hung_up or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        answer = await poll(Call(self.services, exchange, receive, {}))
        return msgspec.json.decode(answer.body, type=dict[str, Any])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{PATH}"

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[ClientConnection]:
        """One that has said that it is nobody."""
        async with connect(self.url, proxy=None, ping_interval=None, **options) as socket:
            await socket.send('{"type":"auth","token":null}')
            assert (await heard(socket))["type"] == "ready"
            yield socket


@asynccontextmanager
async def open_door(
    origins: tuple[str, ...] = ("*",), protocol: Any = RealtimeSocket, **push: Any
) -> AsyncIterator[Door]:
    """Served by uvicorn in this loop, on a free port."""
    door = Door(origins, **push)
    config = uvicorn.Config(
        door.realtime.serve,
        http=GatewayProtocol,
        ws=protocol,
        ws_per_message_deflate=False,
        interface="asgi3",
        proxy_headers=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        host="127.0.0.1",
        port=0,
        timeout_graceful_shutdown=2,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    door.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield door
    finally:
        server.should_exit = True
        door.bench.sessions.drain()
        await server.shutdown()


async def heard(socket: ClientConnection) -> Any:
    """The next frame; tests that wait for what does not come fail soon."""
    async with asyncio.timeout(5):
        return msgspec.json.decode(await socket.recv())


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - of another's doing
            await asyncio.sleep(0.005)
