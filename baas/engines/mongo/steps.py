"""The steps of batches, inside the open transaction of a turn.

Changed documents are kept here until somebody asks the server for what matches a filter, or the
group ends. So a batch that fails is undone by forgetting what it changed; only where some of it was
sent already must the transaction begin anew, without that batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from baas.clock import Clock
from baas.engines.mongo.catalogue import Catalogue, CollectionInfo, IndexInfo, check_name
from baas.engines.mongo.driver import (
    Binary,
    DeleteOne,
    InsertOne,
    Int64,
    ReplaceOne,
    Row,
    UpdateOne,
)
from baas.engines.mongo.names import COLLECTIONS, FEED, ONCE
from baas.engines.mongo.reads import Reads, too_much
from baas.engines.mongo.turns import Turn
from baas.engines.mongo.values import (
    ID,
    JSON,
    array_paths,
    check_size,
    row_of,
    unique_key,
)
from baas.errors import Code, Problem
from baas.ports.documents import (
    DELETE,
    KEEP,
    Change,
    ChangeMany,
    Check,
    Count,
    DuplicateKey,
    Insert,
    LookupNeeded,
    Once,
    Outcome,
    Read,
    Step,
    StepResult,
    WriteInfo,
    Written,
)
from baas.schema.values import MISSING, Document, decode, encode, value_at
from baas.settings import DatabaseSettings

T = TypeVar("T")
_Key = tuple[str, str]
#: A key of a unique index: of which collection, of which index, and the key.
_Unique = tuple[str, str, bytes]
_NOTHING: Final = StepResult()
#: In this order; each kind is one command.
_KINDS: Final = (DeleteOne, UpdateOne, ReplaceOne, InsertOne)
_ABSENT: Final = object()
#: Bytes of an answer that is kept under an idempotency key: a row of the server has 16 MiB.
MOST_ANSWER: Final = 15 * 1024**2


class ParallelArrays(Exception):
    """A document has arrays on two fields of one index, which the server cannot hold."""

    def __init__(self, collection: str, index: IndexInfo) -> None:
        super().__init__(f"{collection}: {index.spec.name}")
        self.collection = collection
        self.index = index


class Steps:
    """What the batches of one transaction share."""

    def __init__(
        self,
        turn: Turn,
        settings: DatabaseSettings,
        clock: Clock,
        catalogue: Catalogue,
        *,
        trusting: bool = False,
    ) -> None:
        """`trusting`: an id that nothing is known of is taken to be free; the server will say."""
        self._turn = turn
        self._driver = turn.driver
        self._session = turn.session
        self._most_bytes = settings.read_bytes
        self._clock = clock
        self.catalogue = catalogue
        self._reads = Reads(
            turn.driver, settings, lambda: self.catalogue, turn.session, self._fetch
        )
        self._stored: dict[_Key, bytes | None] = {}
        self._changed: dict[_Key, bytes | None] = {}
        self._documents: dict[_Key, Document] = {}
        self._holders: dict[_Unique, str | None] = {}
        self._takes: dict[_Key, list[_Unique]] = {}
        self._taken: dict[_Unique, str] = {}
        self._answers: dict[str, Row | None] = {}
        self._kept: dict[str, Row] = {}
        self._events: list[Row] = []
        self._touched: set[str] = set()
        self._dropped: set[str] = set()
        self.trusting = trusting
        #: Ids were taken to be free that nobody has looked for.
        self.guessed = False
        #: Something was written past these steps, so there is something to commit.
        self.aside = False
        self.position: int = int(turn.row["position"])
        self._offset: int = int(turn.row["offset"])
        self.begin_batch(WriteInfo())

    # -- batches -----------------------------------------------------------------------------------

    def begin_batch(self, info: WriteInfo) -> None:
        self._info = info
        self._first: int | None = None
        self._held = 0
        self._undo: list[Callable[[], None]] = []
        self.sent = False

    def undo_batch(self) -> None:
        """Forgets what the batch changed; not possible where some of it was `sent`."""
        for step in reversed(self._undo):
            step()
        self._undo.clear()

    @property
    def wrote(self) -> bool:
        return bool(self.aside or self._events or self._kept or self._touched or self._dropped)

    # -- looking things up -------------------------------------------------------------------------

    async def fetch(self, keys: Iterable[_Key]) -> None:
        """Gets documents that will be needed, one question for each collection."""
        wanted: dict[str, set[str]] = {}
        for collection, id in keys:
            if (collection, id) not in self._stored:
                wanted.setdefault(collection, set()).add(id)
        for collection, ids in wanted.items():
            found: dict[str, bytes] = {}
            if collection in self.catalogue.collections:
                named: Row = {ID: {"$in": sorted(ids)}}
                rows = await self._driver.find(collection, named, {JSON: 1}, session=self._session)
                found = {row[ID]: bytes(row[JSON]) for row in rows}
            for id in ids:
                self._stored[collection, id] = found.get(id)

    async def _current(self, collection: str, id: str) -> bytes | None:
        key = (collection, id)
        if key not in self._changed and key not in self._stored:
            await self.fetch((key,))
        return self._known(key)

    def _known(self, key: _Key) -> bytes | None:
        return self._changed[key] if key in self._changed else self._stored[key]

    async def _fetch(self, collection: str, id: str) -> Document | None:
        body = await self._current(collection, id)
        return None if body is None else decode(body)

    def _lookup(self, collection: str, id: str) -> Document | None:
        key = (collection, id)
        if key not in self._changed and key not in self._stored:
            raise LookupNeeded(collection, id)
        body = self._known(key)
        return None if body is None else decode(body)

    async def _ask(self, callback: Callable[..., T], *arguments: Any) -> T:
        """A callback of a step, as often as it asks for another document."""
        while True:
            try:
                return callback(*arguments, self._lookup)
            except LookupNeeded as need:
                await self.fetch(((need.collection, need.id),))

    # -- steps -------------------------------------------------------------------------------------

    async def run(self, step: Step) -> StepResult:
        if isinstance(step, Insert):
            return await self._insert_step(step)
        if isinstance(step, Change):
            return await self._change_step(step)
        if isinstance(step, ChangeMany):
            return await self._change_many(step)
        if isinstance(step, Check):
            stored = await self._fetch(step.collection, step.id)
            await self._ask(step.verify, stored)
            return _NOTHING
        if isinstance(step, Read):
            await self.send()
            documents = await self._reads.find(step.query)
            self._hold(sum(map(len, documents)))
            return StepResult(documents=tuple(documents))
        assert isinstance(step, Count)
        await self.send()
        return StepResult(count=await self._reads.count(step.collection, step.filter))

    async def _insert_step(self, step: Insert) -> StepResult:
        if step.check is not None:
            await self._ask(step.check)
        return StepResult((await self._insert(step.collection, step.id, step.document, step.body),))

    async def _change_step(self, step: Change) -> StepResult:
        before = await self._current(step.collection, step.id)
        written = await self._apply(step.collection, step.id, before, step)
        return _NOTHING if written is None else StepResult((written,))

    async def _change_many(self, step: ChangeMany) -> StepResult:
        await self.send()
        most = step.limit + 1 if step.multi else 1
        bodies = await self._reads.first(step.collection, step.filter, most)
        if step.multi and len(bodies) > step.limit:
            raise Problem(
                Code.LIMIT_EXCEEDED, f"More than {step.limit} documents match; nothing was done."
            )
        if not bodies and step.otherwise is not None:
            document = await self._ask(step.otherwise)
            body = encode(document)
            return StepResult((await self._insert(step.collection, document[ID], document, body),))
        written = []
        for body in bodies:
            id = decode(body)[ID]
            self._stored.setdefault((step.collection, id), body)
            one = await self._apply(step.collection, id, body, step)
            if one is not None:
                if not step.collection.startswith("_"):
                    # The kit's own work must not fail because somebody opened many sessions.
                    self._hold(len(one.before or b"") + len(one.after or b""))
                written.append(one)
        return StepResult(tuple(written))

    def _hold(self, size: int) -> None:
        """What a batch reads is held until it is answered: all of it together has a bound."""
        self._held += size
        if self._held > self._most_bytes:
            raise too_much(self._most_bytes)

    # -- one document ------------------------------------------------------------------------------

    async def _apply(
        self, collection: str, id: str, before: bytes | None, step: Change | ChangeMany
    ) -> Written | None:
        document = None if before is None else decode(before)
        outcome: Outcome = await self._ask(step.apply, document)
        if outcome is KEEP or (outcome is DELETE and before is None):
            return None
        if outcome is DELETE:
            self._set((collection, id), None, None)
            return self._announce(collection, Written(id, before, None))
        assert isinstance(outcome, dict)
        if outcome.get(ID) != id:
            raise ValueError("a change must keep the document's _id")
        after = encode(outcome)
        if before is None:
            return await self._insert(collection, id, outcome, after)
        info = await self._prepare(collection, outcome)
        check_size(outcome, after, lambda: _derived(info, outcome))
        self._set((collection, id), after, outcome)
        return self._announce(collection, Written(id, before, after))

    async def _insert(self, collection: str, id: str, document: Document, body: bytes) -> Written:
        if await self._is_taken(collection, id):
            raise DuplicateKey(collection, None, id)
        info = await self._prepare(collection, document)
        check_size(document, body, lambda: _derived(info, document))
        self._set((collection, id), body, document)
        return self._announce(collection, Written(id, None, body))

    async def _is_taken(self, collection: str, id: str) -> bool:
        key = (collection, id)
        if key in self._changed or key in self._stored or not self.trusting:
            return await self._current(collection, id) is not None
        self.guessed = True
        self._stored[key] = None
        return False

    def _set(self, key: _Key, body: bytes | None, document: Document | None) -> None:
        before = self._changed.get(key, _ABSENT)
        known = self._documents.get(key)

        def undo() -> None:
            if before is _ABSENT:
                self._changed.pop(key, None)
            else:
                self._changed[key] = before  # type: ignore[assignment]
            self._keep(key, known)

        self._undo.append(undo)
        self._changed[key] = body
        self._keep(key, document)

    def _keep(self, key: _Key, document: Document | None) -> None:
        """Remembers the document of a change, and the unique keys that it takes."""
        for taken in self._takes.pop(key, ()):
            if self._taken.get(taken) == key[1]:
                del self._taken[taken]
        self._documents.pop(key, None)
        if document is None:
            return
        self._documents[key] = document
        for index in self.catalogue.collections[key[0]].unique:
            if (value := unique_key(document, index.paths)) is not None:
                taken = (key[0], index.physical, bytes(value))
                self._taken[taken] = key[1]
                self._takes.setdefault(key, []).append(taken)

    def _announce(self, collection: str, written: Written) -> Written:
        """The event of the change feed. The first of a batch lends its number to the rest."""
        before, after = written.before, written.after
        self.position += 1
        if self._first is None:
            self._first = self.position
        row: Row = {
            ID: Int64(self.position),
            "tx": Int64(self._first),
            "time": Int64(self._clock.now_ms()),
            "offset": Int64(self._offset),
            "collection": collection,
            "document": written.id,
            "before": None if before is None else Binary(before),
            "after": None if after is None else Binary(after),
            "actor": self._info.actor,
            "depth": self._info.depth,
        }
        size = len(before or b"") + len(after or b"")
        self._offset += size
        self._events.append(row)

        def undo() -> None:
            self._events.pop()
            self.position -= 1
            self._offset -= size

        self._undo.append(undo)
        return written

    # -- the catalogue -----------------------------------------------------------------------------

    async def _prepare(self, collection: str, document: Document) -> CollectionInfo:
        """What must be so before a document may be there: its collection, its unique keys."""
        info = self.catalogue.get(collection)
        if info is None:
            check_name(collection, self.catalogue)
            info = CollectionInfo(collection)
            self._note(info)
        arrays = array_paths(document) - info.arrays
        if arrays and info.with_arrays(arrays) != info:
            info = info.with_arrays(arrays)
            self._note(info)
        for index in info.indexes:
            if index.spec.unique:
                await self._check_unique(info, index, document)
            elif not (index.single or index.is_derived) and _has_parallel_arrays(document, index):
                raise ParallelArrays(collection, index)
        return info

    def _note(self, info: CollectionInfo) -> None:
        before, touched = self.catalogue.get(info.name), info.name in self._touched

        def undo() -> None:
            if before is None:
                del self.catalogue.collections[info.name]
            else:
                self.catalogue.collections[info.name] = before
            if not touched:
                self._touched.discard(info.name)

        self._undo.append(undo)
        self.catalogue.collections[info.name] = info
        self._touched.add(info.name)

    async def _check_unique(
        self, info: CollectionInfo, index: IndexInfo, document: Document
    ) -> None:
        key = unique_key(document, index.paths)
        if key is None:
            return
        holder = self._taken.get((info.name, index.physical, bytes(key)))
        if holder is None:
            holder = await self._holder(info.name, index, key)
            if (info.name, holder) in self._changed:
                return  # it has another key by now
        if holder is not None and holder != document[ID]:
            raise DuplicateKey(info.name, index.spec.name, holder)

    async def _holder(self, collection: str, index: IndexInfo, key: bytes) -> str | None:
        """The stored document that has the key, whatever this transaction has not sent yet."""
        known = (collection, index.physical, bytes(key))
        if known not in self._holders:
            row = await self._driver.find_one(
                collection, {f"u.{index.physical}": key}, projection={ID: 1}, session=self._session
            )
            self._holders[known] = None if row is None else row[ID]
        return self._holders[known]

    # -- sending -----------------------------------------------------------------------------------

    async def send(self) -> None:
        """Lets the server have what was changed, so that it can be asked about it."""
        if not self._changed:
            return
        self.sent = self.sent or bool(self._undo)
        by_collection: dict[str, list[tuple[str, bytes | None]]] = {}
        for (collection, id), body in self._changed.items():
            by_collection.setdefault(collection, []).append((id, body))
        for collection, changes in by_collection.items():
            await self._send_to(collection, changes)
        self._stored.update(self._changed)
        self._changed.clear()
        self._documents.clear()
        self._holders.clear()
        self._takes.clear()
        self._taken.clear()

    async def _send_to(self, collection: str, changes: list[tuple[str, bytes | None]]) -> None:
        info = self.catalogue.collections[collection]
        operations: list[Any] = []
        if info.unique and len(changes) > 1:
            # Two documents may exchange their keys: none has one while they do.
            held = [id for id, body in changes if body is not None]
            operations += [UpdateOne({ID: id}, {"$unset": {"u": ""}}) for id in held]
        for id, body in changes:
            before = self._stored.get((collection, id))
            if body is None:
                operations += [DeleteOne({ID: id})] if before is not None else []
                continue
            row = self._row(info, id, body)
            operations.append(InsertOne(row) if before is None else ReplaceOne({ID: id}, row))
        # Deletions first: what they held is free for the others. And one kind after the other.
        operations.sort(key=lambda one: _KINDS.index(type(one)))
        await self._driver.bulk(collection, operations, session=self._session)

    def _row(self, info: CollectionInfo, id: str, body: bytes) -> Row:
        document = self._documents.get((info.name, id)) or decode(body)
        return row_of(id, document, body, _derived(info, document))

    def put_info(self, info: CollectionInfo) -> None:
        """A change of the catalogue by the engine itself."""
        self._note(info)
        self._dropped.discard(info.name)

    def drop_info(self, name: str) -> None:
        """The collection was never there. For one that has no documents."""
        self.catalogue.collections.pop(name, None)
        self._touched.discard(name)
        self._dropped.add(name)

    async def finish(self) -> None:
        """Everything that was not sent yet, the feed, the catalogue and the kept answers."""
        await self.send()
        await self._driver.insert(FEED, self._events, session=self._session)
        if self._touched:
            rows = [self.catalogue.collections[name].row() for name in sorted(self._touched)]
            puts = [ReplaceOne({ID: row[ID]}, row, upsert=True) for row in rows]
            await self._driver.bulk(COLLECTIONS, puts, session=self._session)
        if self._dropped:
            gone: Row = {ID: {"$in": sorted(self._dropped)}}
            await self._driver.delete(COLLECTIONS, gone, session=self._session)
        if self._touched or self._dropped:
            self.catalogue.version += 1
        if self._kept:
            puts = [ReplaceOne({ID: key}, row, upsert=True) for key, row in self._kept.items()]
            await self._driver.bulk(ONCE, puts, session=self._session)
        self._turn.changes |= {
            "position": Int64(self.position),
            "offset": Int64(self._offset),
            "catalogue": Int64(self.catalogue.version),
        }

    # -- idempotency -------------------------------------------------------------------------------

    async def fetch_answers(self, keys: Iterable[str]) -> None:
        wanted = sorted(set(keys))
        if wanted:
            rows = await self._driver.find(ONCE, {ID: {"$in": wanted}}, session=self._session)
            self._answers.update(dict.fromkeys(wanted))
            self._answers.update({row[ID]: row for row in rows})

    def recorded(self, once: Once) -> bytes | None:
        """The answer kept under this key. Problem(IDEMPOTENCY_MISMATCH) for another body."""
        row = self._kept.get(once.key) or self._answers.get(once.key)
        if row is None or row["expires"] <= self._clock.now_ms():
            return None
        if bytes(row["fingerprint"]) != once.fingerprint:
            raise Problem(
                Code.IDEMPOTENCY_MISMATCH, "This Idempotency-Key was used with another request."
            )
        return bytes(row["answer"])

    def record(self, once: Once, results: tuple[StepResult, ...]) -> None:
        answer = once.render(results)
        if len(answer) > MOST_ANSWER:
            raise Problem(
                Code.LIMIT_EXCEEDED,
                f"An answer of {len(answer)} bytes is too large to be kept under an"
                " Idempotency-Key: read less in this request.",
            )
        self._kept[once.key] = {
            ID: once.key,
            "fingerprint": Binary(once.fingerprint),
            "answer": Binary(answer),
            "expires": Int64(self._clock.now_ms() + once.keep_seconds * 1000),
            "order": Int64(self.position),
        }


def _derived(info: CollectionInfo, document: Document) -> Row:
    found = {index.physical: index.derive(document) for index in info.derived}
    return {name: value for name, value in found.items() if value is not None}


def _has_parallel_arrays(document: Document, index: IndexInfo) -> bool:
    found = set()
    for path in index.paths:
        for end in range(1, len(path) + 1):
            value = value_at(document, path[:end])
            if type(value) is list:
                found.add(path[:end])
                break
            if value is MISSING:
                break
    return len(found) > 1
