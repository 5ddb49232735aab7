"""Every call goes one way: by its type, around its middleware, within its limits, to one answer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from baas.errors import Code
from baas.functions.isolation.threads import MAX_THREADS
from baas.functions.limits import Busy, Slots
from baas.functions.model import MAX_DEPTH
from baas.schema.actor import Actor
from tests.support.database import ANN, refused
from tests.support.invoking import Shop, shop, until

ADMIN = Actor(key="k1", trusted=True, scopes=("functions:write",), cache_key="k1")


@shop(
    """
    import msgspec
    from datetime import datetime

    class Line(msgspec.Struct):
        sku: str
        count: int = 1

    class Order(msgspec.Struct):
        lines: list[Line]
        due: datetime | None = None

    @fn.event()
    async def order(ctx, order: Order):
        return {"total": sum(line.count for line in order.lines), "due": order.due}
    """
)
async def test_an_event_is_decoded_by_its_type_and_dates_go_both_ways(shop: Shop) -> None:
    lines = [{"sku": "a"}, {"sku": "b", "count": 2}]
    date = {"$date": "2026-11-20T08:00:00.000Z"}
    assert await shop.call("order", {"lines": lines, "due": date}) == {"total": 3, "due": date}
    iso = await shop.call("order", {"lines": [], "due": "2026-11-20T09:00:00+01:00"})
    assert iso == {"total": 0, "due": date}

    wrong = await shop.problem("order", {"lines": [{"sku": "a"}, {"sku": 5}]})
    assert wrong.code is Code.INVALID_ARGUMENT
    assert [error.path for error in wrong.errors] == ["lines.1.sku"]
    assert shop.functions.records.totals["order", "refused"] == 1


@shop("@fn.event()\nasync def one(ctx):\n    return 1\n@fn.event()\ndef none():\n    return None\n")
async def test_a_handler_is_given_what_it_takes(shop: Shop) -> None:
    assert await shop.call("one", {"ignored": True}) == 1
    assert await shop.call("none") is None
    assert (await shop.problem("other")).code is Code.NOT_FOUND


FAULTS = """
@fn.event()
async def sold(ctx, event):
    raise fn.Error("SOLD_OUT", status=409, detail="none left")

@fn.event()
async def broken(ctx, event):
    raise ValueError("the database password is hunter2")

@fn.event()
async def leaving(ctx, event):
    raise SystemExit(3)

@fn.event()
async def interrupted(ctx, event):
    raise KeyboardInterrupt

@fn.event()
def interrupted_in_a_thread(ctx, event):
    raise KeyboardInterrupt

@fn.event(isolation="process")
def interrupted_in_a_process(ctx, event):
    raise KeyboardInterrupt

class Panic(BaseException):
    pass  # as extensions in Rust raise it

@fn.event()
async def panicking(ctx, event):
    raise Panic("index out of bounds")

@fn.event()
async def lost(ctx, event):
    await ctx.database.collection("posts").get("absent")

@fn.event()
async def unfit(ctx, event):
    return object()

@fn.event()
async def cancelled(ctx, event):
    import asyncio
    raise asyncio.CancelledError
"""


@shop(FAULTS)
async def test_a_function_s_own_error_reaches_the_caller(shop: Shop) -> None:
    problem = await shop.problem("sold")
    assert (problem.public.name, problem.status, problem.detail) == ("SOLD_OUT", 409, "none left")
    assert shop.functions.records.totals["sold", "error"] == 1
    assert await shop.failures() == []


ALL_KINDS = ["broken", "leaving", "lost", "unfit", "cancelled", "panicking", "interrupted"]
ALL_KINDS += ["interrupted_in_a_thread", "interrupted_in_a_process"]


@pytest.mark.parametrize("name", ALL_KINDS)
def test_anything_else_is_a_failure_without_text(name: str) -> None:
    @shop(FAULTS)
    async def play(shop: Shop) -> None:
        problem = await shop.problem(name)
        assert problem.public is Code.FUNCTION_FAILED
        assert problem.detail == "The function failed."
        assert problem.extra is None
        (failure,) = await shop.failures()
        assert failure["function"] == name

    play()


@shop(FAULTS)
async def test_an_admin_is_told_type_and_stack(shop: Shop) -> None:
    problem = await shop.problem("broken", actor=ADMIN)
    assert problem.extra is not None
    assert problem.extra["errorType"] == "ValueError"
    assert "main.py" in str(problem.extra["stack"])
    assert problem.detail == "The function failed."


LIMITS = """
import asyncio, threading

