"""The sessions of this process: their number, their time, and who they are now.

One task looks after time for all of them, and one follows the documents that identities rest on, so
that an idle connection costs its memory and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from itertools import islice
from typing import Final, Protocol

import msgspec

from baas.clock import Clock
from baas.errors import Code, Problem
from baas.ids import new_id
from baas.notation import parse_rate
from baas.push.contract import POLL, Caller, Channels, Commit, Follower, LiveQueries
from baas.push.session import Connection, Session
from baas.push.wire import DRAIN, Admission, Identities, Identity, Limits, Wire
from baas.settings import PushSettings

_log = logging.getLogger(__name__)

#: How often time is looked at, in seconds.
TICK_SECONDS: Final = 0.5
#: Sessions asked again before others get their turn in the loop.
_ASKED_AT_ONCE: Final = 50
#: What clients are told to wait where there are too many of them.
_FULL_SECONDS: Final = 10.0
#: Signing keys are looked at again a while after they changed: they are cached for a second.
_KEYS_SETTLE_SECONDS: Final = 1.2
_NAME_BYTES: Final = 12


class KeySource(Protocol):
    """`baas.secret.MasterSecret`, as far as it is needed here."""

    def derive(self, purpose: str) -> bytes: ...


class AuthCollections(msgspec.Struct, frozen=True):
    """Where identities come from. A change in `each` concerns those who rest on that document, one
    in `all` everybody."""

    each: tuple[str, ...]
    all: tuple[str, ...]


class Sessions:
    """`start` and `stop` once each; in between `open` for every connection."""

    def __init__(
        self,
        live: LiveQueries,
        channels: Channels,
        follower: Follower,
        identities: Identities,
        admission: Admission,
        settings: PushSettings,
        clock: Clock,
        collections: AuthCollections,
        secret: KeySource,
    ) -> None:
        self.live = live
        self.channels = channels
        self.identities = identities
        self.admission = admission
        self.clock = clock
        self.limits = _limits(settings)
        self.draining = False
        self._settings = settings
        self._follower = follower
        self._collections = collections
        self._naming = secret.derive("push/polls")
        self._open: dict[Session, str] = {}
        self._addresses: Counter[str] = Counter()
        self._users: Counter[str] = Counter()
        self._behind: dict[tuple[str, str], set[Session]] = {}
        self._stale: dict[Session, None] = {}
        self._all_stale_at: float | None = None
        self._wheel: dict[int, set[Session]] = {}
        self._turned = int(clock.monotonic())
        self._ticks: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None

    # -- numbers -----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._open)

    @property
    def watches(self) -> int:
        return sum(session.topics.watches for session in self._open)

    @property
    def joined(self) -> int:
        return sum(session.topics.channels for session in self._open)

    def newest(self, most: int) -> list[Connection]:
        """The connections that were opened last, the newest first."""
        return [session.connection() for session in islice(reversed(self._open), most)]

    # -- life --------------------------------------------------------------------------------------

    async def start(self) -> None:
        self._ticks = asyncio.create_task(self._tick_on(), name="baas-realtime")

    def drain(self) -> None:
        """Tells every client to come again elsewhere; new ones are told at once."""
        self.draining = True
        for session in list(self._open):
            session.end(DRAIN)

    async def stop(self) -> None:
        """Safe twice, and before `start`."""
        self.drain()
        for task in (self._ticks, self._asking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._ticks = self._asking = None

    def open(self, wire: Wire, ip: str, address: str, claimed: str | None = None) -> Session:
        """A session for a new connection; `address` is what counts as one address, `claimed` the
        name that a long-poll gives itself.

        RATE_LIMITED where there are too many, UNAVAILABLE while draining.
        """
        if self.draining:
            raise Problem(Code.UNAVAILABLE, "The service is stopping.", retry_after=1)
        if len(self._open) >= self._settings.sockets:
            raise _too_many("This gateway has too many connections.")
        if self._addresses[address] >= self._settings.sockets_per_address:
            raise _too_many("Too many connections from this address.")
        session = Session(self, wire, new_id(), ip, claimed)
        if not self._open:  # nobody's identity is of interest where nobody is connected
            for name in (*self._collections.each, *self._collections.all):
                self._follower.listen(name, self)
        self._open[session] = address
        self._addresses[address] += 1
        return session

    # -- what sessions ask (`Host`) ----------------------------------------------------------------

    def poll_name(self, claimed: str, caller: Caller) -> str:
        """The same in every process, and nobody else can claim it. Members of a channel see it: by
        trying, they are to find neither what was claimed nor the address of one who is nobody."""
        uid = caller.actor.uid
        text = f"@{caller.ip}\n{claimed}" if uid is None else f"{uid}\n{claimed}"
        key = self._naming
        return POLL + blake2b(text.encode(), digest_size=_NAME_BYTES, key=key).hexdigest()

    def known(self, session: Session, before: Identity | None, after: Identity) -> None:
        was = None if before is None else before.actor.uid
        uid = after.actor.uid
        if uid is not None and uid != was:
            if self._users[uid] >= self._settings.sockets_per_user:
                raise _too_many("Too many connections of this user.")
            self._users[uid] += 1
        if was is not None and uid != was:
            _count_down(self._users, was)
        if before is not None:
            self._forget(session, before)
        for document in after.behind:
            self._behind.setdefault(document, set()).add(session)
        # It may have changed between the look at it and this: those who change are told apart by
        # `after` being the very object that was told before.
        if after.behind and (before is None or before.behind != after.behind):
            self._ask_soon((session,))

    def wake_at(self, session: Session, moment: float) -> None:
        second = max(int(moment), self._turned) + 1
        if session.wakes_at and session.wakes_at <= second:
            return
        self._let_sleep(session)
        session.wakes_at = second
        self._wheel.setdefault(second, set()).add(session)

    def _let_sleep(self, session: Session) -> None:
        if session.wakes_at:
            self._wheel[session.wakes_at].discard(session)
            session.wakes_at = 0

    def ended(self, session: Session) -> None:
        address = self._open.pop(session, None)
        if address is None:
            return
        if not self._open:
            for name in (*self._collections.each, *self._collections.all):
                self._follower.ignore(name, self)
        _count_down(self._addresses, address)
        self._let_sleep(session)
        self._stale.pop(session, None)
        identity = session.identity
        if identity is not None:
            self._forget(session, identity)
            if identity.actor.uid is not None:
                _count_down(self._users, identity.actor.uid)

    def _forget(self, session: Session, identity: Identity) -> None:
        for document in identity.behind:
            sessions = self._behind.get(document)
            if sessions is not None:
                sessions.discard(session)
                if not sessions:
                    del self._behind[document]

    # -- time --------------------------------------------------------------------------------------

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.tick()

    def tick(self) -> None:
        """Does what is due by now."""
        now = self.clock.monotonic()
        while self._turned < int(now):
            self._turned += 1
            due = self._wheel.pop(self._turned, ())
            for session in due:
                session.wakes_at = 0
            for session in due:
                self._turn(session, now)
        if self._all_stale_at is not None and now >= self._all_stale_at:
            self._all_stale_at = None
            self._ask_soon(self._open)
        elif self._stale:
            self._ask_soon(())

    def _turn(self, session: Session, now: float) -> None:
        if session not in self._open:
            return
        try:
            moment = session.on_time(now)
        except Exception:  # one session's fault must not stop the time of all
            _log.exception("a session could not be ended in time")
            session.lost()
            return
        if moment is not None:
            self.wake_at(session, moment)

    # -- who they are now (`FeedListener`) ---------------------------------------------------------

    def take(self, commit: Commit) -> None:
        for event in commit.events:
            if event.collection in self._collections.all:
                self._everybody()
            elif event.collection in self._collections.each:
                self._ask_soon(self._behind.get((event.collection, event.id), ()))

    def lost(self) -> None:
        self._everybody()

    def _everybody(self) -> None:
        self._all_stale_at = self.clock.monotonic() + _KEYS_SETTLE_SECONDS

    def _ask_soon(self, sessions: Iterable[Session]) -> None:
        self._stale.update(dict.fromkeys(sessions))
        if self._stale and self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        """What cannot be asked now is asked again at the next tick."""
        failed: list[Session] = []
        asked = 0
        try:
            await self._follower.ready()
            while self._stale:
                session = next(iter(self._stale))
                del self._stale[session]
                if not await self._asked(session):
                    failed.append(session)
                asked += 1
                if asked % _ASKED_AT_ONCE == 0:
                    await asyncio.sleep(0)
        finally:
            self._asking = None
            self._stale.update(dict.fromkeys(failed))

    async def _asked(self, session: Session) -> bool:
        try:
            return await session.ask_again()
        except Exception:
            _log.exception("a session's identity could not be looked at again")
            return False


def _too_many(detail: str) -> Problem:
    return Problem(Code.RATE_LIMITED, detail, retry_after=_FULL_SECONDS)


def _limits(settings: PushSettings) -> Limits:
    rate = parse_rate(settings.rate_frames)
    return Limits(
        watches=settings.watches,
        channels=settings.channels,
        frames=rate.count if rate else 0,
        frames_seconds=rate.seconds if rate else 0.0,
    )


def _count_down(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
