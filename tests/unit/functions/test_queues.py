"""Queues: batches, partial failure, delay, order, dead letters."""

from __future__ import annotations

from typing import Any

from baas.ports.jobs import JobState
from tests.support.background import Yard, yard

BATCHES = """
@fn.on("queue.mails", batch=3)
async def mails(ctx, event):
    await note(ctx, bodies=[m.body for m in event.messages], attempt=ctx.attempt,
               attempts=[m.attempt for m in event.messages], actor=event.actor, auth=ctx.auth)
    return {"failed": [m.id for m in event.messages if m.body == "bad"]}

@fn.event()
async def send(ctx, event):
    for body in event["bodies"]:
        await ctx.queue.send("mails", body, **event.get("options", {}))
"""


async def send(app: Yard, *bodies: Any, **options: Any) -> None:
    await app.functions.invoke(call(bodies, options))


def call(bodies: Any, options: Any) -> Any:
    from baas.functions.model import Call
    from baas.schema.actor import Actor

    actor = Actor(uid="ann", cache_key="ann")
    return Call(function="send", event={"bodies": list(bodies), "options": options}, actor=actor)


async def bodies(app: Yard) -> list[Any]:
    return [one["bodies"] for one in await app.seen()]


@yard(BATCHES)
async def test_messages_come_in_batches_with_who_is_behind_them(app: Yard) -> None:
    await send(app, 1, 2, 3, 4)
    await app.settle()
    assert sorted(await bodies(app), key=len, reverse=True) == [[1, 2, 3], [4]]
    assert {(one["actor"], one["auth"]) for one in await app.seen()} == {("ann", None)}


@yard(BATCHES)
async def test_only_the_messages_named_as_failed_come_again(app: Yard) -> None:
    await send(app, 1, "bad", 3)
    await app.settle(1)
    assert await bodies(app) == [[1, "bad", 3], ["bad"]]
    assert (await app.seen())[1]["attempts"] == [2]


@yard(BATCHES)
async def test_a_message_that_always_fails_is_a_dead_letter_of_its_own(app: Yard) -> None:
    await send(app, 1, "bad")
    await app.settle(1, 2, 4, 600)
    assert [one for one in await bodies(app) if one == ["bad"]] == [["bad"]] * 3
    (letter,) = await app.dead()
    assert letter.error is not None
    assert (letter.queue, letter.attempt, letter.error["reason"]) == (
        "queue:mails", 4, "retries exhausted",
    )  # fmt: skip
    app.deploy(BATCHES.replace('== "bad"', '== "worse"'))
    await app.background.letters.redrive(letter.id)
    await app.settle()
    assert await app.dead() == []
    assert (await bodies(app))[-1] == ["bad"]


@yard(
    """
    @fn.on("queue.mails", batch=5)
    async def mails(ctx, event):
        raise ValueError

    @fn.event()
    async def send(ctx, event):
        for body in event["bodies"]:
            await ctx.queue.send("mails", body)
    """
)
async def test_a_batch_that_raises_fails_all_of_it(app: Yard) -> None:
    await send(app, 1, 2)
    await app.settle()
    jobs = await app.store.jobs.list(queue="queue:mails")
    assert [job.state for job in jobs] == [JobState.RETRYING] * 2


@yard(BATCHES)
async def test_a_delayed_message_waits(app: Yard) -> None:
    await send(app, 1, delay=60)
    await app.settle(59)
    assert await bodies(app) == []
    await app.settle(1)
    assert await bodies(app) == [[1]]


@yard(BATCHES)
async def test_messages_with_one_ordering_key_come_one_after_the_other(app: Yard) -> None:
    await send(app, "bad", 2, 3, ordering="k")
    await app.settle(1, 2)
    assert [2] not in await bodies(app)
    await app.settle(4)
    assert await bodies(app) == [["bad"]] * 4 + [[2], [3]]


@yard(BATCHES)
async def test_messages_wait_for_somebody_to_listen(app: Yard) -> None:
    app.deploy(BATCHES.replace('"queue.mails"', '"queue.others"'))
    await send(app, 1)
    await app.settle(3600)
    assert await bodies(app) == []
    app.deploy(BATCHES)
    await app.settle()
    assert await bodies(app) == [[1]]


@yard(BATCHES)
async def test_messages_that_nobody_takes_in_days_go(app: Yard) -> None:
    app.deploy(BATCHES.replace('"queue.mails"', '"queue.others"'))
    await send(app, 1)
    app.clock.advance(12 * 86_400)
    await app.background.keep_once()
    assert await app.store.jobs.counts() == {}
