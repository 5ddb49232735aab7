"""One client's session: its frames, its topics, its token and its end."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from baas.errors import Code, Problem
from baas.push.session import AUTH_COST, MAX_HELD, State
from baas.push.topic import MAX_STEPS
from baas.push.topics import MAX_PUBLISHING, MAX_WAITING
from baas.push.wire import BAD_FRAME, DRAIN, PING_SECONDS
from tests.support.sessions import Bench, in_loop, settle

WATCH = {"type": "watch", "id": "w", "collection": "posts"}
JOIN = {"type": "join", "id": "c", "channel": "room"}


# -- who it is -------------------------------------------------------------------------------------


@in_loop
async def test_nobody_is_welcome() -> None:
    client = Bench().connect()
    (ready,) = await client.say(type="auth", token=None)
    assert ready["type"] == "ready"
    assert ready["session"] == client.session.id
    assert ready["pingSeconds"] == PING_SECONDS
    assert ready["serverTime"] == {"$date": "2027-01-15T08:00:00.000Z"}


@in_loop
async def test_a_bad_token_is_told_and_ends_with_4401() -> None:
    bench = Bench()
    client = bench.connect()
    error, bye = await client.say(type="auth", token="forged")
    assert (error["type"], error["code"]) == ("error", "UNAUTHENTICATED")
    assert "id" not in error
    assert bye == {"type": "bye", "reason": "unauthenticated"}
    assert client.code == 4401
    assert bench.admission.bad_tokens == 1
    assert len(bench.sessions) == 0


@in_loop
async def test_frames_behind_auth_wait_for_it() -> None:
    bench = Bench()
    bench.identities.gate = asyncio.Event()
    uid = bench.identities.add("ann")
    client = bench.connect()
    await client.say(type="auth", token=uid)
    assert await client.say(**WATCH) == []
    assert await client.say(type="ping") == [{"type": "pong"}]
    bench.identities.gate.set()
    await settle()
    assert [frame["type"] for frame in client.heard()] == ["ready", "snapshot"]
    assert bench.service.opened[0].callers[0].actor.uid == "ann"


@in_loop
async def test_the_first_frame_must_be_auth() -> None:
    client = Bench().connect()
    error, _ = await client.say(**WATCH)
    assert error["code"] == "INVALID_ARGUMENT"
    assert client.code == 4400


@in_loop
async def test_who_does_not_say_who_it_is_in_10_s_is_sent_away() -> None:
    bench = Bench()
    client = bench.connect()
    await bench.pass_time(9)
    assert client.code is None
    await bench.pass_time(2)
    assert client.code == 4401
    assert client.wire.frames == [{"type": "bye", "reason": "auth-timeout"}]


@in_loop
async def test_another_user_on_the_same_connection_renews_all_it_has() -> None:
    bench = Bench()
    ann, bob = bench.identities.add("ann"), bench.identities.add("bob")
    client = await bench.client(ann)
    await client.say(**WATCH)
    await client.say(**JOIN)
    await client.say(type="auth", token=bob)
    for opened in bench.service.opened:
        assert [caller.actor.uid for caller in opened.callers] == ["ann", "bob"]


@in_loop
async def test_a_renewed_token_of_the_same_session_disturbs_nothing() -> None:
    bench = Bench()
    ann = bench.identities.add("ann")
    client = await bench.client(ann)
    await client.say(**WATCH)
    assert [frame["type"] for frame in await client.say(type="auth", token=ann)] == ["ready"]
    assert len(bench.service.opened[0].callers) == 1


@in_loop
async def test_an_expired_token_opens_nothing_and_ends_60_s_later() -> None:
    bench = Bench()
    ann = bench.identities.add("ann", expires=bench.clock.now_ms() / 1000 + 30)
    client = await bench.client(ann)
    await client.say(**WATCH)
    await bench.pass_time(29)
    assert [frame["type"] for frame in await client.say(**{**WATCH, "id": "w2"})] == ["snapshot"]
    await bench.pass_time(2)
    (refused,) = await client.say(**{**WATCH, "id": "w3"})
    assert (refused["id"], refused["code"]) == ("w3", "TOKEN_EXPIRED")
    await client.say(type="ping")
    await bench.pass_time(50)
    assert client.code is None
    await bench.pass_time(12)
    assert client.code == 4401
    assert client.wire.frames[-1] == {"type": "bye", "reason": "expired"}
    assert bench.service.opened[0].closed


@in_loop
async def test_renewing_in_time_keeps_the_connection() -> None:
    bench = Bench()
    now = bench.clock.now_ms() / 1000
    ann = bench.identities.add("ann", expires=now + 30)
    client = await bench.client(ann)
    await bench.pass_time(40)
    bench.identities.add("ann", expires=now + 900)
    await client.say(type="auth", token=ann)
    for _ in range(4):
        await bench.pass_time(25)
        await client.say(type="ping")
    assert client.code is None


@in_loop
async def test_a_revoked_session_ends_as_soon_as_the_feed_says_so() -> None:
    bench = Bench()
    client = await bench.client(bench.identities.add("ann"))
    other = await bench.client(bench.identities.add("bob"))
    bench.identities.revoked |= {"ann", "bob"}
    await bench.changed("_sessions", "s-ann")
    assert client.wire.frames == [{"type": "bye", "reason": "revoked"}]
    assert client.code == 4401
    assert other.code is None


@in_loop
async def test_new_roles_renew_what_is_open() -> None:
    bench = Bench()
    client = await bench.client(bench.identities.add("ann"))
    await client.say(**WATCH)
    bench.identities.add("ann", roles=("moderator",))
    await bench.changed("_users", "ann")
    assert bench.service.opened[0].callers[-1].actor.roles == ("moderator",)
    assert client.code is None


@in_loop
async def test_what_cannot_be_asked_now_is_asked_again() -> None:
    bench = Bench()
    client = await bench.client(bench.identities.add("ann"))
    bench.identities.fault = Problem(Code.UNAVAILABLE, "the store is away")
    await bench.changed("_users", "ann")
    assert client.code is None
    bench.identities.fault = None
    bench.identities.revoked.add("ann")
    await bench.pass_time(1)
    assert client.code == 4401


@in_loop
async def test_new_signing_keys_have_everybody_looked_at_again() -> None:
    bench = Bench()
    client = await bench.client(bench.identities.add("ann"))
    nobody = await bench.client(None)
    bench.identities.revoked.add("ann")
    bench.identities.tokens[""] = await bench.identities.identify(None)
    await bench.changed("_keys", "keys")
    await bench.pass_time(2)
    assert client.code == 4401
    assert nobody.code is None


# -- frames ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"[]",
        b'"ping"',
        b"{}",
        b'{"type": "shout"}',
        b'{"type": 7}',
        b'{"type": "watch"}',
        b'{"type": "ping", "id": 7, "more": 1}',
        b"\xff\xfe",
        b'{"type": "watch", "id": "' + b"x" * 65 + b'", "collection": "a"}',
        b'{"type": "publish", "id": "a", "event": "e", "data": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
@in_loop
async def test_what_is_no_frame_ends_with_4400(text: bytes) -> None:
    bench = Bench()
    client = await bench.client()
    error, bye = await client.say_raw(text)
    assert error["code"] == "INVALID_ARGUMENT"
    assert bye == {"type": "bye", "reason": "bad-frame"}
    assert client.code == 4400


@pytest.mark.parametrize(
    ("text", "member"),
    [
        (b'{"type": "watch", "id": "a"}', "collection"),
        (b'{"type": "watch", "id": "a", "collection": "b", "skip": 1}', "skip"),
        (b'{"type": "watch", "id": "a", "collection": "b", "limit": "1"}', "limit"),
        (b'{"type": "publish", "id": "a"}', "event"),
    ],
)
@in_loop
async def test_a_fault_in_a_frame_with_an_id_concerns_that_id(text: bytes, member: str) -> None:
    client = await Bench().client()
    (error,) = await client.say_raw(text)
    assert (error["type"], error["id"], error["code"]) == ("error", "a", "INVALID_ARGUMENT")
    assert member in error["detail"]
    assert client.code is None


@in_loop
async def test_more_frames_than_allowed_end_with_4429() -> None:
    bench = Bench(rate_frames="5/1s")
    client = await bench.client()
    for _ in range(4):
        assert await client.say(type="ping") == [{"type": "pong"}]
    error, bye = await client.say(type="ping")
    assert error["code"] == "RATE_LIMITED"
    assert bye["reason"] == "limits"
    assert client.code == 4429


@in_loop
async def test_frames_are_allowed_again_as_time_passes() -> None:
    bench = Bench(rate_frames="5/1s")
    client = await bench.client()
    for _ in range(20):
        await bench.pass_time(0.25)
        await client.say(type="ping")
    assert client.code is None


@in_loop
async def test_tokens_without_end_end_with_4429() -> None:
    bench = Bench()
    client = await bench.client(bench.identities.add("ann"))
    for _ in range(600 // AUTH_COST - 1):
        assert (await client.say(type="auth", token="ann"))[0]["type"] == "ready"
    await client.say(type="auth", token="ann")
    await client.say(type="auth", token="ann")
    assert client.code == 4429


@in_loop
async def test_control_frames_count_and_are_no_sign_of_life() -> None:
    bench = Bench()
    client = await bench.client()
    for _ in range(6):
        await bench.pass_time(10)
        client.session.take_control()
    await bench.pass_time(2)
    assert client.code == 4408
    other = await bench.client()
    for _ in range(601):
        other.session.take_control()
    assert other.code == 4429


@in_loop
async def test_silence_ends_with_4408_and_any_frame_breaks_it() -> None:
    bench = Bench()
    client = await bench.client()
    await bench.pass_time(50)
    await client.say(type="ping")
    await bench.pass_time(55)
    assert client.code is None
    await bench.pass_time(10)
    assert client.code == 4408
    assert len(bench.sessions) == 0


@in_loop
async def test_a_faulty_message_is_answered_by_its_ack_and_ends_nothing() -> None:
    bench = Bench()
    client = await bench.client()
    await client.say(type="join", id="c", channel="room")
    faulty = {"type": "publish", "id": "c", "event": 5}
    for ack, ref in (("r1", "r1"), (5, None), ("x" * 65, None)):
        (error,) = await client.say(**faulty, ack=ack)
        assert (error["id"], error["ref"]) == ("c", ref)
    (error,) = await client.say(**faulty)
    assert error["ref"] is None
    (error,) = await client.say(type="watch", id="w")  # not there: without ref
    assert "ref" not in error
    await client.say(type="publish", id="c", event="e", data=1)
    assert bench.service.opened[0].published == [1]


# -- what may wait ---------------------------------------------------------------------------------


@in_loop
async def test_so_many_bytes_of_frames_may_wait_and_the_rest_is_refused() -> None:
    """A client that has its watches wait (for room, for the store) makes nothing of it."""
    bench = Bench()
    client = await bench.client()
    padding = "x" * 50_000
    for number in range(20):
        client.session.take(
            msgspec.json.encode(
                {"type": "watch", "id": f"w{number}", "collection": "slow", "filter": padding}
            )
        )
    await settle()
    refused = [frame["id"] for frame in client.heard() if frame["type"] == "error"]
    assert refused == [f"w{number}" for number in range(10, 20)]
    bench.service.gate.set()
    await settle()
    assert len(client.heard()) == 10
    assert (await client.say(type="watch", id="w20", collection="slow"))[0]["type"] == "snapshot"


@in_loop
async def test_messages_that_wait_count_until_they_are_durable() -> None:
    bench = Bench()
    client = await bench.client()
    await client.say(type="join", id="c", channel="room")
    durable = bench.service.opened[0].durable = asyncio.Event()
    for number in range(15):
        client.session.take(
            msgspec.json.encode(
                {
                    "type": "publish",
                    "id": "c",
                    "event": "e",
                    "data": "x" * 50_000,
                    "ack": f"{number}",
                }
            )
        )
    await settle()
    refused = [frame["ref"] for frame in client.heard() if frame["type"] == "error"]
    assert refused == [f"{number}" for number in range(10, 15)]
    durable.set()
    await settle()
    assert len(client.heard()) == 10
    await client.say(type="publish", id="c", event="e", data="x" * 50_000)
    assert len(bench.service.opened[0].published) == 11


@in_loop
async def test_one_large_frame_is_taken_where_nothing_waits() -> None:
    bench = Bench()
    client = await bench.client()
    frame = {"type": "watch", "id": "w", "collection": "a", "filter": "x" * 600_000}
    assert (await client.say(**frame))[0]["type"] == "snapshot"


# -- watches and channels --------------------------------------------------------------------------


@in_loop
async def test_an_id_in_use_is_refused_and_the_first_goes_on() -> None:
    bench = Bench()
    client = await bench.client()
    await client.say(**WATCH)
    (error,) = await client.say(**WATCH)
    assert (error["id"], error["code"]) == ("w", "INVALID_ARGUMENT")
    (error,) = await client.say(type="join", id="w", channel="room")
    assert error["code"] == "INVALID_ARGUMENT"
    assert [opened.closed for opened in bench.service.opened] == [False]


@in_loop
async def test_a_refused_watch_does_not_exist() -> None:
    bench = Bench()
    client = await bench.client()
    (error,) = await client.say(type="watch", id="w", collection="refused")
    assert (error["id"], error["code"]) == ("w", "PERMISSION_DENIED")
    assert [frame["type"] for frame in await client.say(**WATCH)] == ["snapshot"]


@in_loop
async def test_a_fault_of_ours_tells_nothing_and_ends_that_watch_alone() -> None:
    bench = Bench()
    client = await bench.client()
    await client.say(**WATCH)
    (error,) = await client.say(type="watch", id="w2", collection="broken")
    assert (error["id"], error["code"]) == ("w2", "INTERNAL")
    assert "fault of ours" not in error["detail"]
    assert not bench.service.opened[0].closed


@in_loop
async def test_a_slow_watch_keeps_no_other_waiting() -> None:
    bench = Bench()
    client = await bench.client()
    await client.say(type="watch", id="slow", collection="slow")
    assert [frame["id"] for frame in await client.say(**WATCH)] == ["w"]
    bench.service.gate.set()
    await settle()
    assert [frame["id"] for frame in client.heard()] == ["slow"]


@in_loop
async def test_only_so_many_are_opened_at_once() -> None:
    bench = Bench()
    client = await bench.client()
    for number in range(MAX_STEPS + 5):
        await client.say(type="watch", id=f"w{number}", collection="slow")
    assert bench.service.opening == MAX_STEPS
    bench.service.gate.set()
    await settle()
    assert len(client.heard()) == MAX_STEPS + 5


@in_loop
async def test_who_does_not_read_gets_no_more_first_answers_prepared() -> None:
    bench = Bench()
    client = await bench.client()
    client.wire.has_room = False
    for number in range(5):
        assert await client.say(**{**WATCH, "id": f"w{number}"}) == []
    assert await client.say(**JOIN) == []
    await client.say(type="unwatch", id="w4")
    assert await client.say(type="ping") == [{"type": "pong"}]
    assert (bench.service.opened, bench.service.opening) == ([], 0)
    client.wire.read_all()
    await settle()
    assert sorted(frame["id"] for frame in client.heard()) == ["c", "w0", "w1", "w2", "w3"]


@in_loop
async def test_unwatch_while_it_opens_leaves_nothing() -> None:
    bench = Bench()
    client = await bench.client()
    await client.say(type="watch", id="w", collection="slow")
    await client.say(type="unwatch", id="w")
    assert bench.service.opening == 0
    bench.service.gate.set()
    await settle()
    assert client.heard() == []
    assert bench.service.opened == []
    assert [frame["type"] for frame in await client.say(**WATCH)] == ["snapshot"]


@in_loop
async def test_watch_and_unwatch_in_one_breath_leave_nothing() -> None:
    bench = Bench()
    client = await bench.client()
    for _ in range(20):
        client.session.take(b'{"type":"watch","id":"w","collection":"slow"}')
        client.session.take(b'{"type":"unwatch","id":"w"}')
    await settle()
    assert bench.service.opening == 0
    assert not client.session.topics.busy
    assert [frame["type"] for frame in await client.say(**WATCH)] == ["snapshot"]


@in_loop
async def test_more_watches_than_allowed_are_refused_one_by_one() -> None:
    bench = Bench(watches=3)
    client = await bench.client()
    heard = [(await client.say(**{**WATCH, "id": f"w{n}"}))[0] for n in range(5)]
    assert [frame["type"] for frame in heard] == ["snapshot"] * 3 + ["error"] * 2
    assert heard[3]["code"] == "LIMIT_EXCEEDED"
    await client.say(type="unwatch", id="w0")
    assert (await client.say(**WATCH))[0]["type"] == "snapshot"


@in_loop
async def test_limits_of_the_gateway_hold_for_watches_joins_and_messages() -> None:
    bench = Bench()
    client = await bench.client()
    await client.say(**JOIN)
    bench.admission.refusal = Problem(Code.RATE_LIMITED, "wait")
    for frame in (WATCH, {**JOIN, "id": "c2"}, {"type": "publish", "id": "c", "event": "e"}):
        (error,) = await client.say(**frame)
        assert (error["id"], error["code"]) == (frame["id"], "RATE_LIMITED")


@in_loop
async def test_a_subscription_that_ends_by_itself_is_told_once_and_forgotten() -> None:
    bench = Bench()
    client = await bench.client()
    await client.say(**WATCH)
    bench.service.opened[0].ended(Problem(Code.PERMISSION_DENIED, "no more"))
    bench.service.opened[0].ended(Problem(Code.PERMISSION_DENIED, "no more"))
    (error,) = client.heard()
    assert (error["id"], error["code"]) == ("w", "PERMISSION_DENIED")
    assert (await client.say(**WATCH))[0]["type"] == "snapshot"


@in_loop
async def test_joining_again_changes_the_presence() -> None:
    bench = Bench()
    client = await bench.client()
    await client.say(**JOIN)
    assert await client.say(**{**JOIN, "presence": {"typing": True}}) == []
    (opened,) = bench.service.opened
    assert opened.states == [{"typing": True}]


@in_loop
async def test_messages_go_out_in_order_and_each_is_answered_when_durable() -> None:
    bench = Bench()
    client = await bench.client()
    client.session.take(b'{"type":"join","id":"c","channel":"room"}')
    for number in range(5):
        client.session.take(
            b'{"type":"publish","id":"c","event":"e","data":%d,"ack":"r%d"}' % (number, number)
        )
    await settle()
    assert bench.service.opened[0].published == [0, 1, 2, 3, 4]
    assert [frame.get("ref") for frame in client.heard()] == [None, "r0", "r1", "r2", "r3", "r4"]


@in_loop
async def test_a_refused_message_names_its_ref() -> None:
    client = await Bench().client()
    await client.say(**JOIN)
    (error,) = await client.say(type="publish", id="c", event="refused", ack="r1")
    assert (error["id"], error["ref"], error["code"]) == ("c", "r1", "PERMISSION_DENIED")


@in_loop
@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"publish","id":"c","event":1,"ack":%b}',
        b'{"type":"publish","id":"c","event":"e","data":%b}',
        b'{"type":"watch","id":"w","collection":1,"filter":%b}',
        b'{"type":"nothing","id":"c","more":%b}',
        b'{"id":"c","type":%b}',
        b"%b",
    ],
)
async def test_brackets_without_end_are_no_frame(frame: bytes) -> None:
    """Also where another fault comes before them, after which the frame's id is looked for."""
    client = await Bench().client()
    await client.say(**JOIN)
    client.session.take(frame % (b"[" * 30_000 + b"]" * 30_000))
    assert [one["type"] for one in client.heard()] == ["error", "bye"]
    assert client.wire.ending == BAD_FRAME


