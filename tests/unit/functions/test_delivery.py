"""Asynchronous calls: attempts, their classes and times, destinations, dead letters, stops."""

from __future__ import annotations

import asyncio

import pytest

from baas.errors import Code, Problem
from baas.functions.deadletters import DEAD
from baas.ports.jobs import JobState
from baas.schema.actor import SERVER, Actor
from tests.support.background import Yard, yard

ANN = Actor(uid="ann", cache_key="ann")
BOB = Actor(uid="bob", cache_key="bob")

ALWAYS_FAILS = """
@fn.event(on_failure=["function:told", "queue:failures"], on_success=["function:happy"])
async def fails(ctx, event):
    await note(ctx, attempt=ctx.attempt)
    raise ValueError("secret text")

@fn.event()
async def told(ctx, event):
    await note(ctx, **event)

@fn.event()
async def happy(ctx, event):
    await note(ctx, happy=True)
"""


@yard(ALWAYS_FAILS)
async def test_a_function_that_always_fails_runs_four_times_then_its_destination_hears(
    app: Yard,
) -> None:
    id = await app.enqueue("fails", {"n": 1}, actor=ANN)
    await app.settle(0.999, 0.001, 2, 3.999, 0.001, 600)
    *attempts, told = await app.seen()
    assert attempts == [{"attempt": n} for n in (1, 2, 3, 4)]
    assert told["event"] == {"n": 1}
    assert told["error"] == {"code": "FUNCTION_FAILED", "message": "The function failed."}
    assert told["reason"] == "retries exhausted"
    assert (told["invocationId"], told["function"], told["attempts"]) == (id, "fails", 4)
    assert (told["state"], told["actor"]) == ("failed", "ann")
    assert [job.id for job in await app.dead()] == [id]
    (message,) = await app.store.jobs.list(queue="queue:failures")
    assert b'"retries exhausted"' in message.payload


@yard(ALWAYS_FAILS)
async def test_the_tries_come_after_one_two_and_four_seconds(app: Yard) -> None:
    id = await app.enqueue("fails")
    start = app.clock.now_ms()
    await app.settle(0.999)
    assert len(await app.seen()) == 1
    await app.settle(0.001, 1.999)
    assert len(await app.seen()) == 2
    await app.settle(0.001, 4)
    begun = [time - start for state, time, _ in (await app.job(id)).history if state == "running"]
    assert begun == [0, 1000, 3000, 7000]


@yard(
    """
    @fn.event(on_success=["function:told"])
    async def adds(ctx, event):
        return event["a"] + event["b"]

    @fn.event()
    async def told(ctx, event):
        await note(ctx, result=event["result"], state=event["state"], trigger=ctx.trigger.kind,
                   auth=ctx.auth, depth=ctx.depth)
    """
)
async def test_a_result_is_kept_and_told_of(app: Yard) -> None:
    id = await app.enqueue("adds", {"a": 1, "b": 2}, actor=ANN)
    await app.settle()
    job = await app.job(id)
    assert (job.state, job.result, job.attempt) == (JobState.SUCCEEDED, b"3", 1)
    assert await app.seen() == [
        {
            "result": 3,
            "state": "succeeded",
            "trigger": "destination",
            "auth": None,
            "depth": 1,
        }
    ]


@yard(
    """
    @fn.event(retries={"function": {"tries": 0}, "system": {"tries": 0}})
    async def once(ctx, event):
        raise ValueError

    @fn.event()
    async def throttled(ctx, event):
        raise fn.Error("SLOW_DOWN", status=429)

    @fn.event()
    async def typed(ctx, event: dict[str, int]):
        pass
    """
)
async def test_the_class_of_an_error_decides(app: Yard) -> None:
    once = await app.enqueue("once")
    throttled = await app.enqueue("throttled")
    refused = await app.enqueue("typed", {"a": "text"})
    await app.settle(1, 2, 4, 8, 16, 32, 60, 60)
    assert (await app.job(once)).attempt == 1
    error = (await app.job(once)).error
    assert error is not None
    assert (error["class"], error["reason"]) == ("function", "retries exhausted")
    slow = await app.job(throttled)
    assert (slow.state, slow.attempt) == (JobState.RETRYING, 9)
    bad = await app.job(refused)
    assert bad.error is not None
    assert (bad.state, bad.attempt, bad.error["class"]) == (JobState.FAILED, 1, "refused")


@yard("@fn.event()\nasync def late(ctx, event):\n    await note(ctx, ran=True)\n")
async def test_a_delayed_call_waits_and_one_too_long_is_refused(app: Yard) -> None:
    await app.enqueue("late", delay=60)
    await app.settle(59.9)
    assert await app.seen() == []
    await app.settle(0.1)
    assert len(await app.seen()) == 1
    await app.enqueue("late", delay=15 * 86_400)
    with pytest.raises(Problem) as caught:
        await app.enqueue("late", delay=15 * 86_400 + 1)
    assert caught.value.code is Code.INVALID_ARGUMENT


@yard(
    """
    @fn.event(on_failure=["function:told"])
    async def late(ctx, event):
        await note(ctx, ran=True)

    @fn.event()
    async def told(ctx, event):
        await note(ctx, state=event["state"], reason=event["reason"], attempts=event["attempts"])
    """
)
async def test_what_nobody_ran_in_time_expires_and_is_told_of(app: Yard) -> None:
    id = await app.enqueue("late", delay=10)
    app.clock.advance(10 + 6 * 3600)
    await app.settle()
    assert await app.seen() == [{"state": "expired", "reason": "expired", "attempts": 0}]
    assert (await app.job(id)).state is JobState.EXPIRED
    assert [job.id for job in await app.dead()] == [id]


