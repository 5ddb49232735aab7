"""One distinct query: its result, kept up to date once for all who watch it.

Where the filter can be asked of a document alone, each change is applied to the view. Where it
cannot (rules that look up other documents), and where a window has run out of documents, the result
is read again and compared. While that goes on, changes wait; so does whoever wants to come in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec

from baas.errors import Code, Problem
from baas.guard import ReadDecision
from baas.ports.documents import DocumentStore
from baas.push.live.asked import Asked, looks_up, nodes_of
from baas.push.live.budget import ENTRY_BYTES, Filed
from baas.push.live.cursors import WatchCursors
from baas.push.live.reading import read_entries, render, too_large, too_many
from baas.push.live.view import Change, Entry, View, changed_names, difference, key_of
from baas.query import ast
from baas.query.ast import Filter
from baas.query.conditions import Env, compile
from baas.query.evaluate import matches
from baas.query.patterns import OutOfTime, briefly
from baas.schema.values import Document, encode

_log = logging.getLogger(__name__)

#: A result that could not be read is tried again so often, after so many seconds each time.
_TRIES: Final = 5
_AGAIN_SECONDS: Final = 0.5
#: How long the changes of one transaction may be judged here, on the event loop, by one query.
_JUDGING_SECONDS: Final = 0.02


class Image(msgspec.Struct, frozen=True):
    """A change of one document: as it was and as it is, decoded; `body` as it is stored now."""

    id: str
    before: Document | None
    after: Document | None
    body: bytes


class Watcher(Protocol):
    """One client's watch."""

    def send(self, shared: bytes) -> None:
        """A frame up to its cursor's own part."""
        ...

    def end(self, problem: Problem) -> None: ...


class Host(Protocol):
    """What the queries of a process share. `order` and `position` are the change feed's."""

    store: DocumentStore
    cursors: WatchCursors
    documents_max: int
    bytes_max: int

    def order(self, cursor: str) -> Any: ...

    @property
    def position(self) -> str: ...

    def held(self, query: LiveQuery) -> None:
        """What it holds may have changed."""
        ...

    async def following(self) -> None:
        """Until this process is given all that is written from now on."""
        ...


