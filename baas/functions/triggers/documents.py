"""Changes of documents, files and accounts: the feed, followed by one gateway at a time.

The feed's cursor is kept by the job queue and moves in the same step that adds the jobs of what
lies behind it: so no event is lost and none counts twice, whoever dies when.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias

from baas.clock import Clock
from baas.errors import Problem
from baas.functions.destinations import call_job
from baas.functions.model import Call, DocumentTrigger, FunctionSpec, Release, TriggerInfo
from baas.functions.triggers.auth import AuthEvents
from baas.functions.triggers.storage import StorageEvents
from baas.ports.changes import ChangeEvent, ChangeFeed, CursorTooOld
from baas.ports.documents import MaybeAwaitable, resolve
from baas.ports.jobs import JobQueue, NewJob
from baas.query.evaluate import matches
from baas.schema.values import Document, date_from_ms, decode

_log: Final = logging.getLogger("baas.functions")
#: The mark of the cursor, and the name under which gateways agree on a follower.
FOLLOWER: Final = "documents"
#: Events that are read and answered for in one step.
BATCH: Final = 200
#: How long a gateway leads without a sign of life. Long, because each sign is a write, and because
#: the lead of one that has died is ended by `JobQueue.recover`.
LEAD_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 1.0
#: A cursor with nothing to do behind it is written down this often, in events.
_SAVE_EVERY: Final = 2_000
#: Steps that a gateway takes before it stops.
_LAST_STEPS: Final = 10
#: A function, what it is called with, and whether that waits for the one before it of the same
#: document or file.
Wanted: TypeAlias = tuple[FunctionSpec, Call, bool]


class Source(Protocol):
    """The part of the store that is followed."""

    @property
    def feed(self) -> ChangeFeed: ...

    def get(self, collection: str, id: str) -> MaybeAwaitable[bytes | None]: ...


class Follower:
    """Adds a job for each trigger of the release in force that an event of the feed meets."""

    def __init__(self, source: Source, jobs: JobQueue, clock: Clock) -> None:
        self._feed = source.feed
        self._jobs = jobs
        self._clock = clock
        self._auth = AuthEvents(source.get)
        self._files = StorageEvents()
        self._triggers: dict[str, list[tuple[FunctionSpec, DocumentTrigger]]] = {}
        #: Where the mark is, and how far this gateway has read.
        self._saved: str | None = None
        self._cursor: str | None = None
        self._unsaved = 0
        self._task: asyncio.Task[None] | None = None
        self._fitted = asyncio.Event()

    def fit(self, release: Release | None) -> None:
        self._triggers = {}
        for spec, trigger in [] if release is None else release.with_trigger(DocumentTrigger):
            self._triggers.setdefault(trigger.collection, []).append((spec, trigger))
        self._auth.fit(release)
        self._files.fit(release)
        self._fitted.set()

    @property
    def wanted(self) -> bool:
        """Whether any function in force asks for what the feed tells."""
        return bool(self._triggers) or self._auth.wanted or self._files.wanted

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="baas-follower")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            with suppress(Problem):
                await self._catch_up()
                await self.save()

    async def _catch_up(self) -> None:
        """To the end of what has been written, as far as that is near, so that whoever moves the
        data of a resting app leaves no event behind."""
        if self._cursor is None:
            return
        if not self.wanted:
            self._cursor = await resolve(self._feed.head())
            return
        for _ in range(_LAST_STEPS):
            if not await self.step():
                return

    async def _run(self) -> None:
        while True:
            try:
                if not await self._jobs.lead(FOLLOWER, LEAD_SECONDS):
                    self._cursor = None
                    await asyncio.sleep(_LOOK_SECONDS)
                    continue
                await self._lead()
            except Problem as problem:
                _log.error("the change feed cannot be followed: %s", problem)
                await asyncio.sleep(_LOOK_SECONDS)
            except Exception:
                _log.exception("the change feed could not be followed")
                self._cursor = None
                await asyncio.sleep(_LOOK_SECONDS)

    async def _lead(self) -> None:
        """Follows until the lead has to be asked for again."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LEAD_SECONDS / 2
        while (left := until - loop.time()) > 0:
            if not self.wanted:
                await self._pass_by(min(left, _LOOK_SECONDS))
            elif not await self.step():
                assert self._cursor is not None
                await self._feed.wait(self._cursor, min(left, _LOOK_SECONDS))
        await self.save()

    async def _pass_by(self, seconds: float) -> None:
        """Keeps up with the feed without reading it: images of what nobody asked for cost every
        writer of this process. A release that asks for some ends the wait."""
        self._fitted.clear()
        if self._cursor is None:
            await self._resume()
        head = await resolve(self._feed.head())
        if not self._fitted.is_set():  # else what was written since then is asked for
            self._cursor = head
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._fitted.wait()

    # -- one step ----------------------------------------------------------------------------------

    async def step(self) -> bool:
        """Answers for some events; whether there were any."""
        if self._cursor is None:
            await self._resume()
        assert self._cursor is not None
        try:
            events = await resolve(self._feed.read(self._cursor, BATCH))
        except CursorTooOld:
            await self._skip()
            return True
        if not events:
            return False
        jobs = await self.jobs_of(events)
        self._cursor = events[-1].cursor
        self._unsaved += len(events)
        if jobs or self._unsaved >= _SAVE_EVERY:
            await self.save(jobs)
        return True

    async def _resume(self) -> None:
        self._saved = await resolve(self._jobs.mark(FOLLOWER))
        self._cursor = self._saved
        if self._cursor is None:
            self._cursor = await resolve(self._feed.head())
            await self.save()

    async def save(self, jobs: Sequence[NewJob] = ()) -> None:
        """Writes down how far this gateway is, with the jobs of what lies before."""
        if self._cursor is None or self._cursor == self._saved:
            return
        if await self._jobs.advance(FOLLOWER, self._saved, self._cursor, jobs):
            self._saved = self._cursor
            self._unsaved = 0
        else:
            self._cursor = None  # another gateway has been here: begin where it stands

    async def _skip(self) -> None:
        """Goes on at the head: what lies between is no longer kept, and its triggers never run."""
        old, self._cursor = self._cursor, await resolve(self._feed.head())
        _log.error(
            "changes between %s and %s are no longer in the feed: their triggers were not run;"
            " see database.feed_keep_hours",
            old,
            self._cursor,
        )
        await self.save()

    # -- from events to jobs -----------------------------------------------------------------------

    async def jobs_of(self, events: Sequence[ChangeEvent]) -> list[NewJob]:
        """The jobs that events call for, in their order."""
        found: list[NewJob] = []
        for event in events:
            try:
                wanted = await self._wanted(event)
            except Problem:
                raise  # the store cannot answer now: the same events again, later
            except Exception:
                # One event that cannot be told of must not keep all that follow from being told.
                _log.exception("the triggers of %s were not run", event.cursor)
                continue
            found.extend(self._job(*one, event) for one in wanted)
        return found

    async def _wanted(self, event: ChangeEvent) -> list[Wanted]:
        accounts = [(spec, call, False) for spec, call in await self._auth.calls(event)]
        return [*self._documents(event), *self._files.calls(event), *accounts]

    def _documents(self, event: ChangeEvent) -> list[Wanted]:
        triggers = self._triggers.get(event.collection, ())
        found = ((spec, _call(spec, trigger, event), trigger.ordered) for spec, trigger in triggers)
        return [(spec, call, ordered) for spec, call, ordered in found if call is not None]

    def _job(self, spec: FunctionSpec, call: Call, ordered: bool, event: ChangeEvent) -> NewJob:
        text = f"{event.cursor}\0{spec.name}\0{call.trigger.kind}\0{call.trigger.details}"
        return call_job(
            call,
            now_ms=self._clock.now_ms(),
            policy=spec.retries,
            id=f"feed-{hashlib.sha256(text.encode()).hexdigest()[:40]}",
            ordering=f"{spec.name}\0{event.collection}\0{event.id}" if ordered else None,
        )


