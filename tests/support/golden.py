"""Plays the exchanges of tests/golden/frames; what the files mean stands in the README there."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.gateway import Gateway

FRAMES = Path(__file__).parents[1] / "golden" / "frames"
FILES = sorted(FRAMES.glob("*.json"))
#: How long the client waits for a frame.
PATIENCE = 5.0

_NAME = re.compile(r"<([a-z0-9:-]+)>")


class Play:
    """One exchange. AssertionError names the step that went otherwise."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        self._gateway = gateway
        self._url = gateway.url.replace("http", "ws", 1) + "/v1/realtime"
        self._name = name
        self._bound: dict[str, Any] = {}
        self._ignored: list[str] = []
        self._socket: ClientConnection | None = None

    async def run(self, steps: list[dict[str, Any]]) -> None:
        await self._connect()
        try:
            for number, step in enumerate(steps):
                ((kind, given),) = step.items()
                try:
                    await getattr(self, f"_{kind}")(given)
                except (AssertionError, TimeoutError, ConnectionClosed) as fault:
                    raise AssertionError(f"step {number}, {json.dumps(step)}: {fault!r}") from fault
        finally:
            await self._socket_now.close()

    @property
    def _socket_now(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket

    async def _connect(self, _: Any = None) -> None:
        if self._socket is not None:
            await self._socket.close()
        self._socket = await connect(self._url, proxy=None)

    async def _client(self, frame: Any) -> None:
        await self._socket_now.send(json.dumps(await self._filled(frame)))

    async def _raw(self, text: str) -> None:
        await self._socket_now.send(text)

    async def _server(self, expected: Any) -> None:
        await self._match(expected, await self._next(), "frame")

    async def _next(self) -> Any:
        while True:
            async with asyncio.timeout(PATIENCE):
                frame = json.loads(await self._socket_now.recv())
            if frame["type"] not in self._ignored:
                return frame

    async def _ignore(self, types: list[str]) -> None:
        self._ignored = types

    async def _servers(self, expected: list[Any]) -> None:
        """Told apart by their types."""
        frames = [await self._next() for _ in expected]
        got = {frame["type"]: frame for frame in frames}
        for one in expected:
            assert one["type"] in got, f"no {one['type']} in {frames}"
            await self._match(one, got[one["type"]], one["type"])

    async def _closed(self, code: int) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                more = await self._socket_now.recv()
        except ConnectionClosed as closed:
            got = closed.rcvd.code if closed.rcvd is not None else None
            assert got == code, f"closed with {got}"
        else:
            raise AssertionError(f"still open, and got {more!r}")

    async def _call(self, given: dict[str, Any]) -> None:
        token = await self._user("token", given["as"])
        body = await self._filled(given["body"])
        answer = await asyncio.to_thread(self._gateway.post, given["path"], body, token=token)
        assert answer.status_code == 200, answer.text

    # -- placeholders ------------------------------------------------------------------------------

    async def _filled(self, value: Any) -> Any:
        """`value` with its placeholders filled in."""
        if isinstance(value, dict):
            return {key: await self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [await self._filled(item) for item in value]
        return value if (name := _name(value)) is None else await self._value(name)

    async def _value(self, name: str) -> Any:
        kind, _, user = name.partition(":")
        return await self._user(kind, user) if user else self._bound[name]

    async def _user(self, kind: str, user: str) -> str:
        if f"uid:{user}" not in self._bound:
            body = {"username": f"{user}-{self._name}", "password": "a long enough one"}
            answer = await asyncio.to_thread(self._gateway.post, "/v1/auth/sign-up", body)
            session = answer.json()
            self._bound[f"token:{user}"] = session["accessToken"]
            self._bound[f"uid:{user}"] = session["user"]["uid"]
        return str(self._bound[f"{kind}:{user}"])

    async def _match(self, expected: Any, got: Any, path: str) -> None:
        name = _name(expected)
        if name == "any":
            return
        if name is not None:
            if ":" not in name:
                self._bound.setdefault(name, got)
            expected = await self._value(name)
        if isinstance(expected, dict) and isinstance(got, dict):
            assert set(expected) == set(got), f"{path} has {list(got)}: {got}"
            for key, item in expected.items():
                await self._match(item, got[key], f"{path}.{key}")
        elif isinstance(expected, list) and isinstance(got, list):
            assert len(expected) == len(got), f"{path} has {len(got)} items: {got}"
            for index, item in enumerate(expected):
                await self._match(item, got[index], f"{path}.{index}")
        else:
            assert expected == got, f"{path} is {got!r}"


def _name(value: Any) -> str | None:
    match = _NAME.fullmatch(value) if isinstance(value, str) else None
    return None if match is None else match[1]