@in_loop
async def test_a_burst_of_messages_waits_its_turn() -> None:
    """Whoever publishes faster than the disk takes it is not refused: so many are written at once,
    and the rest follow in order, over other channels too."""
    bench = Bench()
    client = await bench.client()
    await client.say(**JOIN)
    await client.say(**{**JOIN, "id": "d"})
    first, second = bench.service.opened
    gate = first.durable = second.durable = asyncio.Event()
    for number in range(MAX_PUBLISHING + 20):
        assert await client.say(type="publish", id="c", event="e", data=number) == []
    assert await client.say(type="publish", id="d", event="e", data=0, ack="d") == []
    assert first.published == list(range(MAX_PUBLISHING))
    gate.set()
    await client.session.settled()
    assert first.published == list(range(MAX_PUBLISHING + 20))
    assert [frame["ref"] for frame in client.heard()] == ["d"]


@in_loop
async def test_messages_that_wait_have_a_largest_size() -> None:
    bench = Bench(rate_frames="off")
    client = await bench.client()
    await client.say(**JOIN)
    (opened,) = bench.service.opened
    gate = opened.durable = asyncio.Event()
    large = "x" * 32_000
    answers: list[Any] = []
    while not answers:
        answers = await client.say(type="publish", id="c", event="e", data=large, ack="r")
        assert len(opened.published) <= MAX_PUBLISHING
    assert (answers[0]["ref"], answers[0]["code"]) == ("r", "RATE_LIMITED")
    gate.set()
    await client.session.settled()
    heard = client.heard()
    assert {frame["type"] for frame in heard} == {"ack"}
    assert len(heard) == MAX_WAITING // (32_000 + 100)
    assert (await client.say(type="publish", id="c", event="e", ack="r"))[0]["type"] == "ack"


