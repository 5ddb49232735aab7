"""Live queries, channels and the inbox of the Python SDK, through what happens to connections."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
from baas_sdkgen.runtime.py import AsyncCloud, BaasError, Cloud, MemoryStore
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection

from tests.sdk.python.faces import FACES, Face, now, using
from tests.support.gateway import Gateway
from tests.support.goldenserver import meeting, playing
from tests.support.scripted import Reply, Request, scripted

AUTH: Final = {"client": {"type": "auth", "token": None}}
READY: Final = {"server": {"type": "ready", "session": "<any>", "pingSeconds": 25}}
WATCH: Final = {"type": "watch", "id": "w1", "collection": "posts"}
PATIENCE: Final = 10.0


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> Face:
    chosen: Face = request.param
    return chosen


def snapshot(cursor: str, *ids: str) -> dict[str, Any]:
    documents = [{"_id": one} for one in ids]
    return {"server": {"type": "snapshot", "id": "w1", "documents": documents, "cursor": cursor}}


def enter(cursor: str, id: str, index: int) -> dict[str, Any]:
    change = {"op": "enter", "docId": id, "document": {"_id": id}, "index": index}
    return {"server": {"type": "change", "id": "w1", "cursor": cursor, "changes": [change]}}


async def ids(watch: Any) -> tuple[str | None, list[str]]:
    found = await now(watch.next(PATIENCE))
    return found.type, [doc["_id"] for doc in found.docs]


def posts(cloud: Any) -> Any:
    return cloud.database().collection("posts")


def test_after_a_resync_the_whole_result_comes_anew(face: Face) -> None:
    resync = {"server": {"type": "resync", "id": "w1"}}
    steps = [AUTH, READY, {"client": WATCH}, snapshot("1", "a"), resync, snapshot("2", "b", "c")]

    async def use(cloud: Any) -> None:
        watch = posts(cloud).watch()
        assert await ids(watch) == ("init", ["a"])
        assert await ids(watch) == ("init", ["b", "c"])

    with playing(steps) as server:
        using(face, server.url, use)


@pytest.mark.parametrize("end", [(1001, "drain"), (4408, "silence"), (1011, "internal")])
def test_after_an_end_a_watch_goes_on_from_its_cursor(face: Face, end: tuple[int, str]) -> None:
    bye = {"server": {"type": "bye", "reason": end[1]}}
    resumed = {"server": {"type": "resumed", "id": "w1", "cursor": "2"}}
    steps = [
        *(AUTH, READY, {"client": WATCH}, snapshot("1", "a"), bye, {"close": list(end)}),
        *(AUTH, READY, {"client": {**WATCH, "cursor": "1"}}, resumed, enter("3", "b", 0)),
    ]

    async def use(cloud: Any) -> None:
        watch = posts(cloud).watch()
        assert await ids(watch) == ("init", ["a"])
        assert await ids(watch) == (None, ["b", "a"])

    with playing(steps) as server:
        using(face, server.url, use)
        server.finished()


def test_a_resync_forgets_the_cursor(face: Face) -> None:
    resync = {"server": {"type": "resync", "id": "w1"}}
    first = [AUTH, READY, {"client": WATCH}, snapshot("1", "a"), resync, {"connect": None}]
    steps = [*first, AUTH, READY, {"client": WATCH}, snapshot("9", "b")]

    async def use(cloud: Any) -> None:
        watch = posts(cloud).watch()
        assert await ids(watch) == ("init", ["a"])
        assert await ids(watch) == ("init", ["b"])

    with playing(steps) as server:
        using(face, server.url, use)
        server.finished()


def test_what_was_no_frame_ends_every_watch(face: Face) -> None:
    steps = [AUTH, READY, {"client": WATCH}, {"close": [4400, "bad-frame"]}]

    async def use(cloud: Any) -> None:
        with pytest.raises(BaasError, match="BAD_ANSWER: bad-frame"):
            await ids(posts(cloud).watch())

    with playing(steps) as server:
        using(face, server.url, use)


def test_a_key_that_is_refused_ends_every_watch(face: Face) -> None:
    error = {"server": {"type": "error", "code": "UNAUTHENTICATED", "detail": "no such key"}}
    auth = {"client": {"type": "auth", "token": "bak_x"}}
    steps = [auth, error, {"close": [4401, "unauthenticated"]}]

    async def use(cloud: Any) -> None:
        with pytest.raises(BaasError, match="UNAUTHENTICATED"):
            await ids(posts(cloud).watch())

    with playing(steps) as server:
        using(face, server.url, use, key="bak_x")


def test_who_signs_out_is_nobody_on_the_open_connection(face: Face) -> None:
    kept = {"accessToken": "token:ann", "refreshToken": "r", "expires": time.time() + 900}
    store = MemoryStore()
    store.save(json.dumps({**kept, "user": {"uid": "u", "loginType": "USERNAME"}}))
    auth = {"client": {"type": "auth", "token": "<token:ann>"}}
    steps = [auth, READY, {"client": WATCH}, snapshot("1", "a"), AUTH, READY, enter("2", "b", 1)]

    async def use(cloud: Any) -> None:
        watch = posts(cloud).watch()
        await ids(watch)
        # The server has no such route: here it is signed out all the same.
        await now(cloud.auth().sign_out())
        assert await ids(watch) == (None, ["a", "b"])

    with playing(steps) as server:
        using(face, server.url, use, store=store)
        server.finished()


def test_where_there_are_no_sockets_it_polls(face: Face) -> None:
    """A proxy that knows no upgrades, for one."""
    documents = [{"_id": "a"}]

    def poll(request: Request) -> Reply:
        body = request.json()
        assert body["frames"][0] == {"type": "auth", "token": None}
        frames = [{"type": "ready", "session": "s", "pingSeconds": 25}]
        if "cursor" not in body["frames"][1]:
            frame = {"type": "snapshot", "id": "w1", "documents": documents, "cursor": "1"}
            return Reply({"frames": [*frames, frame]})
        change = enter("2", "b", 0)["server"]
        return Reply(
            {"frames": [*frames, change]}
            if body["frames"][1]["cursor"] == "1"
            else {"frames": frames},
            after=0.05,
        )

    async def use(cloud: Any) -> None:
        watch = posts(cloud).watch()
        assert await ids(watch) == ("init", ["a"])
        assert await ids(watch) == (None, ["b", "a"])

    with scripted({"/v1/realtime/poll": poll}) as server:
        using(face, server.url, use)
        sessions = {one.json()["session"] for one in server.of("/v1/realtime/poll")}
    assert len(sessions) == 1


def test_a_closed_watch_ends_its_iteration_and_the_connection(face: Face) -> None:
    steps = [AUTH, READY, {"client": WATCH}, snapshot("1", "a")]

    async def use(cloud: Any) -> None:
        watch = posts(cloud).watch()
        await ids(watch)
        with pytest.raises(TimeoutError):
            await now(watch.next(0.05))
        await now(watch.close())
        rest = [one async for one in watch] if face == "async" else list(watch)
        assert rest == []

    with playing(steps) as server:
        using(face, server.url, use)


def test_a_callback_that_fails_is_logged_and_called_again(
    face: Face, caplog: pytest.LogCaptureFixture
) -> None:
    steps = [AUTH, READY, {"client": WATCH}, snapshot("1", "a"), enter("2", "b", 1)]
    seen: list[int] = []
    done = threading.Event()

    def on_change(found: Any) -> None:
        seen.append(len(found.docs))
        if len(seen) == 1:
            raise ZeroDivisionError
        done.set()

    async def use(cloud: Any) -> None:
        posts(cloud).watch(on_change)
        await asyncio.to_thread(done.wait, PATIENCE)

    with playing(steps) as server:
        using(face, server.url, use)
    assert seen == [1, 2]
    assert "ZeroDivisionError" in caplog.text


def message(cursor: str, data: int) -> dict[str, Any]:
    more = {"event": "said", "data": data, "from": None}
    return {"server": {"type": "message", "id": "c1", "cursor": cursor, **more}}


def test_an_inbox_acknowledges_what_was_handled_and_no_more(face: Face) -> None:
    join = {"type": "join", "id": "c1", "channel": "inbox"}
    joined = {"server": {"type": "joined", "id": "c1", "presence": [], "cursor": "0"}}
    steps = [
        *(AUTH, READY, {"client": join}, joined, message("1", 1)),
        {"client": {"type": "ack", "id": "c1", "cursor": "1"}},
        message("2", 2),
        {"client": {"type": "leave", "id": "c1"}},
    ]

    def handle(found: Any) -> None:
        if found.data == 2:
            raise ZeroDivisionError

    async def use(cloud: Any) -> None:
        cloud.inbox(handle)
        # Something else keeps the connection, so that what is said of the inbox is heard.
        await asyncio.to_thread(server.finished)

    with playing(steps) as server:
        using(face, server.url, use)


# -- with a gateway --------------------------------------------------------------------------------


@pytest.fixture
def ann(board: Gateway) -> Iterator[Cloud]:
    with Cloud(board.url, trust_env=False) as cloud:
        cloud.auth().sign_in_anonymously()
        yield cloud


def test_a_session_that_is_revoked_elsewhere_loses_its_watches(board: Gateway) -> None:
    store, other = MemoryStore(), MemoryStore()
    with Cloud(board.url, store=store, trust_env=False) as cloud:
        mine = {"_openid": cloud.auth().sign_in_anonymously().uid}
        other.save(store.load())
        drafts = cloud.database().collection("drafts")
        draft = drafts.add({"title": "x"}).id
        with drafts.where(mine).watch() as watch:
            assert [doc["_id"] for doc in watch.next(PATIENCE).docs] == [draft]
            with Cloud(board.url, store=other, trust_env=False) as elsewhere:
                elsewhere.auth().revoke_all_sessions()
            with pytest.raises(BaasError, match="PERMISSION_DENIED"):
                watch.next(PATIENCE)
        assert cloud.auth().current_user is None


def test_a_callback_of_the_synchronous_face_may_call_the_client(ann: Cloud) -> None:
    collection = ann.database().collection("drafts")
    mine = {"_openid": ann.auth().me().uid}
    counted: list[int] = []
    done = threading.Event()

    def on_change(_: Any) -> None:
        counted.append(collection.where(mine).count().total)
        if counted[-1] == 2:
            done.set()

    collection.where(mine).watch(on_change)
    collection.add_many([{"title": "a"}, {"title": "b"}])
    assert done.wait(PATIENCE), counted


def test_many_watches_share_one_connection(board: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    begin = ClientConnection.connection_made
    monkeypatch.setattr(
        ClientConnection,
        "connection_made",
        lambda self, transport: (made.append(self), begin(self, transport))[1],
    )

    async def use(cloud: AsyncCloud) -> None:
        await cloud.auth().sign_in_anonymously()
        drafts = cloud.database().collection("drafts")
        added = [(await drafts.add({"title": str(n)})).id for n in range(20)]
        watches = [drafts.where({"_id": id, "_openid": "{openid}"}).watch() for id in added]
        for id, watch in zip(added, watches, strict=True):
            assert (await watch.next(PATIENCE)).docs[0]["_id"] == id
        await asyncio.gather(*[drafts.doc(id).update({"text": "t"}) for id in added])
        for watch in watches:
            assert (await watch.next(PATIENCE)).docs[0]["text"] == "t"

    using("async", board.url, use)
    assert len(made) == 1


def test_a_client_waits_for_no_goodbye_and_leaves_no_socket(face: Face) -> None:
    """The watch has ended, the server does not answer that the connection may: the client ends
    it. What it left open would be a ResourceWarning, and that an error."""
    silent, over = threading.Event(), threading.Event()

    async def meet(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(json.dumps(READY["server"]))
        await socket.recv()
        await socket.send(json.dumps(snapshot("1", "a")["server"]))
        silent.set()
        over.wait(PATIENCE)  # the whole server with it

    async def use(cloud: Any) -> None:
        watch = posts(cloud).watch()
        assert await ids(watch) == ("init", ["a"])
        assert silent.wait(PATIENCE)
        await now(watch.close())

    with meeting(meet) as url:
        using(face, url, use)
        over.set()
        gc.collect()


def test_a_client_closed_in_the_middle_leaves_nothing_behind(board: Gateway) -> None:
    before = threading.active_count()
    for _ in range(3):
        with Cloud(board.url, trust_env=False) as cloud:
            cloud.auth().sign_in_anonymously()
            cloud.database().collection("posts").watch(lambda _: None)
            cloud.channel("lobby").join(presence={"x": 1})
    deadline = time.monotonic() + PATIENCE
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_a_callback_may_close_the_client(board: Gateway, face: Face) -> None:
    closed = threading.Event()

    async def later(_: Any) -> None:
        await made[0].aclose()
        closed.set()

    def at_once(_: Any) -> None:
        made[0].close()
        closed.set()

    made: list[Any] = []

    async def use(cloud: Any) -> None:
        made.append(cloud)
        posts(cloud).watch(later if face == "async" else at_once)
        assert await asyncio.to_thread(closed.wait, PATIENCE)

    using(face, board.url, use)


def test_a_client_that_is_closed_wakes_who_waits(board: Gateway) -> None:
    cloud = Cloud(board.url, trust_env=False)
    watch = cloud.database().collection("posts").watch()
    watch.next(PATIENCE)
    ended: list[str] = []

    def wait() -> None:
        ended.extend(type(one).__name__ for one in watch)
        ended.append("ended")

    thread = threading.Thread(target=wait)
    thread.start()
    cloud.close()
    thread.join(PATIENCE)
    assert ended == ["ended"]
    watch.close()
    with pytest.raises(BaasError, match="ABORTED"):
        watch.next()


def test_a_frame_that_makes_no_sense_does_not_end_it(
    face: Face, caplog: pytest.LogCaptureFixture
) -> None:
    nonsense = {"server": {"type": "change", "id": "w1", "cursor": "2", "changes": [{"op": "?"}]}}
    first = [AUTH, READY, {"client": WATCH}, snapshot("1", "a"), nonsense, {"connect": None}]
    # What it knows may be half of something: it asks for all of it.
    steps = [*first, AUTH, READY, {"client": WATCH}, snapshot("3", "a", "b")]

    async def use(cloud: Any) -> None:
        watch = posts(cloud).watch()
        assert await ids(watch) == ("init", ["a"])
        assert await ids(watch) == ("init", ["a", "b"])

    with playing(steps) as server:
        using(face, server.url, use)
    assert "the connection failed" in caplog.text


def test_a_join_without_a_network_ends_in_time(face: Face) -> None:
    async def use(cloud: Any) -> None:
        with pytest.raises(TimeoutError):
            await now(cloud.channel("room:1").join(timeout=0.2))

    using(face, "http://127.0.0.1:9", use)
