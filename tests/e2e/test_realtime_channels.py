"""Channels from outside: over workers, over polls, and when the caller becomes another."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, running
from tests.support.golden import FRAMES
from tests.support.sessions import in_loop
from tests.support.sockets import Socket, connected

JOIN = {"type": "join", "id": "c"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(FRAMES / "app", tmp_path_factory.mktemp("golden") / "app"))


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[Gateway]:
    with running(folder) as started:
        yield started


async def next_of(socket: Socket, type: str) -> Any:
    """The next frame of this type; others are passed over."""
    while (frame := await socket.heard())["type"] != type:
        pass
    return frame


def uids(joined: Any) -> list[str]:
    return [entry["uid"] for entry in joined["presence"]]


@in_loop
async def test_a_poll_is_still_there_between_polls(gateway: Gateway) -> None:
    ann = gateway.sign_in()
    frame = {**JOIN, "channel": "room:poll", "presence": {"at": "phone"}}

    def poll(**body: Any) -> Any:
        return gateway.post("/v1/realtime/poll", {"session": "phone", **body}, token=ann).json()

    joined = (await asyncio.to_thread(poll, frames=[frame]))["frames"][1]
    async with connected(gateway, gateway.sign_in()) as other:
        seen = await other.asked(**JOIN, channel="room:poll")
        assert uids(seen) == uids(joined)
        await other.say(type="publish", id="c", event="said", data=1)
        await next_of(other, "message")
    again = {**frame, "cursor": joined["cursor"]}
    frames = (await asyncio.to_thread(poll, frames=[again], wait=5))["frames"]
    assert [one["data"] for one in frames if one["type"] == "message"] == [1]


@in_loop
async def test_becoming_another_user_takes_the_presence_of_the_first_away(
    gateway: Gateway,
) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    async with connected(gateway, ann) as socket, connected(gateway, bob) as other:
        (hers,) = uids(await socket.asked(**JOIN, channel="room:switch", presence={}))
        assert uids(await other.asked(**JOIN, channel="room:switch")) == [hers]
        await socket.say(type="auth", token=bob)
        (gone,) = (await next_of(other, "presence"))["leave"]
        assert gone["uid"] == hers


@in_loop
async def test_another_user_does_not_get_the_inbox_of_the_first(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    async with connected(gateway, ann) as socket:
        assert (await socket.asked(**JOIN, channel="inbox"))["type"] == "joined"
        await socket.say(type="auth", token=bob)
        assert (await next_of(socket, "error"))["id"] == "c"
        assert (await socket.asked(**JOIN, channel="inbox"))["type"] == "joined"


@in_loop
async def test_members_of_all_workers_hear_one_order(folder: Path) -> None:
    with running(folder, "--workers", "2", "--data", "two") as gateway:
        token = gateway.sign_in()
        opened = [connected(gateway, token) for _ in range(6)]
        async with asyncio.timeout(40):
            sockets = [await one.__aenter__() for one in opened]
            for socket in sockets:
                assert (await socket.asked(**JOIN, channel="room:all"))["type"] == "joined"
            for number, socket in enumerate(sockets * 3):
                await socket.say(type="publish", id="c", event="said", data=number)
            heard = [
                [(await next_of(socket, "message"))["data"] for _ in range(18)]
                for socket in sockets
            ]
            for one in opened:
                await one.__aexit__(None, None, None)
        assert sorted(heard[0]) == list(range(18))
        assert all(one == heard[0] for one in heard)
