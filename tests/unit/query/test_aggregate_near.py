"""`$geoNear`: documents by their distance, with it; and `$near` and `$text` at the beginning."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.query.aggregate import parse_pipeline
from tests.support.pipelines import LIMITS, NOW_MS, aggregate
from tests.support.strategies import parsed

DEGREE = 111_318.845


def point(longitude: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [longitude, 0]}


SHOPS = [
    {"_id": "a", "at": point(3), "open": True},
    {"_id": "b", "at": [point(9), point(1)], "open": True},
    {"_id": "c", "at": point(2), "open": False},
    {"_id": "d", "at": None, "open": True},
    {"_id": "e", "at": point(0), "open": True},
]


def near(**more: Any) -> dict[str, Any]:
    return {"$geoNear": {"near": point(0), "key": "at", "distanceField": "far", **more}}


def test_distances_are_written_nearest_first() -> None:
    found = aggregate([near()], SHOPS)
    assert [one["_id"] for one in found] == ["e", "b", "c", "a"]
    assert [one["far"] for one in found] == pytest.approx([0, DEGREE, 2 * DEGREE, 3 * DEGREE])
    assert type(found[0]["far"]) is int  # as every number is kept
    assert "far" not in SHOPS[0]


def test_units_bounds_queries_limits_and_places() -> None:
    kilometres = aggregate([near(distanceMultiplier=0.001, distanceField="at2.km")], SHOPS)
    assert kilometres[1]["at2"]["km"] == pytest.approx(DEGREE / 1000)
    bounded = aggregate([near(minDistance=1, maxDistance=2.5 * DEGREE)], SHOPS)
    assert [one["_id"] for one in bounded] == ["b", "c"]
    assert [one["_id"] for one in aggregate([near(query={"open": True})], SHOPS)] == ["e", "b", "a"]
    assert [one["_id"] for one in aggregate([near(limit=2)], SHOPS)] == ["e", "b"]
    placed = aggregate([near(includeLocs="where", spherical=True)], SHOPS)
    assert placed[1]["where"] == point(1)
    # Of several places the nearest within the bounds counts.
    assert aggregate([near(minDistance=5 * DEGREE)], SHOPS)[0]["far"] == pytest.approx(9 * DEGREE)


def test_an_engine_finds_and_orders_and_the_rest_writes() -> None:
    pipeline = parse_pipeline([near(limit=5)], LIMITS, now_ms=NOW_MS)
    leading = pipeline.leading()
    assert leading.limit == 5
    assert leading.sort[0].near is not None
    assert len(leading.rest) == 1
    assert leading.paths == {("at",), ("_id",)}
    assert pipeline.leading(lambda paths: ("at",) not in paths).rest == pipeline.stages


@pytest.mark.parametrize(
    ("stages", "place", "words"),
    [
        ([{"$geoNear": {"near": point(0)}}], "0.$geoNear", "needs distanceField"),
        ([{"$geoNear": {"near": point(0), "distanceField": "x"}}], "0.$geoNear", "needs key"),
        ([near(near=[0, 0])], "0.$geoNear.$geometry", "GeoJSON"),
        ([near(maxDistance=-1)], "0.$geoNear.$maxDistance", "metres"),
        ([near(spherical=False)], "0.$geoNear.spherical", "globe"),
        ([near(distanceMultiplier="1")], "0.$geoNear.distanceMultiplier", "number"),
        ([near(distanceField="a.$b")], "0.$geoNear.distanceField", "$"),
        ([near(limit=0)], "0.$geoNear.limit", "1 or more"),
        ([near(num=5)], "0.$geoNear", "unknown member"),
        (
            [near(query={"at": {"$near": {"$geometry": point(0)}}})],
            "0.$geoNear.query.at.$near",
            "first $match",
        ),
        ([{"$limit": 1}, near()], "1.$geoNear", "first"),
        ([{"$facet": {"x": [near()]}}], "0.$facet.x.0.$geoNear", "first"),
    ],
)
def test_a_fault_is_named_with_its_place(stages: Any, place: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        aggregate(stages, SHOPS)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.errors[0].path == f"pipeline.{place}"
    assert words in caught.value.errors[0].message


def test_a_near_in_the_first_match_sorts_until_another_sort() -> None:
    match = {"$match": {"at": {"$near": {"$geometry": point(0)}}}}
    assert [one["_id"] for one in aggregate([match], SHOPS)] == ["e", "b", "c", "a"]
    assert [one["_id"] for one in aggregate([match, {"$sort": {"_id": -1}}], SHOPS)] == [*"ecba"]
    within = {"at": {"$geoWithin": {"$box": [[0, -1], [2, 1]]}}}
    assert [one["_id"] for one in aggregate([{"$limit": 4}, {"$match": within}], SHOPS)] == [*"bc"]
    assert parsed(within)
