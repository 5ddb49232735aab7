"""Workers of their own: limits that hold, starts that happen once, ends that are noticed."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

import pytest

from baas.errors import Code
from baas.functions.isolation.process import State
from tests.support.database import ANN
from tests.support.invoking import Shop, shop, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MARKER = Path(gettempdir()) / f"baas-test-{uuid4().hex}"

LIMITS = """
import asyncio, ctypes, os, time

@fn.event(isolation="process", timeout=0.2)
def spins(ctx, event):
    while True:
        pass

@fn.event(isolation="process", timeout=0.2)
def holds_the_interpreter(ctx, event):
    ctypes.PyDLL(None).sleep(60)

@fn.event(isolation="process", timeout=0.2)
async def waits(ctx, event):
    if event:
        return os.getpid()
    await asyncio.sleep(60)

@fn.event(isolation="process", timeout=0.2)
async def blocks(ctx, event):
    time.sleep(60)

@fn.event(isolation="process")
async def dies(ctx, event):
    os._exit(9)

@fn.event(isolation="process", memory="96MiB")
def grows(ctx, event):
    held = []
    while True:
        held.append(b"x" * 1_000_000)
        time.sleep(0.001)

@fn.event(isolation="process", memory="96MiB")
def leaps(ctx, event):
    return len(b"x" * 2_000_000_000)

@fn.event()
async def inline(ctx, event):
    return "served"
"""


@pytest.mark.parametrize("name", ["spins", "holds_the_interpreter", "blocks"])
def test_a_process_is_killed_at_its_limit_while_others_are_served(name: str) -> None:
    @shop(LIMITS)
    async def play(shop: Shop) -> None:
        task = asyncio.create_task(shop.problem(name))
        await until(shop.functions.workers.workers)
        (worker,) = shop.functions.workers.workers()
        while not task.done():
            assert await shop.call("inline") == "served"
            await asyncio.sleep(0.005)
        problem = await task
        assert (problem.code, problem.status) == (Code.FUNCTION_TIMEOUT, 504)
        (record,) = [one for one in await shop.records() if one["function"] == name]
        assert record["result"] == "timeout"
        # The start of the process is not the function's time; 0.2 s and what it takes to notice.
        assert record["ms"] - sum(record["phases"].get(p, 0) for p in ("spawn", "import")) < 4000
        await gone(worker.pid)

    play()


@shop(
    f"""
    import subprocess

    @fn.event(isolation="process", timeout=0.5)
    def converts(ctx, event):
        with open({str(MARKER)!r}, "w") as file:
            converter = subprocess.Popen(["sleep", "60"])
            file.write(str(converter.pid))
        converter.wait()
    """
)
async def test_programs_that_a_function_started_are_killed_with_it(shop: Shop) -> None:
    """Else each call that runs out of time leaves one running, and the limit holds nobody."""
    try:
        assert (await shop.problem("converts")).code is Code.FUNCTION_TIMEOUT
        await gone(int(MARKER.read_text()))
    finally:
        MARKER.unlink(missing_ok=True)


@shop(LIMITS)
async def test_an_async_function_that_heeds_its_limit_keeps_its_worker(shop: Shop) -> None:
    pid = await shop.call("waits", 1)
    assert (await shop.problem("waits")).code is Code.FUNCTION_TIMEOUT
    assert await shop.call("waits", 1) == pid


@shop(LIMITS)
async def test_a_call_that_is_given_up_ends_in_the_worker_too(shop: Shop) -> None:
    (pid, task) = (await shop.call("waits", 1), asyncio.create_task(shop.call("waits")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await shop.call("waits", 1) == pid


@shop(LIMITS)
async def test_calls_given_up_at_any_moment_leave_nothing_in_the_worker(shop: Shop) -> None:
    await shop.call("waits", 1)
    (worker,) = shop.functions.workers.workers()
    for turns in range(12):
        task = asyncio.create_task(shop.call("waits", turns % 2))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await until(lambda: not worker.running)
    assert worker.load == 0
    assert shop.functions.workers.workers() == [worker]


@pytest.mark.parametrize(("name", "kind"), [("grows", "Limit"), ("leaps", "MemoryError")])
def test_memory_is_capped(name: str, kind: str) -> None:
    @shop(LIMITS)
    async def play(shop: Shop) -> None:
        problem = await shop.problem(name)
        assert problem.code is Code.FUNCTION_FAILED
        assert "memory" in problem.detail
        (failure,) = await shop.failures()
        assert kind in failure["error"]["type"]
        assert await shop.call("inline") == "served"

    play()


@shop(LIMITS)
async def test_a_worker_that_dies_fails_its_call_and_is_replaced(shop: Shop) -> None:
    first = await shop.problem("dies")
    second = await shop.problem("dies")
    assert first.code is second.code is Code.FUNCTION_FAILED
    assert shop.functions.workers.workers() == []


STARTS = """
import asyncio, os

