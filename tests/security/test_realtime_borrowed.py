"""What realtime gives must be the caller's own: not another's cursor, inbox, poll, or kind of
token, by no frame of the protocol, over the socket and over long-poll."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, running, write_app
from tests.support.rooms import ROOMS_APP, Member
from tests.support.sessions import in_loop
from tests.support.sockets import Socket, connected

APP = {
    **ROOMS_APP,
    "rules/notes.yaml": """\
collection: notes
rules: {read: doc._openid == auth.uid || doc.open, write: auth != null}
fields:
  hidden: {read: doc._openid == auth.uid}
""",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(write_app(tmp_path_factory.mktemp("borrowed"), APP)) as started:
        yield started


def uid_of(gateway: Gateway, token: str) -> str:
    answer = gateway.client.get("/v1/auth/me", headers={"authorization": f"Bearer {token}"})
    return str(answer.json()["uid"])


async def poll(gateway: Gateway, token: str | None, *frames: Any, **body: Any) -> list[Any]:
    asked = {"session": "phone", "frames": frames, **body}
    answer = await asyncio.to_thread(gateway.post, "/v1/realtime/poll", asked, token=token)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["frames"])


async def send(gateway: Gateway, user: str, data: Any) -> None:
    body = {"user": user, "data": data}
    await asyncio.to_thread(gateway.post, "/v1/functions/write_to", body, token=None)


@in_loop
@pytest.mark.parametrize(
    "collection",
    ["_users", "_messages", "_presence", "_channels", "_USERS", "%5Fusers", "notes/../_users", ""],
)
async def test_system_data_is_watched_by_nobody(gateway: Gateway, collection: str) -> None:
    """Nor by an admin key that may read every collection of the app."""
    frame = {"type": "watch", "id": "w", "collection": collection}
    for token in (None, gateway.sign_in(), gateway.admin_key("database:read")):
        async with connected(gateway, token) as socket:
            assert (await socket.asked(**frame))["code"] == "PERMISSION_DENIED"
        assert (await poll(gateway, token, frame))[1]["code"] == "PERMISSION_DENIED"


@in_loop
async def test_another_kind_of_token_is_none(gateway: Gateway) -> None:
    session = gateway.post("/v1/auth/sign-in/anonymous", {}).json()
    header, claims, signature = session["accessToken"].split(".")
    async with connected(gateway, session["accessToken"]):
        pass  # the token as it was given holds
    for token in (
        session["refreshToken"],
        f"{header}.{claims}.",
        f"{claims}.{header}.{signature}",
        session["user"]["uid"],
        "bak_" + "x" * 40,
        "Bearer " + session["accessToken"],
        "",
        "x" * 60_000,
    ):
        with pytest.raises(AssertionError) as caught:
            async with connected(gateway, token):
                pass
        assert "UNAUTHENTICATED" in str(caught.value) or "401" in str(caught.value), token[:30]


@in_loop
async def test_an_inbox_is_reached_by_no_other_name(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    uid = uid_of(gateway, ann)
    await send(gateway, uid, "secret")
    async with connected(gateway, ann) as hers, connected(gateway, bob) as his:
        own = Member(hers, "in")
        await own.join("inbox")
        await own.hears(1)
        for name in (f"_inbox:{uid}", f"inbox:{uid}", f"inbox/{uid}", "Inbox", "inbox "):
            answer = await Member(his, name[:60]).join(name)
            assert answer["code"] == "PERMISSION_DENIED", name
        # Her cursors open nothing in his, and forget nothing in hers.
        mine = Member(his, "in")
        await mine.join("inbox", cursor=own.cursor)
        await mine.hears_no_more()
        await his.say(type="ack", id="in", cursor=own.cursor)
        answer = await mine.until(lambda frame: "ref" in frame)
        assert answer["code"] == "INVALID_ARGUMENT"
        again = Member(hers, "again")
        await again.join("inbox")
        assert await again.hears(1) == ["secret"]
        assert (await own.publish("to myself"))["code"] == "PERMISSION_DENIED"
    told = await poll(gateway, bob, {"type": "join", "id": "in", "channel": "inbox"})
    assert "secret" not in json.dumps(told)


@in_loop
async def test_a_borrowed_cursor_of_a_watch_says_nothing(gateway: Gateway) -> None:
    """Not even what was missed: it is told anew what the borrower may see."""
    ann, bob = gateway.sign_in(), gateway.sign_in()
    frame = {"type": "watch", "id": "w", "collection": "notes"}
    (_, start) = await poll(gateway, ann, frame)
    body = {"document": {"text": "secret"}}
    await asyncio.to_thread(gateway.post, "/v1/database/notes/insert", body, token=ann)
    for token in (bob, None):
        answer = await poll(gateway, token, {**frame, "cursor": start["cursor"]})
        kinds = [one["type"] for one in answer[1:]]
        assert kinds in (["resync", "snapshot"], ["error"])
        assert "secret" not in json.dumps(answer)
    assert "secret" in json.dumps(await poll(gateway, ann, {**frame, "cursor": start["cursor"]}))


@in_loop
async def test_the_name_of_a_poll_belongs_to_who_claims_it(gateway: Gateway) -> None:
    """Who says that it is another's long-poll shows, changes and hides nothing of that one."""
    ann, bob = gateway.sign_in(), gateway.sign_in()
    join = {"type": "join", "id": "c", "channel": "hall:polls"}
    await poll(gateway, ann, {**join, "presence": {"who": "ann"}})
    async with connected(gateway, ann) as socket:
        watching = Member(socket)
        await watching.join("hall:polls")
        (seen,) = watching.present.values()
        for claimed in ("phone", seen["session"]):
            await poll(gateway, bob, {**join, "presence": {"who": "bob"}}, session=claimed)
            await poll(gateway, bob, join, session=claimed)  # and is there no more
        await poll(gateway, bob, {**join, "presence": {"who": "bob"}}, session="last")
        await watching.sees(lambda there: len(there) == 2)
        assert watching.present[seen["session"]] == seen


