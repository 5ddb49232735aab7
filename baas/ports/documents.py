"""DocumentStore: documents in collections, read by filter, written together or not at all.

The store takes AST, never a client's raw JSON, and knows nothing of rules: a write carries its
rule as a callback that the store runs between reading and writing, in one step. So the check and
the write cannot come apart, whatever else is writing.

Reads may answer at once or later: an engine that serves a read without waiting returns the result
itself, else an awaitable of it. `resolve` awaits where needed; hot paths test by type.

Documents travel as canonical JSON bytes (`schema.values.encode`), so that a read that nothing
masks is never decoded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from enum import Enum
from inspect import isawaitable
from typing import Final, Literal, Protocol, TypeAlias, TypeVar

import msgspec

from baas.query.ast import ALWAYS, BY_ID, Filter, Sort
from baas.schema.model import CollectionSpec
from baas.schema.values import Document, Value

T = TypeVar("T")
MaybeAwaitable: TypeAlias = T | Awaitable[T]


async def resolve(value: MaybeAwaitable[T]) -> T:
    return await value if isawaitable(value) else value


class DuplicateKey(Exception):
    """A write met an existing `_id` (`index` is None) or unique index (`index` is its name).

    Nothing of the batch was kept. `id` is the document that holds the key already, where known.
    `step` is the position in the batch of the step that met it.
    """

    def __init__(
        self, collection: str, index: str | None, id: str | None = None, step: int | None = None
    ) -> None:
        super().__init__(f"{collection}: {index or '_id'}")
        self.collection = collection
        self.index = index
        self.id = id
        self.step = step


class LookupNeeded(Exception):
    """A rule asked for a document that its `Lookups` does not hold yet.

    Engines that can only fetch by awaiting raise this through the callback, fetch, and run the
    callback again; so callbacks are pure and must let it pass.
    """

    def __init__(self, collection: str, id: str) -> None:
        super().__init__(f"{collection}/{id}")
        self.collection = collection
        self.id = id


class Lookups(Protocol):
    """Documents that rules see through `get` and `exists`, in the state of the operation."""

    def __call__(self, collection: str, id: str) -> Document | None:
        """The document or None where there is none; may raise LookupNeeded."""
        ...


class KnownLookups:
    """Lookups over what was fetched so far."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], Document | None] = {}

    def __call__(self, collection: str, id: str) -> Document | None:
        try:
            return self.known[collection, id]
        except KeyError:
            raise LookupNeeded(collection, id) from None


# -- reads ----------------------------------------------------------------------------------------


class Find(msgspec.Struct, frozen=True, kw_only=True):
    """A query. `after` are the sort values (one per key of `sort`, `order.sort_values`) of the
    last document seen: only documents strictly behind it follow. `limit` None is all of them."""

    collection: str
    filter: Filter = ALWAYS
    sort: Sort = BY_ID
    limit: int | None = None
    skip: int = 0
    after: tuple[Value, ...] | None = None


class DocumentReader(Protocol):
    """Reads of one state. A collection that was never declared is empty."""

    def get(
        self, collection: str, id: str, filter: Filter = ALWAYS
    ) -> MaybeAwaitable[bytes | None]:
        """The document with this id if it is there and matches."""
        ...

    def find(self, query: Find) -> MaybeAwaitable[list[bytes]]:
        """In the order of `sort`. Problem(QUERY_TIMEOUT) past the read time limit."""
        ...

    def count(self, collection: str, filter: Filter = ALWAYS) -> MaybeAwaitable[int]: ...


class Snapshot(DocumentReader, Protocol):
    """Reads of one moment; `cursor` is the change feed's, just behind that moment."""

    @property
    def cursor(self) -> str: ...


# -- writes ---------------------------------------------------------------------------------------


class _Outcome(Enum):
    DELETE = "delete"
    KEEP = "keep"


#: A `Change.apply` answers with the new document, DELETE, or KEEP (nothing is written or matched).
DELETE: Final = _Outcome.DELETE
KEEP: Final = _Outcome.KEEP
Outcome: TypeAlias = Document | Literal[_Outcome.DELETE, _Outcome.KEEP]

#: Given the stored document (None: there is none) and lookups in the state of the write, says what
#: becomes of it. Pure, quick, may run more than once; raises Problem to refuse, which undoes the
#: whole batch. The new document must carry the same `_id`; the given one must not be modified.
Apply: TypeAlias = Callable[[Document | None, Lookups], Outcome]


