"""One session in one channel: what it has heard, and what it may do."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol

import msgspec

from baas.errors import Code, Problem, denied, invalid
from baas.guard.plans import REFUSAL
from baas.ports.documents import DocumentStore
from baas.push.channels.cursors import ChannelCursors
from baas.push.contract import Caller, Ended, Outbox
from baas.push.frames import Join, Publish, encode_frame
from baas.push.resting import Basis
from baas.rules.channelsfile import INBOX, History
from baas.schema.values import Document, Value

_log = logging.getLogger(__name__)

#: Messages that are read from the history at once.
PAGE: Final = 200


class Heard(msgspec.Struct, frozen=True):
    """A message on its way: `frame` up to its client's own part; `after` is the number of the
    message before it. `seq` 0: there is no going on from it."""

    seq: int
    after: int
    frame: bytes


class Rights(msgspec.Struct, frozen=True):
    """What one may do in a channel beside hearing, and what that rests on."""

    presence: bool
    basis: Basis = Basis()


class MemberHost(Protocol):
    """What members ask of the service."""

    store: DocumentStore
    cursors: ChannelCursors

    async def may(self, name: str, caller: Caller) -> Rights:
        """What the rules allow now; raises the refusal where that is not even to hear."""
        ...

    async def send(self, member: Member, frame: Publish, caller: Caller) -> None: ...

    async def enter(self, member: Member, frame: Join, caller: Caller) -> None:
        """Makes the member seen in its channel, or unseen."""
        ...

    def unseen(self, member: Member) -> None:
        """Soon it is not seen any more."""
        ...

    async def history(self, channel: str, after: int) -> tuple[list[Heard], int]:
        """The next messages that are kept, and the number of the last there ever was."""
        ...

    async def forget(self, member: Member, upto: int) -> None:
        """Of an inbox: messages up to this number are not needed any more."""
        ...

    def gone(self, member: Member) -> None: ...

    async def present(self, member: Member) -> list[Document]:
        """Who is seen in its channel; nobody, for one who may not see it."""
        ...

    def rests_on(self, member: Member, basis: Basis) -> None:
        """The rules are asked again when what they rest on changes."""
        ...

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
        #: The document that shows it to others, once there is one, and what that says.
        self.shown: str | None = None
        self.state: Value = None
        #: Whether it is told who else is there.
        self.sees = False
        self.closed = False
        self._host = host
        self._id = frame.id
        self._tail = b',"id":%b}' % msgspec.json.encode(frame.id)
        self._outbox = outbox
        self._ended = ended
        #: What comes while it is behind is not sent but noted, and made up for.
        self._behind = True
        self._newest = 0
        self._missed = False
        self._missed_presence = False
        self._catching: asyncio.Task[None] | None = None

    @property
    def lasting(self) -> bool:
        """Whether it stays a while after it has gone: a long-poll comes again."""
        return self._outbox.lasting

    @property
    def is_inbox(self) -> bool:
        return self.name == INBOX

    # -- hearing -----------------------------------------------------------------------------------

    async def begin(self, heard: int, *, lost: bool) -> None:
        """`joined`, and what was missed since that message; `lost`: what that was is not known."""
        self.heard = heard
        self._missed_presence = False  # from before the list is read, so that nothing is missed
        entries = await self._host.present(self)
        self._missed = False
        self._greet(entries)
        if lost:
            self._resync()
        self.start_catching_up()
        if self._catching is not None:
            await asyncio.wait([self._catching])

    def _greet(self, presence: list[Document]) -> None:
        """`joined`, from where it stands: also to one that was left behind, as to who is there."""
        cursor = None
        if self.history is not None:
            cursor = self._host.cursors.seal(self.channel, self.heard)
        frame = encode_frame("joined", presence=presence, cursor=cursor)
        self._outbox.send_shared(frame[:-1], self._tail)

    def hear(self, message: Heard) -> None:
        """A message of the moment. One that does not follow on is left to the history."""
        if self.closed or (message.seq and message.seq <= self.heard):
            return
        if self._behind or not self._outbox.has_room or message.after != self.heard:
            self._note(message)
            return
        self.heard = message.seq
        self._outbox.send_shared(message.frame, self._tail)

    def _note(self, message: Heard) -> None:
        self._newest = max(self._newest, message.seq)
        self._missed = self._missed or not message.seq
        self._fall_behind()

    def tell(self, shared: bytes) -> None:
        """Who came and who went."""
        if self.closed or not (self.sees or self._behind):
            return
        if self._behind or not self._outbox.has_room:
            self._missed_presence = True
            self._fall_behind()
        else:
            self._outbox.send_shared(shared, self._tail)

    def _fall_behind(self) -> None:
        if not self._behind:
            self._behind = True
            self._catch_up_soon()

    def _catch_up_soon(self) -> None:
        if self._outbox.has_room:
            self.start_catching_up()
        else:
            self._outbox.on_room(self.start_catching_up)

    def start_afresh(self) -> None:
        """Whatever was written lately, it may not have been told."""
        self._missed = True
        self._missed_presence = self.sees
        self.start_catching_up()

    def start_catching_up(self) -> None:
        self._behind = True
        if not self.closed and (self._catching is None or self._catching.done()):
            loop = asyncio.get_running_loop()
            self._catching = loop.create_task(self._catch_up(), name="baas-member")

    async def _catch_up(self) -> None:
        try:
            await self._all_missed()
        except Problem as problem:
            self.end(problem)
        except Exception:
            _log.exception("a member of a channel could not be told what it missed")
            self.end(Problem(Code.INTERNAL, "The channel could not be followed."))

    async def _all_missed(self) -> None:
        """All that it has not heard, from the history, and who is there; then it hears as messages
        come."""
        while not self.closed:
            if not self._outbox.has_room:
                self._outbox.on_room(self.start_catching_up)
                return
            if self._missed_presence:
                self._missed_presence = False
                self._greet(await self._host.present(self))
            elif not await self._more():
                self._behind = False
                return

    async def _more(self) -> bool:
        """The next messages of the history; False once there are none, and nothing else to do."""
        missed, self._missed = self._missed, False
        if self.history is None:
            if missed:
                self._resync()  # what was missed is nowhere
            return False
        messages, last = await self._host.history(self.channel, self.heard)
        for message in messages:
            if self.closed or not self._outbox.has_room:
                return True
            if message.seq <= self.heard:
                continue
            self._follow_on(message.after)
            self.heard = message.seq
            self._outbox.send_shared(message.frame, self._tail)
        if not messages and last > self.heard:
            self._follow_on(last)
            self.heard = last
        noted = self._missed or self._missed_presence or self._newest > self.heard
        return bool(messages) or noted

    def _follow_on(self, after: int) -> None:
        """Of an inbox what is missing has been acknowledged."""
        if after != self.heard and not self.is_inbox:
            self._resync()

    def _resync(self) -> None:
        """Some messages are not there any more: the client is told so."""
        self._outbox.send(encode_frame("resync", id=self._id))

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
            self._take_rights(await self._host.may(self.name, self.caller))
        except Problem as problem:
            self.end(problem)
        except Exception:
            _log.exception("the rules of a channel could not be asked again")
            self.end(Problem(Code.INTERNAL, "The channel could not be followed."))

    def _take_rights(self, rights: Rights) -> None:
        if self.closed:
            return
        if rights.presence != self.sees:
            self._see(rights.presence)
        self._host.rests_on(self, rights.basis)

    def _see(self, sees: bool) -> None:
        """The list that it is told begins anew: empty for one that may not see it any more."""
        self.sees = sees
        if not sees:
            self._host.unseen(self)
        self._missed_presence = True
        self.start_catching_up()

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
