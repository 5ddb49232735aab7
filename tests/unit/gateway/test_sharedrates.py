"""Limits over several processes: one bucket for a caller, wherever it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from baas.clock import ManualClock
from baas.engines.sqlite.store import SqliteStore
from baas.gateway.ratelimit import RateLimit
from baas.gateway.sharedrates import RATE_COLLECTIONS, RATES, SharedRates
from tests.unit.gateway.test_ratelimit import take_all

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(clock: ManualClock) -> AsyncIterator[SqliteStore]:
    store = SqliteStore.memory(clock=clock)
    await store.open()
    await store.declare(RATE_COLLECTIONS)
    yield store
    await store.close()


class Process:
    """One gateway process, as far as limits go. It exchanges when told to."""

    def __init__(self, store: Any, clock: ManualClock, rate: str = "100/m") -> None:
        self.limit = RateLimit(rate, clock.monotonic)
        self.asked = 0
        self.limit.share(self._ask)
        self.shared = SharedRates({"read": self.limit}, store, clock)

    def _ask(self) -> None:
        self.asked += 1

    async def take(self, caller: str, most: int = 1000) -> int:
        """As many as pass, with an exchange whenever one is asked for."""
        taken = 0
        while taken < most and take_all(self.limit, caller, 1):
            taken += 1
            if self.asked:
                self.asked = 0
                await self.shared.exchange()
        return taken


async def test_going_from_one_to_the_next_gives_no_more(store, clock) -> None:
    processes = [Process(store, clock) for _ in range(4)]
    taken = [await process.take("a", 50) for process in processes]
    assert sum(taken) <= 120
    # Those that knew nothing of it let in a twentieth at most, and then no one more.
    assert taken[2] <= 5
    assert taken[3] <= 5
    # The first heard last when it had taken 50 itself.
    assert sum([await process.take("a") for process in processes]) <= 5
    assert sum([await process.take("a") for process in processes]) == 0


async def test_the_bucket_refills_for_all_together(store, clock) -> None:
    one, other = Process(store, clock), Process(store, clock)
    await one.take("a", 100)
    await other.take("a")
    clock.advance(30)
    assert 40 <= await one.take("a") + await other.take("a") <= 55


async def test_nobody_owes_more_than_a_bucket(store, clock) -> None:
    processes = [Process(store, clock) for _ in range(8)]
    for process in processes:  # all at once, before anybody heard of anything
        take_all(process.limit, "a")
    for process in processes:
        await process.shared.exchange()
    clock.advance(60)
    assert await processes[0].take("a") == 100


async def test_callers_have_buckets_of_their_own(store, clock) -> None:
    one, other = Process(store, clock), Process(store, clock)
    await one.take("a", 100)
    await other.take("a")
    assert await other.take("b") == 100


async def test_who_takes_little_costs_no_write(store, clock) -> None:
    one = Process(store, clock)
    for number in range(50):
        await one.take(f"caller {number}", 4)
    assert one.asked == 0
    await one.shared.exchange()
    assert await store.count(RATES) == 0


async def test_what_was_given_back_is_not_told(store, clock) -> None:
    one, other = Process(store, clock, "10/h"), Process(store, clock, "10/h")
    for _ in range(30):  # right passwords
        one.limit.take("ann")
        one.limit.give_back("ann")
    await one.shared.exchange()
    assert await other.take("ann") == 10
