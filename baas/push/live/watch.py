"""One client's watch: what it asked, which query serves it, and what it has been told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

from baas.errors import Code, Problem
from baas.guard import ReadDecision
from baas.ports.changes import ChangeFeed, CursorTooOld
from baas.push.contract import Caller, Ended, Outbox
from baas.push.frames import Watch, encode_frame
from baas.push.live.asked import Asked
from baas.push.live.budget import Budget, owner_of
from baas.push.live.missed import Missed
from baas.push.live.query import Host, LiveQuery
from baas.push.live.view import difference
from baas.push.outbox import until_room
from baas.push.resting import Basis

_log = logging.getLogger(__name__)


class Decided(msgspec.Struct, frozen=True):
    """The rules' answer for a caller now, and what it rests on."""

    decision: ReadDecision
    key: str
    seal: bytes
    basis: Basis


class WatchHost(Host, Protocol):
    """What watches ask of the service."""

    budget: Budget

    @property
    def feed(self) -> ChangeFeed: ...

    def decide(self, asked: Asked, caller: Caller) -> Awaitable[Decided]: ...

    def query_for(self, asked: Asked, decided: Decided) -> LiveQuery: ...

    def attached(self, watch: LiveWatch, decided: Decided) -> None:
        """The watch rests on this decision from now on."""
        ...

    def detached(self, watch: LiveWatch) -> None: ...

    def released(self, query: LiveQuery) -> None:
        """One watch less is on it."""
        ...