def _call(spec: FunctionSpec, trigger: DocumentTrigger, event: ChangeEvent) -> Call | None:
    """The call of a trigger that meets this event."""
    if trigger.operation not in ("write", event.operation):
        return None
    before = None if event.before is None else decode(event.before)
    after = None if event.after is None else decode(event.after)
    asked = after if after is not None else before
    if asked is None or not matches(trigger.where, asked):
        return None
    details = {"collection": trigger.collection, "operation": trigger.operation}
    if trigger.raw_where is not None:
        details["where"] = trigger.raw_where  # type: ignore[assignment]
    return Call(
        function=spec.name,
        event=document_event(event, before, after),
        trigger=TriggerInfo(kind="database", details=details),
        depth=event.depth + 1,
    )


def document_event(
    event: ChangeEvent, before: Document | None, after: Document | None
) -> dict[str, Any]:
    """A change as functions see it: `events.DocumentEvent` on the wire. Fields are top-level."""
    updated: dict[str, Any] = {}
    removed: list[str] = []
    if before is not None and after is not None:
        updated = {
            name: value
            for name, value in after.items()
            if name not in before or not _same(before[name], value)
        }
        removed = [name for name in before if name not in after]
    return {
        "collection": event.collection,
        "operation": event.operation,
        "documentId": event.id,
        "document": after,
        "before": before,
        "updatedFields": updated,
        "removedFields": removed,
        "time": date_from_ms(event.time),
        "actor": event.actor,
    }


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON is: true is not 1."""
    if type(one) is bool or type(other) is bool:
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
