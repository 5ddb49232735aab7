"""What a client knows of a watch, a channel or an inbox, by the frames alone; and what it may not
be told."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

#: Frames that a fault shows.
_REMEMBERED: Final = 12
#: Stands in a channel's log where the server said that something is missing.
GAP: Final = "gap"


class Fault(AssertionError):
    """The server has broken a promise."""


class View:
    """`asked`: the frame without cursor; `answered` whether this connection has answered it."""

    def __init__(self, owner: str, asked: dict[str, Any]) -> None:
        self.owner = owner
        self.asked = asked
        self.cursor: str | None = None
        self.answered = False
        self._seen: deque[str] = deque(maxlen=_REMEMBERED)

    @property
    def id(self) -> str:
        return str(self.asked["id"])

    def opening(self) -> dict[str, Any]:
        """The frame to send on a new connection."""
        self.answered = False
        self._sent = self.cursor
        self._seen.append(f"-- asks from {self.cursor and self.cursor[-24:]}")
        return self.asked if self.cursor is None else {**self.asked, "cursor": self.cursor}

    def take(self, frame: dict[str, Any]) -> None:
        text = json.dumps({k: v for k, v in frame.items() if k != "documents"})
        self._seen.append(text[:600])

    def must(self, holds: bool, what: str) -> None:
        if not holds:
            frames = "\n  ".join(self._seen)
            raise Fault(f"{self.owner} {self.asked}: {what}; the last frames:\n  {frames}")


class WatchView(View):
    """`documents` in order, as (id, document). `v` of a document only grows."""

    def __init__(self, owner: str, asked: dict[str, Any]) -> None:
        super().__init__(owner, asked)
        self.documents: list[tuple[str, Any]] = []
        self.kinds: dict[str, int] = {}
        self._resync = False

    def opening(self) -> dict[str, Any]:
        self._resync = False  # the snapshot did not come: documents and cursor are as they were
        return super().opening()

    def take(self, frame: dict[str, Any]) -> None:
        super().take(frame)
        kind = frame["type"]
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if kind == "snapshot":
            self._snapshot(frame)
        elif kind == "resumed":
            self.must(not self.answered and self._sent is not None, "resumed without a cursor")
            self.answered = True
        elif kind == "resync":
            self.must(self.answered or self._sent is not None, "resync of what was not there")
            self._resync = True
        elif kind == "change":
            self.must(self.answered and not self._resync, "a change before the snapshot")
            self.must(bool(frame["changes"]), "a change without changes")
            for change in frame["changes"]:
                self._change(change)
        if "cursor" in frame:
            self.cursor = frame["cursor"]

    def _snapshot(self, frame: dict[str, Any]) -> None:
        self.must(self._resync or self._sent is None, "a snapshot beside a cursor, no resync")
        self.must(self._resync or not self.answered, "a second snapshot without resync")
        fresh = [(document["_id"], document) for document in frame["documents"]]
        known = dict(self.documents)
        for id, document in fresh:
            self._not_older(known.get(id), document)
        self.documents = fresh
        self.answered, self._resync = True, False

    def _change(self, change: dict[str, Any]) -> None:
        ids = [id for id, _ in self.documents]
        id, op = change["docId"], change["op"]
        if op == "enter":
            self.must(id not in ids, f"{id} enters twice")
        else:
            self.must(id in ids, f"{op} of {id}, which is not there")
            _, before = self.documents.pop(ids.index(id))
        if op == "leave":
            self.must(set(change) == {"op", "docId"}, "a leave with content")
            return
        self.must(0 <= change["index"] <= len(self.documents), f"no place {change['index']}")
        document = change["document"]
        if op == "update":
            self._not_older(before, document)
            names = {n for n in document if n not in before or before[n] != document[n]}
            # To Python 1 and True are the same.
            self.must(set(change["updated"]) >= names, f"updated lacks some of {names}")
            gone = {name for name in before if name not in document}
            self.must(set(change["removed"]) == gone, f"removed is not {gone}")
        self.documents.insert(change["index"], (id, document))

    def _not_older(self, before: Any, after: Any) -> None:
        if before is not None and "v" in before and "v" in after:
            self.must(after["v"] >= before["v"], f"an older document: {before} then {after}")

    @property
    def result(self) -> list[Any]:
        return [document for _, document in self.documents]


class ChannelView(View):
    """`log` has the data of each message, and GAP where the server said so; `present` who is seen,
    by session."""

    def __init__(self, owner: str, asked: dict[str, Any]) -> None:
        super().__init__(owner, asked)
        self.log: list[Any] = []
        self.present: dict[str, Any] = {}

    def take(self, frame: dict[str, Any]) -> None:
        super().take(frame)
        kind = frame["type"]
        if kind == "joined":
            at = frame["cursor"] if self._sent is None else self._sent
            self.must(self.answered or frame["cursor"] == at, "joined elsewhere than asked")
            self.answered = True
            self.present = {entry["session"]: entry for entry in frame["presence"]}
        elif kind == "message":
            self.must(self.answered, "a message before joined")
            self.log.append(frame["data"])
        elif kind == "presence":
            self.must(self.answered, "presence before joined")
            for entry in frame["leave"]:
                self.present.pop(entry["session"], None)
            for entry in frame["join"]:
                self.present[entry["session"]] = entry
        elif kind == "resync":
            self.log.append(GAP)
        if frame.get("cursor"):
            self.cursor = frame["cursor"]

    def check_against(self, order: list[Any]) -> None:
        """Each message once, in the one order, all of them from the first on."""
        places = {json.dumps(data): place for place, data in enumerate(order)}
        self.must(len(places) == len(order), "the history itself has a message twice")
        last: int | None = None
        gap = False
        for data in self.log:
            if data == GAP:
                gap = True
                continue
            place = places.get(json.dumps(data))
            self.must(place is not None, f"{data} is not in the history")
            assert place is not None
            self.must(last is None or place > last, f"{data} again, or too late")
            self.must(last is None or gap or place == last + 1, f"something lost before {data}")
            last, gap = place, False
        self.must(last in (None, len(order) - 1) or gap, f"the end is missing after {last}")

    def check_growing(self, confirmed: Iterable[int]) -> None:
        """Of an inbox: numbers in order, each once, none of the confirmed missing."""
        self.must(GAP not in self.log, "an inbox has no gaps")
        pairs = zip(self.log, self.log[1:], strict=False)
        self.must(all(one < two for one, two in pairs), f"repeat or disorder: {self.log}")
        missing = set(confirmed) - set(self.log)
        self.must(not missing, f"lost: {sorted(missing)}")
