"""The process's one reader of the change feed, for all that is followed here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from baas.ports.changes import ChangeEvent, ChangeFeed, CursorTooOld
from baas.ports.documents import resolve
from baas.push.contract import Commit, FeedListener

_log = logging.getLogger(__name__)

#: Events of one read. Each may hold two documents of a megabyte.
PAGE: Final = 200
#: The feed is looked at so often, in seconds, although nothing has been signalled.
LOOK_SECONDS: Final = 1.0
#: After a fault.
_AGAIN_SECONDS: Final = 0.5
#: After so long others get their turn in the loop.
_TURN_SECONDS: Final = 0.02


class FeedFollower:
    """See `baas.push.contract.Follower`. `feed` is there once the store is open."""

    def __init__(self, feed: Callable[[], ChangeFeed]) -> None:
        self._feed = feed
        self._position = ""
        self._listeners: dict[str, dict[FeedListener, None]] = {}
        self._wanted = asyncio.Event()
        self._following = asyncio.Event()
        self._astray = False
        self._task: asyncio.Task[None] | None = None

    @property
    def position(self) -> str:
        return self._position

    @property
    def listens(self) -> bool:
        """Whether anybody does."""
        return bool(self._listeners)

    async def start(self) -> None:
        self._position = await resolve(self._feed().head())
        self._task = asyncio.create_task(self._follow(), name="baas-follower")

    async def stop(self) -> None:
        """Safe twice, and before `start`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def listen(self, collection: str, listener: FeedListener) -> None:
        self._listeners.setdefault(collection, {})[listener] = None
        self._wanted.set()

    def ignore(self, collection: str, listener: FeedListener) -> None:
        listeners = self._listeners.get(collection, {})
        listeners.pop(listener, None)
        if not listeners:
            self._listeners.pop(collection, None)
        if not self._listeners:
            self._wanted.clear()

    async def ready(self) -> None:
        await self._following.wait()

    async def _follow(self) -> None:
        while True:
            if not self._listeners:
                self._following.clear()
                await self._wanted.wait()
            try:
                if self._astray or not self._following.is_set():
                    await self._begin()
                await self._step()
            except CursorTooOld:
                self._astray = True
            except Exception:
                _log.exception("the change feed could not be read")
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _begin(self) -> None:
        """At the feed's end: what was written while nobody listened is nobody's concern."""
        self._position = await resolve(self._feed().head())
        astray, self._astray = self._astray, False
        self._following.set()
        if astray:
            self._lost()

    async def _step(self) -> None:
        """One page, or a while of waiting for it."""
        events = await self._whole(await resolve(self._feed().read(self._position, PAGE)))
        if not events:
            await self._feed().wait(self._position, LOOK_SECONDS)
            return
        since = time.monotonic()
        for commit in commits_of(events):
            if time.monotonic() - since > _TURN_SECONDS:
                await asyncio.sleep(0)  # a long backlog stalls nobody
                since = time.monotonic()
            self._position = commit.position
            self._pass_on(commit)
        await asyncio.sleep(0)

    async def _whole(self, events: list[ChangeEvent]) -> list[ChangeEvent]:
        """A full page ends where it may, mostly within a transaction: the rest of that one."""
        while events and len(events) % PAGE == 0:
            more = await resolve(self._feed().read(events[-1].cursor, PAGE))
            own = [event for event in more if event.transaction == events[-1].transaction]
            events = events + own
            if len(own) < PAGE:
                break
        return events

    def _pass_on(self, commit: Commit) -> None:
        touched: dict[FeedListener, None] = {}
        for event in commit.events:
            touched.update(self._listeners.get(event.collection, {}))
        for listener in touched:
            try:
                listener.take(commit)
            except Exception:  # the others are to have it all the same
                _log.exception("a follower of the change feed failed")

    def _lost(self) -> None:
        everyone: dict[FeedListener, None] = {}
        for listeners in self._listeners.values():
            everyone.update(listeners)
        for listener in everyone:
            listener.lost()


def commits_of(events: list[ChangeEvent]) -> list[Commit]:
    """Neighbours of one transaction together."""
    commits: list[Commit] = []
    together: list[ChangeEvent] = []
    for event in events:
        if together and event.transaction != together[-1].transaction:
            commits.append(_commit(together))
            together = []
        together.append(event)
    if together:
        commits.append(_commit(together))
    return commits


def _commit(events: list[ChangeEvent]) -> Commit:
    return Commit(events[-1].cursor, events[0].time, tuple(events))
