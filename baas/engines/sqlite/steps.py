"""The steps of a batch, run inside the writer's open transaction.

Everything here runs on the event loop; a read that may take long is *yielded* to whoever drives
the batch, which can run it in a thread meanwhile (`Pending`), or as a pause for other work.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

import apsw

from baas.clock import Clock
from baas.engines.sqlite import catalogue, queries, schema
from baas.engines.sqlite.catalogue import Catalogue, CollectionInfo
from baas.engines.sqlite.connection import Database, size_of, too_much
from baas.engines.sqlite.keys import encode_key, json_path, key_sql
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
    Once,
    Outcome,
    Read,
    Step,
    StepResult,
    WriteInfo,
    Written,
)
from baas.schema.model import IndexSpec
from baas.schema.values import Document, Path, Value, decode, encode

#: A statement whose rows the generator is sent; None is a pause.
Pending = queries.Statement | None
Rows = Generator[Pending, list[Any], StepResult]
#: Documents written between two pauses of a step that touches many.
_PAUSE_EVERY: Final = 100

_FEED: Final = (
    "INSERT INTO baas_feed(tx,time,offset,collection,id,before,after,actor,depth)"
    " VALUES(?,?,?,?,?,?,?,?,?)"
)
#: Where the next row of the feed begins, in bytes of images.
FEED_END: Final = """
SELECT offset + octet_length(ifnull(before,x'')) + octet_length(ifnull(after,x''))
FROM baas_feed ORDER BY seq DESC LIMIT 1
"""
_NOTHING: Final = StepResult()


class Work:
    """A step of the engine itself: `run` is quick, and what it raises undoes the batch."""

    __slots__ = ("run",)

    def __init__(self, run: Callable[[Transaction], StepResult]) -> None:
        self.run = run


class Transaction:
    """What the steps of one group share: the connection, the catalogue, the current batch."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.execute = database.raw.execute
        self.clock = clock
        self.catalogue = Catalogue(-1, {})
        self._tx: int | None = None
        self._offset = 0
        self._info = WriteInfo()
        self._held = 0

    def refresh(self) -> None:
        """Takes up what is there now: after BEGIN others' writes, after an undo what is left."""
        self._offset = self.execute(FEED_END).get or 0
        if catalogue.schema_version(self.database.raw) != self.catalogue.version:
            self.reload()

    def forget(self) -> None:
        """What was believed may have been rolled back: the next BEGIN reads it anew."""
        self.catalogue = Catalogue(-1, {})

    def reload(self) -> None:
        self.catalogue = catalogue.load(self.database.raw, self.catalogue)

    def begin_batch(self, info: WriteInfo) -> None:
        self._tx = None
        self._info = info
        self._held = 0

    # -- steps -------------------------------------------------------------------------------------

    def insert(self, step: Insert) -> StepResult:
        if step.check is not None:
            step.check(self.database.lookup)
        written = self._insert(step.collection, step.id, step.document, step.body)
        return StepResult((written,))

    def change(self, step: Change) -> StepResult:
        before = self._stored(step.collection, step.id)
        written = self._apply(step.collection, step.id, before, step)
        if written is None:
            return _NOTHING
        self._hold_written(step.collection, written)
        return StepResult((written,))

    def check(self, step: Check) -> StepResult:
        step.verify(self.database.lookup(step.collection, step.id), self.database.lookup)
        return _NOTHING

    def change_many(self, step: ChangeMany) -> Rows:
        info = self.catalogue.get(step.collection)
        ids = []
        if info is not None:
            ids = yield queries.select_ids(info, step.filter, step.limit + 1 if step.multi else 1)
        if step.multi and len(ids) > step.limit:
            raise Problem(
                Code.LIMIT_EXCEEDED, f"More than {step.limit} documents match; nothing was done."
            )
        if not ids and step.otherwise is not None:
            return self._upsert(step.collection, step.otherwise(self.database.lookup))
        written = []
        for position, id in enumerate(ids):
            if position % _PAUSE_EVERY == _PAUSE_EVERY - 1:
                yield None
            # Not from before the loop: this step's own writes may have renamed the table.
            before = self._stored(step.collection, id)
            if (one := self._apply(step.collection, id, before, step)) is not None:
                self._hold_written(step.collection, one)
                written.append(one)
        return StepResult(tuple(written))

    def read(self, step: Read) -> Rows:
        info = self.catalogue.get(step.query.collection)
        if info is None:
            return _NOTHING
        documents = yield queries.select(info, step.query)
        self._hold(size_of(documents))
        return StepResult(documents=tuple(documents))

    def _hold(self, size: int) -> None:
        """What a batch reads is held until it is answered: all of it together has a bound."""
        self._held += size
        most = self.database.most_bytes
        if most is not None and self._held > most:
            raise too_much(most)

    def _hold_written(self, collection: str, one: Written) -> None:
        # The kit's own work must not fail because somebody opened many sessions.
        if not collection.startswith("_"):
            self._hold(len(one.before or b"") + len(one.after or b""))

    def count(self, step: Count) -> Rows:
        info = self.catalogue.get(step.collection)
        if info is None:
            return _NOTHING
        rows = yield queries.count(info, step.filter)
        return StepResult(count=rows[0])

    def run(self, step: Step) -> Rows:
        """Any step, as a generator."""
        if type(step) is ChangeMany:
            return (yield from self.change_many(step))
        if type(step) is Read:
            return (yield from self.read(step))
        if type(step) is Count:
            return (yield from self.count(step))
        return self.run_quick(step)

    def run_quick(self, step: Any) -> StepResult:
        """A step that reads by id alone."""
        if type(step) is Work:
            return step.run(self)
        if type(step) is Insert:
            return self.insert(step)
        return self.change(step) if type(step) is Change else self.check(step)

    # -- one document ------------------------------------------------------------------------------

    def _stored(self, collection: str, id: str) -> bytes | None:
        info = self.catalogue.get(collection)
        return None if info is None else self.execute(info.get_sql, (id,)).get

    def _upsert(self, collection: str, document: Document) -> StepResult:
        written = self._insert(collection, document["_id"], document, encode(document))
        return StepResult((written,))

    def _apply(
        self, collection: str, id: str, before: bytes | None, step: Change | ChangeMany
    ) -> Written | None:
        document = None if before is None else decode(before)
        outcome: Outcome = step.apply(document, self.database.lookup)
        if outcome is KEEP or (outcome is DELETE and before is None):
            return None
        if outcome is DELETE:
            self.execute(self.catalogue.collections[collection].delete_sql, (id,))
            return self._announce(collection, Written(id, before, None))
        assert isinstance(outcome, dict)
        if outcome.get("_id") != id:
            raise ValueError("a change must keep the document's _id")
        if before is None:
            return self._insert(collection, id, outcome, encode(outcome))
        return self._update(collection, id, before, outcome)

    def _insert(self, collection: str, id: str, document: Document, body: bytes) -> Written:
        info = self.catalogue.get(collection) or self._create(collection)
        if info.tracked:
            info = self._flag(info, document)
        try:
            self.execute(info.insert_sql, (id, body.decode()))
        except apsw.ConstraintError as error:
            raise self._duplicate(info, document, error) from None
        return self._announce(collection, Written(id, None, body))

    def _update(self, collection: str, id: str, before: bytes, document: Document) -> Written:
        info = self.catalogue.collections[collection]
        if info.tracked:
            info = self._flag(info, document)
        after = encode(document)
        try:
            self.execute(info.update_sql, (after.decode(), id))
        except apsw.ConstraintError as error:
            raise self._duplicate(info, document, error) from None
        return self._announce(collection, Written(id, before, after))

    def _announce(self, collection: str, written: Written) -> Written:
        """The event of the change feed. The first of a batch lends its number to the rest."""
        before, after = written.before, written.after
        self.execute(
            _FEED,
            (
                self._tx,
                self.clock.now_ms(),
                self._offset,
                collection,
                written.id,
                before,
                after,
                self._info.actor,
                self._info.depth,
            ),
        )
        self._offset += len(before or b"") + len(after or b"")
        if self._tx is None:
            self._tx = self.database.raw.last_insert_rowid()
        return written

    # -- tables, flags, duplicates -----------------------------------------------------------------

    def _create(self, name: str) -> CollectionInfo:
        schema.create_collection(self.database.raw, name, self.catalogue.spelled_otherwise(name))
        self.reload()
        return self.catalogue.collections[name]

    def _flag(self, info: CollectionInfo, document: Document) -> CollectionInfo:
        """Marks index paths on which this document is the first to have an array."""
        arrays = info.new_arrays(document)
        if not arrays:
            return info
        schema.next_generation(self.database.raw, info, info.multikey | arrays)
        self.reload()
        return self.catalogue.collections[info.name]

    def _duplicate(
        self, info: CollectionInfo, document: Document, error: apsw.ConstraintError
    ) -> DuplicateKey:
        text = str(error)
        for index in info.indexes:
            if f"'{index.physical}" in text:
                holder = self._holder(info, index.spec, document)
                return DuplicateKey(info.name, index.spec.name, holder)
        return DuplicateKey(info.name, None, document["_id"])

    def _holder(self, info: CollectionInfo, spec: IndexSpec, document: Document) -> str | None:
        """The other document with this one's values at the fields of a unique index."""
        # Null and missing have one key, and only the first takes part in the index.
        tests = " AND ".join(
            f"{key_sql(key.path)} IS ? AND json_type(doc,{json_path(key.path)}) IS NOT NULL"
            for key in spec.keys
        )
        values = [encode_key(_value_at(document, key.path)) for key in spec.keys]
        sql = f"SELECT id FROM {info.table} WHERE {tests} AND id<>? LIMIT 1"
        found: str | None = self.execute(sql, (*values, document["_id"])).get
        return found


def _value_at(document: Document, path: Path) -> Value:
    value: Any = document
    for name in path:
        value = value.get(name) if type(value) is dict else None
    return value


# -- idempotency -----------------------------------------------------------------------------------


def recorded(transaction: Transaction, once: Once) -> bytes | None:
    """The answer kept under this key. Problem(IDEMPOTENCY_MISMATCH) for another body."""
    row = transaction.execute(
        "SELECT fingerprint, answer FROM baas_once WHERE key=? AND expires>?",
        (once.key, transaction.clock.now_ms()),
    ).get
    if row is None:
        return None
    fingerprint, answer = row
    if bytes(fingerprint) != once.fingerprint:
        raise Problem(
            Code.IDEMPOTENCY_MISMATCH, "This Idempotency-Key was used with another request."
        )
    return bytes(answer)


def record(transaction: Transaction, once: Once, results: tuple[StepResult, ...]) -> None:
    expires = transaction.clock.now_ms() + once.keep_seconds * 1000
    transaction.execute(
        "INSERT OR REPLACE INTO baas_once VALUES(?,?,?,?)",
        (once.key, once.fingerprint, once.render(results), expires),
    )
