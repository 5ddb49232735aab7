"""Several gateways on one MongoDB: each good for all, one killed or restarted and nothing is lost.

They have folders of their own, as on machines of their own; only the database is shared.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.gateway import Gateway, running, wait_until
from tests.support.replay import replay, settle, shared_count
from tests.support.sessions import in_loop
from tests.support.sockets import connected
from tests.support.writers import LOAD_APP, UNLIMITED, Load

APP = {
    **LOAD_APP,
    "rules/notes.yaml": "collection: notes\nacl: PRIVATE\n",
    "rules/runs.yaml": "collection: runs\nrules: {read: true, create: auth != null}\n",
    "rules/_functions.yaml": '"*": {invoke: auth != null}\n',
    "rules/_channels.yaml": (
        "- channel: room:{id}\n  subscribe: auth != null\n  publish: auth != null\n"
        "  presence: auth != null\n"
    ),
    "functions/main.py": """
import asyncio
from pathlib import Path
from baas import Context, fn

async def note(ctx, **what):
    await ctx.database.collection("runs").insert(document=what)

@fn.timer("* * * * * *")
async def every_second(ctx: Context, event):
    await note(ctx, tick=event.scheduled)

@fn.event()
async def waits(ctx: Context, event):
    await note(ctx, phase="begun", attempt=ctx.attempt)
    while ctx.attempt == 1:
        await asyncio.sleep(0.02)
    await note(ctx, phase="ended", attempt=ctx.attempt)
