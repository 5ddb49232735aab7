"""What functions have logged: searched with lines around each hit, and followed live.

Both read the invocation records, which every gateway writes within a second of a call's end; so it
does not matter which of them ran a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from baas.functions.records import FAILURES, INVOCATIONS
from baas.ports.changes import ChangeFeed, CursorTooOld
from baas.ports.documents import DocumentStore, Find, resolve
from baas.query.ast import ALWAYS, And, Eq, Field, Filter, SortKey
from baas.schema.values import Document, decode, encode

#: Records that one search looks through; where more match, `next` goes on from there.
MAX_SCANNED: Final = 20_000
MAX_RESULTS: Final = 200
MAX_CONTEXT: Final = 50
MAX_WAIT: Final = 25.0
_PAGE: Final = 200
_FEED_PAGE: Final = 500
_NEWEST: Final = (SortKey(("_id",), descending=True),)
_SHOWN: Final = (
    "function",
    "version",
    "invocation",
    "requestId",
    "trigger",
    "mode",
    "attempt",
    "uid",
    "result",
    "code",
    "ms",
    "phases",
    "time",
)


class LogQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`text` is looked for in messages and fields, whatever its case; `context` is how many lines
    around a hit are shown. Without `text`, every line of what else matches. `before` is the `next`
    of the page before."""

    text: str = ""
    function: str = ""
    level: str = ""
    result: str = ""
    invocation: str = ""
    requestId: str = ""
    context: int = 2
    limit: int = 50
    before: str = ""


class Logs:
    """`failures` are the captures of `capture.py`."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def search(self, query: LogQuery) -> dict[str, Any]:
        """`{"invocations": [...], "next": id or None}`, newest first. Each has its facts and
        `lines`, a hit marked `hit: true`; `gap: n` stands where n lines are left out."""
        found: list[Document] = []
        limit = max(1, min(query.limit, MAX_RESULTS))
        last, scanned = query.before, 0
        while scanned < MAX_SCANNED:
            page = await self._page(query, last)
            for record in page:
                last = record["_id"]
                scanned += 1
                shown = _shown(record, query)
                if shown is not None:
                    found.append(shown)
                if len(found) == limit:
                    return {"invocations": found, "next": last}
            if len(page) < _PAGE:
                return {"invocations": found, "next": None}
        return {"invocations": found, "next": last}

    async def _page(self, query: LogQuery, last: str) -> list[Document]:
        find = Find(
            collection=INVOCATIONS,
            filter=_filter(query),
            sort=_NEWEST,
            limit=_PAGE,
            after=(last,) if last else None,
        )
        return [decode(body) for body in await resolve(self._store.find(find))]

    async def failure(self, id: str) -> Document | None:
        """A capture, as it was kept."""
        body = await resolve(self._store.get(FAILURES, id))
        return None if body is None else decode(body)

    async def failure_of(self, invocation: str) -> Document | None:
        """The capture of the last failed attempt of an invocation."""
        by_invocation = Field(("invocation",), Eq(invocation))
        find = Find(collection=FAILURES, filter=by_invocation, sort=_NEWEST, limit=1)
        found = await resolve(self._store.find(find))
        return decode(found[0]) if found else None

    async def failures(self, function: str = "", limit: int = 50) -> list[Document]:
        """The newest captures, without their frames."""
        which = Field(("function",), Eq(function)) if function else ALWAYS
        find = Find(
            collection=FAILURES, filter=which, sort=_NEWEST, limit=max(1, min(limit, MAX_RESULTS))
        )
        found = [decode(body) for body in await resolve(self._store.find(find))]
        return [{"id": d["_id"], **_facts(d), "error": d["error"]} for d in found]


class Tail:
    """Records in the order in which they were written, by any gateway: the change feed."""

    def __init__(self, feed: ChangeFeed) -> None:
        self._feed = feed

    async def follow(self, cursor: str | None, function: str, wait: float) -> dict[str, Any]:
        """`{"invocations": [...], "cursor": ...}`: what came behind `cursor`, after at most `wait`
        seconds. Without a cursor, or with one that is too old: nothing, and where to go on."""
        if cursor is None:
            return {"invocations": [], "cursor": await resolve(self._feed.head())}
        try:
            if not await resolve(self._feed.read(cursor, 1)):
                await self._feed.wait(cursor, max(0.0, min(wait, MAX_WAIT)))
            events = await resolve(self._feed.read(cursor, _FEED_PAGE))
        except (CursorTooOld, ValueError):
            return {"invocations": [], "cursor": await resolve(self._feed.head())}
        found = [
            {**_facts(record), "lines": record["logs"]}
            for event in events
            if event.collection == INVOCATIONS and event.operation == "insert" and event.after
            for record in (decode(event.after),)
            if function in ("", record["function"])
        ]
        return {"invocations": found, "cursor": events[-1].cursor if events else cursor}


def _filter(query: LogQuery) -> Filter:
    tests = tuple(
        Field((name,), Eq(getattr(query, name)))
        for name in ("function", "result", "invocation", "requestId")
        if getattr(query, name)
    )
    return And(tests) if tests else ALWAYS


def _shown(record: Document, query: LogQuery) -> Document | None:
    """None where no line of the record is looked for."""
    lines: list[Document] = record["logs"]
    if not query.text and not query.level:
        return {"id": record["_id"], **_facts(record), "lines": lines}
    hits = [at for at, line in enumerate(lines) if _is_hit(line, query)]
    if not hits:
        return None
    around = max(0, min(query.context, MAX_CONTEXT))
    return {"id": record["_id"], **_facts(record), "lines": list(_around(lines, hits, around))}


def _is_hit(line: Document, query: LogQuery) -> bool:
    if query.level and line.get("level") != query.level:
        return False
    text = query.text.casefold()
    if not text or text in str(line.get("message", "")).casefold():
        return True
    return "fields" in line and text in encode(line["fields"]).decode().casefold()


def _around(lines: list[Document], hits: list[int], context: int) -> Iterator[Document]:
    """The hits with `context` lines before and after, in their order."""
    wanted = sorted(
        {
            at
            for hit in hits
            for at in range(max(0, hit - context), min(len(lines), hit + context + 1))
        }
    )
    marked, expected = set(hits), 0
    for at in wanted:
        if at > expected:
            yield {"gap": at - expected}
        yield {**lines[at], "hit": True} if at in marked else lines[at]
        expected = at + 1
    if expected < len(lines):
        yield {"gap": len(lines) - expected}


def _facts(record: Document) -> Document:
    return {name: record[name] for name in _SHOWN if name in record}