@in_loop
async def test_what_waits_for_its_turn_is_let_go_with_its_channel() -> None:
    bench = Bench()
    client = await bench.client()
    await client.say(**JOIN)
    await client.say(**{**JOIN, "id": "d"})
    first, second = bench.service.opened
    gate = first.durable = asyncio.Event()
    for number in range(MAX_PUBLISHING + 5):
        await client.say(type="publish", id="c", event="e", data=number)
    first.ended(Problem(Code.PERMISSION_DENIED, "no more"))
    gate.set()
    await client.session.settled()
    assert len(first.published) == MAX_PUBLISHING
    for number in range(MAX_PUBLISHING + 5):
        await client.say(type="publish", id="d", event="e", data=number)
    assert second.published == list(range(MAX_PUBLISHING + 5))


@in_loop
async def test_what_was_published_before_leaving_goes_out() -> None:
    bench = Bench()
    client = await bench.client()
    for frame in (
        b'{"type":"join","id":"c","channel":"room"}',
        b'{"type":"publish","id":"c","event":"e","data":1,"ack":"r"}',
        b'{"type":"leave","id":"c"}',
        b'{"type":"join","id":"c","channel":"other"}',
    ):
        client.session.take(frame)
    await settle()
    first, second = bench.service.opened
    assert first.published == [1]
    assert (first.closed, second.closed) == (True, False)
    assert second.frame.channel == "other"
    assert [frame["type"] for frame in client.heard()] == ["joined", "ack", "joined"]


