"""A result in its order, and the changes that lead from one to the next.

A view of a query with a limit holds some documents behind the limit too, so that those that move up
are there; once they are used up, the view must be read again (`is_short`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias

import msgspec

from baas.query.ast import Sort
from baas.query.order import order_key, sort_value
from baas.schema.values import Document

#: Documents that are kept behind the limit: at least so many, and half as many as the limit.
LEAST_SPARE: Final = 20

_SPLIT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])

#: Orders documents as the sort does; the last part is the id.
Key: TypeAlias = tuple[Any, ...]


class _Descending:
    """Orders the other way round."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.key < self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.key == other.key

    __hash__ = None  # type: ignore[assignment]


def key_of(document: Document, sort: Sort) -> Key:
    parts: list[Any] = []
    for one in sort:
        key = order_key(sort_value(document, one))
        parts.append(_Descending(key) if one.descending else key)
    parts.append(document["_id"])
    return tuple(parts)


class Entry(msgspec.Struct, frozen=True):
    """A document of a view: where it stands, and as its watchers see it."""

    key: Key
    body: bytes


class Change(msgspec.Struct, frozen=True):
    """One step from a result to the next. `index` is the place after this step."""

    op: Literal["enter", "update", "leave"]
    id: str
    body: bytes = b""
    before: bytes = b""
    index: int = 0


