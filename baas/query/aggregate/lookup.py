"""Which documents of another collection a `$lookup` asks for, and which of them belong to whom."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias

import msgspec

from baas.errors import Code, Problem
from baas.query.aggregate.budget import Budget
from baas.query.aggregate.evaluate import follow
from baas.query.aggregate.limits import LOOKUP_VALUES, MAX_LOOKUPS
from baas.query.aggregate.matching import Matcher
from baas.query.aggregate.model import Equality, Lookup
from baas.query.ast import Field, Filter, In, both
from baas.query.evaluate import candidates as candidates_of
from baas.schema.values import MISSING, Document, Value, encode

Documents: TypeAlias = list[Document]


class LookupRequest(msgspec.Struct, frozen=True):
    """Wanted: the documents of `collection` that match `filter`, ruled and masked, by `_id`.

    The filter names paths of stored documents, as a client's does, so whoever serves the request
    holds it against the masks first. Where one may hide such a path, send the documents that the
    rest of the filter leaves: what does not match *as sent* is ignored. `limit` is one more than
    can be used: if that many come, the run ends with LIMIT_EXCEEDED.
    """

    collection: str
    filter: Filter
    limit: int


Reading: TypeAlias = Generator[LookupRequest, Documents, Documents]


class Candidates(msgspec.Struct, frozen=True):
    """`of(document)`: the documents looked up for it, in the order of `_id`. `uniform`: the same
    ones for every document."""

    of: Callable[[Document], Documents]
    uniform: bool


class Reader:
    """Asks for documents, each question once per run."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._asked = 0
        self._held = 0
        self._known: dict[tuple[str, bytes], Documents] = {}

    def candidates(
        self, stage: Lookup, documents: Documents
    ) -> Generator[LookupRequest, Documents, Candidates]:
        if stage.equality is None:
            found = yield from self._read(stage.collection, stage.filter)
            return Candidates(lambda document: found, uniform=True)
        return (yield from self._equal(stage, stage.equality, documents))

    def _equal(
        self, stage: Lookup, equality: Equality, documents: Documents
    ) -> Generator[LookupRequest, Documents, Candidates]:
        wanted: dict[bytes, Value] = {}
        for document in documents:
            wanted |= _local_values(equality, document, self._budget)
        found: dict[str, Document] = {}
        values = list(wanted.values())
        for start in range(0, len(values), LOOKUP_VALUES):
            test = In(tuple(values[start : start + LOOKUP_VALUES]))
            filter = both(Field(equality.foreign, test), stage.filter)
            # A document with several values may come more than once.
            found |= {
                str(one.get("_id")): one
                for one in (yield from self._read(stage.collection, filter))
            }
        return self._indexed(equality, [found[id] for id in sorted(found)])

    def _indexed(self, equality: Equality, found: Documents) -> Candidates:
        index: dict[bytes, dict[int, None]] = {}
        for position, document in enumerate(found):
            for value in candidates_of(document, equality.foreign):
                index.setdefault(_key(value, self._budget), {})[position] = None

        def of(document: Document) -> Documents:
            positions: set[int] = set()
            for key in _local_values(equality, document, self._budget):
                positions |= index.get(key, {}).keys()
            return [found[position] for position in sorted(positions)]

        return Candidates(of, uniform=False)

    def _read(self, collection: str, filter: Filter) -> Reading:
        question = (collection, msgspec.json.encode(filter))
        if question not in self._known:
            self._known[question] = yield from self._ask(collection, filter)
        return self._known[question]

    def _ask(self, collection: str, filter: Filter) -> Reading:
        self._asked += 1
        if self._asked > MAX_LOOKUPS:
            message = f"A pipeline looks up other documents at most {MAX_LOOKUPS} times."
            raise Problem(Code.LIMIT_EXCEEDED, message)
        most = self._budget.most_documents - self._held
        sent = yield LookupRequest(collection, filter, most + 1)
        self._held += len(sent)
        self._budget.documents(self._held)
        self._budget.spend(len(sent))
        matcher = Matcher(filter, self._budget)
        return [document for document in sent if matcher.holds(document)]


def _local_values(equality: Equality, document: Document, budget: Budget) -> dict[bytes, Value]:
    """What to look for, by key: an array stands for its elements, a missing field for null."""
    value = follow(document, equality.local, 0, budget)
    values = value if type(value) is list else [None if value is MISSING else value]
    return {_key(one, budget): one for one in values}


def _key(value: Value, budget: Budget) -> bytes:
    key = encode(None if value is MISSING else budget.check(value))
    budget.spend(1 + len(key) // 64)
    return key
