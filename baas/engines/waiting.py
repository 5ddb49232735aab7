"""Waiting for the next write, of this process or of another on the same data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

Look: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Waiters:
    """Who waits for something to be written. `look`, where given, runs for as long as somebody
    waits (while this is true) and wakes them after what other processes wrote."""

    def __init__(self, look: Look | None = None) -> None:
        self._look = look
        self._looking: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    async def wait(self, seconds: float) -> None:
        """Until somebody wakes them, or so long."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiting.add(waiter)
        if self._look is not None and (self._looking is None or self._looking.done()):
            self._looking = loop.create_task(self._look())
        try:
            await asyncio.wait((waiter,), timeout=seconds)
        finally:
            self._waiting.discard(waiter)

    def wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
