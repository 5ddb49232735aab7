"""What became of a result since a client was last told, from the images of the change feed."""

from __future__ import annotations

from typing import Any, Final, Protocol

from baas.ports.changes import ChangeEvent, ChangeFeed
from baas.ports.documents import resolve
from baas.push.live.query import LiveQuery
from baas.push.live.view import Change, Entry, difference
from baas.query.patterns import OutOfTime, briefly
from baas.schema.values import decode

#: A client that missed more events of the feed than this is told the whole result instead.
MAX_MISSED: Final = 20_000
#: The same in bytes of the images of its collection.
MAX_MISSED_BYTES: Final = 16 * 1024**2
#: Events of one read. Each may hold two documents of a megabyte.
_PAGE: Final = 200
#: Long work on single documents that is done here, on the event loop, and no more.
_JUDGING_SECONDS: Final = 0.1


class Host(Protocol):
    @property
    def feed(self) -> ChangeFeed: ...

    def order(self, cursor: str) -> Any: ...


class Missed:
    """`since` is the feed's cursor that the client has got to. `changes`: once it has caught up,
    the steps to the result as it is; None where the events do not tell."""

    def __init__(self, host: Host, query: LiveQuery, since: str) -> None:
        self.since: Final = since
        self.changes: list[Change] | None = None
        self._order = host.order
        self._feed = host.feed
        self._query = query
        self._events: list[ChangeEvent] = []
        self._upto = since
        self._read = 0
        self._bytes = 0
        if self._order(since) > self._order(query.position):
            query.read_again()  # the client heard from another gateway more than this one knows

    async def read(self) -> bool:
        """Reads on, to the feed's end; False for more than is worth it. CursorTooOld."""
        page = None
        while page is None or len(page) == _PAGE:
            page = await resolve(self._feed.read(self._upto, _PAGE))
            self._upto = page[-1].cursor if page else self._upto
            self._read += len(page)
            self._keep([one for one in page if one.collection == self._query.asked.collection])
            if self._read > MAX_MISSED or self._bytes > MAX_MISSED_BYTES:
                return False
        return True

    def _keep(self, events: list[ChangeEvent]) -> None:
        self._events += events
        self._bytes += sum(len(one.before or b"") + len(one.after or b"") for one in events)

    def catch_up(self) -> bool:
        """Whether the feed was read as far as the query is; then `changes` are known. To be asked
        while the query is settled."""
        now = self._order(self._query.position)
        if self._order(self._upto) < now or now < self._order(self.since):
            return False
        self.changes = self._changes(
            [event for event in self._events if not self._order(event.cursor) > now]
        )
        return True

    def _changes(self, events: list[ChangeEvent]) -> list[Change] | None:
        try:
            with briefly(_JUDGING_SECONDS):
                return self._judged(events)
        except OutOfTime:
            return None

    def _judged(self, events: list[ChangeEvent]) -> list[Change] | None:
        """Of a window only where the same documents stand in it in the same order: the protocol has
        one that moved told anew. One whose end is not known differs, for those that are followed
        are whole."""
        was: dict[str, Entry | None] = {}
        for event in events:
            if event.id not in was:
                was[event.id] = self._entry(event.before)
        if not was:
            return []
        old, now = self._query.told_before(was), self._query.told
        if self._query.asked.limit is not None and _ids(old) != _ids(now):
            return None
        return difference(old, now)

    def _entry(self, image: bytes | None) -> Entry | None:
        if image is None:
            return None
        document = decode(image)
        return self._query.entry_of(image, document) if self._query.holds(document) else None


def _ids(entries: list[Entry]) -> list[str]:
    return [entry.key[-1] for entry in entries]
