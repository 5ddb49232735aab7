"""Clients and the gateway are held to the same frames: here the files play the server's part."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

import pytest
from baas_sdkgen.runtime.py import AsyncCloud, Cloud, MemoryStore

from tests.sdk.python.runner import run
from tests.support.golden import FRAMES
from tests.support.goldenserver import playing
from tests.support.node import FOLDER, bundle, node

#: By file: how many of its steps a client of the SDK would ever take, and what brings it to take
#: them (steps as in scenario.json).
PLAYS: Final[dict[str, tuple[int, list[dict[str, Any]]]]] = {
    "watch": (
        12,
        [
            {
                "do": "watch",
                "in": "posts",
                "where": {"thread": "watch"},
                "orderBy": [["title", "asc"]],
                "field": {"title": True},
                "save": "live",
                "expect": [{"title": "Apples"}, {"title": "Cherries"}],
            },
            {"do": "watched", "of": "live", "expect": [{"_id": "c"}, {"title": "Dates"}]},
            {"do": "unwatch", "of": "live"},
        ],
    ),
    "resume": (
        11,
        [
            {
                "do": "watch",
                "in": "posts",
                "where": {"thread": "resume"},
                "save": "live",
                "expect": [],
            },
            {"do": "watched", "of": "live", "expect": [{"_id": "r1", "title": "Rhubarb"}]},
        ],
    ),
    "refused": (
        4,
        [{"do": "watch", "in": "secrets", "save": "no", "fails": "PERMISSION_DENIED"}],
    ),
    "channel": (
        11,
        [
            {
                "do": "join",
                "channel": "room:channel",
                "presence": {"typing": False},
                "save": "room",
            },
            {"do": "here", "of": "room", "expect": [{"state": {"typing": False}}]},
            {"do": "publish", "of": "room", "event": "said", "data": {"text": "hello"}},
            {"do": "heard", "of": "room", "expect": [{"event": "said", "data": {"text": "hello"}}]},
            {"do": "setPresence", "of": "room", "state": {"typing": True}},
            {"do": "here", "of": "room", "expect": [{"state": {"typing": True}}]},
            {"do": "leave", "of": "room"},
        ],
    ),
    "channel-refused": (
        4,
        [{"do": "join", "channel": "room:refused", "fails": "PERMISSION_DENIED"}],
    ),
    "channel-resume": (
        8,
        [
            {"do": "join", "channel": "room:resume", "save": "room"},
            {"do": "publish", "of": "room", "event": "said", "data": 1},
            {"do": "publish", "of": "room", "event": "said", "data": 2},
            {"do": "heard", "of": "room", "expect": [{"data": 1}, {"data": 2}]},
        ],
    ),
}
CLIENTS: Final = ("typescript", "python-async", "python-sync")


@pytest.fixture(scope="module")
def in_node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(FOLDER / "in-node.ts", tmp_path_factory.mktemp("node") / "in-node.mjs")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", PLAYS)
def test_exchange(name: str, client: str, tmp_path: Path, in_node: Path) -> None:
    most, calls = PLAYS[name]
    steps = json.loads((FRAMES / f"{name}.json").read_text())["steps"][:most]
    with playing(steps) as server:
        session = kept(steps)
        if client == "typescript":
            (tmp_path / "calls.json").write_text(json.dumps({"steps": calls}))
            node(in_node, server.url, tmp_path / "calls.json", "socket", session)
        else:
            asyncio.run(in_python(client, server.url, calls, session))
        server.finished()


def test_a_frame_that_makes_no_sense_does_not_end_a_watch(tmp_path: Path, in_node: Path) -> None:
    """That of Python stands in test_python_live.py."""
    watch = {"client": {"type": "watch", "id": "w1", "collection": "posts"}}
    hello = [
        {"client": {"type": "auth", "token": None}},
        {"server": {"type": "ready", "session": "<any>", "pingSeconds": 25}},
        watch,
    ]
    first = {"type": "snapshot", "id": "w1", "documents": [{"_id": "a"}], "cursor": "1"}
    nonsense = {"type": "change", "id": "w1", "cursor": "2", "changes": [{"op": "?"}]}
    second = {**first, "documents": [{"_id": "a"}, {"_id": "b"}], "cursor": "3"}
    begun = [*hello, {"server": first}, {"server": nonsense}, {"connect": None}]
    calls = [
        {"do": "watch", "in": "posts", "save": "live", "expect": [{"_id": "a"}]},
        {"do": "watched", "of": "live", "expect": [{"_id": "a"}, {"_id": "b"}]},
    ]
    with playing([*begun, *hello, {"server": second}]) as server:
        (tmp_path / "calls.json").write_text(json.dumps({"steps": calls}))
        node(in_node, server.url, tmp_path / "calls.json", "socket")
        server.finished()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_channel_that_ends_answers_for_what_waits_for_its_answer(
    client: str, tmp_path: Path, in_node: Path
) -> None:
    """The server says no more of a channel that has ended: nobody may wait for an `ack`."""
    steps = [
        {"client": {"type": "auth", "token": None}},
        {"server": {"type": "ready", "session": "<any>", "pingSeconds": 25}},
        {"client": {"type": "join", "id": "c1", "channel": "room:1"}},
        {"server": {"type": "joined", "id": "c1", "presence": [], "cursor": "1"}},
        {"client": {"type": "publish", "id": "c1", "event": "said", "data": 1, "ack": "<ack>"}},
        {"server": {"type": "error", "id": "c1", "code": "PERMISSION_DENIED", "detail": "no"}},
    ]
    calls = [
        {"do": "join", "channel": "room:1", "save": "room"},
        {"do": "publish", "of": "room", "event": "said", "data": 1, "fails": "PERMISSION_DENIED"},
    ]
    with playing(steps) as server:
        if client == "typescript":
            (tmp_path / "calls.json").write_text(json.dumps({"steps": calls}))
            node(in_node, server.url, tmp_path / "calls.json", "socket")
        else:
            asyncio.run(in_python(client, server.url, calls, ""))
        server.finished()


async def in_python(client: str, url: str, calls: list[Any], session: str) -> None:
    store = MemoryStore()
    store.save(session)
    if client == "python-sync":
        with Cloud(url, store=store, trust_env=False) as cloud:
            await run(cloud, calls, lambda: None)
    else:
        async with AsyncCloud(url, store=store, trust_env=False) as later:
            await run(later, calls, lambda: None)


def kept(steps: list[dict[str, Any]]) -> str:
    """The session of whom the file's first frame names; nothing for nobody."""
    token = next(step["client"]["token"] for step in steps if "client" in step)
    if token is None:
        return ""
    return json.dumps(
        {
            "accessToken": token[1:-1],
            "refreshToken": "none",
            "expires": (time.time() + 900) * 1000,
            "user": {"uid": "u1", "loginType": "USERNAME", "roles": []},
        }
    )


def test_a_client_that_does_otherwise_is_found() -> None:
    steps = [{"client": {"type": "auth", "token": "<token:ann>"}}]
    with playing(steps) as server:
        calls = [{"do": "watch", "in": "posts", "save": "live", "expect": []}]
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(in_python("python-async", server.url, calls, ""), 0.5))
        with pytest.raises(AssertionError, match=r"step 0, .*token is None"):
            server.finished()