""",
}
#: The kit promises two seconds between gateways; a slow machine gets more.
PROMPTLY = 8.0
#: A lease's length is 10 s, and a dead gateway's turn may be held for six.
LEASE = 40.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), APP, **UNLIMITED)
    yield cluster
    cluster.drop()


@pytest.fixture(scope="module")
def pair(cluster: Cluster) -> Iterator[tuple[Gateway, Gateway]]:
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(running(cluster.folder(name), **cluster.environment))
            for name in ("one", "other")
        )
        yield one, other


def notes(gateway: Gateway, token: str) -> list[str]:
    answer = gateway.post("/v1/database/notes/find", token=token)
    assert answer.status_code == 200, answer.text
    return [document["_id"] for document in answer.json()["documents"]]


def test_signing_in_at_one_is_good_at_all(pair) -> None:
    one, other = pair
    token = one.sign_in()
    made = other.post("/v1/database/notes/insert", {"document": {"_id": "a"}}, token=token)
    assert made.status_code == 200, made.text
    assert notes(one, token) == notes(other, token) == ["a"]
    assert notes(one, other.sign_in()) == []


def test_signing_out_at_one_counts_at_all(pair) -> None:
    one, other = pair
    token = one.sign_in()
    assert other.post("/v1/auth/me", token=token).status_code in (200, 405)
    assert notes(other, token) == []
    assert one.post("/v1/auth/sign-out", token=token).status_code == 200
    wait_until(
        lambda: other.post("/v1/database/notes/find", token=token).status_code == 401, PROMPTLY
    )


def test_an_idempotency_key_is_known_to_all(pair) -> None:
    one, other = pair
    token = one.sign_in()
    body = {"document": {"n": 1}}
    path = "/v1/database/notes/insert"
    first = one.post(path, body, token=token, idempotency_key="once")
    again = other.post(path, body, token=token, idempotency_key="once")
    assert first.json() == again.json()
    assert len(notes(one, token)) == 1


@in_loop
async def test_what_one_writes_is_seen_by_who_watches_at_another(pair) -> None:
    one, other = pair
    token = one.sign_in()
    async with connected(other, token) as socket:
        await socket.asked(type="watch", id="w", collection="notes", filter={})
        one.post("/v1/database/notes/insert", {"document": {"_id": "seen"}}, token=token)
        (change,) = (await socket.heard())["changes"]
        assert (change["op"], change["docId"]) == ("enter", "seen")


@in_loop
async def test_a_message_reaches_those_who_joined_at_another(pair) -> None:
    one, other = pair
    async with connected(one, one.sign_in()) as here, connected(other, one.sign_in()) as there:
        for socket in (here, there):
            await socket.asked(type="join", id="c", channel="room:1")
        await here.say(type="publish", id="c", event="hi", data={"n": 1})
        message = await there.heard()
        while message["type"] != "message":
            message = await there.heard()
        assert (message["event"], message["data"]) == ("hi", {"n": 1})


@in_loop
async def test_who_is_present_at_one_is_seen_at_the_other(pair) -> None:
    one, other = pair
    join = {"type": "join", "id": "c", "channel": "room:2"}
    async with connected(other, one.sign_in()) as there:
        assert (await there.asked(**join))["presence"] == []
        async with connected(one, one.sign_in()) as here:
            await here.asked(**join, presence={"name": "ann"})
            (came,) = (await there.next("presence"))["join"]
            assert came["state"] == {"name": "ann"}
        (gone,) = (await there.next("presence"))["leave"]
        assert gone["session"] == came["session"]


def test_a_timer_fires_once_over_all(pair) -> None:
    one, _ = pair
    token = one.sign_in()

    def ticks() -> list[int]:
        query = {"filter": {"tick": {"$exists": True}}, "limit": 1000}
        answer = one.post("/v1/database/runs/find", query, token=token)
        return [str(document["tick"]) for document in answer.json()["documents"]]

    enough = len(ticks()) + 3
    wait_until(lambda: len(ticks()) >= enough, 20)
    assert set(Counter(ticks()).values()) == {1}


def test_a_bucket_is_shared(cluster: Cluster) -> None:
    with ExitStack() as stack:
        gateways = [
            stack.enter_context(
                running(cluster.folder(name), **cluster.environment, BAAS_LIMITS__RATE_AUTH="20/h")
            )
            for name in ("slow1", "slow2")
        ]
        statuses = []
        for number in range(60):
            answer = gateways[number % 2].post("/v1/auth/sign-in/anonymous")
            statuses.append(answer.status_code)
            time.sleep(0.02)  # a client's pace: gateways hear of each other a little later
    assert set(statuses) == {200, 429}
    assert 20 <= statuses.count(200) <= 30


@pytest.mark.parametrize("way", ["killed", "stopped"])
def test_one_goes_under_load_and_nothing_is_lost(tmp_path: Path, way: str) -> None:
    cluster = Cluster(tmp_path, APP, **UNLIMITED)
    gateways = {name: cluster.start(name) for name in ("one", "other")}
    start = asyncio.run(cluster.with_store(lambda store: store.feed.head()))
    try:
        load = Load(gateways["one"], gateways["one"].sign_in(), seed=7)
        # A kill is the harder of the two, and once is enough of it here; see also test_kill9.
        turns = (("one", "other"), ("other", "one"))[: 1 if way == "killed" else 2]
        for going, staying in turns:
            load.start(gateways["one"], gateways["other"])
            load.wait_for(60)
            if way == "killed":
                gateways[going].kill()
            else:
                assert gateways[going].stop() == 0
            load.wait_for(30)
            load.halt.set()
            load.join()
            gateways[going].close()
            for writer in load.writers:
                writer.connect(gateways[staying].url, load.token)
                settle(writer)
                writer.client.close()
            asyncio.run(cluster.with_store(lambda store: replay(store, start)))
            gateways[going] = cluster.start(going)
        assert shared_count(gateways["one"], load.token) == load.tallies
    finally:
        for gateway in gateways.values():
            gateway.stop()
            gateway.close()
        cluster.drop()


def test_the_work_of_a_killed_gateway_is_taken_over(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, APP, **UNLIMITED)
    one = cluster.start("one")
    token = one.sign_in()
    made = one.post("/v1/functions/waits?mode=async", {}, token=token)
    assert made.status_code == 202, made.text

    def phases(gateway: Gateway) -> list[str]:
        query = {"filter": {"phase": {"$exists": True}}}
        answer = gateway.post("/v1/database/runs/find", query, token=token)
        return [document["phase"] for document in answer.json()["documents"]]

    other = one
    try:
        wait_until(lambda: phases(one) == ["begun"], PROMPTLY)
        other = cluster.start("other")
        one.kill()
        one.close()
        wait_until(lambda: phases(other) == ["begun", "begun", "ended"], LEASE)
        path = f"/v1/functions/invocations/{made.json()['invocationId']}"
        headers = {"authorization": f"Bearer {token}"}
        wait_until(
            lambda: other.client.get(path, headers=headers).json()["state"] == "succeeded", PROMPTLY
        )
    finally:
        other.stop()
        other.close()
        cluster.drop()
