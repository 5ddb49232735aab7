"""Calls of every isolation, many at once, ended, cut off and given up at random: whatever happens,
each has an answer, and afterwards everything is as free as it was before."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from baas.errors import Code, Problem
from baas.functions.host import MAX_SNAPSHOTS
from tests.support.invoking import Shop, shop, until

SOURCE = """
import asyncio, random, time

@fn.event(timeout=0.5)
async def inline(ctx, event):
    async with ctx.database.transaction() as tx:
        await tx.collection("posts").count()
        await asyncio.sleep(random.random() * 0.01)

@fn.event(timeout=0.05)
def thread(ctx, event):
    time.sleep(random.random() * 0.08)

@fn.event(isolation="process", concurrency=8, timeout=0.5)
async def process(ctx, event):
    async with ctx.database.transaction() as tx:
        await tx.collection("posts").count()
        await asyncio.sleep(random.random() * 0.01)

@fn.event(isolation="process", concurrency=4, timeout=0.1)
def killed(ctx, event):
    time.sleep(random.random() * 0.12)

@fn.event(concurrency=3)
async def nested(ctx, event):
    return await ctx.call("inline")
"""
NAMES = ("inline", "thread", "process", "killed", "nested")
USERS = 25
CALLS_EACH = 25
#: What the kit may say of a call that did not end well.
EXPECTED = (Code.UNAVAILABLE, Code.FUNCTION_TIMEOUT)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_left_of_a_storm(seed: int) -> None:
    chance = random.Random(seed)
    seen: Counter[str] = Counter()

    @shop(SOURCE)
    async def play(shop: Shop) -> None:
        async def user() -> None:
            for _ in range(CALLS_EACH):
                task = asyncio.create_task(shop.call(chance.choice(NAMES), {}))
                if chance.random() < 0.2:
                    await asyncio.sleep(chance.random() * 0.02)
                    task.cancel()
                try:
                    await task
                    seen["ok"] += 1
                except asyncio.CancelledError:
                    seen["given up"] += 1
                except Problem as problem:
                    seen[problem.code.name] += 1

        await asyncio.gather(*(user() for _ in range(USERS)))
        functions = shop.functions
        await until(lambda: not functions.invoker.threads.lingering)
        await until(lambda: not any(one.running for one in functions.workers.workers()))
        assert all(one.load == 0 for one in functions.workers.workers())
        assert functions.registry.primary is not None
        assert functions.registry.primary.calls == 0
        # Room for as many as before, and no transaction left open.
        assert functions.invoker.free("nested") == 3
        assert functions.snapshots == MAX_SNAPSHOTS
        assert await shop.call("nested") is None
        assert await shop.call("process") is None

    play()
    assert seen.total() == USERS * CALLS_EACH
    assert set(seen) <= {"ok", "given up", *(code.name for code in EXPECTED)}
    assert seen["ok"] > USERS