@in_loop
async def test_sorting_and_windows_tell_nothing_of_hidden_fields(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    for number in (3, 1, 2):
        body = {"document": {"_id": f"n{number}", "open": True, "hidden": number}}
        answer = await asyncio.to_thread(gateway.post, "/v1/database/notes/insert", body, token=ann)
        assert answer.status_code == 200
    async with connected(gateway, bob) as socket:
        for query in (
            {"sort": {"hidden": 1}, "limit": 1},
            {"sort": {"hidden.x": -1}},
            {"sort": [["open", 1], ["hidden", 1]], "limit": 2},
            {"filter": {"hidden": {"$gt": 1}}, "limit": 1},
            {"filter": {"$nor": [{"hidden": 3}]}},
            {"filter": {"$or": [{"open": True}, {"hidden": {"$exists": True}}]}},
            {"filter": {"open": True}, "sort": {"hidden": 1}, "fields": {"hidden": 1}},
        ):
            answer = await socket.asked(type="watch", id="w", collection="notes", **query)
            assert answer["code"] == "PERMISSION_DENIED", query
            assert "hidden" in answer["detail"]


@in_loop
async def test_frames_made_to_break_leave_the_gateway_as_it_was(gateway: Gateway) -> None:
    token = gateway.sign_in()
    brackets = "[" * 30_000 + "]" * 30_000
    texts = [
        f'{{"type":"watch","id":"w","collection":1,"filter":{brackets}}}',
        f'{{"type":"publish","id":"c","event":1,"ack":{brackets}}}',
        '{"type":"watch","id":"w","collection":"notes","cursor":"' + "x" * 60_000 + '"}',
        '{"type":"watch","id":"w","collection":"notes","limit":' + "9" * 5_000 + "}",
        '{"type":"watch","id":"w","collection":"notes","filter":{"a":1e999}}',
        '{"type":"join","id":"c","channel":"\\ud800"}',
        '{"type":"auth","type":"watch"}',
        '{"id":"' + "i" * 65 + '","type":"unwatch"}',
        "[]",
        "null",
        "",
        "\ufeff{}",
    ]
    for text in texts:
        async with connected(gateway, token) as socket:
            await socket.connection.send(text)
            frame = await socket.heard()
            assert frame["type"] == "error", text[:60]
            assert frame["code"] in ("INVALID_ARGUMENT", "LIMIT_EXCEEDED"), frame
        answer = await asyncio.to_thread(
            gateway.client.post,
            "/v1/realtime/poll",
            content=f'{{"session":"s","frames":[{text}]}}',
            headers={"content-type": "application/json"},
        )
        assert answer.status_code in (200, 400, 413), (text[:60], answer.text)
    await still_works(gateway, token)
    log = gateway.log_text()
    assert "Traceback" not in log
    assert "Fatal error" not in log


async def still_works(gateway: Gateway, token: str) -> None:
    async with connected(gateway, token) as socket:
        assert (await watch_all(socket))["type"] == "snapshot"


async def watch_all(socket: Socket) -> Any:
    return await socket.asked(type="watch", id="w", collection="notes", filter={"open": True})