@fn.event(timeout=0.05)
async def waits(ctx, event):
    try:
        await asyncio.sleep(30)
    finally:
        ended.set()

ended = asyncio.Event()
release = threading.Event()

@fn.event(timeout=0.05)
def lingers(ctx, event):
    release.wait(20)

@fn.event()
async def own_timeout(ctx, event):
    raise TimeoutError("mine")

@fn.event(timeout=5)
async def remaining(ctx, event):
    return ctx.remaining
"""


@shop(LIMITS)
async def test_an_inline_function_is_cancelled_at_its_limit(shop: Shop) -> None:
    problem = await shop.problem("waits")
    assert (problem.code, problem.status) == (Code.FUNCTION_TIMEOUT, 504)
    release = shop.functions.registry.releases()[0]
    assert release.functions["waits"].handler.__globals__["ended"].is_set()
    (failure,) = await shop.failures()
    assert failure["traceback"][0]["code"] == "await asyncio.sleep(30)"


@shop(LIMITS)
async def test_a_thread_lingers_and_is_counted(shop: Shop) -> None:
    threads = shop.functions.invoker.threads
    assert (await shop.problem("lingers")).code is Code.FUNCTION_TIMEOUT
    assert threads.lingering == 1
    handler = shop.functions.registry.releases()[0].functions["lingers"].handler
    handler.__globals__["release"].set()
    await until(lambda: not threads.lingering)


@shop(LIMITS)
async def test_a_timeout_of_the_function_s_own_is_its_failure(shop: Shop) -> None:
    assert (await shop.problem("own_timeout")).code is Code.FUNCTION_FAILED
    assert 4 < await shop.call("remaining") <= 5


@shop(
    """
    @fn.event()
    async def again(ctx, event):
        return await ctx.call("again", {"n": event["n"] + 1})

    @fn.event(timeout=0.05)
    async def outer(ctx, event):
        return await ctx.call("inner")

    @fn.event(timeout=30)
    async def inner(ctx, event):
        import asyncio
        await asyncio.sleep(30)
    """
)
async def test_a_chain_has_an_end_and_one_deadline(shop: Shop) -> None:
    assert (await shop.problem("again", {"n": 0})).code is Code.LOOP_DETECTED
    assert shop.functions.records.totals["again", "failed"] == MAX_DEPTH
    assert (await shop.problem("again", {}, depth=MAX_DEPTH)).code is Code.LOOP_DETECTED
    assert (await shop.problem("outer")).code is Code.FUNCTION_TIMEOUT


CROWD = """
import asyncio
running = 0
most = 0

@fn.event(concurrency=2)
async def crowd(ctx, event):
    global running, most
    running += 1
    most = max(most, running)
    await asyncio.sleep(0.001)
    running -= 1
    return most
