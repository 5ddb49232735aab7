"""Channels of one process: joined by sessions, written to by the publisher, fed by the feed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from baas.clock import Clock
from baas.errors import Code, Problem, denied, invalid
from baas.guard import ChannelGuard, RequestFacts
from baas.guard.plans import REFUSAL
from baas.ports.changes import ChangeEvent
from baas.ports.documents import (
    DELETE,
    KEEP,
    ChangeMany,
    DocumentStore,
    Find,
    KnownLookups,
    LookupNeeded,
    Lookups,
    Outcome,
    WriteInfo,
    resolve,
)
from baas.push.channels.cursors import ChannelCursors, KeySource
from baas.push.channels.member import PAGE, Heard, Member, Rights
from baas.push.channels.presence import entry_of
from baas.push.channels.publisher import Outgoing, Publisher
from baas.push.channels.rows import CHANNELS, INBOXES, MESSAGES, PRESENCE, channel_id, inbox_of
from baas.push.channels.shown import Shown
from baas.push.contract import Caller, Commit, Ended, Follower, Outbox
from baas.push.frames import Join, Publish, encode_frame
from baas.push.resting import Basis, Listening, Resting
from baas.query.ast import And, Eq, Field, Filter, Range, SortKey
from baas.query.limits import QueryLimits
from baas.rules.channelsfile import INBOX, MAX_NAME, ChannelOperation, History
from baas.rules.needs import Needs
from baas.schema.admit import admit_value
from baas.schema.values import Document, Value, date_from_ms, decode, encode
from baas.settings import Settings

#: An inbox keeps this many messages; the oldest go first.
INBOX_MESSAGES: Final = 1000
_IN_ORDER: Final = (SortKey(("seq",)), SortKey(("_id",)))
#: What every member needs to be told of.
_FOLLOWED: Final = (MESSAGES, PRESENCE)


class Channels:
    """See `baas.push.contract.Channels`; also what members ask for (`member.MemberHost`), and
    `send` and `send_to_user` for functions and the admin API."""

    def __init__(
        self,
        store: DocumentStore,
        guard: ChannelGuard,
        follower: Follower,
        settings: Settings,
        clock: Clock,
        secret: KeySource,
    ) -> None:
        self.store: DocumentStore = store
        self.cursors = ChannelCursors(secret)
        self._guard = guard
        self._follower = follower
        self._settings = settings.push
        self._limits = settings.limits
        self._clock = clock
        self._publisher = Publisher(store, clock)
        self._members: dict[str, dict[Member, None]] = {}
        self._listening = Listening(follower, self)
        self._resting: Resting[Member] = Resting(
            follower, self._listening, clock, lambda member: member.ask_again()
        )
        self.shown: Final = Shown(store, clock, settings.push.presence_entries, self._members_of)

    async def start(self) -> None:
        self.shown.presence.start()

    async def stop(self) -> None:
        await self._resting.stop()
        await self.shown.stop()

    @property
    def busy(self) -> bool:
        """Whether rules are being asked again, or something is being written."""
        return self._resting.busy or self._publisher.busy or self.shown.busy

    def rules_changed(self) -> None:
        self._resting.ask_all()

    def joined(self) -> dict[str, int]:
        """How many listen here to each channel; users' inboxes are theirs and left out."""
        return {
            name: len(members)
            for name, members in self._members.items()
            if not name.startswith(INBOXES)
        }

    def _members_of(self, channel: str) -> Iterable[Member]:
        return self._members.get(channel, ())

    # -- joining -----------------------------------------------------------------------------------

    async def join(
        self, frame: Join, caller: Caller, session: str, outbox: Outbox, ended: Ended
    ) -> Member:
        name, history = self._named(frame.channel, caller)
        member = Member(self, frame, name, history, caller, session, outbox, ended)
        self._attach(member)
        try:
            await self._open(member, frame, caller)
        except BaseException:
            member.close()
            raise
        return member

    def _named(self, name: str, caller: Caller) -> tuple[str, History | None]:
        """Where the messages of a channel are, and how long they are kept there."""
        if name == INBOX:
            if caller.actor.uid is None:
                raise denied("An inbox is a signed-in user's.")
            return inbox_of(caller.actor.uid), self._inbox_history()
        check_name(name)
        entry = self._guard.entry(name)
        return name, History() if entry is None else entry.history

    def _inbox_history(self) -> History:
        return History(self._settings.inbox_days * 86_400, INBOX_MESSAGES)

    async def _open(self, member: Member, frame: Join, caller: Caller) -> None:
        """`joined`, then what it has not heard. It is attached: nothing is missed meanwhile."""
        rights = await self.may(frame.channel, caller)
        member.sees = rights.presence
        self.rests_on(member, rights.basis)
        last = 0 if member.history is None else await self._last(member.channel)
        if frame.presence is not msgspec.UNSET or member.lasting:
            await self.enter(member, frame, caller)
        since = self._since(member, frame, last)
        await member.begin(last if since is None else since, lost=since is None)

    def _since(self, member: Member, frame: Join, last: int) -> int | None:
        """The number of the last message that the client has; None where it cannot say."""
        if frame.cursor is None:
            return 0 if member.is_inbox else last
        since = self.cursors.open(member.channel, frame.cursor)
        if since is not None and since <= last:
            return since
        return 0 if member.is_inbox else None

    async def _last(self, channel: str) -> int:
        head = await resolve(self.store.get(CHANNELS, channel_id(channel)))
        return 0 if head is None else int(decode(head)["seq"])

    def _attach(self, member: Member) -> None:
        self._members.setdefault(member.channel, {})[member] = None
        self._listening.add(_FOLLOWED)

    def gone(self, member: Member) -> None:
        members = self._members[member.channel]
        del members[member]
        if not members:
            del self._members[member.channel]
        self._resting.drop(member)
        self._listening.drop(_FOLLOWED)
        if member.lasting:
            self.shown.leave(member)
        else:
            self.shown.hide_soon(member)

    # -- rules -------------------------------------------------------------------------------------

    async def may(self, name: str, caller: Caller) -> Rights:
        if name == INBOX:
            return Rights(presence=False)
        entry = self._guard.entry(name)
        if entry is None:
            raise denied(REFUSAL)
        needs = Needs() if caller.actor.trusted else entry.needs
        known = KnownLookups()
        async with self._resting.looking(needs) as turned:
            if not await self._may(ChannelOperation.SUBSCRIBE, name, caller, known):
                raise denied(REFUSAL)
            presence = await self._may(ChannelOperation.PRESENCE, name, caller, known)
        return Rights(presence, Basis(needs, frozenset(known.known), turned))

    async def _may(
        self, operation: ChannelOperation, name: str, caller: Caller, known: KnownLookups
    ) -> bool:
        if name == INBOX:
            return False
        facts = RequestFacts(time_ms=self._clock.now_ms(), ip=caller.ip)
        while True:
            try:
                return self._guard.allows(operation, name, caller.actor, facts, known)
            except LookupNeeded as need:
                found = await resolve(self.store.get(need.collection, need.id))
                known.known[need.collection, need.id] = None if found is None else decode(found)

    def rests_on(self, member: Member, basis: Basis) -> None:
        self._resting.put(member, basis)

    # -- publishing --------------------------------------------------------------------------------

    async def send(self, member: Member, frame: Publish, caller: Caller) -> None:
        """A member's message. The rule is asked in the write itself."""
        message = self._message(frame.event, frame.data)
        check = self._publish_check(member.name, message, caller)
        outgoing = msgspec.structs.replace(message, sender=caller.actor.uid, check=check)
        await self._publisher.publish(member.channel, member.history, outgoing)

    def _publish_check(
        self, name: str, message: Outgoing, caller: Caller
    ) -> Callable[[Lookups], None]:
        data = {"event": message.event, "data": message.data}
        facts = RequestFacts(time_ms=self._clock.now_ms(), ip=caller.ip, data=data)
        operation = ChannelOperation.PUBLISH

        def check(lookups: Lookups) -> None:
            if not self._guard.allows(operation, name, caller.actor, facts, lookups):
                raise denied(REFUSAL)

        return check

    async def send_to_channel(
        self, name: str, event: str, data: Value, *, caller: Caller, origin: WriteInfo
    ) -> None:
        """From the server side. A caller who is not trusted is held by the rules. Done once
        durable."""
        check_name(name)
        entry = self._guard.entry(name)
        if entry is None:
            if not caller.actor.trusted:
                raise denied(REFUSAL)
            raise invalid("channel", f"no entry of _channels.yaml matches {name!r}")
        message = self._message(event, data)
        message = msgspec.structs.replace(
            message,
            sender=origin.actor,
            depth=origin.depth,
            check=self._publish_check(name, message, caller),
        )
        await self._publisher.publish(name, entry.history, message)

    async def send_to_user(
        self,
        uid: str,
        event: str,
        data: Value,
        *,
        keep: float | None = None,
        origin: WriteInfo,
    ) -> None:
        """Into a user's inbox, kept `keep` seconds unless the user's client has it before."""
        if not 1 <= len(uid) <= MAX_NAME or not uid.isprintable():
            raise invalid("user", f"a uid, 1 to {MAX_NAME} printable characters")
        history = self._inbox_history()
        if keep is not None and not 1 <= keep <= history.keep:
            raise invalid("expires", f"1 to {history.keep} seconds")
        seconds = None if keep is None else int(keep)
        message = msgspec.structs.replace(
            self._message(event, data), sender=origin.actor, depth=origin.depth, keep=seconds
        )
        await self._publisher.publish(inbox_of(uid), history, message)

    async def present_in(self, name: str, caller: Caller) -> list[Document]:
        """Who is seen in a channel; PERMISSION_DENIED where the rules show nobody."""
        check_name(name)
        if not await self._may(ChannelOperation.PRESENCE, name, caller, KnownLookups()):
            raise denied(REFUSAL)
        return await self.shown.presence.entries(name)

    def _message(self, event: str, data: Value) -> Outgoing:
        limits = QueryLimits.of(self._limits)
        admitted = admit_value(data, limits, now_ms=self._clock.now_ms(), path="data")
        most = self._settings.message_bytes
        if len(encode(admitted)) > most:
            raise Problem(Code.PAYLOAD_TOO_LARGE, f"data: at most {most} bytes")
        return Outgoing(event=event, data=admitted, sender=None)

    # -- history -----------------------------------------------------------------------------------

    async def history(self, channel: str, after: int) -> tuple[list[Heard], int]:
        last = await self._last(channel)
        kept = Field(("expires",), Range("gt", date_from_ms(self._clock.now_ms())))
        behind = And((*_behind(channel, after), kept))
        query = Find(collection=MESSAGES, filter=behind, sort=_IN_ORDER, limit=PAGE)
        rows = await resolve(self.store.find(query))
        return [self._heard(decode(row)) for row in rows], last

    async def forget(self, member: Member, upto: int) -> None:
        filter = And((_of(member.channel), Field(("seq",), Range("lte", upto))))
        if await resolve(self.store.count(MESSAGES, filter)):
            step = ChangeMany(collection=MESSAGES, filter=filter, apply=_delete, multi=True)
            await self.store.write((step,), WriteInfo())

    def _heard(self, row: Document) -> Heard:
        seq = row["seq"]
        cursor = self.cursors.seal(row["channel"], seq) if seq else None
        frame = encode_frame(
            "message", event=row["event"], data=row["data"], cursor=cursor, **{"from": row["from"]}
        )
        return Heard(seq, row["after"], frame[:-1])

    # -- presence ----------------------------------------------------------------------------------

    async def enter(self, member: Member, frame: Join, caller: Caller) -> None:
        if frame.presence is msgspec.UNSET:
            await self.shown.hide(member)
            return
        if not await self._may(ChannelOperation.PRESENCE, member.name, caller, KnownLookups()):
            raise denied(REFUSAL)
        limits = QueryLimits.of(self._limits)
        state = admit_value(frame.presence, limits, now_ms=self._clock.now_ms(), path="presence")
        await self.shown.show(member, state)

    def unseen(self, member: Member) -> None:
        self.shown.hide_soon(member)

    def seen(self, member: Member) -> None:
        self.shown.seen(member)

    async def present(self, member: Member) -> list[Document]:
        return await self.shown.presence.entries(member.name) if member.sees else []

    # -- the feed ----------------------------------------------------------------------------------

    def take(self, commit: Commit) -> None:
        moved: dict[str, tuple[list[Document], list[Document]]] = {}
        for event in commit.events:
            self._resting.note(event)
            if event.collection == MESSAGES and event.operation == "insert" and event.after:
                self._deliver(decode(event.after))
            elif event.collection == PRESENCE:
                _note(event, moved)
        for channel, (came, went) in moved.items():
            self._tell(channel, came, went)
        self._resting.ask_noted()

    def _deliver(self, row: Document) -> None:
        members = self._members.get(row["channel"])
        if members:
            message = self._heard(row)
            for member in list(members):
                member.hear(message)

    def _tell(self, channel: str, came: list[Document], went: list[Document]) -> None:
        members = self._members.get(channel)
        if members:
            frame = encode_frame("presence", join=came, leave=went)[:-1]
            for member in list(members):
                member.tell(frame)

    def lost(self) -> None:
        everyone = [one for members in self._members.values() for one in members]
        for member in everyone:
            member.start_afresh()
        self._resting.ask_all()


def check_name(name: str) -> None:
    """INVALID_ARGUMENT for what can be no channel, and for the kit's own."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise invalid("channel", f"1 to {MAX_NAME} printable characters")
    if name == INBOX or name.startswith("_"):
        raise denied(REFUSAL)


def _note(event: ChangeEvent, moved: dict[str, tuple[list[Document], list[Document]]]) -> None:
    """Who came or changed, and who went, by channel. A mere sign of life is neither."""
    after = None if event.after is None else decode(event.after)
    before = None if event.before is None else decode(event.before)
    row = after or before
    if row is None or (after and before and entry_of(after) == entry_of(before)):
        return
    came, went = moved.setdefault(row["channel"], ([], []))
    if after is not None:
        came.append(entry_of(after))
    else:
        went.append({"uid": row["uid"], "session": row["session"]})


def _of(channel: str) -> Filter:
    return Field(("channel",), Eq(channel))


def _behind(channel: str, seq: int) -> tuple[Filter, Filter]:
    return _of(channel), Field(("seq",), Range("gt", seq))


def _delete(stored: Document | None, lookups: Lookups) -> Outcome:
    return KEEP if stored is None else DELETE
