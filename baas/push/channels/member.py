"""One session in one channel: what it has heard, and what it may do."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol

import msgspec

from baas.errors import Problem, denied, invalid
from baas.guard.plans import REFUSAL
from baas.ports.documents import DocumentStore
from baas.push.channels.cursors import ChannelCursors
from baas.push.contract import Caller, Ended, Outbox
from baas.push.frames import Join, Publish, encode_frame
from baas.rules.channelsfile import INBOX, History
from baas.schema.values import Document

_log = logging.getLogger(__name__)

#: Messages that are read from the history at once.
PAGE: Final = 200


class Heard(msgspec.Struct, frozen=True):
    """A message on its way: `frame` up to its client's own part; `seq` 0: there is no going on
    from it."""

    seq: int
    frame: bytes


class MemberHost(Protocol):
    """What members ask of the service."""

    store: DocumentStore
    cursors: ChannelCursors

    async def may_hear(self, name: str, caller: Caller) -> frozenset[tuple[str, str]]:
        """The documents that decided; raises the refusal."""
        ...

    async def send(self, member: Member, frame: Publish, caller: Caller) -> None: ...

    async def enter(self, member: Member, frame: Join, caller: Caller) -> None:
        """Makes the member seen in its channel, or unseen."""
        ...

    async def history(self, channel: str, after: int) -> tuple[list[Heard], int]:
        """The next messages that are kept, and the number of the last there ever was."""
        ...

    async def forget(self, member: Member, upto: int) -> None:
        """Of an inbox: messages up to this number are not needed any more."""
        ...

    def gone(self, member: Member) -> None: ...

    def rests_on(self, member: Member, documents: frozenset[tuple[str, str]]) -> None: ...

    def seen(self, member: Member) -> None: ...


class Member:
    """See `baas.push.contract.Joined`. `channel` is where its messages are; for an inbox not the
    name that the client knows. `heard` is the number of the last message it was sent."""

    def __init__(
        self,
        host: MemberHost,
        frame: Join,
        channel: str,
        history: History | None,
        caller: Caller,
        session: str,
        outbox: Outbox,
        ended: Ended,
    ) -> None:
        self.name: Final = frame.channel
        self.channel: Final = channel
        self.history: Final = history
        self.session: Final = session
        self.caller = caller
        self.heard = 0
        #: The document that shows it to others, once there is one.
        self.shown: str | None = None
        #: Whether it is told who else is there.
        self.sees = False
        self.closed = False
        self._host = host
        self._id = frame.id
        self._tail = b',"id":%b}' % msgspec.json.encode(frame.id)
        self._outbox = outbox
        self._ended = ended
        self._behind = True
        self._catching: asyncio.Task[None] | None = None

    @property
    def lasting(self) -> bool:
        """Whether it stays a while after it has gone: a long-poll comes again."""
        return self._outbox.lasting

    @property
    def is_inbox(self) -> bool:
        return self.name == INBOX

    # -- hearing -----------------------------------------------------------------------------------

    def greet(self, presence: list[Document], cursor: str | None) -> None:
        frame = encode_frame("joined", presence=presence, cursor=cursor)
        self._outbox.send_shared(frame[:-1], self._tail)

    def hear(self, message: Heard) -> None:
        """A message of the moment. One that does not follow on is left to `catch_up`."""
        if self.closed or self._behind:
            return
        if not self._outbox.has_room:
            self._fall_behind()
            return
        if message.seq:
            if message.seq <= self.heard:
                return
            if message.seq > self.heard + 1:
                self.start_catching_up()
                return
            self.heard = message.seq
        self._outbox.send_shared(message.frame, self._tail)

    def tell(self, shared: bytes) -> None:
        """Who came and who went. A client that is behind is told the whole list later."""
        if not self.closed and not self._behind and self.sees:
            if self._outbox.has_room:
                self._outbox.send_shared(shared, self._tail)
            else:
                self._fall_behind()

    def _fall_behind(self) -> None:
        self._behind = True
        self._outbox.on_room(self.start_catching_up)

    def start_catching_up(self) -> None:
        self._behind = True
        if not self.closed and (self._catching is None or self._catching.done()):
            loop = asyncio.get_running_loop()
            self._catching = loop.create_task(self._catch_up(), name="baas-member")

    async def _catch_up(self) -> None:
        try:
            if self.history is None:
                self.resync()  # what was missed is nowhere
                self._behind = False
            else:
                await self.catch_up()
        except Problem as problem:
            self.end(problem)
        except Exception:
            _log.exception("a member of a channel could not be told what it missed")
            self.end(denied("The channel could not be followed."))

    async def catch_up(self) -> None:
        """All that it has not heard, from the history; then it hears as messages come."""
        while not self.closed:
            messages, last = await self._host.history(self.channel, self.heard)
            if messages and messages[0].seq > self.heard + 1 and not self.is_inbox:
                self.resync()
            if not messages:
                if last > self.heard and not self.is_inbox:
                    self.resync()
                self.heard = max(self.heard, last)
                self._behind = False
                return
            for message in messages:
                if not self._outbox.has_room:
                    self._outbox.on_room(self.start_catching_up)
                    return
                self.heard = message.seq
                self._outbox.send_shared(message.frame, self._tail)

    def resync(self) -> None:
        """Some messages are not there any more: the client is told so."""
        self._outbox.send(encode_frame("resync", id=self._id))

    def settle(self) -> None:
        """From now on it hears as messages come."""
        self._behind = False

    # -- what the client asks ----------------------------------------------------------------------

    async def publish(self, frame: Publish, caller: Caller) -> None:
        if self.is_inbox:
            raise denied(REFUSAL)
        await self._host.send(self, frame, caller)
        if frame.ack is not None and not self.closed:
            self._outbox.send(encode_frame("ack", id=self._id, ref=frame.ack))

    async def acknowledge(self, cursor: str) -> None:
        seq = self._host.cursors.open(self.channel, cursor)
        if seq is None:
            raise invalid("cursor", "this cursor is not of this channel")
        if self.is_inbox:
            await self._host.forget(self, seq)

    async def change_presence(self, frame: Join, caller: Caller) -> None:
        await self._host.enter(self, frame, caller)

    def alive(self) -> None:
        self._host.seen(self)

    async def renew(self, caller: Caller) -> None:
        before, self.caller = self.caller.actor.uid, caller
        if self.is_inbox and caller.actor.uid != before:
            self.end(denied("This inbox is another user's."))
            return
        if self.shown is not None and caller.actor.uid != before:  # who was seen is here no more
            await self._host.enter(self, Join(id=self._id, channel=self.name), caller)
        await self.ask_again()

    async def ask_again(self) -> None:
        """The rules, for this caller as it is now."""
        if self.closed or self.is_inbox:
            return
        try:
            self._host.rests_on(self, await self._host.may_hear(self.name, self.caller))
        except Problem as problem:
            self.end(problem)

    def end(self, problem: Problem) -> None:
        if not self.closed:
            self.close()
            self._ended(problem)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self._catching is not None and self._catching is not _current():
            self._catching.cancel()
        self._host.gone(self)


def _current() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
