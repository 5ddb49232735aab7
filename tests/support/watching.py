"""Live queries over a real store, and a client that keeps its result from the frames alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from baas.clock import ManualClock
from baas.database.service import DatabaseService
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Problem
from baas.guard import RuleGuard
from baas.ports.documents import Step, resolve
from baas.push.contract import Caller
from baas.push.follower import FeedFollower
from baas.push.frames import Watch
from baas.push.live.service import LiveQueries
from baas.push.live.watch import LiveWatch
from baas.rules.load import load_rules
from baas.schema.actor import NOBODY, SERVER, Actor
from baas.schema.values import decode
from baas.settings import Settings
from tests.support.database import IP, SECRET
from tests.support.stores import INFO


def same(one: Any, other: Any) -> bool:
    """As JSON: Python's == takes True for 1."""
    return msgspec.json.encode(one) == msgspec.json.encode(other)


class NoSecret:
    def derive(self, purpose: str) -> bytes:
        return purpose.encode().ljust(32, b"!")[:32]


def user(uid: str, *roles: str) -> Actor:
    return Actor(uid=uid, openid=uid, login_type="USERNAME", roles=roles, cache_key=f"{uid}{roles}")


class Client:
    """What a client does with the frames of one watch, by the protocol's page and no more. It is
    the outbox as well; `room` False: it reads no more for now."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.documents: list[tuple[str, Any]] = []
        self.cursor: str | None = None
        self.ended: Problem | None = None
        self.room = True
        self._on_room: list[Callable[[], None]] = []

    @property
    def lasting(self) -> bool:
        return False

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
        self.cursor = decoded.get("cursor", self.cursor)
        if decoded["type"] == "snapshot":
            self.documents = [(one["_id"], one) for one in decoded["documents"]]
        elif decoded["type"] == "change":
            assert decoded["changes"], "a frame of nothing"
            for change in decoded["changes"]:
                self._apply(change)

    def _apply(self, change: dict[str, Any]) -> None:
        id = change["docId"]
        known = [one for one, _ in self.documents]
        if change["op"] == "leave":
            assert set(change) == {"op", "docId"}
            self.documents.pop(known.index(id))
        elif change["op"] == "enter":
            assert id not in known
            self.documents.insert(change["index"], (id, change["document"]))
        else:
            at = known.index(id)
            _, before = self.documents.pop(at)
            after = change["document"]
            assert not same(before, after) or at != change["index"], "nothing has changed"
            changed = {n for n in after if n not in before or not same(before[n], after[n])}
            assert set(change["updated"]) == changed
            assert set(change["removed"]) == {n for n in before if n not in after}
            self.documents.insert(change["index"], (id, after))

    @property
    def result(self) -> list[Any]:
        return [document for _, document in self.documents]

    @property
    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames]


class World:
    """A store, live queries over it, and clients. `clock` is moved by hand."""

    def __init__(
        self,
        store: SqliteStore,
        folder: Path,
        live: LiveQueries,
        follower: FeedFollower,
        database: DatabaseService,
        guard: RuleGuard,
        clock: ManualClock,
    ) -> None:
        self.store = store
        self.folder = folder
        self.live = live
        self.follower = follower
        self.database = database
        self.guard = guard
        self.clock = clock

    async def watch(self, client: Client, actor: Actor = SERVER, **query: Any) -> LiveWatch:
        frame = Watch(id="w", collection=query.pop("collection", "things"), **query)

        def ended(problem: Problem) -> None:
            client.ended = problem

        return await self.live.watch(frame, Caller(actor, IP), client, ended)

    async def write(self, *steps: Step) -> None:
        await self.store.write(tuple(steps), INFO)

    async def do(self, actor: Actor, verb: str, collection: str = "things", **body: Any) -> Any:
        """A request, as `actor`; its answer. Raises the refusal."""
        data = msgspec.json.encode(body)
        return decode(await resolve(self.database.handle(verb, collection, data, actor, IP)))

    async def find(self, actor: Actor, collection: str = "things", **query: Any) -> list[Any]:
        """What `actor` would be told now."""
        answer = await self.do(actor, "find", collection, **{"limit": 1000, **query})
        documents: list[Any] = answer["documents"]
        return documents

    async def put(self, collection: str, *documents: Any) -> None:
        """As the server, whatever was there."""
        for document in documents:
            body = {"id": document["_id"], "document": document, "upsert": True}
            await self.do(SERVER, "replace", collection, **body)

    async def caught_up(self) -> None:
        """Until every change that is durable has been told."""
        feed = self.store.feed
        follower = self.follower
        while follower.listens and feed.order(follower.position) < feed.order(feed.head()):  # noqa: ASYNC110
            await asyncio.sleep(0)
        await self.quiet()

    async def quiet(self) -> None:
        """Until no query is being read and no rule asked."""
        while self.live.busy:  # noqa: ASYNC110 - a tick
            await asyncio.sleep(0.001)

    async def use_rules(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / f"{name}.yaml").write_text(text)
        book = load_rules(self.folder)
        await self.store.declare({name: one.spec for name, one in book.collections.items()})
        self.guard.book = book
        self.live.rules_changed()
        await self.quiet()


@asynccontextmanager
async def world(
    folder: Path,
    clock: ManualClock | None = None,
    settings: Settings | None = None,
    **rules: str,
) -> AsyncIterator[World]:
    """Collections with these rules; `things` that everybody reads, unless given."""
    settings = settings or Settings()
    written = rules or {"things": "rules: {read: true}"}
    rules_folder = folder / "rules"
    rules_folder.mkdir()
    for name, text in written.items():
        (rules_folder / f"{name}.yaml").write_text(text)
    clock = clock or ManualClock()
    store = SqliteStore(folder / "data", settings.database, clock)
    await store.open()
    book = load_rules(rules_folder)
    await store.declare({name: one.spec for name, one in book.collections.items()})
    guard = RuleGuard(book)
    follower = FeedFollower(lambda: store.feed)
    live = LiveQueries(store, lambda: store.feed, guard, follower, settings, clock, NoSecret())
    await follower.start()
    try:
        database = DatabaseService(store, guard, settings, clock, SECRET)
        yield World(store, rules_folder, live, follower, database, guard, clock)
    finally:
        await live.stop()
        await follower.stop()
        await store.close()


__all__ = ["NOBODY", "SERVER", "Client", "World", "user", "world"]
