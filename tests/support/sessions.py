"""A session with nothing real around it: hands to feed it, eyes on what it sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import msgspec

from baas.clock import ManualClock
from baas.errors import Code, Problem, denied
from baas.ports.changes import ChangeEvent
from baas.push.contract import Caller, Commit, Ended, FeedListener, Outbox
from baas.push.frames import Join, Publish, Watch, encode_frame
from baas.push.sessions import AuthCollections, Sessions
from baas.push.wire import Ending
from baas.schema.actor import NOBODY, Actor
from baas.settings import PushSettings


class MemoryWire:
    transport = "socket"
    queued = 0

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.ending: Ending | None = None
        self.has_room = True
        self.lasting = False
        self.waiting: list[Callable[[], None]] = []

    def send(self, frame: bytes) -> None:
        assert self.ending is None, f"after the end: {frame!r}"
        self.frames.append(msgspec.json.decode(frame))

    def send_shared(self, shared: bytes, own: bytes) -> None:
        self.send(shared + own)

    def on_room(self, call: Callable[[], None]) -> None:
        self.waiting.append(call)

    def read_all(self) -> None:
        """The client has caught up."""
        self.has_room = True
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call()

    def close(self, ending: Ending) -> None:
        self.ending = ending

    @property
    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames]


class Identity(msgspec.Struct):
    actor: Actor
    expires: float | None = None
    behind: tuple[tuple[str, str], ...] = ()


class FakeIdentities:
    """`tokens` by text; what is not there does not hold."""

    def __init__(self) -> None:
        self.tokens: dict[str, Identity] = {}
        self.revoked: set[str] = set()
        self.gate: asyncio.Event | None = None
        self.fault: Exception | None = None

    def add(self, uid: str, expires: float | None = None, roles: tuple[str, ...] = ()) -> str:
        actor = Actor(uid=uid, roles=roles, session=f"s-{uid}")
        behind = (("_users", uid), ("_sessions", f"s-{uid}"))
        self.tokens[uid] = Identity(actor, expires, behind)
        return uid

    async def identify(self, token: str | None) -> Identity:
        if self.gate is not None:
            await self.gate.wait()
        if token is None:
            return Identity(NOBODY)
        if token not in self.tokens:
            raise Problem(Code.UNAUTHENTICATED, "no such token")
        return self.tokens[token]

    async def identify_again(self, identity: Identity) -> Identity:
        if self.fault is not None:
            raise self.fault
        if identity.actor.uid in self.revoked:
            raise Problem(Code.UNAUTHENTICATED, "ended")
        return self.tokens[identity.actor.uid or ""]


class FakeSubscription:
    def __init__(self, frame: Any, caller: Caller, outbox: Outbox, ended: Ended) -> None:
        self.frame = frame
        self.callers = [caller]
        self.outbox = outbox
        self.ended = ended
        self.closed = False
        self.published: list[Any] = []
        self.durable: asyncio.Event | None = None
        self.acknowledged: list[str] = []
        self.states: list[Any] = []
        self.signs = 0

    async def renew(self, caller: Caller) -> None:
        self.callers.append(caller)

    def close(self) -> None:
        self.closed = True

    async def publish(self, frame: Publish, caller: Caller) -> None:
        assert not self.closed
        self.published.append(frame.data)
        if self.durable is not None:
            await self.durable.wait()
        if frame.event == "refused":
            raise denied("not you")
        if frame.ack is not None:
            self.outbox.send(encode_frame("ack", id=frame.id, ref=frame.ack))

    async def acknowledge(self, cursor: str) -> None:
        self.acknowledged.append(cursor)

    async def change_presence(self, frame: Join, caller: Caller) -> None:
        self.states.append(frame.presence)

    def alive(self) -> None:
        self.signs += 1


class FakeService:
    """Both live queries and channels. What is named `refused` is; `slow` waits for `gate`."""

    def __init__(self) -> None:
        self.opened: list[FakeSubscription] = []
        self.opening = 0
        self.gate = asyncio.Event()
        self.first = "snapshot"

    async def watch(
        self, frame: Watch, caller: Caller, outbox: Outbox, ended: Ended
    ) -> FakeSubscription:
        await self._wait(frame.collection)
        outbox.send(encode_frame(self.first, id=frame.id, documents=[], cursor="c"))
        return self._opened(frame, caller, outbox, ended)

    async def join(
        self, frame: Join, caller: Caller, session: str, outbox: Outbox, ended: Ended
    ) -> FakeSubscription:
        await self._wait(frame.channel)
        outbox.send(encode_frame("joined", id=frame.id, presence=[], cursor="c"))
        return self._opened(frame, caller, outbox, ended)

    async def _wait(self, name: str) -> None:
        self.opening += 1
        try:
            if name == "slow":
                await self.gate.wait()
            if name == "refused":
                raise denied("not you")
            if name == "broken":
                raise RuntimeError("a fault of ours")
        finally:
            self.opening -= 1

    def _opened(self, *given: Any) -> FakeSubscription:
        self.opened.append(FakeSubscription(*given))
        return self.opened[-1]


class FakeFollower:
    def __init__(self) -> None:
        self.listeners: dict[str, FeedListener] = {}

    @property
    def position(self) -> str:
        return ""

    async def ready(self) -> None:
        return None

    def listen(self, collection: str, listener: FeedListener) -> None:
        self.listeners[collection] = listener

    def ignore(self, collection: str, listener: FeedListener) -> None:
        del self.listeners[collection]


class FakeAdmission:
    def __init__(self) -> None:
        self.refusal: Problem | None = None
        self.bad_tokens = 0

    def _ask(self, caller: Caller) -> None:
        if self.refusal is not None:
            raise self.refusal

    watch = join = publish = change = _ask

    def bad_token(self, ip: str) -> None:
        self.bad_tokens += 1


class Padding:
    """Stands for the app's secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def derive(self, purpose: str) -> bytes:
        return purpose.encode().ljust(32, self._secret)[:32]