class LiveQuery:
    def __init__(self, host: Host, asked: Asked, decision: ReadDecision, key: str, pure: bool):
        self.key: Final = key
        self.asked: Final = asked
        self.decision: Final = decision
        self.watchers: dict[Watcher, None] = {}
        #: What it adds to the work of every change, and by what it is found; the service knows.
        self.weight = 0
        self.filed: Filed | None = None
        #: Whether each change can be judged by itself.
        self.pure: Final = pure and not looks_up(decision)
        self._host = host
        self._wanted = predicate(decision.filter)
        self._view = View(asked.limit)
        self._at = ""
        self._order: Any = None
        self._reading: asyncio.Task[None] | None = None
        self._again = False
        self._waiting: list[tuple[Any, Any, list[Image]]] = []
        self._told: list[Entry] | None = None
        self._when_settled: list[Callable[[], None]] = []
        self._snapshot = ("", b"")

    @property
    def filter(self) -> Filter:
        return self.decision.filter

    @property
    def busy(self) -> bool:
        return self._reading is not None

    @property
    def cost(self) -> int:
        """Bytes that it holds, about."""
        return self._view.bytes_held + ENTRY_BYTES * self._view.known

    # -- for watchers ------------------------------------------------------------------------------

    async def opened(self) -> None:
        """Until there is a result. Raises why there is none."""
        while self._order is None:
            if self._reading is None:
                self._read_again()
            assert self._reading is not None
            await asyncio.shield(self._reading)

    def when_settled(self, call: Callable[[], None]) -> None:
        """`call`, at once or soon, at a moment when the result is whole."""
        if self._reading is None:
            call()
        else:
            self._when_settled.append(call)

    @property
    def told(self) -> list[Entry]:
        """The result as watchers were told it last."""
        return self._view.shown() if self._told is None else self._told

    def told_before(self, was: dict[str, Entry | None]) -> list[Entry]:
        """See `View.shown_before`; to be asked when settled."""
        return self._view.shown_before(was)

    @property
    def position(self) -> str:
        """The feed's cursor at which the result is what it is; to be asked when settled."""
        followed = self._host.position
        return followed if self._host.order(followed) > self._order else self._at

    def snapshot_frame(self) -> bytes:
        """`snapshot` up to its cursor's own part."""
        position = self.position
        if self._snapshot[0] != position:
            shown = b",".join([entry.body for entry in self._view.shown()])
            token = self._host.cursors.position(position)
            frame = b'{"type":"snapshot","documents":[%b],"cursor":"%b' % (shown, token)
            self._snapshot = (position, frame)
        return self._snapshot[1]

    def holds(self, document: Document) -> bool:
        """Whether such a document belongs to the result."""
        return self._wanted(document)

    def entry_of(self, body: bytes, document: Document) -> Entry:
        seen = render(self.asked, self.decision, body, document, _nothing)
        return Entry(key_of(document, self.asked.sort), seen)

    def change_frame(self, changes: list[Change], position: str) -> bytes:
        """`change` up to its cursor's own part."""
        told = b",".join([encode_change(change) for change in changes])
        return b'{"type":"change","changes":[%b],"cursor":"%b' % (
            told,
            self._host.cursors.position(position),
        )

    # -- changes -----------------------------------------------------------------------------------

    def take(self, position: str, order: Any, images: list[Image]) -> None:
        """What one transaction did to documents that may concern this query."""
        if self._reading is not None:
            self._waiting.append((position, order, images))
        elif not order <= self._order:
            self._apply(position, order, images)

    def read_again(self) -> None:
        """The result may be another, whatever the changes of its documents say."""
        if self._order is None:
            return
        if self._reading is None:
            self._read_again()
        else:
            self._again = True

    def _apply(self, position: str, order: Any, images: list[Image]) -> None:
        if not self.pure:
            self._read_again()
            return
        before = None
        if len(images) > 1 or not self._view.complete:
            before = self._view.shown()
        try:
            changes = self._changes(images)
        except OutOfTime:
            self._read_again()
            return
        self._at, self._order = position, order
        if self._view.is_short:
            self._told = before
            self._read_again()
            return
        if len(images) > 1 and before is not None and changes:
            changes = difference(before, self._view.shown())
        if self._is_within_limits():
            self._tell(changes)

    def _changes(self, images: list[Image]) -> list[Change]:
        changes: list[Change] = []
        for id, entry in self._judged(images):
            changes += self._view.remove(id) if entry is None else self._view.put(entry)
        return changes

    def _judged(self, images: list[Image]) -> list[tuple[str, Entry | None]]:
        """What of them belongs to the result, before any of it is put there. OutOfTime where that
        takes long: a reader thread then finds out."""
        with briefly(_JUDGING_SECONDS):
            return [(image.id, self._entry(image)) for image in images]

    def _entry(self, image: Image) -> Entry | None:
        if image.after is None or not self._wanted(image.after):
            return None
        return self.entry_of(image.body, image.after)

    def _tell(self, changes: list[Change]) -> None:
        if changes and self.watchers:
            frame = self.change_frame(changes, self._at)
            for watcher in list(self.watchers):
                watcher.send(frame)

    def _is_within_limits(self) -> bool:
        host = self._host
        host.held(self)
        if self.asked.limit is None and self._view.size > host.documents_max:
            self._end(too_many(host.documents_max))
        elif self._view.bytes_held > host.bytes_max:
            self._end(too_large(host.bytes_max))
        else:
            return True
        return False

    def _end(self, problem: Problem) -> None:
        for watcher in list(self.watchers):
            watcher.end(problem)

    # -- reading -----------------------------------------------------------------------------------

    def _read_again(self) -> None:
        if self._told is None and self._order is not None:
            self._told = self._view.shown()
        self._again = False
        self._reading = asyncio.get_running_loop().create_task(self._read(), name="baas-live")
        self._reading.add_done_callback(_seen)

    async def close(self) -> None:
        """Nobody watches any more."""
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError, Problem):
                await self._reading

    async def _read(self) -> None:
        try:
            for left in reversed(range(_TRIES)):
                try:
                    await self._read_once()
                    break
                except Problem as problem:
                    lasting = problem.status < 500 or problem.code is Code.QUERY_TIMEOUT
                    if lasting or not left or self._order is None:
                        raise
                    await asyncio.sleep(_AGAIN_SECONDS)
        except Problem as problem:
            self._settle()
            self._end(problem)
            raise
        except Exception:
            _log.exception("a live query could not be read")
            self._settle()
            self._end(Problem(Code.INTERNAL, "The query could not be read."))
            raise
        self._go_on()

    async def _read_once(self) -> None:
        host = self._host
        await host.following()
        async with host.store.snapshot() as reader:
            at = reader.cursor
            entries, complete = await read_entries(
                reader, self.asked, self.decision, self._view, host.documents_max
            )
        self._view.fill(entries, complete=complete)
        host.held(self)
        if self._view.bytes_held > host.bytes_max:
            raise too_large(host.bytes_max)
        self._at, self._order = at, host.order(at)

    def _go_on(self) -> None:
        """The result is read: what was written since is applied, and all is told as one."""
        waiting, self._waiting = self._waiting, []
        later = [one for one in waiting if not one[1] <= self._order]
        again = self._again or (bool(later) and not self.pure)
        if self.pure:
            again = not self._catch_up(later) or again
        told, self._told = self._told, None
        if self._view.is_short:
            self._told = told
            again = True
        elif told is not None and self._is_within_limits():
            self._tell(difference(told, self._view.shown()))
        self._settle()
        if again:
            self._read_again()

    def _catch_up(self, later: list[tuple[Any, Any, list[Image]]]) -> bool:
        """Whether all of it could be judged here."""
        try:
            for position, order, images in later:
                self._changes(images)
                self._at, self._order = position, order
        except OutOfTime:
            return False
        return True

    def _settle(self) -> None:
        self._reading = None
        if self._order is None or self._told is not None:
            return
        calls, self._when_settled = self._when_settled, []
        for call in calls:
            call()


