"""Who rests on what the rules decided, and is asked again when that may be otherwise now."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final, Generic, TypeVar

import msgspec

from baas.clock import Clock
from baas.ports.changes import ChangeEvent
from baas.push.contract import FeedListener, Follower
from baas.rules.needs import Needs

T = TypeVar("T")

#: Rules that speak of the time are asked again so often, in seconds.
TIME_SECONDS: Final = 30.0
#: So many are asked before others get their turn in the loop.
_ASKED_AT_ONCE: Final = 20


class Basis(msgspec.Struct, frozen=True):
    """What a decision rests on. `looked_up` names the documents that decided; `turned` counts the
    changes that were known before they were read."""

    needs: Needs = Needs()
    looked_up: frozenset[tuple[str, str]] = frozenset()
    turned: int = 0


_NOTHING: Final = Basis()


class Listening:
    """Collections that one listener follows, each for as long as somebody needs it."""

    def __init__(self, follower: Follower, listener: FeedListener) -> None:
        self._follower = follower
        self._listener = listener
        self._needed: Counter[str] = Counter()

    def add(self, names: Iterable[str]) -> None:
        for name in names:
            self._needed[name] += 1
            if self._needed[name] == 1:
                self._follower.listen(name, self._listener)

    def drop(self, names: Iterable[str]) -> None:
        for name in names:
            self._needed[name] -= 1
            if not self._needed[name]:
                del self._needed[name]
                self._follower.ignore(name, self._listener)


class Resting(Generic[T]):
    """`ask` asks the rules for one again; it may not raise. The listener passes on what changes by
    `note`, and calls `ask_noted` behind each commit."""

    def __init__(
        self,
        follower: Follower,
        listening: Listening,
        clock: Clock,
        ask: Callable[[T], Awaitable[None]],
    ) -> None:
        self._follower = follower
        self._listening = listening
        self._clock = clock
        self._ask = ask
        self._bases: dict[T, Basis] = {}
        self._by_document: dict[tuple[str, str], set[T]] = {}
        self._turns: Counter[str] = Counter()
        self._noted: dict[T, None] = {}
        self._timed: dict[T, float] = {}
        self._stale: dict[T, None] = {}
        self._asking: asyncio.Task[None] | None = None
        self._ticking: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self._asking is not None and not self._asking.done()

    async def stop(self) -> None:
        for task in (self._asking, self._ticking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    # -- what they rest on -------------------------------------------------------------------------

    @asynccontextmanager
    async def looking(self, needs: Needs) -> AsyncIterator[int]:
        """While documents are read that decide: what changes meanwhile is not missed. Gives what
        `Basis.turned` is to be."""
        self._listening.add(needs.collections)
        try:
            if needs.collections:
                await self._follower.ready()
            yield self._turned(needs)
        finally:
            self._listening.drop(needs.collections)

    def _turned(self, needs: Needs) -> int:
        return sum(self._turns[name] for name in needs.collections)

    def put(self, one: T, basis: Basis) -> None:
        """`one` rests on this from now on, and on nothing else."""
        self._listening.add(basis.needs.collections)
        before = self._bases.get(one, _NOTHING)
        self._forget(one)
        self._bases[one] = basis
        for key in basis.looked_up:
            self._by_document.setdefault(key, set()).add(one)
        if before.looked_up != basis.looked_up and basis.turned != self._turned(basis.needs):
            self.ask([one])  # a document may have changed before it was known here
        if basis.needs.time:
            self._timed[one] = self._clock.monotonic() + TIME_SECONDS
            if self._ticking is None or self._ticking.done():
                self._ticking = asyncio.get_running_loop().create_task(self._tick())

    def drop(self, one: T) -> None:
        """Safe for one that is not there."""
        self._forget(one)
        self._stale.pop(one, None)
        self._noted.pop(one, None)

    def _forget(self, one: T) -> None:
        basis = self._bases.pop(one, _NOTHING)
        self._timed.pop(one, None)
        for key in basis.looked_up:
            self._by_document[key].discard(one)
            if not self._by_document[key]:
                del self._by_document[key]
        self._listening.drop(basis.needs.collections)

    # -- asking again ------------------------------------------------------------------------------

    def note(self, event: ChangeEvent) -> None:
        self._turns[event.collection] += 1
        for one in self._by_document.get((event.collection, event.id), ()):
            self._noted[one] = None

    def ask_noted(self) -> None:
        noted, self._noted = self._noted, {}
        self.ask(noted)

    def ask_all(self) -> None:
        self.ask(self._bases)

    def ask(self, ones: Iterable[T]) -> None:
        self._stale.update(dict.fromkeys(ones))
        if self._stale and not self.busy:
            self._asking = asyncio.get_running_loop().create_task(self._ask_stale())

    async def _ask_stale(self) -> None:
        asked = 0
        while self._stale:
            one = next(iter(self._stale))
            del self._stale[one]
            await self._ask(one)
            asked += 1
            if asked % _ASKED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _tick(self) -> None:
        """As long as some rule speaks of the time."""
        while self._timed:
            await asyncio.sleep(1.0)
            self.ask_the_timed()

    def ask_the_timed(self) -> None:
        """Those whose time has come."""
        now = self._clock.monotonic()
        due = [one for one, moment in self._timed.items() if moment <= now]
        for one in due:
            self._timed[one] = now + TIME_SECONDS
        self.ask(due)
