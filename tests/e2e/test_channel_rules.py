"""Who may hear, speak and be seen in a channel, as rules/_channels.yaml says; from outside."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, running, write_app
from tests.support.rooms import ROOMS_APP, Member
from tests.support.sessions import in_loop
from tests.support.sockets import connected

#: Rules, roles and documents act on what is joined in a second or two; a slow machine gets more.
PROMPTLY = 6.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = write_app(tmp_path_factory.mktemp("rooms"), ROOMS_APP)
    with running(folder, BAAS_LIMITS__RATE_AUTH="off") as started:
        yield started


def uid_of(gateway: Gateway, token: str) -> str:
    answer = gateway.client.get("/v1/auth/me", headers={"authorization": f"Bearer {token}"})
    return str(answer.json()["uid"])


def put_room(gateway: Gateway, token: str, id: str, *members: str) -> None:
    body = {"id": id, "document": {"members": list(members)}, "upsert": True}
    answer = gateway.post("/v1/database/rooms/replace", body, token=token)
    assert answer.status_code == 200, answer.text


def refused(frame: Any) -> bool:
    return bool(frame["type"] == "error" and frame["code"] == "PERMISSION_DENIED")


@in_loop
async def test_what_no_entry_matches_is_denied_alike_whatever_its_name(gateway: Gateway) -> None:
    details = set()
    async with connected(gateway, gateway.sign_in()) as socket:
        for name in (
            "nowhere",
            "hall",
            "hall:",
            "hall:a:b",
            "xhall:a",
            "hall:a\u00e9:",
            "Notices",
            "_inbox:u1",
            "_channels",
            "notices ",
            "desk:a",
        ):
            answer = await Member(socket).join(name)
            assert refused(answer), (name, answer)
            details.add(answer["detail"])
    assert len(details) == 1


@in_loop
async def test_a_name_that_cannot_be_one_is_no_channel(gateway: Gateway) -> None:
    async with connected(gateway, gateway.sign_in()) as socket:
        for name in ("", "x" * 129, "hall:\n", "hall:\u0000", "hall:\u202e"):
            answer = await Member(socket).join(name)
            assert (answer["type"], answer["code"]) == ("error", "INVALID_ARGUMENT"), name


@in_loop
async def test_nobody_hears_what_asks_for_a_user(gateway: Gateway) -> None:
    async with connected(gateway, None) as socket:
        assert refused(await Member(socket).join("hall:a"))
        assert refused(await Member(socket).join("inbox"))
        assert (await Member(socket).join("notices"))["type"] == "joined"


@in_loop
async def test_each_operation_has_its_own_rule(gateway: Gateway) -> None:
    async with connected(gateway, gateway.sign_in()) as socket:
        member = Member(socket)
        assert (await member.join("silent"))["type"] == "joined"
        assert refused(await member.publish("x"))  # not given: denied
        assert refused(await member.join("silent", presence={}))
        # Refused as what they are, both leave the channel joined.
        gateway.post("/v1/functions/tell", {"channel": "silent", "data": 1})
        assert await member.hears(1) == [1]
        # The first join may not be with a presence that is refused.
        await socket.say(type="leave", id="c")
        assert refused(await Member(socket).join("silent", presence={}))


@in_loop
async def test_a_refused_join_does_not_exist(gateway: Gateway) -> None:
    async with connected(gateway, gateway.sign_in()) as socket:
        member = Member(socket)
        assert refused(await member.join("staff"))
        answer = await member.publish("x")
        assert (answer["code"], answer["ref"]) == ("INVALID_ARGUMENT", "r1")
        gateway.post("/v1/functions/tell", {"channel": "staff", "data": 1})
        await member.hears_no_more()


@in_loop
async def test_params_are_what_the_name_has_there(gateway: Gateway) -> None:
    token = gateway.sign_in()
    uid = uid_of(gateway, token)
    async with connected(gateway, token) as socket:
        assert (await Member(socket, "a").join(f"own:{uid}"))["type"] == "joined"
        assert refused(await Member(socket, "b").join("own:somebody"))
        assert (await Member(socket, "c").join(f"desk:{uid}:open"))["type"] == "joined"
        assert refused(await Member(socket, "d").join(f"desk:{uid}:closed"))
        assert refused(await Member(socket, "e").join(f"desk:{uid}:open:x"))


@in_loop
async def test_a_publish_rule_sees_the_message(gateway: Gateway) -> None:
    token = gateway.sign_in()
    async with connected(gateway, token) as socket:
        member = Member(socket)
        await member.join(f"own:{uid_of(gateway, token)}")
        assert (await member.publish("four"))["type"] == "ack"
        assert refused(await member.publish("longer"))
        assert refused(await member.publish("four", event="other"))
        assert refused(await member.publish(None))
        assert await member.hears(1) == ["four"]
        await member.hears_no_more()


@in_loop
async def test_a_rule_with_get_follows_its_document(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    a, b = uid_of(gateway, ann), uid_of(gateway, bob)
    put_room(gateway, ann, "r1", a)
    async with connected(gateway, ann) as hers, connected(gateway, bob) as his:
        first, second = Member(hers), Member(his)
        await first.join("room:r1")
        assert refused(await second.join("room:r1"))
        assert refused(await second.join("room:absent"))
        put_room(gateway, ann, "r1", a, b)
        assert (await second.join("room:r1", presence={"n": 1}))["type"] == "joined"
        assert (await second.publish(1))["type"] == "ack"
        assert await first.hears(1) == [1]
        put_room(gateway, ann, "r1", a)
        ended = await second.until(lambda frame: frame["type"] == "error", PROMPTLY)
        assert refused(ended)
        assert "ref" not in ended
        await first.publish(2)
        await second.hears_no_more()
        await first.sees(lambda present: not present)


@in_loop
async def test_a_message_is_refused_by_the_document_as_it_is_then(gateway: Gateway) -> None:
    """The rule is asked in the write itself: no message slips in behind a removal."""
    ann, bob = gateway.sign_in(), gateway.sign_in()
    a, b = uid_of(gateway, ann), uid_of(gateway, bob)
    put_room(gateway, ann, "r2", a, b)
    async with connected(gateway, bob) as his:
        member = Member(his)
        await member.join("room:r2")
        put_room(gateway, ann, "r2", a)
        for number in range(5):
            await his.say(type="publish", id="c", event="said", data=number, ack=str(number))
        answers: list[Any] = []
        # Until each is refused, or the channel has ended, which answers no more of them.
        while len(answers) < 5 and (not answers or "ref" in answers[-1]):
            answers.append(
                await member.until(lambda frame: frame["type"] in ("error", "ack", "message"))
            )
    assert {frame["type"] for frame in answers} == {"error"}


@in_loop
async def test_a_role_that_is_taken_away_ends_what_rests_on_it(gateway: Gateway) -> None:
    made = gateway.post("/v1/auth/sign-up", {"username": "sten", "password": "long enough"})
    token, uid = made.json()["accessToken"], made.json()["user"]["uid"]
    command(gateway, "user", "roles", uid, "--add", "staff")
    async with connected(gateway, token) as socket:
        member = Member(socket)
        async with asyncio.timeout(PROMPTLY):
            while refused(await member.join("staff")):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        command(gateway, "user", "roles", uid, "--remove", "staff")
        ended = await member.until(lambda frame: frame["type"] == "error", PROMPTLY)
        assert refused(ended)
        gateway.post("/v1/functions/tell", {"channel": "staff", "data": 1})
        await member.hears_no_more()


@in_loop
async def test_a_file_that_changes_acts_on_what_is_joined(tmp_path: Path) -> None:
    app = write_app(tmp_path, ROOMS_APP)
    with running(app) as gateway:
        async with connected(gateway, gateway.sign_in()) as socket:
            hall, notices = Member(socket, "h"), Member(socket, "n")
            await hall.join("hall:a", presence={})
            await notices.join("notices")
            file = app / "rules" / "_channels.yaml"
            file.write_text("- channel: notices\n  subscribe: true\n  publish: true\n")
            assert refused(
                await hall.until(
                    lambda frame: frame.get("id") == "h" and frame["type"] == "error", PROMPTLY
                )
            )
            assert (await notices.publish(1))["type"] == "ack"
            # A file that does not load leaves the last good one in force.
            file.write_text("- channel: notices\n  subscribe: nonsense(1\n")
            gateway.logged(level="error")
            assert (await notices.publish(2))["type"] == "ack"


@in_loop
async def test_an_admin_key_needs_its_scopes_and_passes_rules(gateway: Gateway) -> None:
    async with connected(gateway, gateway.admin_key("push:read")) as socket:
        member = Member(socket)
        assert (await member.join("staff"))["type"] == "joined"
        answer = await member.publish(1)
        assert refused(answer)
        assert "push:write" in answer["detail"]
    async with connected(gateway, gateway.admin_key("push:read", "push:write")) as socket:
        member = Member(socket)
        await member.join("staff")
        assert (await member.publish(1))["type"] == "ack"
        assert [frame["from"] for frame in member.log if frame["type"] == "message"] == [None]
    async with connected(gateway, gateway.admin_key("database:read")) as socket:
        assert refused(await Member(socket).join("notices"))


def command(gateway: Gateway, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "baas", *arguments, "--data", gateway.data],
        cwd=gateway.folder,
        check=True,
        capture_output=True,
    )
