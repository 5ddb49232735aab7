"""One client's connection, from its `auth` frame to its end: the state machine of the protocol.

It knows no transport: frames come in through `take`, go out through its wire, and time comes from
outside (`on_time`). A long-poll is a session that ends with its answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import Final, Protocol

import msgspec

from baas.clock import Clock
from baas.errors import Code, Problem
from baas.push.contract import Caller
from baas.push.frames import (
    Auth,
    ClientFrame,
    Ping,
    decode_frame,
    encode_frame,
    error_frame,
    named_in,
)
from baas.push.topics import Shared, Topics
from baas.push.wire import (
    AUTH_SECONDS,
    BAD_FRAME,
    EXPIRED,
    FAULT,
    GRACE_SECONDS,
    NO_AUTH,
    PING_SECONDS,
    REFUSED,
    REVOKED,
    SILENCE_SECONDS,
    SILENT,
    TOO_MUCH,
    Ending,
    Identities,
    Identity,
    Wire,
)
from baas.schema.actor import NOBODY
from baas.schema.values import Document, date_from_ms

_log = logging.getLogger(__name__)

#: Bytes of frames that are kept while a token is being looked at.
MAX_HELD: Final = 1024**2
#: So many frames does a later `auth` count as: a signature is dear to check.
AUTH_COST: Final = 20
#: Channels hear no more often that a client is alive.
ALIVE_SECONDS: Final = 5.0

_PONG: Final = encode_frame("pong")


class State(Enum):
    """`WAITING` for the first `auth`; `ASKING` who its token is; `OPEN`; `CLOSED`."""

    WAITING = "waiting"
    ASKING = "asking"
    OPEN = "open"
    CLOSED = "closed"


class Host(Shared, Protocol):
    """What the sessions of one process share; see `Sessions`."""

    identities: Identities
    clock: Clock

    def poll_name(self, claimed: str, caller: Caller) -> str:
        """What others see of a long-poll that calls itself `claimed`."""
        ...

    def known(self, session: Session, before: Identity | None, after: Identity) -> None:
        """`session` is somebody else now. RATE_LIMITED where that user has too many."""
        ...

    def wake_at(self, session: Session, moment: float) -> None:
        """Calls `on_time` about then; `moment` in seconds of `clock.monotonic`."""
        ...

    def ended(self, session: Session) -> None: ...


class Connection(msgspec.Struct, frozen=True, rename="camel"):
    """What an operator sees of a session: nothing that it could be taken over with. `key` is the
    id of an admin key; `queuedBytes` what the client has not taken yet."""

    session: str
    uid: str | None
    key: str | None
    ip: str
    transport: str
    since: Document
    watches: int
    channels: int
    queued_bytes: int


class Session:
    """`id` is the session's name in `ready` and in presence lists."""

    __slots__ = (
        "_alive_at",
        "_claimed",
        "_frames_at",
        "_held",
        "_held_bytes",
        "_host",
        "_seen",
        "_started",
        "_task",
        "_wire",
        "caller",
        "ending",
        "id",
        "identity",
        "state",
        "topics",
        "wakes_at",
    )

    def __init__(
        self, host: Host, wire: Wire, id: str, ip: str, claimed: str | None = None
    ) -> None:
        self.id = id
        self.caller = Caller(NOBODY, ip)
        self.identity: Identity | None = None
        self.state = State.WAITING
        self.ending: Ending | None = None
        #: When the host will call `on_time`; its own.
        self.wakes_at = 0
        self._claimed = claimed
        self._host = host
        self._wire = wire
        self.topics = Topics(self, host, wire)
        self._held: deque[bytes | str] | None = None
        self._held_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._started = self._seen = self._alive_at = host.clock.monotonic()
        self._frames_at = 0.0
        host.wake_at(self, self._started + AUTH_SECONDS)

    # -- what others see ---------------------------------------------------------------------------

    async def settled(self) -> None:
        """Until all that was asked for has been answered."""
        while self.state is not State.CLOSED and (self._task or self.topics.busy):
            if self._task is not None:
                await asyncio.wait([self._task])
            await self.topics.settled()

    def connection(self) -> Connection:
        clock, actor = self._host.clock, self.caller.actor
        open_for = clock.monotonic() - self._started
        return Connection(
            session=self.id,
            uid=actor.uid,
            key=actor.key,
            ip=self.caller.ip,
            transport=self._wire.transport,
            since=date_from_ms(clock.now_ms() - int(open_for * 1000)),
            watches=self.topics.watches,
            channels=self.topics.channels,
            queued_bytes=self._wire.queued,
        )

    # -- frames in ---------------------------------------------------------------------------------

    def take(self, text: bytes | str) -> None:
        """One frame of the client's. Nothing it holds makes this raise."""
        if self.state is State.CLOSED:
            return
        now = self._host.clock.monotonic()
        self._seen = now
        if not self._within_rate(now, 1):
            self._too_many_frames()
            return
        if now - self._alive_at >= ALIVE_SECONDS:
            self._tell_alive(now)
        try:
            frame = decode_frame(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as fault:
            self._bad_frame(text, fault)
            return
        if self._held is None:
            self._act(frame, text)
        elif isinstance(frame, Ping):
            self._wire.send(_PONG)
        elif self._held_bytes + len(text) <= MAX_HELD:
            self._held.append(text)
            self._held_bytes += len(text)
        else:
            self._too_many_frames()

    def take_control(self) -> None:
        """One frame of the WebSocket protocol itself: it counts, and is no sign of life."""
        if self.state is State.CLOSED or self._within_rate(self._host.clock.monotonic(), 1):
            return
        self._too_many_frames()

    def refuse(self, detail: str) -> None:
        """What came was no frame at all: the connection ends."""
        self._wire.send(error_frame(Problem(Code.INVALID_ARGUMENT, detail)))
        self.end(BAD_FRAME)

    def _within_rate(self, now: float, frames: int) -> bool:
        """The generic cell rate algorithm, as in the gateway's rate limits."""
        limits = self._host.limits
        if not limits.frames:
            return True
        full_at = max(self._frames_at, now) + frames * limits.frames_seconds / limits.frames
        if full_at - now > limits.frames_seconds + 1e-6:
            return False
        self._frames_at = full_at
        return True

    def _too_many_frames(self) -> None:
        self._wire.send(error_frame(Problem(Code.RATE_LIMITED, "Too many frames; wait.")))
        self.end(TOO_MUCH)

    def _bad_frame(self, text: bytes | str, fault: Exception) -> None:
        """A fault within a frame that names its id concerns that id alone."""
        named = named_in(text) if isinstance(fault, msgspec.ValidationError) else None
        if named is None or self.state is State.WAITING:
            self.refuse(f"This is no frame of the protocol: {fault}")
        else:
            ref = None if named.ref is msgspec.UNSET and named.id in self.topics else named.ref
            self._wire.send(error_frame(Problem(Code.INVALID_ARGUMENT, str(fault)), named.id, ref))

    def _act(self, frame: ClientFrame, text: bytes | str) -> None:
        if isinstance(frame, Auth):
            self._take_auth(frame.token)
        elif self.state is State.WAITING:
            self.refuse("The first frame must be auth.")
        elif isinstance(frame, Ping):
            self._wire.send(_PONG)
        else:
            self.topics.act(frame, text)

    # -- who it is ---------------------------------------------------------------------------------

    def _take_auth(self, token: str | None) -> None:
        again = self.identity is not None
        if again and not self._within_rate(self._host.clock.monotonic(), AUTH_COST - 1):
            self._too_many_frames()
        else:
            self._authenticate(token)

    def _authenticate(self, token: str | None) -> None:
        self.state = State.ASKING
        self._held = deque()
        self._task = asyncio.get_running_loop().create_task(self._identify(token))

    async def _identify(self, token: str | None) -> None:
        """Asks who it is; the frames that came meanwhile are acted on afterwards."""
        try:
            identity = await self._host.identities.identify(token)
            self._adopt(identity, greet=True)
        except Problem as problem:
            self._refused(problem)
        except Exception:
            _log.exception("a token could not be looked at")
            self.end(FAULT)
        finally:
            self._task = None
        self._act_on_held()

    def _act_on_held(self) -> None:
        held, self._held = self._held or deque(), None
        self._held_bytes = 0
        while held and self.state is not State.CLOSED:
            text = held.popleft()
            self._act(decode_frame(text), text)
            if self._task is not None:  # another `auth` was among them
                self._hold(held)
                return

    def _hold(self, frames: Iterable[bytes | str]) -> None:
        self._held = deque(frames)

    def _refused(self, problem: Problem) -> None:
        if self.state is State.CLOSED:
            return
        ending = REFUSED
        if problem.code is Code.RATE_LIMITED:
            ending = TOO_MUCH
        elif problem.status != 401:
            ending = FAULT
        else:
            try:
                self._host.admission.bad_token(self.caller.ip)
            except Problem as limited:
                problem, ending = limited, TOO_MUCH
        self._wire.send(error_frame(problem))
        self.end(ending)

    def _adopt(self, identity: Identity, *, greet: bool) -> None:
        """From now on the session acts as `identity`. RATE_LIMITED: too many of that user."""
        if self.state is State.CLOSED:
            return
        self._host.known(self, self.identity, identity)
        changed = identity.actor != self.caller.actor
        self.identity = identity
        self.caller = Caller(identity.actor, self.caller.ip)
        self.state = State.OPEN
        if self._claimed is not None:
            self.id = self._host.poll_name(self._claimed, self.caller)
        if greet:
            self._wire.send(self._ready())
        self._host.wake_at(self, self._due())
        if changed:
            self.topics.renew()

    def _ready(self) -> bytes:
        return encode_frame(
            "ready",
            session=self.id,
            serverTime=date_from_ms(self._host.clock.now_ms()),
            pingSeconds=PING_SECONDS,
        )

    async def ask_again(self) -> bool:
        """What the identity rests on has changed: it is looked at again, and the connection goes
        on with new rights or ends. False where a later `auth` is being looked at, and may be
        answered by what was before: ask again then. Raises what keeps it from being looked at."""
        if self._task is not None:
            return False
        asked = self.identity
        if self.state is not State.OPEN or asked is None:
            return True
        try:
            fresh = await self._host.identities.identify_again(asked)
        except Problem as problem:
            if problem.status != 401:
                raise
            if self.identity is asked:
                self.end(REVOKED)
            return True
        if self.identity is asked and self.state is State.OPEN and fresh is not asked:
            self._adopt(fresh, greet=False)
        return True

    def check_token(self) -> None:
        """A token that has expired keeps what is open for a while, and opens nothing."""
        identity = self.identity
        expires = None if identity is None else identity.expires
        if expires is not None and self._host.clock.now_ms() / 1000 >= expires:
            raise Problem(Code.TOKEN_EXPIRED, "The access token has expired; send auth again.")

    # -- time and the end --------------------------------------------------------------------------

    def on_time(self, now: float) -> float | None:
        """What is due is done; the moment of the next call, None for never."""
        if self.state is State.CLOSED:
            return None
        ending = self._ending_by(now)
        if ending is None:
            return self._due()
        self.end(ending)
        return None

    def _ending_by(self, now: float) -> Ending | None:
        if self.identity is None:
            return NO_AUTH if now >= self._started + AUTH_SECONDS else None
        if self._token_ran_out():
            return EXPIRED
        return SILENT if now >= self._seen + SILENCE_SECONDS else None

    def _due(self) -> float:
        if self.identity is None:
            return self._started + AUTH_SECONDS
        due = self._seen + SILENCE_SECONDS
        if self.identity.expires is None:
            return due
        left = self.identity.expires + GRACE_SECONDS - self._host.clock.now_ms() / 1000
        return min(due, self._host.clock.monotonic() + left)

    def _token_ran_out(self) -> bool:
        expires = self.identity.expires if self.identity is not None else None
        return expires is not None and (self._host.clock.now_ms() / 1000 >= expires + GRACE_SECONDS)

    def _tell_alive(self, now: float) -> None:
        self._alive_at = now
        self.topics.alive()

    def end(self, ending: Ending) -> None:
        """`bye`, then the close code. Safe twice."""
        if self.state is not State.CLOSED:
            self.ending = ending
            self._wire.send(encode_frame("bye", reason=ending.reason))
            self._wire.close(ending)
            self.lost()

    def lost(self) -> None:
        """The connection is gone: all it had is let go. Safe twice."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self.topics.close()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._held = None
        self._host.ended(self)
