"""kill -9 around asynchronous calls: what got its 202 runs, states are right, at most the attempt
under way is repeated. And what several gateways on one folder do once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import (
    Gateway,
    children_of,
    running,
    start_gateway,
    wait_until,
    write_app,
)

APP = {
    "rules/runs.yaml": "collection: runs\nrules: {read: true, create: auth != null}\n",
    "rules/_functions.yaml": '"*": {invoke: auth != null}\n',
    "functions/main.py": """
import asyncio
from pathlib import Path
from baas import Context, fn

async def note(ctx, **what):
    await ctx.database.collection("runs").insert(document=what)

@fn.event()
async def mark(ctx: Context, event):
    await note(ctx, id=ctx.invocationId, attempt=ctx.attempt)
    return event

@fn.event()
async def waits(ctx: Context, event):
    await note(ctx, phase="begun", attempt=ctx.attempt, name=event["name"])
    while not Path(event["go"]).exists():
        await asyncio.sleep(0.02)
    await note(ctx, phase="ended", attempt=ctx.attempt, name=event["name"])
    return event["name"]

@fn.on("database.posts.insert")
async def counted(ctx: Context, event):
    await note(ctx, post=event.documentId)

@fn.on("queue.work", batch=5)
async def work(ctx: Context, event):
    for message in event.messages:
        await note(ctx, message=message.body)

@fn.event()
async def send(ctx: Context, event):
    for n in range(event["count"]):
        await ctx.queue.send("work", n)
""",
    "rules/posts.yaml": "collection: posts\nrules: {read: true, create: auth != null}\n",
}
TIMER = {
    **APP,
    "functions/timer.py": """
from baas import Context, fn

@fn.timer("* * * * * *")
async def every_second(ctx: Context, event):
    await ctx.database.collection("runs").insert(document={"tick": event.scheduled})
