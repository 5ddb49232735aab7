"""Two databases that differ only in what is hidden from a caller answer it with the same bytes.

Bob's two worlds hold the same documents as far as he may see: his own, and others' public ones
without their masked fields. Beyond that they are unlike: other hidden documents, other values in
masked fields, in places of every shape. Whatever he asks, writes included, he cannot tell which
world he is in. Ids of hidden documents are not among those he makes up: that a CONFLICT tells an
`_id` is taken is outside the promise.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.clock import ManualClock
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Problem
from baas.settings import LimitSettings, Settings
from tests.support.database import BOB, SERVER, Bench

RULES = {
    "box": """
indexes:
  - fields: [n]
  - fields: [secret]
  - text: [t]
  - geo: spot
schema: {properties: {secret: {maxLength: 2}, n: {}}}
define:
  mine: doc._openid == auth.uid
rules:
  read: doc.public || mine
  create: auth != null
  update: doc.shared || mine
  delete: doc.shared || mine
fields:
  secret: {read: mine}
  fixed: {read: mine, write: mine}
  a.secret: {read: mine}
  list.secret: {read: mine}
""",
}
IDS = [f"d{i}" for i in range(6)]
POINT = {"type": "Point", "coordinates": [0, 0]}
FAR = {"type": "Point", "coordinates": [3, 4]}

scalars = st.sampled_from([None, 0, 1, 2, "a", "b", True])
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=2),
    st.dictionaries(st.sampled_from(["secret", "x"]), scalars, max_size=2),
)
spots = st.sampled_from([{}, {"spot": POINT}, {"spot": [POINT, FAR]}, {"spot": FAR}])
hidden_values = st.one_of(st.just(...), values, st.just("long enough to break the schema"))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """The same visible documents twice, with hidden things of their own."""
    one: list[Any] = []
    other: list[Any] = []
    for id in IDS:
        owner = draw(st.sampled_from(["ann", "ann", "bob"]))
        if owner == "ann" and draw(st.integers(0, 2)) == 0:
            for world in (one, other):
                if draw(st.booleans()):
                    hidden = draw(st.dictionaries(st.sampled_from(["n", "t", "secret"]), values))
                    world.append({**hidden, **draw(spots), "_id": f"h{id}", "_openid": "ann"})
            continue
        visible = {
            "_id": id,
            "_openid": owner,
            "public": True,
            "shared": draw(st.booleans()),
            **draw(st.dictionaries(st.sampled_from(["n", "t"]), values, max_size=2)),
            **draw(spots),
        }
        shape = draw(st.sampled_from(["none", "object", "list"]))
        own = [draw(hidden_values) for _ in range(3)]
        for world in (one, other):
            hidden = own if owner == "bob" else [draw(hidden_values) for _ in range(3)]
            world.append(furnished(visible, shape, hidden))
    return one, other


def furnished(visible: dict[str, Any], shape: str, hidden: list[Any]) -> dict[str, Any]:
    document = {**visible, **present("secret", hidden[0]), **present("fixed", hidden[2])}
    inner = {"x": 1, **present("secret", hidden[1])}
    if shape == "object":
        document["a"] = inner
    elif shape == "list":
        document["list"] = [inner, 5]
    return document


def present(name: str, value: Any) -> dict[str, Any]:
    return {} if value is ... else {name: value}


# -- what Bob may try -----------------------------------------------------------------------------

VISIBLE_PATHS = ["n", "t", "a", "a.x", "list", "_id", "_openid", "public"]
HIDDEN_PATHS = ["secret", "secret.x", "fixed", "a.secret", "list.secret", "list.0.secret"]
paths = st.sampled_from(VISIBLE_PATHS + HIDDEN_PATHS)
conditions = st.one_of(
    scalars,
    st.builds(
        lambda operator, value: {operator: value},
        st.sampled_from(["$eq", "$ne", "$gt", "$lte"]),
        scalars,
    ),
    st.booleans().map(lambda there: {"$exists": there}),
    st.lists(scalars, max_size=2).map(lambda items: {"$in": items}),
)
leaves = st.dictionaries(paths, conditions, max_size=2)
wholes = st.builds(
    lambda leaf, asked: {**leaf, **asked},
    leaves,
    st.sampled_from(
        [
            {"$text": {"$search": "a b"}},
            {"$text": {"$search": "a -b"}},
            {"spot": {"$near": {"$geometry": POINT}}},
            {"spot": {"$near": {"$geometry": POINT, "$maxDistance": 1000}}},
            {"spot": {"$geoWithin": {"$centerSphere": [[3, 4], 0.01]}}},
            {"a": {"$near": {"$geometry": POINT}}},
            {"secret": {"$geoIntersects": {"$geometry": POINT}}},
        ]
    ),
)
filters = st.one_of(
    leaves,
    wholes,
    st.builds(
        lambda operator, items: {operator: items},
        st.sampled_from(["$or", "$and", "$nor"]),
        st.lists(leaves, min_size=1, max_size=2),
    ),
)
sorts = st.lists(
    st.tuples(paths, st.sampled_from([1, -1])), max_size=2, unique_by=lambda key: key[0]
)
finds = st.fixed_dictionaries(
    {"filter": filters},
    optional={
        "sort": sorts.map(lambda keys: [list(key) for key in keys]),
        "limit": st.integers(0, 3),
        "skip": st.integers(0, 2),
        "count": st.booleans(),
        "fields": st.sampled_from([{"secret": 1}, {"a.secret": 1}, {"n": 0}, {"secret": 0}]),
    },
)
updates = st.one_of(
    st.builds(
        lambda operator, path, value: {operator: {path: value}},
        st.sampled_from(
            [
                "$set",
                "$unset",
                "$inc",
                "$push",
                "$min",
                "$max",
                "$addToSet",
                "$pull",
                "$setOnInsert",
            ]
        ),
        paths,
        st.sampled_from([1, 2, "a"]),
    ),
    st.builds(lambda one, other: {"$rename": {one: other}}, paths, paths),
)
documents = st.builds(
    lambda fields, extra: {**fields, **extra},
    st.dictionaries(st.sampled_from(["n", "secret", "fixed", "a", "list"]), values, max_size=3),
    st.sampled_from([{}, {"public": True}, {"public": True, "shared": True}]),
)
stages = st.one_of(
    filters.map(lambda filter: {"$match": filter}),
    st.builds(lambda path, way: {"$sort": {path: way}}, paths, st.sampled_from([1, -1])),
    paths.map(lambda path: {"$group": {"_id": f"${path}", "n": {"$sum": 1}}}),
    paths.map(lambda path: {"$project": {"got": f"${path}", "whole": "$$ROOT"}}),
    paths.map(lambda path: {"$unwind": f"${path}"}),
    st.builds(
        lambda local, foreign: {
            "$lookup": {"from": "box", "localField": local, "foreignField": foreign, "as": "seen"}
        },
        paths,
        paths,
    ),
    st.sampled_from([{"$limit": 2}, {"$skip": 1}, {"$count": "n"}]),
)
targets = st.one_of(
    st.sampled_from(IDS).map(lambda id: {"id": id}),
    st.builds(lambda filter, multi: {"filter": filter, "multi": multi}, filters, st.booleans()),
)
back = {"return": True}
requests = st.one_of(
    st.tuples(st.just("find"), finds),
    st.tuples(st.just("get"), st.sampled_from(IDS).map(lambda id: {"id": id})),
    st.tuples(st.just("count"), filters.map(lambda filter: {"filter": filter})),
    st.tuples(
        st.just("aggregate"),
        st.lists(stages, min_size=1, max_size=3).map(lambda pipeline: {"pipeline": pipeline}),
    ),
    st.tuples(
        st.just("update"),
        st.builds(lambda target, update: {**target, "update": update, **back}, targets, updates),
    ),
    st.tuples(
        st.just("replace"),
        st.builds(
            lambda id, document: {"id": id, "document": document, **back},
            st.sampled_from(IDS),
            documents,
        ),
    ),
    st.tuples(st.just("delete"), targets.map(lambda target: {**target, **back})),
)


# -- asking both ----------------------------------------------------------------------------------


class Twins:
    """Two services on two stores, and one loop for both."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.benches = self.runner.run(self._open())

    async def _open(self) -> list[Bench]:
        benches = []
        for _ in range(2):
            clock = ManualClock()
            store = SqliteStore.memory(clock=clock)
            await store.open()
            bench = Bench(store, clock, Settings(limits=LimitSettings()))
            await bench.load(RULES)
            benches.append(bench)
        return benches

    def close(self) -> None:
        for bench in self.benches:
            self.runner.run(bench.store.close())
        self.runner.close()

    async def fill(self, worlds: tuple[list[Any], list[Any]]) -> None:
        schema = RULES["box"].replace("maxLength: 2", "")
        for bench, documents in zip(self.benches, worlds, strict=True):
            await bench.do(SERVER, "delete", "box", filter={}, multi=True)
            # Stored before the schema was what it is now.
            await bench.load({"box": schema})
            if documents:
                await bench.insert("box", *documents)
            await bench.load(RULES)

    async def answers(self, verb: str, body: dict[str, Any]) -> list[bytes]:
        return [await answer(bench, verb, body) for bench in self.benches]


async def answer(bench: Bench, verb: str, body: dict[str, Any]) -> bytes:
    """The answer's bytes, or the problem's content."""
    try:
        return await bench.raw(BOB, verb, "box", body)
    except Problem as problem:
        faults = [[fault.path, fault.message] for fault in problem.errors]
        return json.dumps([problem.code.name, problem.detail, faults]).encode()


@pytest.fixture(scope="module")
def twins() -> Iterator[Twins]:
    pair = Twins()
    yield pair
    pair.close()


@given(worlds=worlds(), requests=st.lists(requests, min_size=1, max_size=6))
def test_no_answer_tells_the_worlds_apart(
    twins: Twins, worlds: tuple[list[Any], list[Any]], requests: list[tuple[str, Any]]
) -> None:
    async def play() -> None:
        await twins.fill(worlds)
        for verb, body in requests:
            one, other = await twins.answers(verb, body)
            assert one == other, (verb, body)

    twins.runner.run(play())