"""


@shop(CROWD)
async def test_no_more_run_at_once_than_its_concurrency(shop: Shop) -> None:
    answers = await asyncio.gather(*(shop.call("crowd") for _ in range(20)))
    assert max(answers) == 2


@shop(CROWD)
async def test_a_full_queue_refuses_with_a_time_to_come_back(shop: Shop) -> None:
    calls = [shop.call("crowd") for _ in range(200)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refusals = [one for one in answers if isinstance(one, BaseException)]
    assert len(refusals) == 98  # 2 run, 50 wait for each of them
    assert all(isinstance(one, Exception) and "UNAVAILABLE" in str(one) for one in refusals)
    assert getattr(refusals[0], "retry_after", None) == 1.0


def test_a_slot_given_to_one_who_has_left_goes_to_the_next() -> None:
    async def play() -> None:
        slots = Slots(1)
        await slots.take(1)
        left = asyncio.create_task(slots.take(1))
        stays = asyncio.create_task(slots.take(1))
        await asyncio.sleep(0)
        slots.give()
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        await stays
        with pytest.raises(Busy):
            await slots.take(0)
        slots.give()
        await slots.take(0)

    asyncio.run(play())


def test_one_who_leaves_while_a_slot_comes_free_takes_nothing_along() -> None:
    async def play() -> None:
        slots = Slots(1)
        await slots.take(1)
        left = asyncio.create_task(slots.take(1))
        stays = asyncio.create_task(slots.take(1))
        await asyncio.sleep(0)
        left.cancel()
        slots.give()
        with pytest.raises(asyncio.CancelledError):
            await left
        await stays

    asyncio.run(play())


@shop(
    """
    import asyncio
    started = asyncio.Event()

    @fn.event()
    async def waits(ctx, event):
        started.set()
        await asyncio.sleep(30)
    """
)
async def test_a_call_that_is_given_up_is_recorded_as_stopped(shop: Shop) -> None:
    task = asyncio.create_task(shop.call("waits"))
    handler = shop.functions.registry.releases()[0].functions["waits"].handler
    await handler.__globals__["started"].wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert shop.functions.records.totals["waits", "stopped"] == 1


@shop(
    """
    order = []

    @fn.middleware
    async def outer(ctx, event, proceed):
        order.append("in")
        try:
            return {"wrapped": await proceed({**event, "added": 1})}
        finally:
            order.append("out")

    @fn.event()
    def sync(ctx, event):
        order.append("run")
        return event

    @fn.event()
    async def fails(ctx, event):
        raise fn.Error("NO", status=400)
    """
)
async def test_middleware_stands_around_plain_functions_and_failures_too(shop: Shop) -> None:
    assert await shop.call("sync", {"a": 1}) == {"wrapped": {"a": 1, "added": 1}}
    handler = shop.functions.registry.releases()[0].functions["sync"].handler
    assert handler.__globals__["order"] == ["in", "run", "out"]
    await shop.problem("fails", {})
    assert handler.__globals__["order"][-1] == "out"


@shop(
    """
    import asyncio
    count = 0

    @fn.initializer
    async def slow_start(ctx):
        global count
        count += 1
        await asyncio.sleep(0)
        ctx.state["number"] = count

    @fn.event()
    async def number(ctx, event):
        return ctx.state["number"]
    """
)
async def test_fifty_first_calls_start_a_function_once(shop: Shop) -> None:
    assert await asyncio.gather(*(shop.call("number") for _ in range(50))) == [1] * 50


@shop(
    "@fn.event()\ndef where(ctx, event):\n    import threading\n    return threading.get_ident()\n"
)
async def test_a_sync_function_runs_off_the_loop(shop: Shop) -> None:
    assert await shop.call("where") != threading.get_ident()


@shop(
    """
    @fn.event(timeout=10)
    def outer(ctx, event):
        return ctx.call("inner")

    @fn.event(timeout=10)
    def inner(ctx, event):
        return 1
    """
)
async def test_plain_functions_that_wait_for_others_do_not_starve_them(shop: Shop) -> None:
    answers = await asyncio.gather(*(shop.call("outer") for _ in range(MAX_THREADS)))
    assert answers == [1] * MAX_THREADS


@shop(
    """
    import threading
    opened = threading.Event()
    ended = threading.Event()
    found = []

    @fn.event(timeout=0.05)
    def late(ctx, event):
        opened.wait(20)
        try:
            with ctx.database.transaction() as tx:
                tx.collection("posts").count()
        except RuntimeError as fault:
            found.append(str(fault))
        ended.set()
    """
)
async def test_a_thread_whose_call_has_ended_opens_no_transaction(shop: Shop) -> None:
    await shop.problem("late")
    names = shop.functions.registry.releases()[0].functions["late"].handler.__globals__
    names["opened"].set()
    await until(names["ended"].is_set)
    assert names["found"] == ["the call has ended"]


@shop('@fn.http("GET", "/page")\nasync def page(ctx, request):\n    return b"<p>"\n')
async def test_an_answer_to_a_request_may_be_bytes(shop: Shop) -> None:
    event = {"method": "GET", "path": "/page"}
    assert await shop.call("page", event, kind="http") == b"<p>"


@shop("@fn.event()\nasync def hello(ctx, event):\n    return 1\n")
async def test_without_a_queue_nothing_is_promised(shop: Shop) -> None:
    from baas.functions.model import Call

    with refused(Code.NOT_SUPPORTED):
        await shop.functions.enqueue(Call(function="hello", actor=ANN))
    with refused(Code.NOT_FOUND):
        await shop.functions.enqueue(Call(function="absent", actor=ANN))
