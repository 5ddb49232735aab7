"""Whatever is sent, the answer is an answer or a problem that a client can act on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baas.clock import ManualClock
from baas.database.verbs import VERBS
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Problem
from baas.ports.documents import resolve
from baas.settings import Settings
from tests.support.database import ANN, IP, POSTS, SERVER, Bench

FIELDS = ["id", "filter", "update", "document", "documents", "multi", "upsert", "return", "sort"]
MORE_FIELDS = ["limit", "skip", "after", "fields", "count", "pipeline", "operations", "expect"]
PATHS = ["_id", "_openid", "a", "a.b", "a.0", "", "title", "phone", "from", "as", "offset", "etag"]
OPERATORS = ["$set", "$inc", "$push", "$rename", "$each", "$and", "$in", "$all", "$not", "$date"]
STAGES = ["$elemMatch", "$regex", "$match", "$group", "$lookup", "$unwind"]
NAMES = st.one_of(
    st.sampled_from([*FIELDS, *MORE_FIELDS, *PATHS, *OPERATORS, *STAGES]), st.text(max_size=5)
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, 2**53 - 1, 2**53, 2**63, 2**64, 10**400]),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.sampled_from(["a", "posts", "find", "insert", "$a", "[", "2026-01-01T00:00:00Z", "_users"]),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=3)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


BODIES: dict[str, st.SearchStrategy[Any]] = {
    "find": optional(
        filter=OBJECTS, sort=JSON, fields=OBJECTS, after=SCALARS, limit=SCALARS, skip=SCALARS
    ),
    "get": optional(id=st.sampled_from(["a", "b c"]), fields=OBJECTS),
    "count": optional(filter=OBJECTS),
    "insert": optional(document=OBJECTS, documents=st.lists(OBJECTS, max_size=2)),
    "update": optional(
        id=st.just("a"), filter=OBJECTS, update=OBJECTS, multi=SCALARS, upsert=st.booleans()
    ),
    "replace": optional(id=st.just("a"), document=OBJECTS, upsert=st.booleans()),
    "delete": optional(id=st.just("a"), filter=OBJECTS, multi=st.booleans()),
    "aggregate": st.builds(lambda stages: {"pipeline": stages}, st.lists(OBJECTS, max_size=3)),
}


class Service:
    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.bench = self.runner.run(self._open())

    async def _open(self) -> Bench:
        clock = ManualClock()
        store = SqliteStore.memory(clock=clock)
        await store.open()
        bench = Bench(store, clock, Settings())
        await bench.load({"posts": POSTS})
        await bench.insert("posts", {"_id": "a", "title": "x", "a": {"b": [1, "x", {"b": 2}]}})
        return bench

    def close(self) -> None:
        self.runner.run(self.bench.store.close())
        self.runner.close()

    def answer(self, verb: str, body: bytes, actor: Any) -> None:
        """Bytes of JSON, or a Problem below 500. Anything else is a fault of the service."""

        async def ask() -> bytes:
            service = self.bench.service
            if verb == "transaction":
                return await service.transaction(body, actor, IP)
            return await resolve(service.handle(verb, "posts", body, actor, IP))

        try:
            json.loads(self.runner.run(ask()))
        except Problem as problem:
            status = problem.status
        else:
            status = 200
        assert status < 500 or status == 501


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


@pytest.mark.parametrize("verb", sorted(VERBS))
@settings(max_examples=50)
@given(data=st.data())
def test_bodies_of_the_right_form_and_wild_content(
    service: Service, verb: str, data: st.DataObject
) -> None:
    body = json.dumps(data.draw(BODIES[verb])).encode()
    for actor in (ANN, SERVER):
        service.answer(verb, body, actor)


@given(
    operations=st.lists(
        st.sampled_from(["find", "get", "insert", "update", "replace", "delete"]).flatmap(
            lambda verb: BODIES[verb].map(
                lambda body: {**body, "verb": verb, "collection": "posts"}
            )
        ),
        max_size=4,
    ),
    expect=JSON,
)
def test_transactions(service: Service, operations: list[Any], expect: Any) -> None:
    service.answer("transaction", json.dumps({"operations": operations}).encode(), ANN)
    body = {"operations": operations, "expect": expect}
    service.answer("transaction", json.dumps(body).encode(), ANN)


@given(body=st.one_of(JSON.map(lambda value: json.dumps(value).encode()), st.binary(max_size=40)))
def test_bodies_of_any_form(service: Service, body: bytes) -> None:
    for verb in [*VERBS, "transaction"]:
        service.answer(verb, body, ANN)
