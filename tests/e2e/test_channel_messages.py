"""Messages of channels from outside: all hear them, in one order, from a cursor on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, running, start_gateway, write_app
from tests.support.rooms import ROOMS_APP, Member
from tests.support.sessions import in_loop
from tests.support.sockets import Socket, connected


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = write_app(tmp_path_factory.mktemp("rooms"), ROOMS_APP)
    with running(folder, BAAS_LIMITS__RATE_AUTH="off", BAAS_LIMITS__RATE_WRITE="off") as started:
        yield started


def uid_of(gateway: Gateway, token: str) -> str:
    answer = gateway.client.get("/v1/auth/me", headers={"authorization": f"Bearer {token}"})
    return str(answer.json()["uid"])


async def poll(gateway: Gateway, token: str | None, **body: Any) -> list[Any]:
    body = {"session": "phone", **body}
    answer = await asyncio.to_thread(gateway.post, "/v1/realtime/poll", body, token=token)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["frames"])


async def call(gateway: Gateway, name: str, token: str | None = None, **event: Any) -> Any:
    answer = await asyncio.to_thread(gateway.post, f"/v1/functions/{name}", event, token=token)
    return answer.json()


async def joined(socket: Socket, channel: str, id: str = "c", **more: Any) -> Member:
    member = Member(socket, id)
    answer = await member.join(channel, **more)
    assert answer["type"] == "joined", answer
    return member


# -- to everybody ---------------------------------------------------------------------------------


@in_loop
async def test_all_members_hear_the_sender_too_and_polls(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    frame = {"type": "join", "id": "p", "channel": "hall:all"}
    (_, start) = await poll(gateway, bob, frames=[frame])
    async with connected(gateway, ann) as one, connected(gateway, bob) as two:
        first, second = await joined(one, "hall:all"), await joined(two, "hall:all")
        twice = await joined(one, "hall:all", id="again")
        polled = asyncio.create_task(
            poll(gateway, bob, frames=[{**frame, "cursor": start["cursor"]}], wait=10)
        )
        await first.publish({"text": "hello", "n": 1.5, "none": None})
        await second.hears(1)
        (message,) = [frame for frame in second.log if frame["type"] == "message"]
        assert message == {
            "type": "message",
            "id": "c",
            "event": "said",
            "data": {"text": "hello", "n": 1.5, "none": None},
            "cursor": message["cursor"],
            "from": uid_of(gateway, ann),
        }
        assert await first.hears(1) == second.messages
        assert await twice.hears(1) == second.messages
        (_, _, heard) = await polled
        assert heard["data"] == message["data"]


@in_loop
async def test_a_poll_publishes_and_is_told(gateway: Gateway) -> None:
    token = gateway.sign_in()
    frames = [
        {"type": "join", "id": "p", "channel": "hall:poll"},
        {"type": "publish", "id": "p", "event": "said", "data": 7, "ack": "r1"},
    ]
    answer = await poll(gateway, token, frames=frames)
    assert {"type": "ack", "id": "p", "ref": "r1"} in answer
    (start,) = [frame for frame in answer if frame["type"] == "joined"]
    again = await poll(gateway, token, frames=[{**frames[0], "cursor": start["cursor"]}], wait=5)
    heard = [frame["data"] for frame in [*answer, *again] if frame["type"] == "message"]
    assert set(heard) == {7}


@in_loop
async def test_messages_of_one_sender_keep_their_order(gateway: Gateway) -> None:
    async with connected(gateway, gateway.sign_in()) as socket:
        member = await joined(socket, "hall:order")
        for number in range(60):
            await socket.say(type="publish", id="c", event="said", data=number)
        assert await member.hears(60) == list(range(60))


@in_loop
async def test_who_has_left_hears_no_more(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    async with connected(gateway, ann) as one, connected(gateway, bob) as two:
        first, second = await joined(one, "hall:leave"), await joined(two, "hall:leave")
        await two.say(type="leave", id="c")
        await second.hears_no_more()
        await first.publish(1)
        await second.hears_no_more()
        again = await joined(two, "hall:leave", id="d", cursor=second.cursor)
        assert await again.hears(1) == [1]


@in_loop
async def test_what_was_published_before_leave_goes_out(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    async with connected(gateway, ann) as one, connected(gateway, bob) as two:
        member = await joined(one, "hall:last")
        await joined(two, "hall:last")
        for number in range(10):
            await two.say(type="publish", id="c", event="said", data=number)
        await two.say(type="leave", id="c")
        assert await member.hears(10) == list(range(10))


# -- from a cursor on -----------------------------------------------------------------------------


@in_loop
async def test_a_cursor_goes_on_without_gap_or_repeat(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    async with connected(gateway, ann) as one:
        first = await joined(one, "hall:resume")
        async with connected(gateway, bob) as two:
            second = await joined(two, "hall:resume")
            await first.publish(0)
            await second.hears(1)
        for number in range(1, 300):  # more than one page of history, and faster than it is written
            await one.say(type="publish", id="c", event="said", data=number)
        assert await first.hears(300) == list(range(300))
        async with connected(gateway, bob) as two:
            again = await joined(two, "hall:resume", cursor=second.cursor)
            assert again.log[0]["cursor"] == second.cursor
            assert await again.hears(299) == list(range(1, 300))
            await first.publish(300)
            assert (await again.hears(300))[-1] == 300


@in_loop
async def test_each_message_s_cursor_goes_on_behind_it(gateway: Gateway) -> None:
    async with connected(gateway, gateway.sign_in()) as socket:
        member = await joined(socket, "hall:each")
        for number in range(5):
            await member.publish(number)
        cursors = [frame["cursor"] for frame in member.log if frame["type"] == "message"]
        for at, cursor in enumerate(cursors):
            later = await joined(socket, "hall:each", id=f"at{at}", cursor=cursor)
            assert await later.hears(4 - at) == list(range(at + 1, 5))
            await later.hears_no_more()


@in_loop
async def test_a_cursor_that_is_too_old_is_said_to_be(gateway: Gateway) -> None:
    """`short` keeps three: of what was missed, those are told behind `resync`."""
    token = gateway.sign_in()
    async with connected(gateway, token) as socket:
        member = await joined(socket, "short:a")
        start = member.cursor
        for number in range(6):
            await member.publish(number)
        later = await joined(socket, "short:a", id="late", cursor=start)
        assert await later.hears(3) == [3, 4, 5]
        assert later.types == ["joined", "resync", "message", "message", "message"]
        await later.hears_no_more()
        # From where the kept ones begin nothing is missing.
        third = [frame["cursor"] for frame in member.log if frame["type"] == "message"][2]
        exact = await joined(socket, "short:a", id="exact", cursor=third)
        assert await exact.hears(3) == [3, 4, 5]
        assert "resync" not in exact.types


@in_loop
async def test_cursors_of_others_are_none(gateway: Gateway) -> None:
    async with connected(gateway, gateway.sign_in()) as socket:
        member = await joined(socket, "hall:mine")
        await member.publish("secret")
        stolen = member.cursor or ""
        flipped = stolen[:-2] + ("AA" if not stolen.endswith("AA") else "BB")
        for number, cursor in enumerate((stolen, flipped, "", "x", "\u00e9", "=" * 40, "A" * 2048)):
            late = await joined(socket, "hall:else", id=f"w{number}", cursor=cursor)
            assert late.types[:1] == ["joined"]
            await late.holds(lambda late=late: "resync" in late.types)  # type: ignore[misc]
            await late.hears_no_more()


@in_loop
async def test_a_new_member_hears_what_comes_and_not_what_was(gateway: Gateway) -> None:
    async with connected(gateway, gateway.sign_in()) as socket:
        first = await joined(socket, "hall:new")
        await first.publish("before")
        second = await joined(socket, "hall:new", id="late")
        await second.hears_no_more()
        await first.publish("after")
        assert await second.hears(1) == ["after"]


@in_loop
async def test_without_history_there_is_no_going_on(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    async with connected(gateway, ann) as one, connected(gateway, bob) as two:
        first, second = await joined(one, "live:a"), await joined(two, "live:a")
        assert first.log[0]["cursor"] is None
        assert (await first.publish("now"))["type"] == "ack"
        assert await second.hears(1) == ["now"]
        assert second.log[-1]["cursor"] is None
        late = await joined(two, "live:a", id="late")
        await late.hears_no_more()


# -- limits ---------------------------------------------------------------------------------------


@in_loop
async def test_a_message_has_a_largest_size_and_a_form(tmp_path: Path) -> None:
    limits = {"BAAS_PUSH__MESSAGE_BYTES": "1000", "BAAS_PUSH__CHANNELS": "3"}
    with running(write_app(tmp_path, ROOMS_APP), **limits) as gateway:
        async with connected(gateway, gateway.sign_in()) as socket:
            member = await joined(socket, "hall:size")
            assert (await member.publish("x" * 998))["type"] == "ack"
            assert (await member.publish("x" * 999))["code"] == "PAYLOAD_TOO_LARGE"
            deep: Any = 1
            for _ in range(40):
                deep = [deep]
            for data in (deep, {"$date": "never"}, "a\u0000b", 2**60):
                answer = await member.publish(data)
                assert answer["type"] == "error", data
                assert answer["ref"].startswith("r")
            assert (await member.publish({"$date": "2026-11-20T08:00:00.000Z"}))["type"] == "ack"
            assert (await member.publish(1, event="e" * 129))["type"] == "error"
            for id in ("d", "e"):
                await joined(socket, "hall:size", id=id)
            assert (await Member(socket, "f").join("hall:size"))["code"] == "LIMIT_EXCEEDED"
            await socket.say(type="leave", id="d")
            await joined(socket, "hall:size", id="f")


@in_loop
async def test_messages_count_as_writes_of_the_caller_s_rate(tmp_path: Path) -> None:
    with running(write_app(tmp_path, ROOMS_APP), BAAS_LIMITS__RATE_WRITE="5/1h") as gateway:
        async with connected(gateway, gateway.sign_in()) as socket:
            member = await joined(socket, "hall:rate")
            answers = [(await member.publish(number)) for number in range(8)]
            codes = [answer.get("code", "ok") for answer in answers]
            assert codes == ["ok"] * 5 + ["RATE_LIMITED"] * 3
            shown = await Member(socket, "seen").join("hall:rate", presence={})
            assert shown["code"] == "RATE_LIMITED"
            assert await member.hears(5) == list(range(5))


# -- the inbox ------------------------------------------------------------------------------------


@in_loop
async def test_an_inbox_keeps_what_came_while_its_user_was_away_until_acknowledged(
    gateway: Gateway,
) -> None:
    ann = gateway.sign_in()
    uid = uid_of(gateway, ann)
    for number in range(3):
        assert await call(gateway, "write_to", user=uid, data=number) is None
    async with connected(gateway, ann) as socket:
        inbox = await joined(socket, "inbox")
        assert await inbox.hears(3) == [0, 1, 2]
        assert {frame["event"] for frame in inbox.log[1:]} == {"paid"}
        await call(gateway, "write_to", user=uid, data=3)
        assert await inbox.hears(4) == [0, 1, 2, 3]
    # Not acknowledged: it all comes again, to another device too.
    async with connected(gateway, ann) as socket:
        inbox = await joined(socket, "inbox")
        assert await inbox.hears(4) == [0, 1, 2, 3]
        second = [frame["cursor"] for frame in inbox.log if frame["type"] == "message"][1]
        await socket.say(type="ack", id="c", cursor=second)
        await inbox.hears_no_more()
    async with connected(gateway, ann) as socket:
        inbox = await joined(socket, "inbox")
        assert await inbox.hears(2) == [2, 3]
        assert "resync" not in inbox.types
        await socket.say(type="ack", id="c", cursor=inbox.cursor)
        await inbox.hears_no_more()
    async with connected(gateway, ann) as socket:
        inbox = await joined(socket, "inbox")
        await inbox.hears_no_more()
        await call(gateway, "write_to", user=uid, data=4)
        assert await inbox.hears(1) == [4]


@in_loop
async def test_an_inbox_is_its_user_s_alone_and_nobody_publishes_there(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    uid = uid_of(gateway, ann)
    async with connected(gateway, bob) as his, connected(gateway, ann) as hers:
        inbox = await joined(his, "inbox")
        mine = await joined(hers, "inbox")
        await call(gateway, "write_to", user=uid, data="for ann")
        assert await mine.hears(1) == ["for ann"]
        await inbox.hears_no_more()
        assert (await mine.publish("x"))["code"] == "PERMISSION_DENIED"
        assert (await Member(hers, "p").join("inbox", presence={}))["code"] == "PERMISSION_DENIED"
        for name in (f"_inbox:{uid}", f"inbox:{uid}"):
            assert (await Member(his, "x").join(name))["code"] == "PERMISSION_DENIED"
        # Another's cursor acknowledges nothing.
        await his.say(type="ack", id="c", cursor=mine.cursor)
        answer = await inbox.until(lambda frame: frame["type"] == "error")
        assert answer["code"] == "INVALID_ARGUMENT"
        late = await joined(hers, "inbox", id="late")
        assert await late.hears(1) == ["for ann"]


# -- from functions -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tell", "tell_in_thread", "tell_in_process"])
def test_functions_tell_channels_whatever_they_run_in(gateway: Gateway, name: str) -> None:
    @in_loop
    async def scenario() -> None:
        token = gateway.sign_in()
        async with connected(gateway, token) as socket:
            member = await joined(socket, "notices", id=name)
            assert await call(gateway, name, token, channel="notices", data={"by": name}) is None
            assert await member.hears(1) == [{"by": name}]
            assert member.log[-1]["from"] == uid_of(gateway, token)
            failed = await call(gateway, name, channel="nowhere")  # no entry: a fault of its own
            assert failed["code"] == "FUNCTION_FAILED", failed

    scenario()


@pytest.mark.parametrize("name", ["tell_as_caller", "tell_as_caller_in_process"])
def test_as_the_caller_functions_are_held_by_the_rules(gateway: Gateway, name: str) -> None:
    @in_loop
    async def scenario() -> None:
        token = gateway.sign_in()
        for channel in ("notices", "staff", "nowhere"):
            answer = await call(gateway, name, token, channel=channel)
            assert answer == "PERMISSION_DENIED", channel
        assert await call(gateway, name, channel="hall:caller") == "PERMISSION_DENIED"
        async with connected(gateway, token) as socket:
            member = await joined(socket, "hall:caller")
            assert await call(gateway, name, token, channel="hall:caller", data=name) is None
            assert await member.hears(1) == [name]

    scenario()


@in_loop
async def test_functions_write_to_users_with_server_rights_alone(gateway: Gateway) -> None:
    token = gateway.sign_in()
    uid = uid_of(gateway, token)
    assert await call(gateway, "write_to_as_caller", token, user=uid) == "PERMISSION_DENIED"
    for expires in (0, -1, 0.5, 10**9):
        answer = await call(gateway, "write_to", user=uid, expires=expires)
        assert answer == "INVALID_ARGUMENT", expires


@in_loop
async def test_functions_see_who_is_present(gateway: Gateway) -> None:
    token = gateway.sign_in()
    async with connected(gateway, token) as socket:
        await joined(socket, "hall:who", presence={"at": "door"})
        for name in ("who", "who_in_process"):
            (entry,) = await call(gateway, name, channel="hall:who")
            assert (entry["uid"], entry["state"]) == (uid_of(gateway, token), {"at": "door"})
        (entry,) = await call(gateway, "who_as_caller", token, channel="hall:who")
        assert set(entry) == {"uid", "session", "state", "since"}
        assert await call(gateway, "who_as_caller", channel="hall:who") == "PERMISSION_DENIED"


# -- ends -----------------------------------------------------------------------------------------


@in_loop
async def test_what_was_acknowledged_survives_a_kill_9(tmp_path: Path) -> None:
    app = write_app(tmp_path, ROOMS_APP)
    gateway = start_gateway(app)
    acknowledged: list[int] = []
    try:
        token = gateway.sign_in()
        async with connected(gateway, token) as one, connected(gateway, token) as two:
            speaker, hearer = await joined(one, "hall:crash"), await joined(two, "hall:crash")
            await speaker.publish(0)
            await hearer.hears(1)
            for number in range(1, 64):
                await one.say(type="publish", id="c", event="said", data=number, ack=str(number))
            await speaker.until(lambda frame: frame.get("ref") == "20")
            gateway.kill()
            with pytest.raises(Exception, match="close"):
                await speaker.until(lambda frame: False)
            with pytest.raises(Exception, match="close"):
                await hearer.until(lambda frame: False)
        acknowledged = [int(f["ref"].strip("r")) for f in speaker.log if f["type"] == "ack"]
        assert len(acknowledged) >= 20
    finally:
        gateway.kill()
        gateway.close()
    with running(app) as again:
        async with connected(again, token) as socket:
            member = await joined(socket, "hall:crash", cursor=hearer.cursor)
            await member.publish("after")
            await member.holds(lambda: "after" in member.messages)
            everything = hearer.messages + member.messages[:-1]
            assert everything == list(range(len(everything)))
            assert set(acknowledged) <= {*everything, 1}


@in_loop
async def test_a_drain_says_bye_and_loses_nothing(tmp_path: Path) -> None:
    app = write_app(tmp_path, ROOMS_APP)
    with running(app) as gateway:
        token = gateway.sign_in()
        async with connected(gateway, token) as socket:
            member = await joined(socket, "hall:drain", presence={})
            await member.publish("before")
            stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
            bye, code = await socket.the_end(10)
            assert (bye, code) == ({"type": "bye", "reason": "drain"}, 1001)
            assert await stopping == 0
    with running(app) as again:
        async with connected(again, token) as socket:
            later = await joined(socket, "hall:drain", cursor=None)
            assert later.present == {}
            whole = await joined(socket, "hall:drain", id="whole", cursor=member.log[0]["cursor"])
            assert await whole.hears(1) == ["before"]
