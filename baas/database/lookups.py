"""Documents that rules look up with `get()` and `exists()`, and in which state they are seen.

Most rules look nothing up, so an operation is tried with no lookups first. One that needs some
raises LookupNeeded and is tried again with `FetchedLookups`:

- A read runs in a snapshot, and its rule sees that same snapshot.
- A write's callbacks are given lookups by the store, in the state of the write. What was looked
  up *before* the write, to reduce its rule to a filter, is told to the store as `Check` steps in
  front of it: if one of those documents has changed by then, nothing is written and the decision
  is made again with what the check saw. In a transaction the checks stand before the operation
  they belong to, so each operation's rule sees what the earlier ones wrote.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

from baas.database.context import Context
from baas.errors import Code, Problem
from baas.ports.documents import (
    Check,
    DocumentReader,
    KnownLookups,
    LookupNeeded,
    Lookups,
    MaybeAwaitable,
    resolve,
)
from baas.schema.values import Document, decode, encode

T = TypeVar("T")

#: Knows nothing: asks for every document by raising LookupNeeded.
NOTHING_KNOWN: Final = KnownLookups()
#: Decisions made again because a document they looked up had changed.
MAX_ATTEMPTS: Final = 8


class FetchedLookups(KnownLookups):
    """Documents fetched from one reader, each once.

    A reader that answers at once is asked in place; else LookupNeeded is raised, and `fetch`
    waits for the document before the next try.
    """

    def __init__(self, reader: DocumentReader) -> None:
        super().__init__()
        self._reader = reader
        self._waiting: dict[tuple[str, str], Awaitable[bytes | None]] = {}

    def __call__(self, collection: str, id: str) -> Document | None:
        key = (collection, id)
        if key not in self.known:
            if key in self._waiting:
                raise LookupNeeded(collection, id)
            answer = self._reader.get(collection, id)
            if answer is not None and not isinstance(answer, bytes):
                self._waiting[key] = answer
                raise LookupNeeded(collection, id)
            self.known[key] = _document(answer)
        return self.known[key]

    async def fetch(self, need: LookupNeeded) -> None:
        key = (need.collection, need.id)
        waiting = self._waiting.pop(key, None)
        answer = await (waiting if waiting is not None else _get(self._reader, *key))
        self.known[key] = _document(answer)


async def _get(reader: DocumentReader, collection: str, id: str) -> bytes | None:
    return await resolve(reader.get(collection, id))


def _document(answer: bytes | None) -> Document | None:
    return None if answer is None else decode(answer)


def read(
    context: Context, attempt: Callable[[DocumentReader, Lookups], MaybeAwaitable[T]]
) -> MaybeAwaitable[T]:
    """`attempt` against the store, or against one snapshot where its rule looks something up."""
    try:
        answer = attempt(context.store, NOTHING_KNOWN)
    except LookupNeeded:
        return read_snapshot(context, attempt)
    if isinstance(answer, Awaitable):
        return _or_snapshot(context, answer, attempt)
    return answer


async def _or_snapshot(
    context: Context,
    answer: Awaitable[T],
    attempt: Callable[[DocumentReader, Lookups], MaybeAwaitable[T]],
) -> T:
    try:
        return await answer
    except LookupNeeded:
        return await read_snapshot(context, attempt)


async def read_snapshot(
    context: Context, attempt: Callable[[DocumentReader, Lookups], MaybeAwaitable[T]]
) -> T:
    """`attempt` with everything, rules' lookups included, as of one moment."""
    async with context.store.snapshot() as reader:
        lookups = FetchedLookups(reader)
        while True:
            try:
                return await resolve(attempt(reader, lookups))
            except LookupNeeded as need:
                await lookups.fetch(need)


# -- writes ---------------------------------------------------------------------------------------


class Changed(Problem):
    """A looked up document is not what the decision was made with; carries what it is now, and
    the place in its batch of the operation that looked it up."""

    def __init__(self, place: int, collection: str, id: str, now: Document | None) -> None:
        super().__init__(
            Code.TRANSACTION_CONFLICT,
            "A document that the rules look up keeps changing; try again.",
        )
        self.place = place
        self.key = (collection, id)
        self.now = now


def checks(lookups: KnownLookups, place: int) -> Iterator[Check]:
    """Steps that hold a decision to the documents it was made with."""
    for (collection, id), document in lookups.known.items():
        verify = _verifier(place, collection, id, document)
        yield Check(collection=collection, id=id, verify=verify)


def _verifier(
    place: int, collection: str, id: str, expected: Document | None
) -> Callable[[Document | None, Lookups], None]:
    before = encode(expected)

    def verify(stored: Document | None, lookups: Lookups) -> None:
        # As bytes, because to Python true equals 1.
        if encode(stored) != before:
            raise Changed(place, collection, id, stored)

    return verify
