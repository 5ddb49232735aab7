"""Rounds of trouble, each followed by silence in which everything has to agree."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final

import httpx
import msgspec

from tests.support.checker.subscribers import Subscriber
from tests.support.checker.targets import Caller, Target
from tests.support.checker.views import ChannelView, Fault, WatchView
from tests.support.checker.writers import Items, Letters, Writer

#: How long a view may need to agree with a fresh query, in seconds.
_AGREE_SECONDS: Final = 20.0
#: Those of killed processes are seen no longer than this.
_HEALED_SECONDS: Final = 45.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`pause`: seconds between one writer's writes, at most; `trouble`: between blows, about."""

    seed: int
    seconds: float
    round_seconds: float = 4.0
    subscribers: int = 5
    writers: int = 2
    pause: float = 0.06
    trouble: float = 1.5
    presence: bool = False


class Summary(msgspec.Struct):
    """What happened, for whoever reads it."""

    rounds: int = 0
    writes: int = 0
    visits: int = 0
    messages: int = 0
    letters: int = 0
    frames: dict[str, int] = {}
    blows: dict[str, int] = {}


class Checker:
    def __init__(self, target: Target, plan: Plan, say: Callable[[str], None]) -> None:
        self.target = target
        self.plan = plan
        self.say = say
        self.summary = Summary()
        self._random = Random(plan.seed)
        self._subscribers: list[Subscriber] = []
        self._letters: list[Letters] = []
        self._writers: list[Writer] = []
        self._order: ChannelView | None = None

    async def run(self) -> Summary:
        """Fault for a broken promise."""
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            await self._people(client)
            end = time.monotonic() + self.plan.seconds
            while time.monotonic() < end:
                await self._round()
            for one in (*self._subscribers, self._judge):
                await one.leave()
        self._count()
        return self.summary

    def _own(self) -> Random:
        """Each has its own chances, whatever the others do."""
        return Random(self._random.random())

    async def _caller(self, client: httpx.AsyncClient) -> Caller:
        caller = Caller(self.target, client, self._own())
        await caller.sign_in()
        return caller

    async def _people(self, client: httpx.AsyncClient) -> None:
        plan = self.plan
        self._judge = Subscriber("judge", await self._caller(client), self._own(), watches=0)
        del self._judge.hall.asked["presence"]
        items = Items(self._own(), f"r{plan.seed}")
        for number in range(plan.subscribers):
            caller = await self._caller(client)
            self._subscribers.append(Subscriber(f"s{number}", caller, self._own()))
            if self.target.key is not None:
                anybody = await self._caller(client)
                self._letters.append(Letters(anybody, caller.uid, self._own(), plan.pause * 5))
        for number in range(plan.writers):
            # Some write as one who watches, so that there is something of its own to see.
            whose = self._subscribers[number].caller if number % 2 else await self._caller(client)
            self._writers.append(Writer(whose, items, self._own(), plan.pause))
        await self._judge.settle(lambda: self._judge.hall.answered, "the judge's channel")

    # -- one round ---------------------------------------------------------------------------------

    async def _round(self) -> None:
        stopped = asyncio.Event()
        seconds = self.plan.round_seconds
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(one.run()) for one in (*self._writers, *self._letters)]
            troubled = group.create_task(self._trouble(stopped))
            for one in self._subscribers:
                await one.leave()
                group.create_task(one.run(stopped))
            await asyncio.sleep(seconds)
            stopped.set()
            await asyncio.wait([troubled])
            for task in working:
                task.cancel()
        await self._agree()
        self.summary.rounds += 1
        self.say(f"round {self.summary.rounds}: all agree")

    async def _trouble(self, stopped: asyncio.Event) -> None:
        while not stopped.is_set():
            await asyncio.sleep(self._random.random() * 2 * self.plan.trouble)
            if stopped.is_set():
                return
            blow = await self.target.trouble(self._random)
            if blow is not None:
                self.say(blow)
                self.summary.blows[blow] = self.summary.blows.get(blow, 0) + 1

    # -- afterwards --------------------------------------------------------------------------------

    async def _agree(self) -> None:
        async with asyncio.TaskGroup() as group:
            for one in self._subscribers:
                group.create_task(self._views_of(one))
        await self._channel()
        for one, letters in zip(self._subscribers, self._letters, strict=False):
            await one.settle(
                lambda one=one, letters=letters: (  # type: ignore[misc]
                    letters.confirmed <= set(one.inbox.log)
                ),
                "its letters",
            )
            one.inbox.check_growing(letters.confirmed)
        if self.plan.presence:
            await self._presence()

    async def _views_of(self, one: Subscriber) -> None:
        await one.settle(lambda: all(view.answered for view in one.views), "answers")
        for view in one.watches:
            await self._agrees(one, view)

    async def _agrees(self, one: Subscriber, view: WatchView) -> None:
        asked = view.asked
        query = {
            name: asked[name] for name in ("filter", "sort", "limit", "fields") if name in asked
        }
        deadline = time.monotonic() + _AGREE_SECONDS
        expected = await one.caller.find(query)
        while not _same(view.result, expected):
            if time.monotonic() > deadline:
                mine, theirs = [_short(rows) for rows in (view.result, expected)]
                view.must(False, f"the view is\n  {mine}\nand a fresh query gives\n  {theirs}")
            seen = view.kinds.copy()
            later = time.monotonic() + 0.5
            await one.settle(
                lambda seen=seen, later=later: (  # type: ignore[misc]
                    view.kinds != seen or time.monotonic() > later
                ),
                "more",
            )
            expected = await one.caller.find(query)

    async def _channel(self) -> None:
        """All hear the judge's last word, and what came before in the one order."""
        judge = self._judge
        mark = await self._last_word()
        for one in (judge, *self._subscribers):
            await one.settle(lambda one=one: mark in one.hall.log, "the last message")  # type: ignore[misc]
        order = judge.hall.log
        for one in self._subscribers:
            one.hall.check_against(order)
            lost = [data for data in one.confirmed if data not in order]
            one.hall.must(not lost, f"acknowledged and lost: {lost}")

    async def _last_word(self) -> list[Any]:
        """Each attempt is another: one that was not acknowledged may be there all the same."""
        for attempt in itertools.count():
            await self._judge.settle(lambda: self._judge.hall.answered, "the judge's channel")
            mark = ["judge", self.summary.rounds, attempt]
            if await self._judge.publish(mark):
                return mark
        raise AssertionError

    async def _presence(self) -> None:
        there = {one.session for one in self._subscribers}
        deadline = time.monotonic() + _HEALED_SECONDS
        for one in self._subscribers:
            while set(one.hall.present) != there:
                if time.monotonic() > deadline:
                    one.hall.must(False, f"sees {sorted(one.hall.present)}, not {sorted(there)}")
                later = time.monotonic() + 0.5
                await one.settle(lambda later=later: time.monotonic() > later, "presence")  # type: ignore[misc]
                there = {other.session for other in self._subscribers}

    def _count(self) -> None:
        summary = self.summary
        summary.writes = sum(one.writes for one in self._writers)
        summary.visits = sum(one.visits for one in self._subscribers)
        summary.messages = len(self._judge.hall.log)
        summary.letters = sum(len(one.confirmed) for one in self._letters)
        for one in self._subscribers:
            for view in one.watches:
                for kind, count in view.kinds.items():
                    summary.frames[kind] = summary.frames.get(kind, 0) + count


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _short(rows: list[Any]) -> list[Any]:
    return [{k: v for k, v in row.items() if k in ("_id", "n", "v", "tag", "open")} for row in rows]


async def check(target: Target, plan: Plan, say: Callable[[str], None] = print) -> Summary:
    """Runs the plan; a Fault names the seed."""
    try:
        return await Checker(target, plan, say).run()
    except* Fault as faults:
        first: BaseException = faults
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise Fault(f"seed {plan.seed}: {first}") from faults