@yard("@fn.event()\nasync def f(ctx, event):\n    await note(ctx, n=event)\n")
async def test_a_call_with_the_same_id_runs_once(app: Yard) -> None:
    ids = {await app.enqueue("f", n, invocation_id="same") for n in (1, 2)}
    await app.settle()
    assert ids == {"same"}
    assert await app.seen() == [{"n": 1}]


@yard("@fn.event()\nasync def f(ctx, event):\n    await note(ctx, n=event)\n")
async def test_a_function_that_is_gone_waits_for_its_return(app: Yard) -> None:
    id = await app.enqueue("f", 1)
    app.deploy("@fn.event()\nasync def other(ctx, event):\n    pass\n")
    await app.settle(0.5, 1)
    job = await app.job(id)
    assert job.error is not None
    assert (job.state, job.error["class"]) == (JobState.RETRYING, "system")
    app.deploy("@fn.event()\nasync def f(ctx, event):\n    await note(ctx, back=event)\n")
    await app.settle(2)
    assert await app.seen() == [{"back": 1}]


@yard("@fn.event()\nasync def f(ctx, event):\n    await note(ctx, n=event)\n")
async def test_unknown_functions_and_chains_too_deep_are_refused_at_once(app: Yard) -> None:
    for name, depth, code in (("g", 0, Code.NOT_FOUND), ("f", 16, Code.LOOP_DETECTED)):
        with pytest.raises(Problem) as caught:
            await app.enqueue(name, depth=depth)
        assert caught.value.code is code


@yard(ALWAYS_FAILS)
async def test_a_dead_letter_is_redriven_from_the_start(app: Yard) -> None:
    id = await app.enqueue("fails", {"n": 1})
    await app.settle(1, 2, 4, 86_400)
    letters = app.background.letters
    listed = await letters.list(states=DEAD)
    assert [job["id"] for job in listed["jobs"]] == [id]
    assert listed["jobs"][0]["payload"]["event"] == {"n": 1}
    app.deploy("@fn.event()\nasync def fails(ctx, event):\n    await note(ctx, mended=event)\n")
    assert (await letters.redrive(id))["state"] == "enqueued"
    await app.settle()
    assert (await app.seen())[-1] == {"mended": {"n": 1}}
    assert (await app.job(id)).attempt == 1
    with pytest.raises(Problem) as caught:
        await letters.redrive(id)
    assert caught.value.code is Code.NOT_FOUND


@yard("@fn.event()\nasync def f(ctx, event):\n    await note(ctx, n=event)\n")
async def test_only_its_caller_and_admins_stop_a_call(app: Yard) -> None:
    id = await app.enqueue("f", 1, actor=ANN, delay=60)
    with pytest.raises(Problem) as caught:
        await app.background.letters.stop(id, BOB)
    assert caught.value.code is Code.NOT_FOUND
    assert await app.background.letters.stop(id, ANN) is JobState.STOPPED
    other = await app.enqueue("f", 1, actor=ANN, delay=60)
    assert await app.background.letters.stop(other, SERVER) is JobState.STOPPED
    await app.settle(60)
    assert await app.seen() == []


@yard(
    """
    import asyncio

    @fn.event()
    async def long(ctx, event):
        await note(ctx, begun=True)
        await asyncio.sleep(20)
        await note(ctx, ended=True)
    """
)
async def test_a_running_call_is_cancelled_by_a_stop(app: Yard) -> None:
    id = await app.enqueue("long", actor=ANN)
    running = asyncio.create_task(app.background.run_once())
    while not await app.seen():  # noqa: ASYNC110 - the function runs in a task of the pump
        await asyncio.sleep(0)
    assert await app.background.letters.stop(id, ANN) is JobState.STOPPING
    await running
    assert (await app.job(id)).state is JobState.STOPPED
    assert await app.seen() == [{"begun": True}]


@yard("@fn.event()\nasync def f(ctx, event):\n    await note(ctx, n=event)\n")
async def test_a_call_whose_worker_keeps_dying_is_not_run_for_ever(app: Yard) -> None:
    id = await app.enqueue("f", 1)
    for _ in range(6):
        assert await app.store.jobs.claim(("calls:f",), 1, 10)
        app.clock.advance(10)
    await app.settle()
    job = await app.job(id)
    assert job.error is not None
    assert (job.state, job.error["code"]) == (JobState.FAILED, "LIMIT_EXCEEDED")
    assert await app.seen() == []


@yard("@fn.event()\nasync def big(ctx, event):\n    return 'x' * event\n")
async def test_a_result_too_large_to_keep_says_so(app: Yard) -> None:
    id = await app.enqueue("big", 2 * 1024**2)
    await app.settle()
    job = await app.job(id)
    assert job.state is JobState.SUCCEEDED
    assert job.result == b'{"tooLarge":2097154}'


@yard("@fn.event()\nasync def f(ctx, event):\n    return event\n")
async def test_finished_calls_are_forgotten_after_a_week(app: Yard) -> None:
    id = await app.enqueue("f", 1)
    await app.settle()
    app.clock.advance(6.9 * 86_400)
    await app.background.keep_once()
    assert (await app.job(id)).result == b"1"
    app.clock.advance(0.2 * 86_400)
    await app.background.keep_once()
    assert await app.store.jobs.get(id) is None
