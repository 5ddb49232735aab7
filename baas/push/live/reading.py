"""Reads of one moment, with what rules look up in that same moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

from baas.errors import Code, Problem
from baas.guard import ReadDecision
from baas.ports.documents import DocumentReader, Find, KnownLookups, LookupNeeded, Lookups, resolve
from baas.push.live.asked import Asked
from baas.push.live.view import Entry, Key, View, key_of
from baas.query.patterns import OutOfTime, briefly
from baas.query.project import project
from baas.schema.values import Document, decode, encode

T = TypeVar("T")

#: Other documents that one read may look up: as many as it may have documents, and a few.
_MAX_LOOKUPS: Final = 6_000
#: After so long others get their turn in the loop.
_TURN_SECONDS: Final = 0.02
#: How long one document may take to be put in its place.
_KEY_SECONDS: Final = 0.25


async def with_lookups(
    reader: DocumentReader, known: KnownLookups, attempt: Callable[[Lookups], T]
) -> T:
    """`attempt`, again and again until all that it looks up is known."""
    for _ in range(_MAX_LOOKUPS):
        try:
            return attempt(known)
        except LookupNeeded as need:
            found = await resolve(reader.get(need.collection, need.id))
            known.known[need.collection, need.id] = None if found is None else decode(found)
    raise Problem(Code.LIMIT_EXCEEDED, "The rules look up too many documents.")


def render(
    asked: Asked, decision: ReadDecision, body: bytes, found: Document, all: Lookups
) -> bytes:
    """A stored document as the watcher sees it; the same bytes where nothing is taken away."""
    if asked.projection is None and decision.masks.hides_nothing:
        return body
    document = decision.masks.readable(found, all)
    return encode(document if asked.projection is None else project(document, asked.projection))


async def read_entries(
    reader: DocumentReader, asked: Asked, decision: ReadDecision, view: View, most: int
) -> tuple[list[Entry], bool]:
    """The documents that a view holds, and whether there are no more. LIMIT_EXCEEDED past `most`
    documents, where the watcher gave no limit."""
    wanted = most if view.wanted is None else view.wanted
    query = Find(
        collection=asked.collection, filter=decision.filter, sort=asked.sort, limit=wanted + 1
    )
    rows = await resolve(reader.find(query))
    if view.wanted is None and len(rows) > most:
        raise too_many(most)
    known = KnownLookups()
    entries = []
    since = time.monotonic()
    for row in rows[:wanted]:
        if time.monotonic() - since > _TURN_SECONDS:
            await asyncio.sleep(0)
            since = time.monotonic()
        found = decode(row)

        def attempt(lookups: Lookups, row: bytes = row, found: Document = found) -> bytes:
            return render(asked, decision, row, found, lookups)

        body = await with_lookups(reader, known, attempt)
        entries.append(Entry(_key(found, asked), body))
    return entries, len(rows) <= wanted


def _key(document: Document, asked: Asked) -> Key:
    """QUERY_TIMEOUT for a document whose arrays take very long to sort by."""
    try:
        with briefly(_KEY_SECONDS):
            return key_of(document, asked.sort)
    except OutOfTime:
        raise Problem(Code.QUERY_TIMEOUT, "A document takes too long to sort by.") from None


def too_many(most: int) -> Problem:
    return Problem(
        Code.LIMIT_EXCEEDED, f"The result has more than {most} documents; watch fewer, or a limit."
    )


def too_large(most: int) -> Problem:
    return Problem(Code.LIMIT_EXCEEDED, f"The result has more than {most} bytes; watch less.")