@fn.initializer
async def start(ctx):
    await asyncio.sleep(0.01)
    ctx.state["starts"] = ctx.state.get("starts", 0) + 1

@fn.event(isolation="process", max_workers=2, concurrency=10)
async def crowd(ctx, event):
    await asyncio.sleep(0.01)
    return [os.getpid(), ctx.state["starts"]]
"""


@shop(STARTS)
async def test_fifty_first_calls_start_each_worker_once(shop: Shop) -> None:
    answers = await asyncio.gather(*(shop.call("crowd") for _ in range(50)))
    assert {starts for _, starts in answers} == {1}
    assert len({pid for pid, _ in answers}) == 2
    assert len(shop.functions.workers.workers()) == 2


@shop(
    """
    import os, pathlib

    @fn.initializer
    def start(ctx):
        marker = pathlib.Path(ctx.config["MARKER"])
        if not marker.exists():
            marker.touch()
            raise RuntimeError("not yet")

    @fn.event(isolation="process")
    def pid(ctx, event):
        return os.getpid()
    """,
    manifest=f"functions: {{pid: {{env: {{MARKER: {MARKER}}}}}}}",
)
async def test_after_a_failed_start_the_next_call_has_a_fresh_worker(shop: Shop) -> None:
    assert (await shop.problem("pid")).code is Code.FUNCTION_FAILED
    try:
        assert await shop.call("pid") in {w.pid for w in shop.functions.workers.workers()}
        assert len(shop.functions.workers.workers()) == 1
    finally:
        MARKER.unlink()


TOGETHER = """
import os

@fn.event(isolation="process")
async def one(ctx, event):
    return os.getpid()

@fn.event(isolation="process", env={"COLOUR": "red"})
def two(ctx, event):
    return [os.getpid(), os.environ["COLOUR"], ctx.config["COLOUR"]]
"""


@shop(TOGETHER, manifest="aggregate: {both: [one, two]}")
async def test_functions_that_are_aggregated_share_a_worker(shop: Shop) -> None:
    pid = await shop.call("one")
    assert await shop.call("two") == [pid, "red", "red"]


@shop(TOGETHER)
async def test_others_have_their_own(shop: Shop) -> None:
    assert await shop.call("one") != (await shop.call("two"))[0]


@shop(
    """
    import os

    @fn.event(isolation="process", min_workers=2, max_workers=3, idle_timeout=0.05)
    async def warm(ctx, event):
        return os.getpid()

    @fn.event(isolation="process", idle_timeout=0.05)
    async def cold(ctx, event):
        return os.getpid()
    """
)
async def test_a_minimum_is_kept_warm_and_the_idle_go(shop: Shop) -> None:
    workers = shop.functions.workers.workers
    pool = {one.pid for one in workers()}
    assert len(pool) == 2
    await until(lambda: all(one.state is State.SERVING for one in workers()))
    assert await shop.call("warm") in pool
    pid = await shop.call("cold")
    await until(lambda: pid not in {one.pid for one in workers()})
    assert {one.pid for one in workers()} == pool


KIT = """
import os, sys