class View:
    """The first `limit` documents, and some behind them. `complete`: there are no more."""

    __slots__ = ("_bytes", "_entries", "_keys", "complete", "limit", "spare")

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.spare = 0 if limit is None else max(LEAST_SPARE, limit // 2)
        self.complete = True
        self._keys: list[Key] = []
        self._entries: dict[str, Entry] = {}
        self._bytes = 0

    @property
    def wanted(self) -> int | None:
        """How many documents are read at once; None for all."""
        return None if self.limit is None else self.limit + self.spare

    @property
    def size(self) -> int:
        """Documents of the result."""
        held = len(self._keys)
        return held if self.limit is None else min(held, self.limit)

    @property
    def known(self) -> int:
        """Documents that are held, those behind the limit too."""
        return len(self._keys)

    @property
    def bytes_held(self) -> int:
        return self._bytes

    @property
    def is_short(self) -> bool:
        """Documents that belong to the result are not here: it must be read again."""
        return not self.complete and self.limit is not None and len(self._keys) < self.limit

    def fill(self, entries: list[Entry], *, complete: bool) -> None:
        """From now on these, in order."""
        self._keys = [entry.key for entry in entries]
        self._entries = {entry.key[-1]: entry for entry in entries}
        self._bytes = sum(len(entry.body) for entry in entries)
        self.complete = complete

    def shown(self) -> list[Entry]:
        """The result, in order."""
        entries = self._entries
        return [entries[key[-1]] for key in self._keys[: self.limit]]

    def shown_before(self, was: dict[str, Entry | None]) -> list[Entry]:
        """The result when these documents were as given, None for what did not belong to it, and
        all others as they are. Where it reached behind what is known now, its end is missing."""
        entries = [entry for id, entry in self._entries.items() if id not in was]
        entries += [entry for entry in was.values() if entry is not None]
        entries.sort(key=lambda entry: entry.key)
        if self.limit is not None and not self.complete:
            last = self._keys[-1]
            entries = [entry for entry in entries if not last < entry.key]
        return entries[: self.limit]

    # -- changes -----------------------------------------------------------------------------------

    def put(self, entry: Entry) -> list[Change]:
        """This document belongs to the result, as it is now; what that changes within the limit."""
        id = entry.key[-1]
        old = self._entries.get(id)
        if old is not None and old.key == entry.key:
            return self._replace(id, old, entry)
        was = self._take_out(id)
        if not self.complete and (not self._keys or entry.key > self._keys[-1]):
            return self._closed_up(id, was)  # somewhere behind what is known
        at = self._put_in(entry)
        return self._moved(entry, old, was, at)

    def remove(self, id: str) -> list[Change]:
        """This document does not belong to the result (any more)."""
        return self._closed_up(id, self._take_out(id))

    def _replace(self, id: str, old: Entry, entry: Entry) -> list[Change]:
        if old.body == entry.body:
            return []
        self._entries[id] = entry
        self._bytes += len(entry.body) - len(old.body)
        at = bisect_left(self._keys, entry.key)
        return [Change("update", id, entry.body, old.body, at)] if self._within(at) else []

    def _moved(self, entry: Entry, old: Entry | None, was: int | None, at: int) -> list[Change]:
        id = entry.key[-1]
        in_before, in_after = was is not None and self._within(was), self._within(at)
        if not in_after:
            return self._closed_up(id, was)
        if in_before and old is not None:
            if was == at and old.body == entry.body:
                return []  # what is sorted by cannot be seen, nor what it changed
            return [Change("update", id, entry.body, old.body, at)]
        entered = Change("enter", id, entry.body, index=at)
        if self.limit is None or len(self._keys) <= self.limit:
            return [entered]
        return [Change("leave", self._keys[self.limit][-1]), entered]

    def _closed_up(self, id: str, was: int | None) -> list[Change]:
        """`id` has gone from the place `was`: the next one moves into the result."""
        if was is None or not self._within(was):
            return []
        left = Change("leave", id)
        if self.limit is None or len(self._keys) < self.limit:
            return [left]
        last = self._entries[self._keys[self.limit - 1][-1]]
        return [left, Change("enter", last.key[-1], last.body, index=self.limit - 1)]

    def _within(self, at: int) -> bool:
        return self.limit is None or at < self.limit

    def _take_out(self, id: str) -> int | None:
        """The place where it was."""
        entry = self._entries.pop(id, None)
        if entry is None:
            return None
        at = bisect_left(self._keys, entry.key)
        del self._keys[at]
        self._bytes -= len(entry.body)
        return at

    def _put_in(self, entry: Entry) -> int:
        at = bisect_left(self._keys, entry.key)
        self._keys.insert(at, entry.key)
        self._entries[entry.key[-1]] = entry
        self._bytes += len(entry.body)
        if self.limit is not None and len(self._keys) > self.limit + 2 * self.spare:
            for key in self._keys[self.limit + self.spare :]:
                self._bytes -= len(self._entries.pop(key[-1]).body)
            del self._keys[self.limit + self.spare :]
            self.complete = False
        return at


def difference(old: Iterable[Entry], new: Iterable[Entry]) -> list[Change]:
    """Steps from one result to another, both in order: first what leaves, then what enters, has
    changed or has moved."""
    before = {entry.key[-1]: entry for entry in old}
    after = list(new)
    staying = {entry.key[-1] for entry in after}
    steps = [Change("leave", id) for id in before if id not in staying]
    # What stays is in the order of its old keys; one by one they get their new ones.
    keys = sorted(entry.key for id, entry in before.items() if id in staying)
    for entry in after:
        was = before.get(entry.key[-1])
        if was is None:
            steps.append(Change("enter", entry.key[-1], entry.body, index=_insert(keys, entry.key)))
        elif was.key != entry.key or was.body != entry.body:
            place = bisect_left(keys, was.key)
            del keys[place]
            at = _insert(keys, entry.key)
            if at != place or was.body != entry.body:
                steps.append(Change("update", entry.key[-1], entry.body, was.body, at))
    return steps


def _insert(keys: list[Key], key: Key) -> int:
    insort(keys, key)
    return bisect_left(keys, key)


def changed_names(before: bytes, after: bytes) -> tuple[list[str], list[str]]:
    """Top-level names that are new or differ, and those that are gone."""
    # Bytes are compared: to Python 1, 1.0 and True are the same.
    old, new = _SPLIT.decode(before), _SPLIT.decode(after)
    updated = [name for name, value in new.items() if name not in old or old[name] != value]
    return updated, [name for name in old if name not in new]
