"""How many calls of a function run at once, and how many may wait for their turn."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from baas.errors import Code, Problem

#: Calls that wait, for each one that may run. More are told to come back.
WAITING_PER_SLOT: Final = 50
#: A client that is refused is asked to wait so many seconds.
RETRY_SECONDS: Final = 1.0


class Busy(Problem):
    """The kit has no room for this call now: UNAVAILABLE, before the function has begun."""

    def __init__(self, detail: str = "The function has too many calls waiting; try again.") -> None:
        super().__init__(Code.UNAVAILABLE, detail, retry_after=RETRY_SECONDS)


class Slots:
    """First come, first served. A free slot costs no wait."""

    def __init__(self, count: int, waiting: int | None = None) -> None:
        self._free = count
        self._most = count * WAITING_PER_SLOT if waiting is None else waiting
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> int:
        return self._free

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def take(self, patience: float) -> None:
        """Busy where too many wait already, or none came free in `patience` seconds."""
        if self._free > 0 and not self._queue:
            self._free -= 1
            return
        if len(self._queue) >= self._most:
            raise Busy()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(patience):
                await turn
        except BaseException as reason:
            if turn.done() and not turn.cancelled():
                # It was handed over in the same moment: pass it on.
                self.give()
            elif turn in self._queue:  # `give` may have passed it over already
                self._queue.remove(turn)
            if isinstance(reason, TimeoutError):
                raise Busy() from None
            raise

    def give(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
