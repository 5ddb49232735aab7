"""Channels of one process: joined by sessions, written to by the publisher, fed by the feed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

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
from baas.push.channels.member import PAGE, Heard, Member
from baas.push.channels.presence import Presence, entry_of
from baas.push.channels.publisher import Outgoing, Publisher
from baas.push.channels.rows import CHANNELS, MESSAGES, PRESENCE, channel_id, inbox_of
from baas.push.contract import Caller, Commit, Ended, Follower, Outbox
from baas.push.frames import Join, Publish, encode_frame
from baas.query.ast import And, Eq, Field, Filter, Range, SortKey
from baas.query.limits import QueryLimits
from baas.rules.channelsfile import INBOX, MAX_NAME, ChannelOperation, History
from baas.schema.admit import admit_value
from baas.schema.values import Document, Value, decode, encode
from baas.settings import Settings

_log = logging.getLogger(__name__)

#: An inbox keeps this many messages; the oldest go first.
INBOX_MESSAGES: Final = 1000
_IN_ORDER: Final = (SortKey(("seq",)), SortKey(("_id",)))
_ASKED_AT_ONCE: Final = 50


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
        self.presence: Final = Presence(store, clock, settings.push.presence_entries)
        self._guard = guard
        self._follower = follower
        self._settings = settings.push
        self._limits = settings.limits
        self._clock = clock
        self._publisher = Publisher(store, clock)
        self._members: dict[str, dict[Member, None]] = {}
        self._rests: dict[Member, frozenset[tuple[str, str]]] = {}
        self._resting: dict[tuple[str, str], set[Member]] = {}
        self._listening: dict[str, int] = {}
        self._stale: dict[Member, None] = {}
        self._asking: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        self.presence.start()

    async def stop(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError):
                await self._asking
        for task in list(self._background):
            with suppress(Problem, asyncio.CancelledError):
                await task
        await self.presence.stop()

    def rules_changed(self) -> None:
        self._ask_again([one for members in self._members.values() for one in members])

    # -- joining -----------------------------------------------------------------------------------

    async def join(
        self, frame: Join, caller: Caller, session: str, outbox: Outbox, ended: Ended
    ) -> Member:
        name, history = self._named(frame.channel, caller)
        documents = await self.may_hear(frame.channel, caller)
        member = Member(self, frame, name, history, caller, session, outbox, ended)
        self._attach(member)
        try:
            self.rests_on(member, documents)
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
        last = 0 if member.history is None else await self._last(member.channel)
        since = self._since(member, frame, last)
        if frame.presence is not msgspec.UNSET:
            await self.enter(member, frame, caller)
        member.sees = await self._may(ChannelOperation.PRESENCE, member.name, caller)
        entries = await self.presence.entries(member.name) if member.sees else []
        lost = since is None
        member.heard = last if since is None else since
        cursor = None
        if member.history is not None:
            cursor = self.cursors.seal(member.channel, member.heard)
        member.greet(entries, cursor)
        if lost:
            member.resync()
        if member.history is None:
            member.settle()
        else:
            await member.catch_up()

    def _since(self, member: Member, frame: Join, last: int) -> int | None:
        """The number of the last message that the client has; None where it cannot say."""
        if frame.cursor is None:
            return 0 if member.is_inbox else last
        since = self.cursors.open(member.channel, frame.cursor)
        return since if since is not None and since <= last else None

    async def _last(self, channel: str) -> int:
        head = await resolve(self.store.get(CHANNELS, channel_id(channel)))
        return 0 if head is None else int(decode(head)["seq"])

    def _attach(self, member: Member) -> None:
        self._members.setdefault(member.channel, {})[member] = None
        self._listen(MESSAGES)
        self._listen(PRESENCE)

    def gone(self, member: Member) -> None:
        members = self._members[member.channel]
        del members[member]
        if not members:
            del self._members[member.channel]
        self.rests_on(member, frozenset())
        self._stale.pop(member, None)
        self._unlisten(MESSAGES)
        self._unlisten(PRESENCE)
        shown, member.shown = member.shown, None
        if shown is not None and not member.lasting:
            self._later(self.presence.hide(shown))

    # -- rules -------------------------------------------------------------------------------------

    async def may_hear(self, name: str, caller: Caller) -> frozenset[tuple[str, str]]:
        if name == INBOX:
            return frozenset()
        known = KnownLookups()
        if not await self._may(ChannelOperation.SUBSCRIBE, name, caller, known):
            raise denied(REFUSAL)
        return frozenset(known.known)

    async def _may(
        self,
        operation: ChannelOperation,
        name: str,
        caller: Caller,
        known: KnownLookups | None = None,
        data: Value = None,
    ) -> bool:
        if name == INBOX:
            return False
        known = known or KnownLookups()
        facts = RequestFacts(time_ms=self._clock.now_ms(), ip=caller.ip, data=data)
        while True:
            try:
                return self._guard.allows(operation, name, caller.actor, facts, known)
            except LookupNeeded as need:
                found = await resolve(self.store.get(need.collection, need.id))
                known.known[need.collection, need.id] = None if found is None else decode(found)

    def rests_on(self, member: Member, documents: frozenset[tuple[str, str]]) -> None:
        for key in documents:
            self._listen(key[0])
        for key in self._rests.pop(member, frozenset()):
            self._resting[key].discard(member)
            if not self._resting[key]:
                del self._resting[key]
            self._unlisten(key[0])
        if documents:
            self._rests[member] = documents
            for key in documents:
                self._resting.setdefault(key, set()).add(member)

    def _ask_again(self, members: list[Member]) -> None:
        if not members:
            return
        self._stale.update(dict.fromkeys(members))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())

    async def _ask_all(self) -> None:
        asked = 0
        while self._stale:
            member = next(iter(self._stale))
            del self._stale[member]
            try:
                await member.ask_again()
            except Exception:
                _log.exception("the rules of a channel could not be asked again")
                member.end(Problem(Code.INTERNAL, "The channel could not be followed."))
            asked += 1
            if asked % _ASKED_AT_ONCE == 0:
                await asyncio.sleep(0)

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
        if not await self._may(ChannelOperation.PRESENCE, name, caller):
            raise denied(REFUSAL)
        return await self.presence.entries(name)

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
        query = Find(
            collection=MESSAGES, filter=_behind(channel, after), sort=_IN_ORDER, limit=PAGE
        )
        rows = await resolve(self.store.find(query))
        return [self._heard(decode(row)) for row in rows], last

    async def forget(self, member: Member, upto: int) -> None:
        filter = And((_of(member.channel), Field(("seq",), Range("lte", upto))))
        step = ChangeMany(collection=MESSAGES, filter=filter, apply=_delete, multi=True)
        await self.store.write((step,), WriteInfo())

    def _heard(self, row: Document) -> Heard:
        seq = row["seq"]
        cursor = self.cursors.seal(row["channel"], seq) if seq else None
        frame = encode_frame(
            "message", event=row["event"], data=row["data"], cursor=cursor, **{"from": row["from"]}
        )
        return Heard(seq, frame[:-1])

    # -- presence ----------------------------------------------------------------------------------

    async def enter(self, member: Member, frame: Join, caller: Caller) -> None:
        if frame.presence is msgspec.UNSET:
            shown, member.shown = member.shown, None
            if shown is not None:
                await self.presence.hide(shown)
            return
        if not await self._may(ChannelOperation.PRESENCE, member.name, caller):
            raise denied(REFUSAL)
        limits = QueryLimits.of(self._limits)
        state = admit_value(frame.presence, limits, now_ms=self._clock.now_ms(), path="presence")
        shown = await self.presence.show(
            member.name, member.session, caller.actor.uid, state, lasting=member.lasting
        )
        if member.closed:
            await self.presence.hide(shown)
        else:
            member.shown = shown

    def seen(self, member: Member) -> None:
        if member.shown is not None and member.lasting:
            self._later(self.presence.seen(member.shown))

    # -- the feed ----------------------------------------------------------------------------------

    def _listen(self, collection: str) -> None:
        self._listening[collection] = self._listening.get(collection, 0) + 1
        if self._listening[collection] == 1:
            self._follower.listen(collection, self)

    def _unlisten(self, collection: str) -> None:
        self._listening[collection] -= 1
        if not self._listening[collection]:
            del self._listening[collection]
            self._follower.ignore(collection, self)

    def take(self, commit: Commit) -> None:
        stale: dict[Member, None] = {}
        moved: dict[str, tuple[list[Document], list[Document]]] = {}
        for event in commit.events:
            if event.collection == MESSAGES and event.operation == "insert" and event.after:
                self._deliver(decode(event.after))
            elif event.collection == PRESENCE:
                _note(event, moved)
            for member in self._resting.get((event.collection, event.id), ()):
                stale[member] = None
        for channel, (came, went) in moved.items():
            self._tell(channel, came, went)
        self._ask_again(list(stale))

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
            member.start_catching_up()
        self._ask_again(everyone)

    def _later(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)


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


def _behind(channel: str, seq: int) -> Filter:
    return And((_of(channel), Field(("seq",), Range("gt", seq))))


def _delete(stored: Document | None, lookups: Lookups) -> Outcome:
    return KEEP if stored is None else DELETE


async def _logged(work: Awaitable[Any]) -> None:
    try:
        await work
    except Problem as problem:
        _log.warning("presence could not be written: %s", problem)