@in_loop
async def test_signs_of_life_reach_the_channels_but_not_too_often() -> None:
    bench = Bench()
    client = await bench.client()
    await client.say(**JOIN)
    for _ in range(4):
        await bench.pass_time(25)
        for _ in range(10):
            await client.say(type="ping")
    assert bench.service.opened[0].signs == 4


@in_loop
async def test_acknowledging_a_message_of_an_inbox() -> None:
    bench = Bench()
    client = await bench.client()
    await client.say(**JOIN)
    assert await client.say(type="ack", id="c", cursor="x") == []
    assert bench.service.opened[0].acknowledged == ["x"]
    (error,) = await client.say(type="ack", id="nothing", cursor="x")
    assert error["code"] == "INVALID_ARGUMENT"


@in_loop
async def test_what_was_acknowledged_stays_so_whatever_comes_right_behind_it() -> None:
    """Clients leave, and close, as soon as they are done with a message."""
    bench = Bench()
    for end in (b'{"type":"leave","id":"c"}', None):
        client = await bench.client()
        await client.say(**JOIN)
        joined = bench.service.opened[-1]
        client.session.take(b'{"type":"ack","id":"c","cursor":"x"}')
        if end is not None:
            client.session.take(end)
        client.session.lost()
        await settle()
        assert (joined.acknowledged, joined.closed) == (["x"], True)


