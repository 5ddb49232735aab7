"""Channels of several processes over one real store, and members that keep what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from baas.clock import ManualClock
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Problem
from baas.guard import ChannelGuard
from baas.ports.documents import WriteInfo
from baas.push.channels.rows import CHANNEL_COLLECTIONS
from baas.push.channels.service import Channels
from baas.push.contract import Caller
from baas.push.follower import FeedFollower
from baas.push.frames import Ack, Join, Publish
from baas.rules.channelsfile import read_channel_rules
from baas.schema.actor import SERVER, Actor
from baas.schema.model import CollectionSpec
from baas.settings import PushSettings, Settings
from tests.support.watching import NoSecret, user

RULES: Final = """\
- channel: room:{id}
  subscribe: auth.uid in get('database.rooms.' + params.id).members
  publish: auth.uid in get('database.rooms.' + params.id).members
  presence: auth.uid in get('database.rooms.' + params.id).seen
- channel: hall:{name}
  subscribe: auth != null
  publish: auth != null && request.data.data != 'refused'
  presence: auth != null
- channel: short:{name}
  subscribe: auth != null
  publish: auth != null
  history: {keep: 1h, max: 3}
- channel: live:{name}
  subscribe: auth != null
  publish: auth != null
  presence: auth != null
  history: none
- channel: early
  subscribe: auth != null && now < 1800000060000
"""


class Ear:
    """One client's side of one channel, and its outbox. `room` False: it reads no more for now."""

    def __init__(self, *, lasting: bool = False) -> None:
        self.lasting = lasting
        self.frames: list[Any] = []
        self.present: dict[str, Any] = {}
        self.cursor: str | None = None
        self.ended: Problem | None = None
        self.room = True
        self.member: Any = None
        self._on_room: list[Callable[[], None]] = []

    @property
    def has_room(self) -> bool:
        return self.room

    def on_room(self, call: Callable[[], None]) -> None:
        self._on_room.append(call)

    def make_room(self) -> None:
        self.room = True
        calls, self._on_room = self._on_room, []
        for call in calls:
            call()

    def send_shared(self, shared: bytes, own: bytes) -> None:
        assert self.room, "a frame of data although there is no room"
        self.send(shared + own)

    def send(self, frame: bytes) -> None:
        decoded = msgspec.json.decode(frame)
        self.frames.append(decoded)
        self.cursor = decoded.get("cursor") or self.cursor
        if decoded["type"] == "joined":
            self.present = {entry["session"]: entry for entry in decoded["presence"]}
        if decoded["type"] == "presence":
            for entry in decoded["leave"]:
                self.present.pop(entry["session"], None)
            for entry in decoded["join"]:
                self.present[entry["session"]] = entry

    @property
    def messages(self) -> list[Any]:
        return [frame["data"] for frame in self.frames if frame["type"] == "message"]

    @property
    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    @property
    def states(self) -> dict[str, Any]:
        return {entry["uid"]: entry["state"] for entry in self.present.values()}

    async def say(self, data: Any, event: str = "said") -> None:
        frame = Publish(id="c", event=event, data=data)
        await self.member.publish(frame, self.member.caller)

    async def show(self, state: Any = msgspec.UNSET) -> None:
        frame = Join(id="c", channel=self.member.name, presence=state)
        await self.member.change_presence(frame, self.member.caller)

    async def acknowledge(self, cursor: str) -> None:
        await self.member.acknowledge(Ack(id="c", cursor=cursor).cursor)


class Process:
    """What one gateway process has of channels."""

    def __init__(self, store: SqliteStore, clock: ManualClock, settings: Settings) -> None:
        self.guard = ChannelGuard(read_channel_rules(RULES))
        self.follower = FeedFollower(lambda: store.feed)
        self.channels = Channels(store, self.guard, self.follower, settings, clock, NoSecret())
        self._feed = store.feed

    async def join(
        self,
        channel: str,
        who: Actor | str = "ann",
        ear: Ear | None = None,
        *,
        session: str = "",
        **more: Any,
    ) -> Ear:
        ear = ear or Ear()
        actor = user(who) if isinstance(who, str) else who

        def ended(problem: Problem) -> None:
            ear.ended = problem

        ear.member = await self.channels.join(
            Join(id="c", channel=channel, **more),
            Caller(actor, "10.0.0.1"),
            session or f"s-{actor.uid}",
            ear,
            ended,
        )
        return ear

    async def tell(self, channel: str, data: Any) -> None:
        await self.channels.send_to_channel(
            channel, "told", data, caller=Caller(SERVER), origin=WriteInfo()
        )

    async def write_to(self, uid: str, data: Any, keep: float | None = None) -> None:
        await self.channels.send_to_user(uid, "told", data, keep=keep, origin=WriteInfo())

    async def caught_up(self) -> None:
        """Until every change that is durable has been told, and what follows from it is done."""
        follower, feed = self.follower, self._feed
        while follower.listens and feed.order(follower.position) < feed.order(feed.head()):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        while self.channels.busy:  # noqa: ASYNC110 - a tick
            await asyncio.sleep(0.001)
        await quiet()


class Building:
    """The store that processes share. `clock` is moved by hand."""

    def __init__(self, store: SqliteStore, clock: ManualClock, settings: Settings) -> None:
        self.store = store
        self.clock = clock
        self._settings = settings
        self._running: list[Process] = []

    async def process(self) -> Process:
        process = Process(self.store, self.clock, self._settings)
        await process.follower.start()
        self._running.append(process)
        return process

    async def crash(self, process: Process) -> None:
        """It is there no more, and has said nothing."""
        self._running.remove(process)
        await process.follower.stop()

    async def caught_up(self) -> None:
        for process in self._running:
            await process.caught_up()

    async def stop(self) -> None:
        for process in self._running:
            await process.channels.stop()
            await process.follower.stop()


async def quiet() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@asynccontextmanager
async def building(folder: Path, **push: Any) -> AsyncIterator[Building]:
    settings = Settings(push=PushSettings(**push))
    clock = ManualClock()
    store = SqliteStore(folder / "data", settings.database, clock)
    await store.open()
    await store.declare({**CHANNEL_COLLECTIONS, "rooms": CollectionSpec(name="rooms")})
    there = Building(store, clock, settings)
    try:
        yield there
    finally:
        await there.stop()
        await store.close()
