"""Live queries of one process: opened for clients, fed by the change feed, checked by the rules."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from typing import Any, Final

from baas.clock import Clock
from baas.errors import Code, Problem
from baas.guard import Guard
from baas.ports.changes import ChangeEvent, ChangeFeed
from baas.ports.documents import DocumentStore, KnownLookups, Lookups
from baas.push.contract import Caller, Commit, Ended, Follower, Outbox
from baas.push.frames import Watch
from baas.push.live.asked import Asked, decide, identity, needs_of_watch, read_watch
from baas.push.live.cursors import KeySource, WatchCursors
from baas.push.live.query import Image, LiveQuery
from baas.push.live.reading import with_lookups
from baas.push.live.terms import TermIndex
from baas.push.live.watch import Decided, LiveWatch
from baas.query.limits import QueryLimits
from baas.rules.needs import Needs
from baas.schema.values import decode
from baas.settings import Settings

_log = logging.getLogger(__name__)

#: Rules that speak of the time are asked again so often, in seconds.
TIME_SECONDS: Final = 30.0
#: Watches asked again before others get their turn in the loop.
_ASKED_AT_ONCE: Final = 20


class LiveQueries:
    """See `baas.push.contract.LiveQueries`; also what watches and queries ask for
    (`watch.WatchHost`)."""

    def __init__(
        self,
        store: DocumentStore,
        feed: Any,
        guard: Guard,
        follower: Follower,
        settings: Settings,
        clock: Clock,
        secret: KeySource,
    ) -> None:
        """`feed`: what gives the store's change feed, once that is open."""
        self.store: DocumentStore = store
        self.cursors = WatchCursors(secret)
        self.documents_max = settings.push.watch_documents
        self.bytes_max = settings.push.watch_bytes
        self._feed = feed
        self._guard = guard
        self._follower = follower
        self._limits = QueryLimits.of(settings.limits)
        self._clock = clock
        self._queries: dict[str, LiveQuery] = {}
        self._users: dict[LiveQuery, int] = {}
        self._indexes: dict[str, TermIndex[LiveQuery]] = {}
        self._impure: dict[str, dict[LiveQuery, None]] = {}
        self._resting: dict[LiveWatch, Decided] = {}
        self._looked_up: dict[tuple[str, str], set[LiveWatch]] = {}
        #: Changes seen of each collection.
        self._turns: Counter[str] = Counter()
        self._listening: dict[str, int] = {}
        self._timed: dict[LiveWatch, float] = {}
        self._stale: dict[LiveWatch, None] = {}
        self._asking: asyncio.Task[None] | None = None
        self._ticking: asyncio.Task[None] | None = None

    # -- for sessions ------------------------------------------------------------------------------

    async def watch(self, frame: Watch, caller: Caller, outbox: Outbox, ended: Ended) -> LiveWatch:
        now_ms = self._clock.now_ms()
        asked = read_watch(frame, caller, self._limits, now_ms, self.documents_max)
        watch = LiveWatch(self, frame, asked, caller, outbox, ended)
        try:
            await watch.open(frame.cursor)
        except BaseException:
            watch.close()
            raise
        return watch

    def rules_changed(self) -> None:
        """Every rule is asked again."""
        self._ask_again(list(self._resting))

    async def stop(self) -> None:
        for task in (self._asking, self._ticking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        for query in list(self._users):
            await query.close()

    @property
    def count(self) -> int:
        """Distinct queries."""
        return len(self._queries)

    @property
    def busy(self) -> bool:
        """Whether results are being read, or rules asked again."""
        asking = self._asking is not None and not self._asking.done()
        return asking or any(query.busy for query in self._users)

    # -- for watches and queries -------------------------------------------------------------------

    @property
    def feed(self) -> ChangeFeed:
        found: ChangeFeed = self._feed()
        return found

    def order(self, cursor: str) -> Any:
        return self.feed.order(cursor)

    @property
    def position(self) -> str:
        return self._follower.position

    async def following(self) -> None:
        await self._follower.ready()

    async def decide(self, asked: Asked, caller: Caller) -> Decided:
        rules = None if caller.actor.trusted else self._guard.rules_of(asked.collection)
        needs = needs_of_watch(rules)
        # From before it is decided, so that no change is missed after.
        for name in needs.collections:
            self._listen(name)
        try:
            if needs.collections:
                await self._follower.ready()
            turned = self._turned(needs)
            known = KnownLookups()
            now_ms = self._clock.now_ms()

            def attempt(lookups: Lookups) -> Any:
                return decide(self._guard, asked, caller, now_ms, lookups)

            decision = await with_lookups(self.store, known, attempt)
        finally:
            for name in needs.collections:
                self._unlisten(name)
        actor = caller.actor
        own = f"{actor.uid}/{actor.key}/{actor.cache_key}"
        key = identity(asked, decision, own)
        seal = self.cursors.seal(asked.digest, actor, self._guard.book.revision)
        return Decided(decision, key, seal, needs, frozenset(known.known), turned)

    def query_for(self, asked: Asked, decided: Decided) -> LiveQuery:
        """The query of that key, for one more user; it is to be `released`."""
        query = self._queries.get(decided.key)
        if query is None:
            masked = not decided.decision.masks.hides_nothing
            pure = not (decided.needs.collections and masked)
            query = LiveQuery(self, asked, decided.decision, decided.key, pure)
            self._queries[decided.key] = query
            self._users[query] = 0
            self._listen(asked.collection)
            self._indexes.setdefault(asked.collection, TermIndex()).add(query, query.filter)
            if not query.pure:
                for other in decided.needs.collections:
                    self._impure.setdefault(other, {})[query] = None
        self._users[query] += 1
        return query

    def released(self, query: LiveQuery) -> None:
        self._users[query] -= 1
        if self._users[query]:
            return
        del self._users[query]
        del self._queries[query.key]
        name = query.asked.collection
        index = self._indexes[name]
        index.remove(query)
        if not len(index):
            del self._indexes[name]
        for queries in self._impure.values():
            queries.pop(query, None)
        self._unlisten(name)
        asyncio.get_running_loop().create_task(query.close())

    def attached(self, watch: LiveWatch, decided: Decided) -> None:
        for name in decided.needs.collections:
            self._listen(name)
        before = self._resting.get(watch)
        self._forget(watch)
        self._resting[watch] = decided
        new = before is None or before.looked_up != decided.looked_up
        if new and decided.turned != self._turned(decided.needs):
            self._ask_again([watch])  # a document may have changed before it was known here
        for key in decided.looked_up:
            self._looked_up.setdefault(key, set()).add(watch)
        if decided.needs.time:
            self._timed[watch] = self._clock.monotonic() + TIME_SECONDS
            if self._ticking is None or self._ticking.done():
                self._ticking = asyncio.get_running_loop().create_task(self._tick())

    def _turned(self, needs: Needs) -> int:
        return sum(self._turns[name] for name in needs.collections)

    def detached(self, watch: LiveWatch) -> None:
        self._forget(watch)
        self._stale.pop(watch, None)

    def _forget(self, watch: LiveWatch) -> None:
        decided = self._resting.pop(watch, None)
        self._timed.pop(watch, None)
        if decided is None:
            return
        for key in decided.looked_up:
            watches = self._looked_up[key]
            watches.discard(watch)
            if not watches:
                del self._looked_up[key]
        for name in decided.needs.collections:
            self._unlisten(name)

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
        order = self.order(commit.position)
        concerned: dict[LiveQuery, list[Image]] = {}
        looked: dict[LiveWatch, None] = {}
        for event in commit.events:
            self._turns[event.collection] += 1
            for watch in self._looked_up.get((event.collection, event.id), ()):
                looked[watch] = None
            for query in self._impure.get(event.collection, ()):
                query.read_again()
            index = self._indexes.get(event.collection)
            if index is not None:
                image = _image(event)
                images = [one for one in (image.before, image.after) if one is not None]
                for query in index.touched(*images):
                    concerned.setdefault(query, []).append(image)
        for query, found in concerned.items():
            try:
                query.take(commit.position, order, found)
            except Exception:
                _log.exception("a change could not be applied to a live query")
                query.read_again()
        self._ask_again(list(looked))

    def lost(self) -> None:
        for query in list(self._users):
            query.read_again()
        self._ask_again(list(self._resting))

    # -- asking again ------------------------------------------------------------------------------

    def _ask_again(self, watches: list[LiveWatch]) -> None:
        if not watches:
            return
        self._stale.update(dict.fromkeys(watches))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())

    async def _ask_all(self) -> None:
        asked = 0
        while self._stale:
            watch = next(iter(self._stale))
            del self._stale[watch]
            try:
                await watch.ask_again()
            except Exception:
                _log.exception("the rules of a watch could not be asked again")
                watch.end(Problem(Code.INTERNAL, "The query could not be followed."))
            asked += 1
            if asked % _ASKED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _tick(self) -> None:
        """As long as some rule speaks of the time."""
        while self._timed:
            await asyncio.sleep(1.0)
            now = self._clock.monotonic()
            due = [watch for watch, moment in self._timed.items() if moment <= now]
            for watch in due:
                self._timed[watch] = now + TIME_SECONDS
            self._ask_again(due)


def _image(event: ChangeEvent) -> Image:
    return Image(
        event.id,
        None if event.before is None else decode(event.before),
        None if event.after is None else decode(event.after),
        event.after or b"",
    )
