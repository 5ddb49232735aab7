"""DocumentStore, places and words: what the evaluator says, with and without indexes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from baas.ports.documents import Find, resolve
from baas.query.ast import And, Not
from baas.query.evaluate import matches
from baas.query.near import default_sort, with_text_index
from baas.query.order import sort_documents, sort_values
from baas.query.parse import parse_filter
from baas.schema.model import IndexKey, IndexSpec
from baas.schema.values import decode
from tests.support.stores import change, declared, eq, find, ids, put, setting, write
from tests.support.strategies import LIMITS

pytestmark = pytest.mark.anyio

PATHS = (("title",), ("notes", "body"))
INDEXES = (
    IndexSpec(name="words", keys=tuple(map(IndexKey, PATHS)), kind="text"),
    IndexSpec(name="places", keys=(IndexKey(("at",)),), kind="geo"),
)


def point(longitude: float, latitude: float = 0) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [longitude, latitude]}


def square(west: float, south: float, side: float) -> dict[str, Any]:
    east, north = west + side, south + side
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


PLACES = (
    *(point(n / 2, n / 3) for n in range(-9, 9)),
    *(point(179.5), point(-179.5), point(0, 90), point(0, -89)),
    *(square(0, 0, 2), square(170, -5, 20), [point(1), point(50)], [square(3, 3, 1)]),
    {"type": "LineString", "coordinates": [[0, 0], [4, 4]]},
    {"type": "MultiPoint", "coordinates": [[1, 1], [8, 8]]},
    *(None, 5, "x", {}, [1, 2], {"type": "Point"}, {"type": "Point", "coordinates": [200, 0]}),
)
TEXTS = (
    *(
        "Green tea",
        "black TEA",
        "Café",
        "iPhone手机",
        "微信小程序，好用",
        "程序",
        "小",
        "",
        "tea-time",
    ),
    *(5, None, ["tea", "coffee"]),
)
FILTERS = (
    {"at": {"$near": {"$geometry": point(0)}}},
    {"at": {"$near": {"$geometry": point(180), "$maxDistance": 500_000}}},
    {"at": {"$nearSphere": {"$geometry": point(1, 1), "$minDistance": 1, "$maxDistance": 4e5}}},
    {"at": {"$near": {"$geometry": point(0)}}, "n": {"$gte": 3}},
    {"at": {"$geoWithin": {"$geometry": square(-1, -1, 4)}}},
    {"at": {"$geoWithin": {"$box": [[170, -10], [-170, 10]]}}},
    {"at": {"$geoWithin": {"$centerSphere": [[0, 0], 0.06]}}},
    {"at": {"$geoIntersects": {"$geometry": square(1, 1, 3)}}},
    {"at": {"$not": {"$geoIntersects": {"$geometry": square(1, 1, 3)}}}},
    {"at": {"$elemMatch": {"$geoIntersects": {"$geometry": point(1)}}}},
    {"$text": {"$search": "tea"}},
    {"$text": {"$search": "cafe coffee"}},
    {"$text": {"$search": '"green tea"'}},
    {"$text": {"$search": "tea -green"}},
    {"$text": {"$search": "程序"}},
    {"$text": {"$search": "小程序 手机"}},
    {"$text": {"$search": "小"}},
    {"$text": {"$search": "-tea"}},
    {"$or": [{"$text": {"$search": "tea"}}, {"n": 1}]},
    {"$text": {"$search": "tea"}, "at": {"$near": {"$geometry": point(0)}}},
)


def documents() -> list[dict[str, Any]]:
    dice = random.Random(3)
    rows = []
    for number in range(60):
        row: dict[str, Any] = {"_id": f"d{number:02d}", "n": number % 5}
        if number % 7:
            row["at"] = dice.choice(PLACES)
        row[dice.choice(("title", "other"))] = dice.choice(TEXTS)
        row["notes"] = dice.choice(({"body": dice.choice(TEXTS)}, [{"body": dice.choice(TEXTS)}]))
        rows.append(row)
    return rows


def filter_of(raw: dict[str, Any]) -> Any:
    return with_text_index(parse_filter(raw, LIMITS, now_ms=0, whole=True), PATHS)


@pytest.mark.parametrize("indexes", [(), INDEXES], ids=["bare", "indexed"])
async def test_filters_mean_what_the_evaluator_says(store, indexes) -> None:
    rows = documents()
    await store.declare(declared("p", *indexes))
    await put(store, "p", *rows)
    for raw in FILTERS:
        filter = filter_of(raw)
        order = default_sort(filter)
        found = sort_documents([row for row in rows if matches(filter, row)], order)
        wanted = [row["_id"] for row in found]
        assert await ids(store, "p", filter, sort=order) == wanted, raw
        assert await ids(store, "p", filter, sort=order, limit=3, skip=2) == wanted[2:5], raw
        assert await resolve(store.count("p", filter)) == len(wanted), raw
        rest = [row["_id"] for row in rows if row not in found]
        assert await ids(store, "p", Not(filter)) == rest, raw
        both = And((filter, eq("n", 1)))
        assert await ids(store, "p", both) == sorted(row["_id"] for row in found if row["n"] == 1)


@pytest.mark.parametrize("indexes", [(), INDEXES], ids=["bare", "indexed"])
async def test_pages_by_distance_are_the_whole(store, indexes) -> None:
    await store.declare(declared("p", *indexes))
    await put(store, "p", *documents())
    filter = filter_of({"at": {"$near": {"$geometry": point(0)}}})
    order = default_sort(filter)
    whole = await ids(store, "p", filter, sort=order)
    paged: list[str] = []
    after = None
    while page := await find(store, "p", filter, sort=order, limit=4, after=after):
        paged += [one["_id"] for one in page]
        after = sort_values(page[-1], order)
    assert paged == whole


async def test_indexes_come_and_go_with_the_declaration(store) -> None:
    filter = filter_of({"$text": {"$search": "tea"}})
    near = filter_of({"at": {"$near": {"$geometry": point(0)}}})
    await put(store, "p", {"_id": "a", "title": "tea", "at": point(1)})
    for indexes in (INDEXES, INDEXES[:1], (), INDEXES[1:], INDEXES):
        await store.declare(declared("p", *indexes))
        assert await ids(store, "p", filter) == ["a"]
        assert await ids(store, "p", near, sort=default_sort(near)) == ["a"]
        await write(store, change("p", "a", setting(title="wine", at=None)))
        assert await ids(store, "p", filter) == []
        assert await ids(store, "p", near, sort=default_sort(near)) == []
        await write(store, change("p", "a", setting(title="tea", at=point(1))))


async def test_a_snapshot_finds_by_words_and_places_as_of_its_moment(store) -> None:
    await store.declare(declared("p", *INDEXES))
    await put(store, "p", {"_id": "a", "title": "tea", "at": point(1)})
    near = filter_of({"at": {"$near": {"$geometry": point(0)}}})
    queries = [
        Find(collection="p", filter=filter_of({"$text": {"$search": "tea"}})),
        Find(collection="p", filter=near, sort=default_sort(near), limit=5),
    ]
    async with store.snapshot() as moment:
        assert [len(await resolve(moment.find(query))) for query in queries] == [1, 1]
        await put(store, "p", {"_id": "b", "title": "tea", "at": point(0)})
        for query in queries:
            rows = await resolve(moment.find(query))
            assert [decode(row)["_id"] for row in rows] == ["a"]
    assert [len(await resolve(store.find(query))) for query in queries] == [2, 2]
