"""`/v1/admin/push` from outside: messages from the server side, who is present and connected."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, running, wait_until, write_app
from tests.support.rooms import ROOMS_APP, Member
from tests.support.sessions import in_loop
from tests.support.sockets import connected


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = write_app(tmp_path_factory.mktemp("rooms"), ROOMS_APP)
    with running(folder, BAAS_LIMITS__RATE_AUTH="off") as started:
        yield started


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    return gateway.admin_key("push:read", "push:write")


def uid_of(gateway: Gateway, token: str) -> str:
    answer = gateway.client.get("/v1/auth/me", headers={"authorization": f"Bearer {token}"})
    return str(answer.json()["uid"])


def connections(gateway: Gateway, key: str) -> Any:
    headers = {"authorization": f"Bearer {key}"}
    return gateway.client.get("/v1/admin/push/connections", headers=headers).json()


@in_loop
async def test_a_channel_s_members_hear_the_server_side(gateway: Gateway, key: str) -> None:
    async with connected(gateway, gateway.sign_in()) as socket:
        member = Member(socket)
        await member.join("silent")
        body = {"channel": "silent", "event": "closing", "data": {"in": 5}}
        answer = gateway.post("/v1/admin/push/send", body, token=key)
        assert (answer.status_code, answer.json()) == (200, {})
        assert await member.hears(1) == [{"in": 5}]
        assert (member.log[-1]["event"], member.log[-1]["from"]) == ("closing", None)


@in_loop
async def test_a_user_finds_it_in_the_inbox(gateway: Gateway, key: str) -> None:
    token = gateway.sign_in()
    body = {"user": uid_of(gateway, token), "event": "paid", "data": 1, "expires": 60}
    assert gateway.post("/v1/admin/push/send", body, token=key).status_code == 200
    async with connected(gateway, token) as socket:
        member = Member(socket)
        await member.join("inbox")
        assert await member.hears(1) == [1]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"event": "e"}, "channel"),
        ({"event": "e", "channel": "silent", "user": "u"}, "channel"),
        ({"event": "e", "channel": "nowhere"}, "channel"),
        ({"event": "e", "channel": "silent", "expires": 60}, "expires"),
        ({"event": "e", "user": "u1", "expires": 0}, "expires"),
        ({"event": "e", "user": ""}, "user"),
        ({"event": "e", "user": "x" * 129}, "user"),
        ({"event": "", "channel": "silent"}, "event"),
        ({"channel": "silent"}, "event"),
        ({"event": "e", "channel": "silent", "data": {"$date": "never"}}, "data"),
        ({"event": "e", "channel": "silent", "loud": True}, "loud"),
        ({"event": "e", "channel": 5}, "channel"),
    ],
)
def test_a_bad_order_is_refused_by_name(gateway: Gateway, key: str, body: Any, path: str) -> None:
    answer = gateway.post("/v1/admin/push/send", body, token=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT"), answer.text
    assert path in answer.text


def test_a_message_has_a_largest_size(gateway: Gateway, key: str) -> None:
    body = {"event": "e", "channel": "silent", "data": "x" * 70_000}
    answer = gateway.post("/v1/admin/push/send", body, token=key)
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


@in_loop
async def test_presence_is_told_to_the_server_side(gateway: Gateway, key: str) -> None:
    token = gateway.sign_in()
    async with connected(gateway, token) as socket:
        await Member(socket).join("hall:seen", presence={"n": 1})
        answer = gateway.post("/v1/admin/push/presence", {"channel": "hall:seen"}, token=key)
        (entry,) = answer.json()["entries"]
        assert (entry["uid"], entry["state"]) == (uid_of(gateway, token), {"n": 1})
    answer = gateway.post("/v1/admin/push/presence", {"channel": ""}, token=key)
    assert answer.json()["code"] == "INVALID_ARGUMENT"


@in_loop
async def test_connections_are_shown_without_what_they_could_be_taken_over_with(
    gateway: Gateway, key: str
) -> None:
    token = gateway.sign_in()
    wait_until(lambda: connections(gateway, key)["total"] == 0)
    async with connected(gateway, token) as socket, connected(gateway, None):
        await Member(socket).join("silent")
        await socket.asked(type="watch", id="w", collection="rooms")
        shown = connections(gateway, key)
        assert shown["total"] == 2
        nobody, somebody = shown["connections"]
        assert (nobody["uid"], nobody["watches"]) == (None, 0)
        assert set(somebody) == {
            "session",
            "uid",
            "key",
            "ip",
            "transport",
            "since",
            "watches",
            "channels",
            "queuedBytes",
        }
        assert somebody["uid"] == uid_of(gateway, token)
        assert (somebody["transport"], somebody["key"]) == ("socket", None)
        assert (somebody["watches"], somebody["channels"], somebody["queuedBytes"]) == (1, 1, 0)
        assert token not in str(shown)
        listed = gateway.client.get(
            "/v1/admin/push/channels", headers={"authorization": f"Bearer {key}"}
        ).json()
        assert listed == {"total": 1, "channels": [{"channel": "silent", "members": 1}]}
        body = {"session": "phone", "wait": 10}
        polling = asyncio.create_task(
            asyncio.to_thread(gateway.post, "/v1/realtime/poll", body, token=token)
        )
        await asyncio.to_thread(wait_until, lambda: connections(gateway, key)["total"] == 3)
        assert connections(gateway, key)["connections"][0]["transport"] == "poll"
        gateway.post("/v1/auth/sign-out", token=token)  # ends both of that session
        await polling


@pytest.mark.parametrize(
    ("method", "verb", "scope"),
    [
        ("POST", "send", "push:write"),
        ("POST", "presence", "push:read"),
        ("GET", "connections", "push:read"),
        ("GET", "channels", "push:read"),
    ],
)
def test_each_needs_its_own_scope(gateway: Gateway, method: str, verb: str, scope: str) -> None:
    other = {"push:read": "push:write", "push:write": "push:read"}[scope]
    path = f"/v1/admin/push/{verb}"
    for token, status in ((gateway.admin_key(other), 403), (gateway.sign_in(), 401)):
        headers = {"authorization": f"Bearer {token}"}
        body = None if method == "GET" else {}
        answer = gateway.client.request(method, path, headers=headers, json=body)
        assert answer.status_code == status, answer.text
    assert gateway.client.request(method, path).status_code == 401
