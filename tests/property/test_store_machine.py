"""The store beside a plain dict: any sequence of writes, indexes and failures leaves them equal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from baas.engines.sqlite.store import SqliteStore
from baas.errors import Code, ConfigurationError, Problem
from baas.ports.documents import DELETE, Change, DuplicateKey, Find, Insert, resolve
from baas.query.ast import Filter
from baas.query.evaluate import matches
from baas.query.order import sort_documents, sort_values
from baas.schema.model import IndexSpec
from baas.schema.values import Document, compare, decode, encode
from tests.support.stores import INFO, declared, index
from tests.support.strategies import documents, filters, sorts

IDS = st.sampled_from(("d1", "d2", "d3", "d4"))
BODIES = documents(with_id=False)
INDEXES = (
    index("a"),
    index("a", "-b"),
    index("-b.c"),
    index("a.b", "c"),
    index("c", unique=True),
    index("a.b", "b", name="pair", unique=True),
)


class Refusal(Exception):
    pass


def at(document: Document, path: tuple[str, ...]) -> tuple[bool, Any]:
    value: Any = document
    for name in path:
        if type(value) is not dict or name not in value:
            return False, None
        value = value[name]
    return True, value


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = self.make_store()
        self.loop.run_until_complete(self.store.open())
        self.model: dict[str, Document] = {}
        self.indexes: tuple[IndexSpec, ...] = ()
        self.head = self.run(resolve(self.store.feed.head()))
        self.shadow: dict[str, bytes] = {}

    def make_store(self) -> Any:
        return SqliteStore.memory()

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()

    def run(self, work: Any) -> Any:
        async def main() -> Any:
            return await resolve(work() if callable(work) else work)

        return self.loop.run_until_complete(main())

    def clash(self, model: dict[str, Document]) -> bool:
        """Whether two documents share the key of a unique index."""
        for spec in self.indexes:
            keys = [[at(row, key.path) for key in spec.keys] for row in model.values()]
            full = [[value for _, value in key] for key in keys if all(there for there, _ in key)]
            if spec.unique and any(
                compare(one, other) == 0 for n, one in enumerate(full) for other in full[:n]
            ):
                return True
        return False

    def attempt(self, steps: tuple[Any, ...], after: dict[str, Document] | None) -> None:
        """Writes; `after` is what the model will be, None where the batch must fail."""
        fails = after is None or self.clash(after)
        try:
            self.run(lambda: self.store.write(steps, INFO))
        except (DuplicateKey, Refusal):
            assert fails
        else:
            assert not fails
            assert after is not None
            self.model = after

    def inserts(self, rows: list[tuple[str, Document]]) -> tuple[tuple[Any, ...], Any]:
        after: dict[str, Document] | None = dict(self.model)
        steps = []
        for id, body in rows:
            document = {"_id": id, **body}
            steps.append(Insert(collection="p", id=id, document=document, body=encode(document)))
            if after is not None:
                after = None if id in after else {**after, id: document}
        return tuple(steps), after

    # -- rules -------------------------------------------------------------------------------------

    @initialize(chosen=st.sets(st.sampled_from(range(len(INDEXES)))))
    def declare_at_first(self, chosen: set[int]) -> None:
        self.declare(chosen)

    @rule(chosen=st.sets(st.sampled_from(range(len(INDEXES)))))
    def declare(self, chosen: set[int]) -> None:
        before, self.indexes = self.indexes, tuple(INDEXES[n] for n in sorted(chosen))
        fails = self.clash(self.model)
        try:
            self.run(lambda: self.store.declare(declared("p", *self.indexes)))
        except ConfigurationError:
            assert fails
            self.indexes = before
        else:
            assert not fails

    @rule(rows=st.lists(st.tuples(IDS, BODIES), min_size=1, max_size=3))
    def insert(self, rows: list[tuple[str, Document]]) -> None:
        # Between the steps of one batch a unique key may be taken for a while, so one at a time.
        for row in rows:
            self.attempt(*self.inserts([row]))

    @rule(rows=st.lists(st.tuples(IDS, BODIES), min_size=2, max_size=3))
    def insert_together(self, rows: list[tuple[str, Document]]) -> None:
        self.attempt(*self.inserts(rows))

    @rule(rows=st.lists(st.tuples(IDS, BODIES), min_size=1, max_size=2))
    def insert_and_fail(self, rows: list[tuple[str, Document]]) -> None:
        def refuse(document: Any, lookups: Any) -> Any:
            raise Refusal

        steps, _ = self.inserts(rows)
        self.attempt((*steps, Change(collection="p", id="d1", apply=refuse)), None)

    @rule(id=IDS, body=BODIES)
    def upsert(self, id: str, body: Document) -> None:
        document = {"_id": id, **body}
        step = Change(collection="p", id=id, apply=lambda before, lookups: document)
        self.attempt((step,), {**self.model, id: document})

    @rule(id=IDS)
    def delete(self, id: str) -> None:
        step = Change(collection="p", id=id, apply=lambda before, lookups: DELETE)
        self.attempt((step,), {key: row for key, row in self.model.items() if key != id})

    # -- what must hold ----------------------------------------------------------------------------

    @invariant()
    def holds_the_same_documents(self) -> None:
        query = Find(collection="p")
        found = [decode(body) for body in self.run(lambda: self.store.find(query))]
        assert found == [self.model[id] for id in sorted(self.model)]
        assert self.run(lambda: self.store.count("p")) == len(self.model)

    @invariant()
    def the_feed_tells_the_whole_story(self) -> None:
        for event in self.run(lambda: self.store.feed.read(self.head)):
            assert self.shadow.get(event.id) == event.before
            if event.after is None:
                del self.shadow[event.id]
            else:
                self.shadow[event.id] = event.after
            self.head = event.cursor
        assert self.shadow == {id: encode(row) for id, row in self.model.items()}

    @rule(filter=filters(), sort=sorts(), limit=st.integers(1, 3))
    def finds_what_matches(self, filter: Filter, sort: Any, limit: int) -> None:
        rows = [row for row in self.model.values() if matches(filter, row)]
        expected = sort_documents(rows, sort)
        seen: list[Document] = []
        while True:
            after = sort_values(seen[-1], sort) if seen else None
            query = Find(collection="p", filter=filter, sort=sort, limit=limit, after=after)
            page = [decode(body) for body in self.run(lambda q=query: self.store.find(q))]
            if not page:
                break
            seen += page
        assert seen == expected
        assert self.run(lambda: self.store.count("p", filter)) == len(expected)

    @rule(id=IDS, filter=filters())
    def gets_what_matches(self, id: str, filter: Filter) -> None:
        found = self.run(lambda: self.store.get("p", id, filter))
        row = self.model.get(id)
        assert (found is not None) is (row is not None and matches(filter, row))

    @rule()
    def refuses_names_that_differ_by_case(self) -> None:
        step = Insert(collection="P", id="x", document={"_id": "x"}, body=b'{"_id":"x"}')
        if self.model:
            with pytest.raises(Problem) as caught:
                self.run(lambda: self.store.write((step,), INFO))
            assert caught.value.code is Code.INVALID_ARGUMENT


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
