"""Threads for sync functions.

A thread cannot be stopped. One whose caller was told FUNCTION_TIMEOUT goes on by itself: it is
counted as lingering, another takes its place, and it ends when its work does. So many may linger
and no more; then new work is refused until some have ended.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any, Final

from baas.functions.limits import Busy

MAX_THREADS: Final = 32
#: So many times more for calls that other calls wait for: those hold a thread already, and with
#: none left for what they wait for, all would stand still until their limits.
NESTED_FACTOR: Final = 4
#: A thread without work for so long, in seconds, ends.
IDLE_SECONDS: Final = 60.0
MAX_LINGERING: Final = 64


class _Work:
    """One call. `abandoned` is set on the loop once nobody waits for it any more."""

    __slots__ = ("abandoned", "future", "loop", "run", "started")

    def __init__(self, run: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        context = copy_context()
        self.run = lambda: context.run(run)
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.started = False
        self.abandoned = False


class Threads:
    """A pool. `run` is called on the loop; threads are daemons, so that one that lingers does not
    hold up the end of the process."""

    def __init__(self, threads: int = MAX_THREADS, lingering: int = MAX_LINGERING) -> None:
        self._most = threads
        self._most_lingering = lingering
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._live = 0
        self._idle = 0
        self._queued = 0
        self._closed = False
        self.lingering = 0

    async def run(self, work: Callable[[], Any], *, nested: bool = False) -> Any:
        """What `work` gives or raises. Cancelled: the thread lingers (see the module). `nested`:
        another call waits for it."""
        item = _Work(work, asyncio.get_running_loop())
        self._submit(item, self._most * (NESTED_FACTOR if nested else 1))
        try:
            return await item.future
        except asyncio.CancelledError:
            self._abandon(item)
            raise

    def _submit(self, item: _Work, most: int) -> None:
        with self._lock:
            if self.lingering >= self._most_lingering:
                raise Busy("Too many functions run past their time limit; try again.")
            self._queued += 1
            if self._queued > self._idle and self._live < most:
                self._live += 1
                threading.Thread(target=self._serve, name="baas-function", daemon=True).start()
        self._work.put(item)

    def _abandon(self, item: _Work) -> None:
        with self._lock:
            item.abandoned = True
            if item.started:
                self.lingering += 1
                self._live -= 1

    def _serve(self) -> None:
        while (item := self._next()) is not None:
            outcome = _outcome(item.run)
            if not self._ended(item):
                return
            _tell(item, outcome)
            del item, outcome

    def _next(self) -> _Work | None:
        """Work that somebody waits for; None at the end, and after a time without any."""
        while True:
            with self._lock:
                self._idle += 1
            try:
                item = self._work.get(timeout=IDLE_SECONDS)
            except Empty:
                item = None
            with self._lock:
                self._idle -= 1
                if item is None:
                    if self._queued > self._idle and not self._closed:
                        continue  # work was counted on this thread in the same moment
                    self._live -= 1
                    return None
                self._queued -= 1
                if not item.abandoned:
                    item.started = True
                    return item

    def _ended(self, item: _Work) -> bool:
        """Whether the work was still waited for; if not, another thread has taken this one's
        place."""
        with self._lock:
            if item.abandoned:
                self.lingering -= 1
                return False
            item.started = False
            return True

    def close(self) -> None:
        """Idle threads end; those at work end after it."""
        with self._lock:
            self._closed = True
            live = self._live
        for _ in range(live):
            self._work.put(None)


def _outcome(run: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return run(), None
    except BaseException as fault:
        return None, fault


def _tell(item: _Work, outcome: tuple[Any, BaseException | None]) -> None:
    def settle() -> None:
        if item.future.done():
            return
        result, fault = outcome
        if fault is None:
            item.future.set_result(result)
        elif isinstance(fault, StopIteration):
            item.future.set_exception(RuntimeError("the function raised StopIteration"))
        else:
            item.future.set_exception(fault)

    try:
        item.loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop is closed: nobody waits
        return
