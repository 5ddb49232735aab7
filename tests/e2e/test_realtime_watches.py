"""Live queries from outside: who may see what, slow readers, crashes, several workers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.support.gateway import Gateway, running, start_gateway, write_app
from tests.support.sessions import in_loop
from tests.support.sockets import Socket, connected

APP = {
    "baas.yaml": "app: {name: live}\n",
    "rules/posts.yaml": (
        "collection: posts\n"
        "rules:\n"
        "  read: doc.published == true || doc._openid == auth.uid\n"
        "  write: auth != null\n"
        "fields:\n"
        "  phone: {read: doc._openid == auth.uid}\n"
    ),
    "rules/reports.yaml": (
        "collection: reports\nrules: {read: \"'moderator' in auth.roles\", create: auth != null}\n"
    ),
    "rules/closed.yaml": "collection: closed\nacl: ADMINONLY\n",
}
#: Rules and roles act on open sockets in a second or two; a slow machine gets more.
PROMPTLY = 6.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(write_app(tmp_path_factory.mktemp("app"), APP)) as started:
        yield started


def insert(gateway: Gateway, token: str, collection: str = "posts", **document: Any) -> None:
    body = {"document": document}
    answer = gateway.post(f"/v1/database/{collection}/insert", body, token=token)
    assert answer.status_code == 200, answer.text


async def watch(socket: Socket, thread: str, collection: str = "posts", **more: Any) -> Any:
    query = {"collection": collection, "filter": {"thread": thread}, **more}
    return await socket.asked(type="watch", id="w", **query)


@in_loop
async def test_masked_fields_do_not_travel(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    async with connected(gateway, ann) as hers, connected(gateway, bob) as his:
        for socket in (hers, his):
            await watch(socket, "masks")
        insert(gateway, ann, thread="masks", _id="m1", published=True, phone="1", text="a")
        (seen,) = (await hers.heard())["changes"]
        assert seen["document"]["phone"] == "1"
        (seen,) = (await his.heard())["changes"]
        assert seen["document"]["text"] == "a"
        assert "phone" not in seen["document"]
        update = {"id": "m1", "update": {"$set": {"phone": "2"}}}
        gateway.post("/v1/database/posts/update", update, token=ann)
        (seen,) = (await hers.heard())["changes"]
        assert "phone" in seen["updated"]
        change = await his.heard()
        assert "phone" not in str(change)


@in_loop
async def test_a_filter_cannot_look_at_what_is_masked(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    insert(gateway, ann, thread="guess", published=True, phone="555")
    async with connected(gateway, bob) as his:
        query = {"thread": "guess", "phone": "555"}
        answer = await his.asked(type="watch", id="w", collection="posts", filter=query)
        assert answer.get("documents", []) == []


@in_loop
async def test_what_no_rule_allows_is_not_watched(gateway: Gateway) -> None:
    async with connected(gateway, gateway.sign_in()) as socket:
        for collection in ("closed", "nowhere", "_users", "_sessions"):
            answer = await socket.asked(type="watch", id="w", collection=collection)
            assert (answer["type"], answer["id"]) == ("error", "w")
            assert answer["code"] in ("PERMISSION_DENIED", "INVALID_ARGUMENT")


@in_loop
async def test_an_admin_key_watches_what_nobody_else_may(gateway: Gateway) -> None:
    async with connected(gateway, gateway.admin_key("database:read")) as socket:
        answer = await socket.asked(type="watch", id="w", collection="closed")
        assert answer["type"] == "snapshot"


@in_loop
async def test_a_role_that_is_taken_away_ends_what_rests_on_it(gateway: Gateway) -> None:
    session = gateway.post("/v1/auth/sign-up", {"username": "mona", "password": "long enough"})
    token, uid = session.json()["accessToken"], session.json()["user"]["uid"]
    async with connected(gateway, token) as socket:
        assert (await watch(socket, "r", "reports"))["code"] == "PERMISSION_DENIED"
        command(gateway, "user", "roles", uid, "--add", "moderator")
        async with asyncio.timeout(PROMPTLY):
            while (await watch(socket, "r", "reports"))["type"] != "snapshot":  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        command(gateway, "user", "roles", uid, "--remove", "moderator")
        ended = await socket.heard(PROMPTLY)
        assert (ended["type"], ended["id"], ended["code"]) == ("error", "w", "PERMISSION_DENIED")
        assert (await socket.asked(type="ping"))["type"] == "pong"


@in_loop
async def test_another_user_on_the_same_socket_sees_its_own(gateway: Gateway) -> None:
    ann, bob = gateway.sign_in(), gateway.sign_in()
    insert(gateway, ann, thread="switch", _id="s1", published=False)
    async with connected(gateway, ann) as socket:
        assert len((await watch(socket, "switch"))["documents"]) == 1
        assert (await socket.asked(type="auth", token=bob))["type"] == "ready"
        frames = [await socket.heard()]
        if frames[-1]["type"] == "resync":
            frames.append(await socket.heard())
        assert "s1" not in [document["_id"] for document in frames[-1].get("documents", ())]
        insert(gateway, ann, thread="switch", _id="s2", published=False)
        insert(gateway, bob, thread="switch", _id="s3", published=False)
        (seen,) = (await socket.heard())["changes"]
        assert seen["docId"] == "s3"


@in_loop
async def test_a_rule_that_changes_acts_on_what_is_open(tmp_path: Path) -> None:
    app = write_app(tmp_path, APP)
    with running(app) as gateway:
        ann, bob = gateway.sign_in(), gateway.sign_in()
        async with connected(gateway, bob) as socket:
            await watch(socket, "t")
            insert(gateway, ann, thread="t", published=True)
            assert (await socket.heard())["type"] == "change"
            (app / "rules" / "posts.yaml").write_text("collection: posts\nacl: ADMINONLY\n")
            ended = await socket.heard(PROMPTLY)
            assert (ended["id"], ended["code"]) == ("w", "PERMISSION_DENIED")


@in_loop
async def test_one_who_does_not_read_is_resynced_and_slows_nobody(tmp_path: Path) -> None:
    with running(write_app(tmp_path, APP), BAAS_PUSH__BUFFER_BYTES="100000") as gateway:
        token = gateway.sign_in()
        async with (
            connected(gateway, token, max_queue=1, max_size=2**24) as slow,
            connected(gateway, token, max_size=2**24) as quick,
        ):
            await watch(slow, "t")
            await watch(quick, "t")
            for number in range(120):  # more than kernels keep for a reader that sleeps
                insert(gateway, token, thread="t", _id=f"d{number:03}", text="x" * 100_000)
                assert (await quick.heard())["type"] == "change"
            seen: list[str] = []
            resyncs = 0
            while len(seen) < 120:
                frame = await slow.heard()
                resyncs += frame["type"] == "resync"
                if frame["type"] == "snapshot":
                    seen = [document["_id"] for document in frame["documents"]]
                seen += [change["docId"] for change in frame.get("changes", ())]
            assert seen == [f"d{number:03}" for number in range(120)]
            assert resyncs > 0
            insert(gateway, token, thread="t", _id="last")
            assert (await slow.heard())["changes"][0]["docId"] == "last"


@in_loop
async def test_after_a_kill_9_a_cursor_goes_on_without_gap_or_repeat(tmp_path: Path) -> None:
    app = write_app(tmp_path, APP)
    gateway = start_gateway(app)
    try:
        token = gateway.sign_in()
        async with connected(gateway, token) as socket:
            cursor = (await watch(socket, "t"))["cursor"]
            insert(gateway, token, thread="t", _id="a")
            cursor = (await socket.heard())["cursor"]
            insert(gateway, token, thread="t", _id="b")
            gateway.kill()
            _, code = await socket.the_end()
            assert code is None
    finally:
        gateway.kill()
        gateway.close()
    with running(app) as again:
        insert(again, token, thread="t", _id="c")
        async with connected(again, token) as socket:
            assert (await watch(socket, "t", cursor=cursor))["type"] == "resumed"
            seen: list[str] = []
            while len(seen) < 2:
                seen += [change["docId"] for change in (await socket.heard())["changes"]]
            assert seen == ["b", "c"]


@in_loop
async def test_a_write_through_one_worker_reaches_those_of_all(tmp_path: Path) -> None:
    with running(write_app(tmp_path, APP), "--workers", "2") as gateway:
        token = gateway.sign_in()
        async with asyncio.timeout(40):
            opened = [connected(gateway, token) for _ in range(8)]
            sockets = [await one.__aenter__() for one in opened]
            for socket in sockets:
                await watch(socket, "t")
            for number in range(5):
                insert(gateway, token, thread="t", _id=f"d{number}")
            for socket in sockets:
                seen = [(await socket.heard())["changes"][0]["docId"] for _ in range(5)]
                assert seen == [f"d{number}" for number in range(5)]
            for one in opened:
                await one.__aexit__(None, None, None)


@in_loop
async def test_a_thousand_watches_are_refused_and_the_first_hundred_work(gateway: Gateway) -> None:
    token = gateway.sign_in()
    async with connected(gateway, token) as socket:
        for number in range(500):
            await socket.say(
                type="watch", id=f"w{number}", collection="posts", filter={"thread": str(number)}
            )
        kinds = [(await socket.heard())["type"] for _ in range(500)]
        assert (kinds.count("snapshot"), kinds.count("error")) == (100, 400)
        insert(gateway, token, thread="7", _id="seventh")
        assert (await socket.heard())["id"] == "w7"


@in_loop
async def test_watch_and_unwatch_without_end_leave_nothing_behind(gateway: Gateway) -> None:
    token = gateway.sign_in()
    async with connected(gateway, token) as socket:
        for _ in range(250):
            await socket.say(type="watch", id="w", collection="posts")
            await socket.say(type="unwatch", id="w")
        await socket.say(type="ping")
        while (await socket.heard())["type"] != "pong":
            pass
        assert "baas_realtime_watches 0" in gateway.client.get("/metrics").text


@in_loop
async def test_a_flood_of_frames_ends_with_4429(tmp_path: Path) -> None:
    """At a rate that nothing refills meanwhile, however slow the machine."""
    with running(write_app(tmp_path, APP), BAAS_PUSH__RATE_FRAMES="100/1h") as gateway:
        async with connected(gateway, None) as socket:
            with suppress(ConnectionClosed):
                for _ in range(200):
                    await socket.say(type="ping")
            last, code = await socket.the_end()
            assert (last, code) == ({"type": "bye", "reason": "limits"}, 4429)


@in_loop
async def test_a_poll_goes_on_from_a_cursor(gateway: Gateway) -> None:
    token = gateway.sign_in()
    query = {"type": "watch", "id": "w", "collection": "posts", "filter": {"thread": "poll"}}

    async def poll(**body: Any) -> list[Any]:
        body = {"session": "phone", **body}
        answer = await asyncio.to_thread(gateway.post, "/v1/realtime/poll", body, token=token)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["frames"])

    _, snapshot = await poll(frames=[query])
    waiting = asyncio.create_task(poll(frames=[{**query, "cursor": snapshot["cursor"]}], wait=20))
    await asyncio.sleep(0.2)
    insert(gateway, token, thread="poll", _id="p1")
    async with asyncio.timeout(10):
        _, resumed, change = await waiting
    assert resumed["type"] == "resumed"
    assert [one["docId"] for one in change["changes"]] == ["p1"]
    insert(gateway, token, thread="poll", _id="p2")
    frames = await poll(frames=[{**query, "cursor": change["cursor"]}])
    assert [one["docId"] for frame in frames[2:] for one in frame["changes"]] == ["p2"]


def command(gateway: Gateway, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "baas", *arguments, "--data", gateway.data],
        cwd=gateway.folder,
        check=True,
        capture_output=True,
    )