@fn.event(isolation="process")
async def tour(ctx, event):
    print("printed by", ctx.auth.uid)
    ctx.log.warning("logged", n=1)
    posts = ctx.database.collection("posts")
    (id,) = (await posts.insert({"title": "t"}))["ids"]
    async with ctx.database.transaction() as tx:
        score = (await tx.collection("posts").get(id)).get("score", 0)
        await tx.collection("posts").update(id, {"$set": {"score": score + 1}})
    try:
        await ctx.as_caller().database.collection("posts").get("absent")
    except Exception as problem:
        code = problem.code.name
    return {
        "post": await posts.get(id), "code": code, "inner": await ctx.call("inner"),
        "secret": ctx.secrets["KEY"], "remaining": 0 < ctx.remaining <= 30,
    }

@fn.event(isolation="process")
def sync(ctx, event):
    print("from a thread", file=sys.stderr)
    (id,) = ctx.database.collection("posts").insert({"title": "s"})["ids"]
    return ctx.database.collection("posts").get(id)["title"]

@fn.event()
async def inner(ctx, event):
    return ctx.depth

@fn.event(isolation="process")
async def refuses(ctx, event):
    raise fn.Error("SOLD_OUT", status=409, detail="none")

@fn.event(isolation="process")
async def broken(ctx, event):
    number = 41
    raise ValueError("inside")

@fn.event(isolation="process")
async def typed(ctx, event: dict[str, int]):
    return event

@fn.event(isolation="process")
async def environment(ctx, event):
    return sorted(name for name in os.environ if name.startswith("BAAS_"))
"""


@shop(
    """
    @fn.event(isolation="process")
    async def brief(ctx, event):
        ctx.log.info("first")
        print("second")
        if event:
            raise ValueError("over")
    """
)
async def test_lines_of_a_call_that_ends_at_once_are_its_own(shop: Shop) -> None:
    await shop.call("brief")
    await shop.problem("brief", True)
    lines = [[line["message"] for line in one["logs"]] for one in await shop.records()]
    assert lines == [["first", "second"]] * 2


@shop(KIT)
async def test_a_worker_s_ctx_is_the_gateway_s(shop: Shop) -> None:
    shop.secrets.set(KEY="v4lue-of-key")
    answer = await shop.call("tour", actor=ANN)
    assert answer["post"]["score"] == 1
    assert {name: answer[name] for name in ("code", "inner", "secret", "remaining")} == {
        "code": "NOT_FOUND",
        "inner": 1,
        "secret": "v4lue-of-key",
        "remaining": True,
    }
    assert await shop.call("sync") == "s"
    records = {one["function"]: one for one in await shop.records()}
    lines = [(line["level"], line["message"]) for line in records["tour"]["logs"]]
    assert lines == [("info", "printed by ann"), ("warning", "logged")]
    assert [line["message"] for line in records["sync"]["logs"]] == ["from a thread"]
    assert {"spawn", "import", "init", "invoke"} <= set(records["tour"]["phases"])

    shop.secrets.set(KEY="another")
    assert (await shop.call("tour", actor=ANN))["secret"] == "another"


@shop(KIT)
async def test_errors_cross_the_pipe_as_they_are(shop: Shop) -> None:
    own = await shop.problem("refuses")
    assert (own.public.name, own.status, own.detail) == ("SOLD_OUT", 409, "none")
    wrong = await shop.problem("typed", {"a": "b"})
    assert wrong.code is Code.INVALID_ARGUMENT
    assert wrong.errors
    assert (await shop.problem("broken")).detail == "The function failed."
    (failure,) = await shop.failures()
    assert failure["error"]["type"] == "ValueError"
    assert failure["traceback"][-1]["locals"]["number"] == "41"
    # A number that the pipe cannot carry fails this call, and no other.
    assert (await shop.problem("typed", {"a": 2**70})).code is Code.FUNCTION_FAILED
    assert await shop.call("typed", {"a": 1}) == {"a": 1}


@shop(KIT)
async def test_settings_of_the_gateway_are_not_in_a_worker_s_environment(shop: Shop) -> None:
    os.environ["BAAS_SERVER__SECRET"] = "s" * 32
    try:
        assert await shop.call("environment") == []
    finally:
        del os.environ["BAAS_SERVER__SECRET"]


RELEASE = """
import asyncio, os
from pathlib import Path