class Insert(msgspec.Struct, frozen=True, kw_only=True):
    """A new document; DuplicateKey where its `_id` is taken.

    `body` is `encode(document)`. `check` runs inside the write (for rules with lookups).
    """

    collection: str
    id: str
    document: Document
    body: bytes
    check: Callable[[Lookups], None] | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One step on the document `id` (apply is called even where there is none, with None)."""

    collection: str
    id: str
    apply: Apply


class ChangeMany(msgspec.Struct, frozen=True, kw_only=True):
    """The documents that match `filter`, in the order of `_id`; only the first unless `multi`.

    More than `limit` matches: Problem(LIMIT_EXCEEDED), nothing done. Where none matches and
    `otherwise` is given, that is called once and its document inserted (upsert), with
    DuplicateKey as for Insert.
    """

    collection: str
    filter: Filter
    apply: Apply
    multi: bool = False
    limit: int = 10_000
    otherwise: Callable[[Lookups], Document] | None = None


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A `find` or `get` among the steps of a transaction, seeing the earlier steps."""

    query: Find


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """A `count` among the steps of a transaction, seeing the earlier steps."""

    collection: str
    filter: Filter


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """`verify` sees the stored document (or None) and raises Problem to undo the batch."""

    collection: str
    id: str
    verify: Callable[[Document | None, Lookups], None]


Step: TypeAlias = Insert | Change | ChangeMany | Read | Count | Check


class Written(msgspec.Struct, frozen=True):
    """One document touched by a step. `before` None: it is new; `after` None: it is gone."""

    id: str
    before: bytes | None
    after: bytes | None


class StepResult(msgspec.Struct, frozen=True):
    """`written` for writes (in `_id` order), `documents` for a Read, `count` for a Count."""

    written: tuple[Written, ...] = ()
    documents: tuple[bytes, ...] = ()
    count: int = 0


class Once(msgspec.Struct, frozen=True, kw_only=True):
    """Idempotency: the batch runs once per `key`, committed together with its record.

    `fingerprint` tells bodies apart; `render` makes the answer that is recorded. A later batch
    with this key does nothing and gives the recorded answer (`BatchResult.replayed`), or raises
    Problem(IDEMPOTENCY_MISMATCH). Records live `keep_seconds`, at most `keep_records` of them.
    """

    key: str
    fingerprint: bytes
    render: Callable[[tuple[StepResult, ...]], bytes]
    keep_seconds: int
    keep_records: int


class BatchResult(msgspec.Struct, frozen=True):
    """`replayed` is the recorded answer where `Once` found one; then `results` is empty."""

    results: tuple[StepResult, ...]
    replayed: bytes | None = None


class WriteInfo(msgspec.Struct, frozen=True):
    """Who wrote, for the change feed: a uid or None, and how deep a chain of triggers it is."""

    actor: str | None = None
    depth: int = 0


class DocumentStore(DocumentReader, Protocol):
    """The whole port. One instance per process; close it once."""

    def declare(self, collections: Mapping[str, CollectionSpec]) -> Awaitable[None]:
        """Makes tables and indexes fit the declarations; called at start and on each reload.

        A collection that is no longer named keeps its documents. ConfigurationError naming the
        index where a unique index meets duplicates; then nothing changed. Idempotent.
        """
        ...

    def write(
        self, steps: tuple[Step, ...], info: WriteInfo, once: Once | None = None
    ) -> Awaitable[BatchResult]:
        """All steps in order, each seeing the earlier ones, or none of them.

        Done means durable: it survives loss of power under the default setting. Every document
        touched is one event of the change feed, in the same transaction. A Problem raised by a
        callback in a batch of several steps carries `operation`, the step's position.
        """
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """Reads of one moment, for rules that look up another document before a find, and for
        results that the change feed then carries on."""
        ...

    def scan(self, collection: str) -> AsyncIterator[bytes]:
        """Every document in `_id` order as of one moment, without holding up writers. Export."""
        ...

    def names(self) -> MaybeAwaitable[list[str]]:
        """Every collection that exists, reserved ones too."""
        ...

    def ping(self) -> MaybeAwaitable[None]:
        """Problem(UNAVAILABLE) unless the store can answer. For /readyz."""
        ...

    def explain(self, query: Find) -> MaybeAwaitable[list[str]]:
        """How the engine would run it, one line per step, with the names of the indexes used."""
        ...

    async def close(self) -> None:
        """Finishes what was accepted, then lets go of every resource. Safe to call twice."""
        ...
