"""The writer's thread: whatever must not happen on the event loop, one piece after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue

Work = Callable[[], None]
Then = Callable[[BaseException | None], None]


class CommitThread:
    """Runs work and tells the loop how it ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: SimpleQueue[tuple[Work, Then] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="baas-write", daemon=True)
        self._thread.start()

    def submit(self, work: Work, then: Then) -> None:
        """`then` is called on the loop, with what `work` raised or None."""
        self._queue.put((work, then))

    def close(self) -> None:
        """Waits for the work that was taken; blocks."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            work, then = item
            fault: BaseException | None = None
            try:
                work()
            except BaseException as error:
                fault = error
            self._loop.call_soon_threadsafe(then, fault)