@fn.event(isolation="process")
async def version(ctx, event):
    await asyncio.sleep(0.1)
    return [{number}, os.getpid()]

@fn.hook("close.after")
def note(stage):
    Path({marker!r}).write_text(str(os.getpid()))
"""


@shop()
async def test_a_new_version_lets_calls_end_on_the_old_one_and_then_closes_it(shop: Shop) -> None:
    marker = shop.folder / "closed"
    shop.deploy(RELEASE.format(number=1, marker=str(marker)))
    await shop.call("version")
    under_way = asyncio.create_task(shop.call("version"))
    await asyncio.sleep(0)
    shop.deploy(RELEASE.format(number=2, marker=str(marker)))
    assert (await shop.call("version"))[0] == 2
    number, old = await under_way
    assert number == 1
    await until(marker.exists)
    await gone(old)
    assert marker.read_text() == str(old)


@shop(LIMITS)
async def test_no_worker_outlives_the_service(shop: Shop) -> None:
    await shop.call("waits", 1)
    pids = [one.pid for one in shop.functions.workers.workers()]
    assert pids
    await shop.functions.stop()
    for pid in pids:
        await gone(pid)


@shop(LIMITS)
async def test_workers_that_come_and_go_leave_nothing_behind(shop: Shop) -> None:
    await shop.problem("dies")
    before = (len(os.listdir("/proc/self/fd")), threading.active_count())
    for name in ("dies", "leaps", "spins", "dies"):
        await shop.problem(name)
    await until(lambda: not shop.functions.workers.workers())
    await until(lambda: (len(os.listdir("/proc/self/fd")), threading.active_count()) <= before)


PAGES = """
from litestar import Response
from litestar.response import Redirect, Stream

@fn.http("GET", "/json", isolation="process")
async def json_page(ctx, request):
    response = Response({"a": 1}, status_code=201, headers={"x-a": "1"})
    response.set_cookie("a", "b")
    response.set_cookie("seen", "yes")
    return response

@fn.http("GET", "/go", isolation="process")
def go(ctx, request):
    return Redirect("/elsewhere")

@fn.http("GET", "/stream", isolation="process")
async def stream(ctx, request):
    return Stream(iter(["a", "b"]))

@fn.http("GET", "/bytes", isolation="process")
async def raw(ctx, request):
    return request.body

@fn.http("GET", "/what", isolation="process")
async def what(ctx, request):
    return object()
"""


@shop(PAGES)
async def test_response_objects_become_what_they_send(shop: Shop) -> None:
    page = await shop.call("json_page", {"method": "GET", "path": "/json"}, kind="http")
    assert (page["statusCode"], page["body"]) == (201, b'{"a":1}')
    assert page["headers"]["x-a"] == ["1"]
    cookies = page["headers"]["set-cookie"]
    assert sorted(one.partition(";")[0] for one in cookies) == ["a=b", "seen=yes"]
    gone = await shop.call("go", {"method": "GET", "path": "/go"}, kind="http")
    assert (gone["statusCode"], gone["headers"]["location"]) == (302, ["/elsewhere"])
    assert (await shop.call("stream", {"method": "GET", "path": "/"}, kind="http"))["body"] == b"ab"
    event = {"method": "POST", "path": "/bytes", "body": b"\x00\xff"}
    assert await shop.call("raw", event, kind="http") == b"\x00\xff"
    problem = await shop.problem("what", {"method": "GET", "path": "/"}, kind="http")
    assert problem.code is Code.FUNCTION_FAILED


async def gone(pid: int) -> None:
    """Waits until a process is no more: not even a zombie."""
    await until(lambda: not Path(f"/proc/{pid}").exists())
