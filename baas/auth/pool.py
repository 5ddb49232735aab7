"""A small thread pool that refuses work instead of letting a queue grow without end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from baas.errors import Code, Problem

T = TypeVar("T")


class BoundedPool:
    """At most `workers` pieces of work at once and `queue` waiting; more is UNAVAILABLE.

    A caller that goes away does not stop its work: it is counted until it is done.
    """

    def __init__(self, name: str, workers: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix=f"baas-{name}")
        self._limit = workers + queue
        self._pending: set[Future[Any]] = set()

    async def run(self, work: Callable[[], T]) -> T:
        if len(self._pending) >= self._limit:
            raise Problem(Code.UNAVAILABLE, "Too many sign-ins are under way.", retry_after=1)
        try:
            future = self._executor.submit(work)
        except RuntimeError:  # closed: the process is about to end
            raise Problem(Code.UNAVAILABLE, "The service is stopping.", retry_after=1) from None
        self._pending.add(future)
        # Called in the worker thread; removing one element of a set is atomic.
        future.add_done_callback(self._pending.discard)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Waits for what runs; what still waits is cancelled."""
        self._executor.shutdown(wait=True, cancel_futures=True)