class LiveWatch:
    """A Subscription, and a query's Watcher."""

    def __init__(
        self,
        host: WatchHost,
        frame: Watch,
        asked: Asked,
        caller: Caller,
        outbox: Outbox,
        ended: Ended,
    ) -> None:
        self.asked: Final = asked
        self._host = host
        self._id = frame.id
        self._tail = b'","id":%b}' % msgspec.json.encode(frame.id)
        self._caller = caller
        self._outbox = outbox
        self._ended = ended
        self._query: LiveQuery | None = None
        self._charged: str | None = None
        self._own = b""
        self._behind = False
        self._closed = False
        #: Whether the rules are to be asked again once it is open.
        self._outdated = False
        self._turn = asyncio.Lock()

    # -- opening -----------------------------------------------------------------------------------

    async def open(self, cursor: str | None) -> None:
        """Sends what the client needs to begin. Raises the refusal."""
        decided = await self._host.decide(self.asked, self._caller)
        self._host.attached(self, decided)  # at once: what it rests on may change meanwhile
        query = self._host.query_for(self.asked, decided)
        try:
            await query.opened()
            self._host.budget.check(owner_of(self._caller), query)
            await until_room(self._outbox)  # it may have been filled meanwhile
            self._take_seal(decided)
            since = self._since(cursor, query, decided)
            if since is None or not await self._resume(query, decided, since):
                await self._settled(query, lambda: self._begin(query, decided, cursor is not None))
        finally:
            if self._query is not query:
                self._host.released(query)
        if self._outdated:
            await self.ask_again()

    def _since(self, cursor: str | None, query: LiveQuery, decided: Decided) -> str | None:
        """Where in the feed the client has got to, where it may go on from there."""
        needs = decided.basis.needs
        if cursor is None or needs.time or needs.collections or not query.pure:
            return None
        return self._host.cursors.open(cursor, decided.seal)

    def _begin(self, query: LiveQuery, decided: Decided, resync: bool) -> bool:
        if resync:
            self._outbox.send(encode_frame("resync", id=self._id))
        self._attach(query, decided)
        self._outbox.send_shared(query.snapshot_frame(), self._own)
        return True

    async def _settled(self, query: LiveQuery, act: Callable[[], bool]) -> bool:
        """`act` when the query is whole, unless the client has gone by then. Its answer."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def call() -> None:
            if not done.done():
                try:
                    done.set_result(self._closed or act())
                except Exception as fault:
                    done.set_exception(fault)

        query.when_settled(call)
        return await done

    def _attach(self, query: LiveQuery, decided: Decided) -> None:
        self._query = query
        query.watchers[self] = None
        self._charged = owner_of(self._caller)
        self._host.budget.add(self._charged, query)
        self._host.attached(self, decided)

    def _take_seal(self, decided: Decided) -> None:
        self._own = b"." + decided.seal + self._tail

    async def _resume(self, query: LiveQuery, decided: Decided, since: str) -> bool:
        """Tells what was missed since that cursor of the feed; False where that cannot be told."""
        missed = Missed(self._host, query, since)
        try:
            while await missed.read():
                if await self._settled(query, lambda: self._go_on(query, decided, missed)):
                    return self._closed or missed.changes is not None
        except CursorTooOld:
            pass
        return False

    def _go_on(self, query: LiveQuery, decided: Decided, missed: Missed) -> bool:
        """Once the feed is read as far as the query is: True; told, where it can be told."""
        if not missed.catch_up():
            return False
        if missed.changes is None:
            return True
        # Until the changes are there too, the client has got no further than it was.
        now = query.position
        told = self._host.cursors.position(missed.since if missed.changes else now)
        self._attach(query, decided)
        self._outbox.send_shared(b'{"type":"resumed","cursor":"' + told, self._own)
        if missed.changes:
            self._outbox.send_shared(query.change_frame(missed.changes, now), self._own)
        return True

    # -- what follows ------------------------------------------------------------------------------

    def send(self, shared: bytes) -> None:
        if self._closed or self._behind:
            return
        if self._outbox.has_room:
            self._outbox.send_shared(shared, self._own)
        else:
            self._behind = True
            self._outbox.on_room(self._catch_up)

    def _catch_up(self) -> None:
        """The client has read what was sent: the result as it is makes up for what was not."""
        if self._query is not None and not self._closed:
            self._query.when_settled(self._start_afresh)

    def _start_afresh(self) -> None:
        if self._closed or self._query is None or not self._behind:
            return
        if not self._outbox.has_room:
            self._outbox.on_room(self._catch_up)
            return
        self._behind = False
        self._outbox.send(encode_frame("resync", id=self._id))
        self._outbox.send_shared(self._query.snapshot_frame(), self._own)

    def end(self, problem: Problem) -> None:
        if not self._closed:
            self.close()
            self._ended(problem)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        query, self._query = self._query, None
        self._host.detached(self)
        if query is not None:
            self._let_go(query)
            self._host.released(query)

    def _let_go(self, query: LiveQuery) -> None:
        query.watchers.pop(self, None)
        self._host.budget.drop(self._charged, query)

    # -- rules asked again -------------------------------------------------------------------------

    async def renew(self, caller: Caller) -> None:
        self._caller = caller
        await self.ask_again()

    async def ask_again(self) -> None:
        """The rules, for this caller as it is now: the same query, another one, or the end."""
        async with self._turn:
            self._outdated = self._query is None
            if self._closed or self._query is None:
                return
            try:
                await self._ask_again()
            except Problem as problem:
                self.end(problem)
            except Exception:
                _log.exception("the rules of a watch could not be asked again")
                self.end(Problem(Code.INTERNAL, "The query could not be followed."))

    async def _ask_again(self) -> None:
        decided = await self._host.decide(self.asked, self._caller)
        old = self._query
        if self._closed or old is None:
            return
        if decided.key == old.key:
            self._take_seal(decided)
            self._host.attached(self, decided)
            return
        new = self._host.query_for(self.asked, decided)
        try:
            await new.opened()
            await self._settled(new, lambda: self._move(old, new, decided))
        finally:
            if self._query is not new:
                self._host.released(new)

    def _move(self, old: LiveQuery, new: LiveQuery, decided: Decided) -> bool:
        """From one query to the other; the client is told the difference."""
        if self._query is not old:  # it ended meanwhile
            return True
        changes = difference(old.told, new.told)
        self._let_go(old)
        self._take_seal(decided)
        self._attach(new, decided)
        self._host.released(old)
        if changes:
            self.send(new.change_frame(changes, new.position))
        return True
