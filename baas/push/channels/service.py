"""Channels of one process: joined by sessions, written to by the publisher, fed by the feed."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
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
from baas.push.channels.member import PAGE, Heard, Member, Rights
from baas.push.channels.presence import Presence, entry_of
from baas.push.channels.publisher import Outgoing, Publisher
from baas.push.channels.rows import (
    CHANNELS,
    MESSAGES,
    PRESENCE,
    channel_id,
    inbox_of,
    presence_id,
)
from baas.push.contract import Caller, Commit, Ended, Follower, Outbox
from baas.push.frames import Join, Publish, encode_frame
from baas.query.ast import And, Eq, Field, Filter, Range, SortKey
from baas.query.limits import QueryLimits
from baas.rules.channelsfile import INBOX, MAX_NAME, ChannelOperation, History
from baas.rules.needs import Needs
from baas.schema.admit import admit_value
from baas.schema.values import Document, Value, date_from_ms, decode, encode
from baas.settings import Settings

_log = logging.getLogger(__name__)

#: An inbox keeps this many messages; the oldest go first.
INBOX_MESSAGES: Final = 1000
_IN_ORDER: Final = (SortKey(("seq",)), SortKey(("_id",)))
_ASKED_AT_ONCE: Final = 50
#: Rules that speak of the time are asked again so often, in seconds.
TIME_SECONDS: Final = 30.0
_NOTHING: Final = Rights(presence=False)


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
        self.presence: Final = Presence(
            store, clock, settings.push.presence_entries, self._show_again
        )
        self._guard = guard
        self._follower = follower
        self._settings = settings.push
        self._limits = settings.limits
        self._clock = clock
        self._publisher = Publisher(store, clock)
        self._members: dict[str, dict[Member, None]] = {}
        self._rests: dict[Member, Rights] = {}
        self._resting: dict[tuple[str, str], set[Member]] = {}
        self._listening: dict[str, int] = {}
        #: Changes seen of each collection.
        self._turns: Counter[str] = Counter()
        self._timed: dict[Member, float] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._stale: dict[Member, None] = {}
        self._asking: asyncio.Task[None] | None = None
        self._writing: dict[str, asyncio.Task[Any]] = {}

    async def start(self) -> None:
        self.presence.start()

    async def stop(self) -> None:
        for task in (self._asking, self._ticking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        if self._writing:
            await asyncio.wait(list(self._writing.values()))
        await self.presence.stop()

    def rules_changed(self) -> None:
        self._ask_again([one for members in self._members.values() for one in members])

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
        self.rests_on(member, rights)
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
        self._listen(MESSAGES)
        self._listen(PRESENCE)

    def gone(self, member: Member) -> None:
        members = self._members[member.channel]
        del members[member]
        if not members:
            del self._members[member.channel]
        self._rest_no_more(member)
        self._stale.pop(member, None)
        self._unlisten(MESSAGES)
        self._unlisten(PRESENCE)
        if not member.lasting:
            self.unseen(member)

    # -- rules -------------------------------------------------------------------------------------

    async def may(self, name: str, caller: Caller) -> Rights:
        if name == INBOX:
            return Rights(presence=False)
        entry = self._guard.entry(name)
        if entry is None:
            raise denied(REFUSAL)
        needs = Needs() if caller.actor.trusted else entry.needs
        for other in needs.collections:  # from before they are read, so that no change is missed
            self._listen(other)
        try:
            await self._follower.ready()
            turned, known = self._turned(needs), KnownLookups()
            if not await self._may(ChannelOperation.SUBSCRIBE, name, caller, known):
                raise denied(REFUSAL)
            presence = await self._may(ChannelOperation.PRESENCE, name, caller, known)
        finally:
            for other in needs.collections:
                self._unlisten(other)
        return Rights(presence, needs, frozenset(known.known), turned)

    def _turned(self, needs: Needs) -> int:
        return sum(self._turns[name] for name in needs.collections)

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

    def rests_on(self, member: Member, rights: Rights) -> None:
        for name in rights.needs.collections:
            self._listen(name)
        before = self._rests.get(member, _NOTHING)
        self._rest_no_more(member)
        self._rests[member] = rights
        for key in rights.looked_up:
            self._resting.setdefault(key, set()).add(member)
        if before.looked_up != rights.looked_up and rights.turned != self._turned(rights.needs):
            self._ask_again([member])  # a document may have changed before it was known here
        if rights.needs.time:
            self._timed[member] = self._clock.monotonic() + TIME_SECONDS
            if self._ticking is None or self._ticking.done():
                self._ticking = asyncio.get_running_loop().create_task(self._tick())

    def _rest_no_more(self, member: Member) -> None:
        rights = self._rests.pop(member, _NOTHING)
        self._timed.pop(member, None)
        for key in rights.looked_up:
            self._resting[key].discard(member)
            if not self._resting[key]:
                del self._resting[key]
        for name in rights.needs.collections:
            self._unlisten(name)

    async def _tick(self) -> None:
        """As long as some rule speaks of the time."""
        while self._timed:
            await asyncio.sleep(1.0)
            self.ask_the_timed()

    def ask_the_timed(self) -> None:
        """Asks those rules again that are due."""
        now = self._clock.monotonic()
        due = [member for member, moment in self._timed.items() if moment <= now]
        for member in due:
            self._timed[member] = now + TIME_SECONDS
        self._ask_again(due)

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
        if not await self._may(ChannelOperation.PRESENCE, name, caller, KnownLookups()):
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
        kept = Field(("expires",), Range("gt", date_from_ms(self._clock.now_ms())))
        behind = And((*_behind(channel, after), kept))
        query = Find(collection=MESSAGES, filter=behind, sort=_IN_ORDER, limit=PAGE)
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
        return Heard(seq, row["after"], frame[:-1])

    # -- presence ----------------------------------------------------------------------------------

    async def enter(self, member: Member, frame: Join, caller: Caller) -> None:
        if frame.presence is msgspec.UNSET:
            await self._hide(member)
            return
        if not await self._may(ChannelOperation.PRESENCE, member.name, caller, KnownLookups()):
            raise denied(REFUSAL)
        limits = QueryLimits.of(self._limits)
        state = admit_value(frame.presence, limits, now_ms=self._clock.now_ms(), path="presence")
        await self._show(member, state, caller.actor.uid)

    async def _show(self, member: Member, state: Value, uid: str | None) -> None:
        """Broken off, it is taken away again: `gone` finds it named, and waits its turn."""
        before = member.shown
        member.shown = presence_id(member.name, member.session)
        work = self.presence.show(member.name, member.session, uid, state, lasting=member.lasting)
        try:
            await asyncio.shield(self._in_turn(member.shown, work))
        except Problem:
            member.shown = before
            raise
        member.state = state

    async def _hide(self, member: Member) -> None:
        shown, member.shown = member.shown, None
        if member.lasting:  # it may be there from an earlier poll
            shown = presence_id(member.name, member.session)
        if shown is not None:
            await asyncio.shield(self._in_turn(shown, self.presence.hide(shown)))

    def unseen(self, member: Member) -> None:
        shown, member.shown = member.shown, None
        others = self._members.get(member.channel, ())
        if shown is not None and not any(other.shown == shown for other in others):
            self._in_turn(shown, self.presence.hide(shown))

    def _in_turn(self, id: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """What is written of one session in one channel is written in the order asked."""
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

    async def _show_again(self) -> None:
        """This process was taken for dead: what it shows has been taken away."""
        for members in list(self._members.values()):
            for member in list(members):
                if member.shown is not None and not member.closed:
                    await self._show(member, member.state, member.caller.actor.uid)

    async def present(self, member: Member) -> list[Document]:
        return await self.presence.entries(member.name) if member.sees else []

    def seen(self, member: Member) -> None:
        if member.shown is not None and member.lasting:
            self._in_turn(member.shown, self.presence.seen(member.shown))

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
            self._turns[event.collection] += 1
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
            member.start_afresh()
        self._ask_again(everyone)


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