def _seen(task: asyncio.Task[None]) -> None:
    """Whoever waits for the task has its fault; nobody else is to hear of it."""
    if not task.cancelled():
        task.exception()


def _nothing(collection: str, id: str) -> Document | None:
    raise AssertionError("a query that looks up documents is read, not followed")


def predicate(filter: Filter) -> Callable[[Document], bool]:
    """The filter's meaning, with rules compiled once."""
    conjuncts = filter.items if isinstance(filter, ast.And) else (filter,)
    checks = [_check(one) for one in conjuncts]
    if len(checks) == 1:
        return checks[0]
    return lambda document: all(check(document) for check in checks)


def _check(filter: Filter) -> Callable[[Document], bool]:
    if isinstance(filter, ast.Where):
        holds = compile(filter.expr)
        return lambda document: holds(Env(document, None, None, _nothing)) is True
    if any(isinstance(node, ast.Where) for node in nodes_of(filter)) and isinstance(filter, ast.Or):
        checks = [predicate(item) for item in filter.items]
        return lambda document: any(check(document) for check in checks)
    return lambda document: matches(filter, document)


def encode_change(change: Change) -> bytes:
    id = encode(change.id)
    if change.op == "leave":
        return b'{"op":"leave","docId":%b}' % id
    if change.op == "enter":
        parts = (id, change.index, change.body)
        return b'{"op":"enter","docId":%b,"index":%d,"document":%b}' % parts
    updated, removed = changed_names(change.before, change.body)
    return b'{"op":"update","docId":%b,"index":%d,"updated":%b,"removed":%b,"document":%b}' % (
        id,
        change.index,
        encode(updated),
        encode(removed),
        change.body,
    )
