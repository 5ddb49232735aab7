"""The long-poll: a whole session in one request."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.gateway.body import ClientGone
from baas.push.frames import encode_frame
from tests.support.realtime import Door, until
from tests.support.sessions import in_loop

WATCH = {"type": "watch", "id": "w", "collection": "posts"}
JOIN = {"type": "join", "id": "c", "channel": "room"}


def types(answer: dict[str, Any]) -> list[str]:
    return [frame["type"] for frame in answer["frames"]]


@in_loop
async def test_frames_are_answered_in_one_request_and_nothing_is_left() -> None:
    door = Door()
    answer = await door.poll({"session": "s", "frames": [{"type": "auth", "token": None}, WATCH]})
    assert types(answer) == ["ready", "snapshot"]
    assert "close" not in answer
    assert len(door.bench.sessions) == 0
    assert door.bench.service.opened[0].closed


@in_loop
async def test_the_header_says_who_it_is_where_no_frame_does() -> None:
    door = Door()
    token = door.bench.identities.add("ann")
    await door.poll({"session": "s", "frames": [WATCH]}, authorization=f"Bearer {token}")
    assert door.bench.service.opened[0].callers[0].actor.uid == "ann"
    await door.poll({"session": "s", "frames": [WATCH]})
    assert door.bench.service.opened[1].callers[0].actor.uid is None


@in_loop
async def test_news_end_the_wait() -> None:
    door = Door()
    door.bench.service.first = "resumed"
    waiting = asyncio.create_task(door.poll({"session": "s", "frames": [WATCH], "wait": 20}))
    await until(lambda: door.bench.service.opened)
    outbox = door.bench.service.opened[0].outbox
    await asyncio.sleep(0.05)
    assert not waiting.done()
    outbox.send(encode_frame("change", id="w", cursor="1", changes=[]))
    outbox.send(encode_frame("change", id="w", cursor="2", changes=[]))
    assert types(await waiting) == ["ready", "resumed", "change", "change"]


@in_loop
async def test_a_snapshot_is_news_enough() -> None:
    started = monotonic()
    answer = await Door().poll({"session": "s", "frames": [WATCH], "wait": 20})
    assert types(answer) == ["ready", "snapshot"]
    assert monotonic() - started < 5


@in_loop
async def test_without_news_it_ends_in_time() -> None:
    answer = await Door().poll({"session": "s", "frames": [JOIN], "wait": 0.05})
    assert types(answer) == ["ready", "joined"]


@in_loop
async def test_a_published_message_is_durable_when_the_answer_comes() -> None:
    door = Door()
    publish = {"type": "publish", "id": "c", "event": "e", "data": 1, "ack": "r1"}
    answer = await door.poll({"session": "s", "frames": [JOIN, publish]})
    assert types(answer) == ["ready", "joined", "ack"]
    assert door.bench.service.opened[0].published == [1]


@in_loop
async def test_who_hangs_up_leaves_nothing() -> None:
    door = Door()
    hung_up = asyncio.Event()
    body = {"session": "s", "frames": [JOIN], "wait": 20}
    waiting = asyncio.create_task(door.poll(body, hung_up))
    await until(lambda: door.bench.service.opened)
    hung_up.set()
    with pytest.raises(ClientGone):
        await waiting
    assert len(door.bench.sessions) == 0
    assert door.bench.service.opened[0].closed


@in_loop
async def test_who_hangs_up_while_it_is_still_asked_who_it_is_leaves_no_task() -> None:
    door = Door()
    door.bench.identities.gate = asyncio.Event()
    hung_up = asyncio.Event()
    before = asyncio.all_tasks()
    body = {"session": "s", "frames": [JOIN], "wait": 20}
    waiting = asyncio.create_task(door.poll(body, hung_up))
    await until(lambda: len(door.bench.sessions))
    hung_up.set()
    with pytest.raises(ClientGone):
        await waiting
    await until(lambda: asyncio.all_tasks() == before)


@in_loop
async def test_a_bad_token_in_a_frame_says_how_it_ended() -> None:
    body = {"session": "s", "frames": [{"type": "auth", "token": "forged"}, WATCH], "wait": 20}
    answer = await Door().poll(body)
    assert types(answer) == ["error", "bye"]
    assert answer["close"] == 4401


@in_loop
async def test_a_frame_of_a_poll_has_a_largest_size_too() -> None:
    door = Door(frame_bytes=1000)
    frame = {"type": "join", "id": "c", "channel": "x" * 1000}
    answer = await door.poll({"session": "s", "frames": [frame], "wait": 20})
    assert (types(answer)[-1], answer["close"]) == ("bye", 4400)
    assert door.bench.service.opened == []


@in_loop
async def test_a_drain_ends_the_wait() -> None:
    door = Door()
    body = {"session": "s", "frames": [JOIN], "wait": 20}
    waiting = asyncio.create_task(door.poll(body))
    await until(lambda: door.bench.service.opened)
    door.bench.sessions.drain()
    answer = await waiting
    assert types(answer) == ["ready", "joined", "bye"]
    assert answer["close"] == 1001


@in_loop
async def test_a_name_tells_nobody_what_it_was_made_of() -> None:
    """Whoever sees it in a presence list could try all addresses, and the likely names."""
    body = {"session": "phone", "frames": [{"type": "auth", "token": None}]}
    names = [
        (await Door(secret=secret).poll(body))["frames"][0]["session"] for secret in (b"a", b"b")
    ]
    assert names[0] != names[1]
    assert (await Door(secret=b"a").poll(body))["frames"][0]["session"] == names[0]


@in_loop
async def test_a_name_is_the_same_in_each_poll_and_nobody_elses() -> None:
    door = Door()
    ann, bob = door.bench.identities.add("ann"), door.bench.identities.add("bob")

    async def name(token: str | None, session: str) -> str:
        answer = await door.poll({"session": session, "frames": [{"type": "auth", "token": token}]})
        return str(answer["frames"][0]["session"])

    names = [await name(*who) for who in ((ann, "s"), (ann, "t"), (bob, "s"), (None, "s"))]
    assert len(set(names)) == 4
    assert await name(ann, "s") == names[0]
    assert await name(ann, names[2]) != names[2]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "session"),
        ({"session": ""}, "session"),
        ({"session": "s", "wait": 26}, "wait"),
        ({"session": "s", "wait": -1}, "wait"),
        ({"session": "s", "more": 1}, "more"),
        ({"session": "s", "frames": {}}, "frames"),
    ],
)
@in_loop
async def test_a_bad_body_is_refused_by_name(body: Any, path: str) -> None:
    with pytest.raises(Problem) as refused:
        await Door().poll(body)
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert path in refused.value.detail


@in_loop
async def test_a_key_cannot_act_as_a_user_here() -> None:
    with pytest.raises(Problem) as refused:
        await Door().poll({"session": "s"}, x_baas_as="ann")
    assert refused.value.code is Code.INVALID_ARGUMENT


@in_loop
async def test_polls_count_as_connections() -> None:
    door = Door(sockets_per_address=1)
    door.bench.connect("192.0.2.1")
    with pytest.raises(Problem) as refused:
        await door.poll({"session": "s"})
    assert refused.value.code is Code.RATE_LIMITED


@in_loop
async def test_an_answer_that_is_full_goes_out_at_once() -> None:
    door = Door(buffer_bytes=200)
    frames = [{**WATCH, "id": f"w{number}"} for number in range(20)]
    started = monotonic()
    answer = await door.poll({"session": "s", "frames": frames, "wait": 20})
    assert types(answer)[0] == "ready"
    assert len(answer["frames"]) < 21
    assert monotonic() - started < 5