# -- the end ---------------------------------------------------------------------------------------


@in_loop
async def test_a_lost_connection_lets_go_of_everything() -> None:
    bench = Bench()
    client = await bench.client(bench.identities.add("ann"))
    await client.say(**WATCH)
    await client.say(**JOIN)
    await client.say(type="watch", id="slow", collection="slow")
    client.session.lost()
    client.session.lost()
    await settle()
    assert [opened.closed for opened in bench.service.opened] == [True, True]
    assert bench.service.opening == 0
    assert client.session.state is State.CLOSED
    assert (len(bench.sessions), bench.sessions.watches, bench.sessions.joined) == (0, 0, 0)
    assert (bench.sessions._behind, bench.sessions._users) == ({}, {})
    assert client.heard() == []


@in_loop
async def test_lost_while_its_token_is_looked_at() -> None:
    bench = Bench()
    bench.identities.gate = asyncio.Event()
    client = bench.connect()
    await client.say(type="auth", token=bench.identities.add("ann"))
    client.session.lost()
    bench.identities.gate.set()
    await settle()
    assert client.heard() == []
    assert not bench.sessions._behind


@in_loop
async def test_a_drain_says_bye_to_all_and_lets_nobody_in() -> None:
    bench = Bench()
    clients = [await bench.client(), bench.connect()]
    bench.sessions.drain()
    for client in clients:
        assert client.wire.frames == [{"type": "bye", "reason": "drain"}]
        assert client.wire.ending == DRAIN
    with pytest.raises(Problem) as refused:
        bench.connect()
    assert refused.value.code is Code.UNAVAILABLE


@in_loop
async def test_connections_are_counted_by_process_address_and_user() -> None:
    bench = Bench(sockets=4, sockets_per_address=3, sockets_per_user=1)
    ann = bench.identities.add("ann")
    await bench.client(ann)
    second = bench.connect()
    error, _ = await second.say(type="auth", token=ann)
    assert error["code"] == "RATE_LIMITED"
    assert second.code == 4429
    bench.connect()
    bench.connect()
    with pytest.raises(Problem):
        bench.connect()
    bench.connect("192.0.2.2")
    with pytest.raises(Problem):
        bench.connect("192.0.2.3")


@in_loop
async def test_no_more_is_kept_while_a_token_is_looked_at_than_allowed() -> None:
    bench = Bench()
    bench.identities.gate = asyncio.Event()
    client = bench.connect()
    await client.say(type="auth", token=None)
    big = msgspec.json.encode({"type": "publish", "id": "c", "event": "e", "data": "x" * 60_000})
    for _ in range(MAX_HELD // len(big)):
        assert await client.say_raw(big) == []
    await client.say_raw(big)
    assert client.code == 4429
