"""Claims over many queues, so that none of them starves another.

Asynchronous calls have a queue per function. Three rules share the room of a gateway process:

1. No more run than there is room for.
2. A quarter of the room is kept for functions of which nothing runs. So a slow function with a
   backlog does not keep another from running; and where so many do that even this is full, the next
   call to end makes room for one of which nothing runs before any other.
3. The rest goes one by one to whoever has the fewest running, up to what the function can run at
   once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from heapq import heapify, heappop, heappush
from itertools import chain
from typing import Final

from baas.functions.model import FunctionSpec
from baas.functions.pump import LEASE_SECONDS, LOOK_SECONDS, Handler, Pump
from baas.ports.documents import resolve
from baas.ports.jobs import Job, JobQueue

#: How often other queues are looked at while some have all the room that they can have and there
#: is room for a newcomer. To be woken would cost more: a look with every job that anybody adds.
_NEWCOMER_SECONDS: Final = 0.01
#: One in so many places is for functions of which nothing runs.
_KEPT: Final = 4


class FairPump(Pump):
    """`queues` as for `JobQueue.ready`; `most` is how many of one queue's may run at once, None:
    as many as there is room for. One job goes to one call of `handle`."""

    def __init__(
        self,
        jobs: JobQueue,
        queues: Sequence[str],
        handle: Handler,
        *,
        at_once: int,
        most: Callable[[str], int | None],
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        super().__init__(jobs, queues, handle, at_once=at_once, lease_seconds=lease_seconds)
        self._most = most
        self._last = ""

    async def _claim(self) -> None:
        await self._keep_leases()
        self._room.clear()
        ready = await resolve(self._jobs.ready(self._queues))
        found = await self._take(ready)
        self._begin(found)
        if found:
            return
        if not ready:
            await self._jobs.wait(self._queues, LOOK_SECONDS)
        elif len(self._held) >= self._at_once:
            await self._room.wait()
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(_NEWCOMER_SECONDS):
                    await self._room.wait()

    async def _found_once(self) -> list[Job]:
        return await self._take(await resolve(self._jobs.ready(self._queues)))

    async def _take(self, ready: Sequence[str]) -> list[Job]:
        running = Counter(job.queue for held in self._held for job in held.jobs)
        wanted = shares(self._in_turn(ready), running, self._at_once, self._most)
        claims = (self._jobs.claim((queue,), n, self._lease) for queue, n in wanted.items())
        found = list(chain(*await asyncio.gather(*claims)))
        if found:
            self._last = found[-1].queue
        return found

    def _in_turn(self, ready: Sequence[str]) -> list[str]:
        """Beginning behind whoever was the last, so that no name is always the first."""
        return sorted(ready, key=lambda queue: (queue <= self._last, queue))


def shares(
    ready: Sequence[str],
    running: Counter[str],
    room: int,
    most: Callable[[str], int | None],
) -> dict[str, int]:
    """How many more of each queue may begin, by the rules of this module. Of queues that have
    equally few, those that stand first in `ready` come first."""
    free = room - running.total()
    newcomers = [queue for queue in ready if not running[queue]]
    found = dict.fromkeys(newcomers[: max(free, 0)], 1)
    free -= len(found) + kept(room)
    bounds = {queue: _bound(most(queue), room) for queue in ready}
    turns = [
        (running[queue] + found.get(queue, 0), place, queue) for place, queue in enumerate(ready)
    ]
    heapify(turns)
    while free > 0 and turns:
        has, place, queue = heappop(turns)
        if has < bounds[queue]:
            found[queue] = found.get(queue, 0) + 1
            free -= 1
            heappush(turns, (has + 1, place, queue))
    return found


def kept(room: int) -> int:
    """How much of it is for functions of which nothing runs: a quarter, at least one; nothing where
    there is room for one call alone."""
    return max(1, room // _KEPT) if room > 1 else 0


def _bound(most: int | None, room: int) -> int:
    return room if most is None else min(most, room)


def most_at_once(spec: FunctionSpec) -> int | None:
    """How many calls of a function one gateway process can run at once; None: no bound."""
    if spec.isolation == "process":
        return spec.max_workers * (spec.concurrency or 1)
    return spec.concurrency
