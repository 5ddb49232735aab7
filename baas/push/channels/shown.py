"""The members of this process that are seen in their channels."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from baas.clock import Clock
from baas.errors import Problem
from baas.ports.documents import DocumentStore
from baas.push.channels.member import Member
from baas.push.channels.presence import Presence
from baas.push.channels.rows import presence_id
from baas.schema.values import Value

_log = logging.getLogger(__name__)


class Shown:
    """`members` gives those of one channel. What is written of one session in one channel is
    written in the order asked: who joins and is gone at once is not seen for ever."""

    def __init__(
        self,
        store: DocumentStore,
        clock: Clock,
        most: int,
        members: Callable[[str], Iterable[Member]],
    ) -> None:
        self.presence: Final = Presence(store, clock, most, self._show_again)
        self._members = members
        self._shown: dict[Member, None] = {}
        self._writing: dict[str, asyncio.Task[Any]] = {}

    @property
    def busy(self) -> bool:
        """Whether something is being written."""
        return bool(self._writing)

    async def stop(self) -> None:
        if self._writing:
            await asyncio.wait(list(self._writing.values()))
        await self.presence.stop()

    async def show(self, member: Member, state: Value) -> None:
        if member.closed:
            return
        before = member.shown
        member.shown = presence_id(member.name, member.session)
        self._shown[member] = None
        uid = member.caller.actor.uid
        work = self.presence.show(member.name, member.session, uid, state, lasting=member.lasting)
        try:
            await asyncio.shield(self._in_turn(member.shown, work))
        except Problem:
            member.shown = before
            raise
        member.state = state

    async def hide(self, member: Member) -> None:
        shown = self._let_go(member)
        if member.lasting:  # it may be there from an earlier poll
            shown = presence_id(member.name, member.session)
        if shown is not None:
            await asyncio.shield(self._in_turn(shown, self.presence.hide(shown)))

    def hide_soon(self, member: Member) -> None:
        """Unless the same session is there by another id."""
        shown = self._let_go(member)
        others = self._members(member.channel)
        if shown is not None and not any(other.shown == shown for other in others):
            self._in_turn(shown, self.presence.hide(shown))

    def leave(self, member: Member) -> None:
        """It stays to be seen for a while, but is nobody's business here."""
        self._let_go(member)

    def seen(self, member: Member) -> None:
        """A sign of life: those of a long-poll are written down."""
        if member.shown is not None and member.lasting:
            self._in_turn(member.shown, self.presence.seen(member.shown))

    def _let_go(self, member: Member) -> str | None:
        self._shown.pop(member, None)
        shown, member.shown = member.shown, None
        return shown

    async def _show_again(self) -> None:
        """This process was taken for dead: what it shows has been taken away."""
        for member in list(self._shown):
            if member.shown is not None:
                await self.show(member, member.state)

    def _in_turn(self, id: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        before = self._writing.get(id)

        async def write() -> None:
            if before is not None:
                await asyncio.wait([before])
            await work

        task = asyncio.get_running_loop().create_task(write())
        self._writing[id] = task
        task.add_done_callback(lambda done: self._written(id, done))
        return task

    def _written(self, id: str, task: asyncio.Task[Any]) -> None:
        if self._writing.get(id) is task:
            del self._writing[id]
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.info("presence was not written: %s", fault)