""",
}
#: A lease's length is 10 s: what is done sooner after a restart has not waited for one to end.
SOON = 8.0
QUICK = {
    "BAAS_LIMITS__RATE_WRITE": "off",
    "BAAS_LIMITS__RATE_READ": "off",
    "BAAS_DATABASE__DURABILITY": "normal",
}


class Folder:
    """An app folder whose gateway may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gateway = start_gateway(folder, **QUICK)
        self.token = self.gateway.sign_in()

    def again(self) -> None:
        self.gateway.kill()
        self.gateway.close()
        self.gateway = start_gateway(self.folder, **QUICK)

    def enqueue(self, name: str, event: Any = None, query: str = "") -> str:
        path = f"/v1/functions/{name}?mode=async{query}"
        answer = self.gateway.post(path, event, token=self.token)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["invocationId"])

    def invocation(self, id: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.token}"}
        answer = self.gateway.client.get(f"/v1/functions/invocations/{id}", headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def state(self, id: str) -> str:
        return str(self.invocation(id)["state"])

    def runs(self, **match: Any) -> list[dict[str, Any]]:
        return runs(self.gateway, **match)


def runs(gateway: Gateway, **match: Any) -> list[dict[str, Any]]:
    answer = gateway.post("/v1/database/runs/find", {"filter": match, "limit": 1000})
    found: list[dict[str, Any]] = answer.json()["documents"]
    return found


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(write_app(tmp_path, APP))
    yield folder
    folder.gateway.stop()
    folder.gateway.close()


def test_a_kill_between_the_202_and_the_run(app: Folder) -> None:
    id = app.enqueue("mark", {"n": 1}, "&delay=1")
    app.again()
    wait_until(lambda: app.state(id) == "succeeded", SOON)
    found = app.invocation(id)
    assert (found["attempts"], found["result"]) == (1, {"n": 1})
    assert [one["state"] for one in found["history"]] == ["enqueued", "running", "succeeded"]
    assert len(app.runs(id=id)) == 1


def test_a_kill_in_the_middle_of_a_run(app: Folder) -> None:
    go = app.folder / "go"
    id = app.enqueue("waits", {"name": "a", "go": str(go)})
    wait_until(lambda: app.runs(phase="begun"))
    app.again()
    started = time.monotonic()
    wait_until(lambda: len(app.runs(phase="begun")) == 2, SOON)
    go.touch()
    wait_until(lambda: app.state(id) == "succeeded", SOON)
    assert time.monotonic() - started < SOON
    found = app.invocation(id)
    assert (found["attempts"], found["result"]) == (2, "a")
    assert [one["state"] for one in found["history"]] == [
        "enqueued", "running", "running", "succeeded",
    ]  # fmt: skip
    assert found["history"][2]["reason"] == "lease ended"
    assert [one["attempt"] for one in app.runs(phase="ended")] == [2]


def test_a_stop_hands_back_what_it_cannot_wait_for(app: Folder) -> None:
    go = app.folder / "go"
    id = app.enqueue("waits", {"name": "a", "go": str(go)})
    wait_until(lambda: app.runs(phase="begun"))
    started = time.monotonic()
    assert app.gateway.stop() == 0
    assert time.monotonic() - started < SOON
    app.gateway.close()
    app.gateway = start_gateway(app.folder, **QUICK)
    go.touch()
    wait_until(lambda: app.state(id) == "succeeded", SOON)
    assert app.invocation(id)["attempts"] == 1  # what was interrupted does not count


def test_a_kill_amid_many_calls_loses_none_and_repeats_only_what_ran(app: Folder) -> None:
    ids = [app.enqueue("mark", {"n": n}) for n in range(100)]
    app.again()
    ids += [app.enqueue("mark", {"n": n}) for n in range(20)]
    wait_until(lambda: all(app.state(id) == "succeeded" for id in ids), SOON)
    times = Counter(one["id"] for one in app.runs())
    assert set(times) == set(ids)
    for id in ids:
        assert 1 <= times[id] <= app.invocation(id)["attempts"] <= 2


def test_a_kill_in_the_middle_of_a_call_with_a_key(app: Folder) -> None:
    go = app.folder / "go"
    event = {"name": "k", "go": str(go)}

    def call(**more: Any) -> Any:
        body = {**event, **more}
        return app.gateway.post(
            "/v1/functions/waits", body, token=app.token, idempotency_key="key-1"
        )

    app.gateway.client.timeout = 0.5
    with pytest.raises(Exception, match="timed out"):
        call()
    app.gateway.client.timeout = 20
    wait_until(lambda: app.runs(phase="begun"))
    app.again()
    go.touch()
    wait_until(lambda: call().status_code == 200, 2 * SOON)
    assert call().json() == "k"
    assert len(app.runs(phase="ended")) == 1
    mismatch = call(name="other")
    assert (mismatch.status_code, mismatch.json()["code"]) == (409, "IDEMPOTENCY_MISMATCH")


def test_kills_amid_writes_and_messages_lose_no_trigger(app: Folder) -> None:
    posts = 0
    for _ in range(3):
        for _ in range(15):
            body = {"document": {"_id": f"p{posts}"}}
            answer = app.gateway.post("/v1/database/posts/insert", body, token=app.token)
            assert answer.status_code == 200
            posts += 1
        app.again()
    sent = app.gateway.post("/v1/functions/send", {"count": 12}, token=app.token)
    assert sent.status_code == 200
    app.again()
    wanted = {f"p{n}" for n in range(posts)}

    def done() -> bool:
        posted = {one["post"] for one in app.runs(post={"$exists": True})}
        messages = {one["message"] for one in app.runs(message={"$exists": True})}
        return posted == wanted and messages == set(range(12))

    wait_until(done, 2 * SOON)
    times = Counter(one["post"] for one in app.runs(post={"$exists": True}))
    assert max(times.values()) <= 2


def test_two_gateways_fire_each_tick_once(tmp_path: Path) -> None:
    folder = write_app(tmp_path, TIMER)
    with running(folder, "--workers", "2", **QUICK) as gateway:
        wait_until(lambda: len(children_of(gateway.process.pid)) >= 2)
        wait_until(lambda: len(runs(gateway)) >= 5)
        ticks = Counter(one["tick"]["$date"] for one in runs(gateway))
    assert set(ticks.values()) == {1}


def memory_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_a_thousand_calls_with_four_at_once_are_all_done_in_flat_memory(tmp_path: Path) -> None:
    folder = write_app(tmp_path, APP)
    with running(folder, **QUICK, BAAS_JOBS__CONCURRENCY="4") as gateway:
        token = gateway.sign_in()

        def until(total: int) -> None:
            for n in range(count_of(gateway), total):
                event = {"n": n, "text": "x" * 1000}
                answer = gateway.post("/v1/functions/mark?mode=async", event, token=token)
                assert answer.status_code == 202
            wait_until(lambda: count_of(gateway) == total, 60, 0.1)

        until(500)
        before = memory_kib(gateway.process.pid)
        until(1000)
        assert memory_kib(gateway.process.pid) - before < 16 * 1024
        answer = gateway.post("/v1/database/runs/count", {"filter": {"attempt": 1}})
        assert answer.json()["total"] == 1000


def count_of(gateway: Gateway) -> int:
    return int(gateway.post("/v1/database/runs/count", {}).json()["total"])