class Bench:
    """One process's sessions on a clock moved by hand."""

    def __init__(self, secret: bytes = b"!", **settings: Any) -> None:
        self.clock = ManualClock()
        self.service = FakeService()
        self.identities = FakeIdentities()
        self.follower = FakeFollower()
        self.admission = FakeAdmission()
        self.sessions = Sessions(
            self.service,
            self.service,
            self.follower,
            self.identities,
            self.admission,
            PushSettings(**settings),
            self.clock,
            AuthCollections(("_users", "_sessions"), ("_keys",)),
            Padding(secret),
        )

    def connect(self, address: str = "192.0.2.1") -> Client:
        wire = MemoryWire()
        return Client(self, wire, self.sessions.open(wire, address, address))

    async def client(self, token: str | None = None) -> Client:
        """One that is signed in."""
        client = self.connect()
        await client.say(type="auth", token=token)
        client.heard()
        return client

    async def pass_time(self, seconds: float) -> None:
        """In steps of a second, as it passes."""
        while seconds > 0:
            self.clock.advance(min(1.0, seconds))
            seconds -= 1.0
            self.sessions.tick()
        await settle()

    async def changed(self, collection: str, id: str) -> None:
        event = ChangeEvent(
            cursor="1",
            transaction="1",
            time=0,
            collection=collection,
            operation="update",
            id=id,
            before=None,
            after=None,
        )
        self.sessions.take(Commit("1", 0, (event,)))
        await settle()


class Client:
    def __init__(self, bench: Bench, wire: MemoryWire, session: Any) -> None:
        self.bench = bench
        self.wire = wire
        self.session = session

    async def say(self, **members: Any) -> list[Any]:
        """Sends a frame; what has come by the time that all is quiet."""
        return await self.say_raw(msgspec.json.encode(members))

    async def say_raw(self, text: bytes | str) -> list[Any]:
        self.session.take(text)
        await settle()
        return self.heard()

    @property
    def code(self) -> int | None:
        """The close code; None while the connection is there."""
        return None if self.wire.ending is None else self.wire.ending.code

    def heard(self) -> list[Any]:
        frames, self.wire.frames = self.wire.frames, []
        return frames


async def settle() -> None:
    """Lets the loop run what is ready; nothing in these tests takes longer."""
    for _ in range(30):
        await asyncio.sleep(0)


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs an `async def` test."""

    @wraps(test)
    def run(**given: Any) -> None:
        asyncio.run(test(**given))  # type: ignore[arg-type]

    return run
