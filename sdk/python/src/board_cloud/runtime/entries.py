"""Watches and channels, as they stand through every connection: no input or output in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from .errors import BaasError
from .feed import Feed
from .values import decode, encode

D = TypeVar("D")
Frame: TypeAlias = dict[str, Any]

#: A watch whose taker is further behind gets the whole result instead of every step.
MOST_SNAPSHOTS: Final = 1_000
#: Of a channel the oldest are given up, and a gap is told.
MOST_EVENTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class DocumentChange(Generic[D]):
    """`queue_type`: `init` of a first or fresh result; `enqueue` came into the result, `dequeue`
    left it. `doc`: as it is now; of one that left, as it was last seen. `updated_fields`,
    `removed_fields`: top-level names."""

    queue_type: Literal["init", "enqueue", "update", "dequeue"]
    data_type: Literal["init", "add", "update", "remove"]
    doc_id: str
    doc: D
    updated_fields: tuple[str, ...] = ()
    removed_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[D]):
    """`type` `init`: a whole result, also after a gap. `id` grows by one each time. `docs`: the
    result, in order."""

    type: Literal["init"] | None
    id: int
    docs: list[D]
    doc_changes: list[DocumentChange[D]]


@dataclass(frozen=True, slots=True)
class Message:
    """`sender`: who sent it, as far as it was signed in."""

    event: str
    data: Any
    sender: str | None


@dataclass(frozen=True, slots=True)
class PresenceEntry:
    uid: str | None
    session: str
    state: Any
    since: datetime


@dataclass(frozen=True, slots=True)
class Spoken:
    message: Message
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Here:
    """Who is here, all of them."""

    entries: tuple[PresenceEntry, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Some messages may be missing."""


#: What happens in a channel.
Event: TypeAlias = Spoken | Here | Gap


class Entry:
    """One watch or channel. `cursor`: from where it goes on. `polled`: whether a poll has been
    answered since it was opened or changed."""

    closing: Literal["unwatch", "leave"]

    def __init__(self, id: str) -> None:
        self.id = id
        self.cursor: str | None = None
        self.polled = False

    def opening(self) -> Frame:
        """The frame that opens it, or goes on from `cursor`."""
        raise NotImplementedError

    def take(self, frame: Frame) -> None:
        """A frame of the server's that is about it."""
        raise NotImplementedError

    def end(self, error: BaasError | None) -> None:
        """Nothing follows."""
        raise NotImplementedError


class WatchEntry(Entry):
    closing = "unwatch"

    def __init__(self, id: str, query: Frame) -> None:
        super().__init__(id)
        self._query = query
        self._docs: list[Any] = []
        # Projections may leave `_id` out of the documents.
        self._ids: list[str] = []
        self._number = 0
        self.feed: Feed[Snapshot[Any]] = Feed()

    def opening(self) -> Frame:
        frame = {"type": "watch", "id": self.id, **self._query}
        return frame if self.cursor is None else {**frame, "cursor": self.cursor}

    def take(self, frame: Frame) -> None:
        # Set once all is well: what was half applied is fetched anew.
        cursor, self.cursor = frame.get("cursor", self.cursor), None
        if frame["type"] == "snapshot":
            self._docs = [decode(document) for document in frame["documents"]]
            self._ids = [str(doc.get("_id")) for doc in self._docs]
            self._tell(self._anew(), "init")
        elif frame["type"] == "change":
            self._tell([self._apply(change) for change in frame["changes"]], None)
        elif frame["type"] == "resync":
            cursor = None
        self.cursor = cursor

    def end(self, error: BaasError | None) -> None:
        self.feed.end(error)

    def _anew(self) -> list[DocumentChange[Any]]:
        return [
            DocumentChange("init", "init", id, doc)
            for id, doc in zip(self._ids, self._docs, strict=True)
        ]

    def _tell(self, changes: list[DocumentChange[Any]], kind: Literal["init"] | None) -> None:
        if len(self.feed) >= MOST_SNAPSHOTS:
            self.feed.clear()
            changes, kind = self._anew(), "init"
        self.feed.put(Snapshot(kind, self._number, list(self._docs), changes))
        self._number += 1

    def _apply(self, change: Frame) -> DocumentChange[Any]:
        """One change, applied to the result in place."""
        id = change["docId"]
        before = self._without(id)
        if change["op"] == "leave":
            return DocumentChange("dequeue", "remove", id, before)
        doc = decode(change["document"])
        self._docs.insert(change["index"], doc)
        self._ids.insert(change["index"], id)
        if change["op"] == "enter":
            return DocumentChange("enqueue", "add", id, doc)
        updated, removed = tuple(change["updated"]), tuple(change["removed"])
        return DocumentChange("update", "update", id, doc, updated, removed)

    def _without(self, id: str) -> Any:
        if id not in self._ids:
            return None
        at = self._ids.index(id)
        del self._ids[at]
        return self._docs.pop(at)


class ChannelEntry(Entry):
    closing = "leave"

    def __init__(self, id: str, channel: str, presence: Any) -> None:
        super().__init__(id)
        self._channel = channel
        self.presence = presence
        self.here: tuple[PresenceEntry, ...] = ()
        self.feed: Feed[Event] = Feed()
        self.joined: Feed[None] = Feed()

    def opening(self) -> Frame:
        frame: Frame = {"type": "join", "id": self.id, "channel": self._channel}
        if self.presence is not None:
            frame["presence"] = encode(self.presence)
        return frame if self.cursor is None else {**frame, "cursor": self.cursor}

    def take(self, frame: Frame) -> None:
        if frame["type"] == "joined":
            self.cursor = frame["cursor"] if self.cursor is None else self.cursor
            self._present(frame.get("presence") or (), ())
            self.joined.put(None)
        elif frame["type"] == "message":
            self.cursor = frame.get("cursor", self.cursor)
            message = Message(frame["event"], decode(frame.get("data")), frame.get("from"))
            self._tell(Spoken(message, frame.get("cursor")))
        elif frame["type"] == "presence":
            gone = [one["session"] for one in (*frame["leave"], *frame["join"])]
            self._present(frame["join"], [one for one in self.here if one.session not in gone])
        elif frame["type"] == "resync":
            # The cursor stays: what is there yet comes next, and a connection goes on from it.
            self._tell(Gap())

    def end(self, error: BaasError | None) -> None:
        self.joined.end(error)
        self.feed.end(error)

    def _present(self, joined: Sequence[Frame], others: Sequence[PresenceEntry]) -> None:
        came = (PresenceEntry(**_presence(one)) for one in joined)
        here = (*others, *came)
        if here != self.here:
            self.here = here
            self._tell(Here(here))

    def _tell(self, event: Event) -> None:
        self.feed.put(event)
        if len(self.feed) > MOST_EVENTS:
            self.feed.drop_oldest()
            self.feed.drop_oldest()
            self.feed.put_first(Gap())


def _presence(wire: Frame) -> Frame:
    found: Frame = decode(wire)
    return {name: found.get(name) for name in ("uid", "session", "state", "since")}
