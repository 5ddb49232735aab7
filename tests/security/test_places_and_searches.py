"""Searches and distances tell nothing of what a caller may not read: no value, order, count, error.

An index over a hidden field is a way to read it: so its fields are judged as those of any filter.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from baas.engines.sqlite.store import SqliteStore
from baas.errors import Code
from baas.ports.documents import Find, resolve
from baas.query.parse import parse_filter
from baas.settings import DatabaseSettings
from tests.support.database import ANN, BOB, NOBODY, SERVER, Bench, app, refused
from tests.support.stores import put
from tests.support.strategies import LIMITS

BOX = """
indexes:
  - text: [title, phone]
  - geo: home
  - geo: shop
rules: {read: doc.public || doc._openid == auth.uid, create: auth != null, update: 'true',
  delete: 'true'}
fields:
  phone: {read: doc._openid == auth.uid}
  home: {read: doc._openid == auth.uid}
  shop.secret: {read: false}
"""
OPEN = """
indexes: [{text: [title]}, {geo: at}]
rules: {read: doc.public || doc._openid == auth.uid, write: 'false'}
"""
RULES = {
    "box": BOX,
    "open": OPEN,
    "bare": "rules: {read: true, write: false}\n",
    "shut": "indexes: [{text: title}]\nrules: {read: false, write: false}\n",
}


def point(longitude: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [longitude, 0]}


def near(longitude: float, **more: Any) -> dict[str, Any]:
    return {"$near": {"$geometry": point(longitude), **more}}


async def fill(bench: Bench) -> None:
    await bench.insert(
        "box",
        {"_id": "a", "public": True, "title": "tea", "phone": "red 111", "home": point(1)},
        {"_id": "b", "public": True, "title": "tea", "phone": "blue 222", "home": point(2)},
        {"_id": "bobs", "_openid": "bob", "title": "tea", "phone": "red 5", "home": point(3)},
        {"_id": "anns", "_openid": "ann", "title": "tea", "phone": "red 6", "home": point(4)},
    )
    await bench.insert(
        "open",
        {"_id": "a", "public": True, "title": "tea", "at": point(1)},
        {"_id": "b", "title": "tea time", "at": point(2), "_openid": "ann"},
        {"_id": "c", "public": True, "title": "green tea", "at": point(3)},
    )


HIDDEN = [
    {"$text": {"$search": "red"}},
    {"$text": {"$search": "tea"}},  # may have been found in the phone for all that is known
    {"$text": {"$search": "-red"}},
    {"$or": [{"$text": {"$search": "red"}}, {"title": "x"}]},
    {"$nor": [{"$text": {"$search": "red"}}]},
    {"home": near(0)},
    {"home": near(0, **{"$maxDistance": 5})},
    {"home": {"$geoWithin": {"$box": [[0, 0], [2, 2]]}}},
    {"home": {"$geoIntersects": {"$geometry": point(1)}}},
    {"home": {"$not": {"$geoIntersects": {"$geometry": point(1)}}}},
    {"home.coordinates": {"$geoIntersects": {"$geometry": point(1)}}},
    {"shop": near(0)},  # the place has a hidden part
]


@app(RULES)
@pytest.mark.parametrize("filter", HIDDEN, ids=str)
async def test_hidden_fields_cannot_be_searched_or_measured(bench: Bench, filter: Any) -> None:
    await fill(bench)
    nothing = {"$set": {"n": 1}}
    for caller in (BOB, NOBODY):
        for verb, body in [
            ("find", {}),
            ("find", {"sort": {"_id": 1}}),
            ("find", {"count": True, "limit": 0}),
            ("count", {}),
            ("delete", {"multi": True}),
            ("update", {"update": nothing, "multi": True}),
        ]:
            with refused(Code.PERMISSION_DENIED) as caught:
                await bench.do(caller, verb, "box", filter=filter, **body)
            named = [
                name for name in ("phone", "home", "shop.secret") if name in str(caught.problem)
            ]
            assert named
            assert "111" not in str(caught.problem)


@app(RULES)
async def test_the_refusal_is_the_same_whatever_is_stored(bench: Bench) -> None:
    for filter in HIDDEN:
        with refused(Code.PERMISSION_DENIED) as empty:
            await bench.do(BOB, "find", "box", filter=filter)
        await fill(bench)
        with refused(Code.PERMISSION_DENIED) as full:
            await bench.do(BOB, "find", "box", filter=filter)
        assert str(empty.problem) == str(full.problem)
        await bench.do(SERVER, "delete", "box", filter={}, multi=True)
        await bench.do(SERVER, "delete", "open", filter={}, multi=True)


@app(RULES)
async def test_who_asks_for_their_own_alone_may_search_it(bench: Bench) -> None:
    await fill(bench)
    mine = {"_openid": "{uid}"}
    assert await bench.ids(BOB, "box", filter={**mine, "$text": {"$search": "red"}}) == ["bobs"]
    assert await bench.ids(ANN, "box", filter={**mine, "home": near(0)}) == ["anns"]
    assert await bench.ids(SERVER, "box", filter={"$text": {"$search": "red"}}) == [
        "a",
        "anns",
        "bobs",
    ]


@app(RULES)
async def test_what_is_hidden_is_neither_found_nor_counted_nor_in_the_way(bench: Bench) -> None:
    await fill(bench)
    for filter in ({"$text": {"$search": "tea"}}, {"at": near(2)}):
        found = await bench.do(BOB, "find", "open", filter=filter, limit=2, count=True)
        assert [one["_id"] for one in found["documents"]] == ["a", "c"]
        assert (found["total"], found["next"]) == (2, None)
        assert (await bench.do(BOB, "count", "open", filter=filter))["total"] == 2
    assert await bench.ids(ANN, "open", filter={"at": near(2)}) == ["b", "a", "c"]
    assert await bench.ids(BOB, "open", filter={"$text": {"$search": '"tea time"'}}) == []
    # Nor by what it is not.
    assert await bench.ids(BOB, "open", filter={"$nor": [{"$text": {"$search": "time"}}]}) == [
        "a",
        "c",
    ]


@app(RULES)
async def test_pages_by_distance_go_on_behind_hidden_documents(bench: Bench) -> None:
    await fill(bench)
    first = await bench.do(BOB, "find", "open", filter={"at": near(0)}, limit=1)
    assert [one["_id"] for one in first["documents"]] == ["a"]
    after = first["next"]
    rest = await bench.do(BOB, "find", "open", filter={"at": near(0)}, limit=1, after=after)
    assert [one["_id"] for one in rest["documents"]] == ["c"]
    for other in ({"at": near(1)}, {"at": near(0, **{"$maxDistance": 1e6})}):
        with refused(Code.CURSOR_INVALID):
            await bench.do(BOB, "find", "open", filter=other, limit=1, after=after)
    with refused(Code.CURSOR_INVALID):
        await bench.do(BOB, "find", "open", filter={"at": near(0)}, sort={"at": 1}, after=after)


@app(RULES)
@pytest.mark.parametrize(
    ("stages", "found"),
    [
        ([{"$match": {"$text": {"$search": "red"}}}], ["bobs"]),
        ([{"$match": {"$text": {"$search": "tea -red"}}}], ["a", "b"]),
        ([{"$match": {"home": near(0)}}], ["bobs"]),
        ([{"$match": {"home": {"$geoWithin": {"$box": [[0, 0], [9, 9]]}}}}], ["bobs"]),
        ([{"$geoNear": {"near": point(0), "key": "home", "distanceField": "far"}}], ["bobs"]),
        ([{"$geoNear": {"near": point(0), "key": "shop", "distanceField": "home"}}], []),
    ],
)
async def test_pipelines_search_what_the_masks_leave(
    bench: Bench, stages: Any, found: list[str]
) -> None:
    await fill(bench)
    answer = await bench.do(BOB, "aggregate", "box", pipeline=stages)
    assert [one["_id"] for one in answer["documents"]] == found


@app(RULES)
@pytest.mark.parametrize(
    ("stages", "found"),
    [
        ([{"$match": {"$text": {"$search": "tea"}}}], ["a", "c"]),
        ([{"$match": {"at": near(3)}}], ["c", "a"]),
        ([{"$match": {"at": near(3)}}, {"$limit": 1}], ["c"]),
        ([{"$geoNear": {"near": point(3), "key": "at", "distanceField": "d"}}], ["c", "a"]),
        ([{"$match": {"at": near(3)}}, {"$sort": {"_id": 1}}], ["a", "c"]),
        ([{"$match": {"at": near(3)}}, {"$addFields": {"x": 1}}, {"$limit": 1}], ["c"]),
    ],
)
async def test_pipelines_begin_with_a_search(bench: Bench, stages: Any, found: list[str]) -> None:
    await fill(bench)
    answer = await bench.do(BOB, "aggregate", "open", pipeline=stages)
    assert [one["_id"] for one in answer["documents"]] == found


@app(RULES)
@pytest.mark.parametrize(
    "stages",
    [
        [{"$limit": 1}, {"$match": {"$text": {"$search": "tea"}}}],
        [{"$limit": 1}, {"$match": {"at": near(0)}}],
        [{"$facet": {"x": [{"$match": {"$text": {"$search": "tea"}}}]}}],
        [{"$lookup": {"from": "box", "as": "x", "pipeline": [{"$match": {"at": near(0)}}]}}],
    ],
)
async def test_elsewhere_a_pipeline_takes_none(bench: Bench, stages: Any) -> None:
    with refused(Code.INVALID_ARGUMENT):
        await bench.do(SERVER, "aggregate", "open", pipeline=stages)


@app(RULES)
async def test_a_missing_index_is_told_to_those_who_may_read(bench: Bench) -> None:
    tea = {"$text": {"$search": "tea"}}
    for caller in (NOBODY, BOB, SERVER):
        for verb in ("find", "count"):
            with refused(Code.INVALID_ARGUMENT) as caught:
                await bench.do(caller, verb, "bare", filter=tea)
            assert "bare" in caught.problem.detail
            assert "text: [" in caught.problem.detail
        with refused(Code.INVALID_ARGUMENT):
            await bench.do(caller, "aggregate", "bare", pipeline=[{"$match": tea}])
    # Those who may not cannot tell an index from none, nor a collection from none.
    for collection in ("shut", "unknown"):
        for verb, body in [
            ("find", {"filter": tea}),
            ("count", {"filter": tea}),
            ("delete", {"filter": tea}),
            ("aggregate", {"pipeline": [{"$match": tea}]}),
        ]:
            with refused(Code.PERMISSION_DENIED) as caught:
                await bench.do(BOB, verb, collection, **body)
            assert "index" not in str(caught.problem)


def test_the_most_jagged_lines_end_at_the_time_limit() -> None:
    """A quarter of a minute for one document, were nobody to look at the clock: all edges are long,
    near to all edges of the other line, and none meets another."""
    across = [[-40 + 80 * n / 500, 40 if n % 2 else -40] for n in range(500)]
    along = [[40 if n % 2 else -40, 41 + 4 * n / 9000] for n in range(9000)]
    condition = {"$geoIntersects": {"$geometry": {"type": "LineString", "coordinates": across}}}
    filter = parse_filter({"at": condition}, LIMITS, now_ms=0)

    async def scenario() -> None:
        store = SqliteStore.memory(DatabaseSettings(read_timeout=0.2))
        await store.open()
        try:
            await put(store, "c", {"_id": "1", "at": {"type": "LineString", "coordinates": along}})
            began = time.monotonic()
            with refused(Code.QUERY_TIMEOUT):
                await resolve(store.find(Find(collection="c", filter=filter)))
            assert time.monotonic() - began < 5
        finally:
            await store.close()

    asyncio.run(scenario())
