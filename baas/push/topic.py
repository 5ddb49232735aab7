"""One id of a session: a watch or a joined channel, and the work that is still to do for it.

What a client asks of one id happens in the order asked. Ids do not wait for each other, except that
a session runs no more than `MAX_STEPS` steps at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from baas.errors import Code, Problem
from baas.push.contract import Joined, Subscription

_log = logging.getLogger(__name__)

#: Watches and joins of one session that are being opened or renewed at once.
MAX_STEPS: Final = 8

Step = Callable[[], Awaitable[object]]


class Topic:
    """`open` is the subscription, once there is one; `joined` the same for a channel. Messages are
    and acknowledgements are `unsent` until their step comes, then tasks of `publishing` until they
    are durable. `size`:
    bytes of frames that are not acted on yet."""

    __slots__ = (
        "_steps",
        "closed",
        "id",
        "is_channel",
        "joined",
        "leaving",
        "open",
        "publishing",
        "size",
        "todo",
        "unsent",
    )

    def __init__(self, id: str, steps: Steps, *, is_channel: bool) -> None:
        self.id = id
        self.is_channel = is_channel
        self.open: Subscription | None = None
        self.joined: Joined | None = None
        self.closed = False
        self.leaving = False
        self.unsent = 0
        self.publishing: set[asyncio.Task[None]] = set()
        self.size = 0
        self.todo: deque[tuple[Step, int]] = deque()
        self._steps = steps

    def then(self, step: Step, size: int = 0) -> None:
        """Runs `step` after all that was asked before; it holds a frame of `size` bytes."""
        self.size += size
        self.todo.append((step, size))
        self._steps.wake(self)

    def opened(self, subscription: Subscription) -> None:
        self.open = subscription
        if self.closed:  # ended while it was being opened
            subscription.close()

    def close(self) -> None:
        """No frame is sent for it any more; what is under way is broken off. Safe twice."""
        if self.closed:
            return
        self.closed = True
        self.todo.clear()
        self._steps.break_off(self)
        if self.open is not None:
            self.open.close()


class Steps:
    """The steps under way in one session. `failed` is told what a step raised."""

    __slots__ = ("_failed", "_running", "_waiting")

    def __init__(self, failed: Callable[[Topic, Problem], None]) -> None:
        self._failed = failed
        self._running: dict[Topic, asyncio.Task[None]] = {}
        self._waiting: deque[Topic] = deque()

    @property
    def busy(self) -> bool:
        return bool(self._running)

    async def settled(self) -> None:
        """Until nothing is under way."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    def wake(self, topic: Topic) -> None:
        if topic not in self._running and len(topic.todo) == 1:
            self._waiting.append(topic)
            self._fill()

    def break_off(self, topic: Topic) -> None:
        task = self._running.get(topic)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < MAX_STEPS:
            topic = self._waiting.popleft()
            if topic.todo:
                step, size = topic.todo.popleft()
                task = asyncio.get_running_loop().create_task(self._run(topic, step))
                self._running[topic] = task
                # Not in a `finally`: a task that is cancelled before it began runs none.
                task.add_done_callback(partial(self._done, topic, size))

    async def _run(self, topic: Topic, step: Step) -> None:
        try:
            await step()
        except Problem as problem:
            self._failed(topic, problem)
        except Exception:
            _log.exception("a step of a realtime session failed")
            self._failed(topic, Problem(Code.INTERNAL, "Something went wrong on this side."))

    def _done(self, topic: Topic, size: int, _: asyncio.Task[None]) -> None:
        del self._running[topic]
        topic.size -= size
        if topic.todo:
            self._waiting.append(topic)
        self._fill()
