"""Live queries of one process: opened for clients, fed by the change feed, checked by the rules."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from baas.clock import Clock
from baas.guard import Guard
from baas.ports.changes import ChangeEvent, ChangeFeed
from baas.ports.documents import DocumentStore, KnownLookups, Lookups
from baas.push.contract import Caller, Commit, Ended, Follower, Outbox
from baas.push.frames import Watch
from baas.push.live.asked import Asked, decide, identity, needs_of_watch, read_watch
from baas.push.live.budget import IMPURE_WEIGHT, Budget
from baas.push.live.cursors import KeySource, WatchCursors
from baas.push.live.query import Image, LiveQuery
from baas.push.live.reading import with_lookups
from baas.push.live.terms import TermIndex
from baas.push.live.watch import Decided, LiveWatch
from baas.push.resting import Basis, Listening, Resting
from baas.query.limits import QueryLimits
from baas.query.patterns import briefly
from baas.schema.values import decode
from baas.settings import Settings

_log = logging.getLogger(__name__)

#: How long one transaction's documents may be judged by all queries together, on the event loop.
_COMMIT_SECONDS: Final = 0.05


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
        self.budget = Budget(settings.push.watched_bytes, settings.push.watched_bytes_per_user)
        self._feed = feed
        self._guard = guard
        self._follower = follower
        self._limits = QueryLimits.of(settings.limits)
        self._clock = clock
        self._queries: dict[str, LiveQuery] = {}
        self._users: dict[LiveQuery, int] = {}
        self._indexes: dict[str, TermIndex[LiveQuery]] = {}
        self._impure: dict[str, dict[LiveQuery, None]] = {}
        self._listening = Listening(follower, self)
        self._resting: Resting[LiveWatch] = Resting(
            follower, self._listening, clock, lambda watch: watch.ask_again()
        )

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
        self._resting.ask_all()

    async def stop(self) -> None:
        await self._resting.stop()
        for query in list(self._users):
            await query.close()

    @property
    def count(self) -> int:
        """Distinct queries."""
        return len(self._queries)

    @property
    def busy(self) -> bool:
        """Whether results are being read, or rules asked again."""
        return self._resting.busy or any(query.busy for query in self._users)

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

    def held(self, query: LiveQuery) -> None:
        if query in self._users:
            self.budget.held(query)

    async def following(self) -> None:
        await self._follower.ready()

    async def decide(self, asked: Asked, caller: Caller) -> Decided:
        rules = None if caller.actor.trusted else self._guard.rules_of(asked.collection)
        needs = needs_of_watch(rules)
        async with self._resting.looking(needs) as turned:
            known = KnownLookups()
            now_ms = self._clock.now_ms()

            def attempt(lookups: Lookups) -> Any:
                return decide(self._guard, asked, caller, now_ms, lookups)

            decision = await with_lookups(self.store, known, attempt)
        actor = caller.actor
        own = f"{actor.uid}/{actor.key}/{actor.cache_key}"
        key = identity(asked, decision, own)
        seal = self.cursors.seal(asked.digest, actor, self._guard.book.revision)
        return Decided(decision, key, seal, Basis(needs, frozenset(known.known), turned))

    def query_for(self, asked: Asked, decided: Decided) -> LiveQuery:
        """The query of that key, for one more user; it is to be `released`."""
        query = self._queries.get(decided.key)
        if query is None:
            masked = not decided.decision.masks.hides_nothing
            pure = not (decided.basis.needs.collections and masked)
            query = LiveQuery(self, asked, decided.decision, decided.key, pure)
            self._queries[decided.key] = query
            self._users[query] = 0
            self._listening.add((asked.collection,))
            index = self._indexes.setdefault(asked.collection, TermIndex())
            path = index.add(query, query.filter)
            query.filed = None if path is None else (asked.collection, path)
            query.weight = (1 if path is None else 0) if query.pure else IMPURE_WEIGHT
            if not query.pure:
                for other in decided.basis.needs.collections:
                    self._impure.setdefault(other, {})[query] = None
        self._users[query] += 1
        return query

    def released(self, query: LiveQuery) -> None:
        self._users[query] -= 1
        if self._users[query]:
            return
        del self._users[query]
        del self._queries[query.key]
        self.budget.gone(query)
        name = query.asked.collection
        index = self._indexes[name]
        index.remove(query)
        if not len(index):
            del self._indexes[name]
        for queries in self._impure.values():
            queries.pop(query, None)
        self._listening.drop((name,))
        asyncio.get_running_loop().create_task(query.close())

    def attached(self, watch: LiveWatch, decided: Decided) -> None:
        self._resting.put(watch, decided.basis)

    def detached(self, watch: LiveWatch) -> None:
        self._resting.drop(watch)

    # -- the feed ----------------------------------------------------------------------------------

    def take(self, commit: Commit) -> None:
        order = self.order(commit.position)
        concerned: dict[LiveQuery, list[Image]] = {}
        for event in commit.events:
            self._resting.note(event)
            for query in self._impure.get(event.collection, ()):
                query.read_again()
            index = self._indexes.get(event.collection)
            if index is not None:
                image = _image(event)
                images = [one for one in (image.before, image.after) if one is not None]
                for query in index.touched(*images):
                    concerned.setdefault(query, []).append(image)
        with briefly(_COMMIT_SECONDS):
            for query, found in concerned.items():
                self._tell(query, commit.position, order, found)
        self._resting.ask_noted()

    def _tell(self, query: LiveQuery, position: str, order: Any, images: list[Image]) -> None:
        try:
            query.take(position, order, images)
        except Exception:
            _log.exception("a change could not be applied to a live query")
            query.read_again()

    def lost(self) -> None:
        for query in list(self._users):
            query.read_again()
        self._resting.ask_all()


def _image(event: ChangeEvent) -> Image:
    return Image(
        event.id,
        None if event.before is None else decode(event.before),
        None if event.after is None else decode(event.after),
        event.after or b"",
    )
