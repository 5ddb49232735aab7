"""Filters, updates and pipelines: every operator and stage that the protocol names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.outside import DENIED, INVALID, Caller

POINT = {"type": "Point", "coordinates": [0, 0]}


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"n": {"$eq": 2}}, "b"),
        ({"n": {"$ne": 2}}, "ac"),
        ({"n": {"$gt": 1}}, "b"),
        ({"n": {"$gte": 1}}, "ab"),
        ({"n": {"$lt": 2}}, "a"),
        ({"n": {"$lte": 2}}, "ab"),
        ({"n": {"$in": [1, 3]}}, "a"),
        ({"n": {"$nin": [1, 3]}}, "bc"),
        ({"n": {"$exists": False}}, "c"),
        ({"n": {"$type": "number"}}, "ab"),
        ({"$and": [{"n": 1}, {"s": "tea"}]}, "a"),
        ({"$or": [{"n": 1}, {"n": 2}]}, "ab"),
        ({"$nor": [{"n": 1}, {"n": 2}]}, "c"),
        ({"n": {"$not": {"$gt": 1}}}, "ac"),
        ({"l": {"$all": [1, 2]}}, "a"),
        ({"o": {"$elemMatch": {"x": 1, "y": 2}}}, "b"),
        ({"l": {"$size": 2}}, "a"),
        ({"n": {"$mod": [2, 0]}}, "b"),
        ({"s": {"$regex": "^T", "$options": "i"}}, "ab"),
        ({"o.x": 1}, "b"),
        ({"o.0.y": 2}, "b"),
    ],
    ids=str,
)
def test_the_dialect_of_filters(ann: Caller, filter: dict[str, Any], found: str) -> None:
    if not ann.ids("open", filter={"g": "dialect"}):
        ann.put(
            "open",
            {"_id": "fa", "g": "dialect", "n": 1, "s": "tea", "l": [1, 2]},
            {"_id": "fb", "g": "dialect", "n": 2, "s": "Tee", "o": [{"x": 1, "y": 2}]},
            {"_id": "fc", "g": "dialect"},
        )
    ids = ann.ids("open", filter={"$and": [{"g": "dialect"}, filter]})
    assert ids == [f"f{letter}" for letter in found]


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"a": {"$near": {"$geometry": POINT}}}, ["near", "far"]),
        ({"a": {"$nearSphere": {"$geometry": POINT, "$maxDistance": 1000}}}, ["near"]),
        ({"a": {"$geoWithin": {"$centerSphere": [[0, 0], 0.1]}}}, ["near"]),
        ({"a": {"$geoIntersects": {"$geometry": POINT}}}, ["near"]),
    ],
    ids=str,
)
def test_the_dialect_of_places(ann: Caller, filter: Any, found: list[str]) -> None:
    if not ann.ids("open", filter={"g": "places"}):
        elsewhere = {"type": "Point", "coordinates": [40, 0]}
        ann.put("open", {"_id": "near", "g": "places", "a": POINT})
        ann.put("open", {"_id": "far", "g": "places", "a": elsewhere}, {"_id": "no", "g": "places"})
    assert ann.ids("open", filter={"g": "places", **filter}) == found


def test_a_search_needs_a_declared_index(ann: Caller) -> None:
    assert ann.refused("open", "find", filter={"$text": {"$search": "tea"}}) == INVALID


@pytest.mark.parametrize(
    ("update", "after"),
    [
        ({"$set": {"a.b": 1}}, {"a": {"b": 1}}),
        ({"$unset": {"n": ""}}, {"n": None}),
        ({"$inc": {"n": 2}}, {"n": 7}),
        ({"$mul": {"n": 2}}, {"n": 10}),
        ({"$min": {"n": 2}}, {"n": 2}),
        ({"$max": {"n": 9}}, {"n": 9}),
        ({"$rename": {"n": "m"}}, {"n": None, "m": 5}),
        ({"$setOnInsert": {"n": 9}}, {"n": 5}),
        ({"$push": {"l": 4}}, {"l": [1, 2, 3, 4]}),
        (
            {"$push": {"l": {"$each": [0], "$position": 0, "$slice": 3, "$sort": -1}}},
            {"l": [3, 2, 1]},
        ),
        ({"$pop": {"l": 1}}, {"l": [1, 2]}),
        ({"$pull": {"l": {"$gt": 1}}}, {"l": [1]}),
        ({"$pullAll": {"l": [1, 3]}}, {"l": [2]}),
        ({"$addToSet": {"l": {"$each": [3, 4]}}}, {"l": [1, 2, 3, 4]}),
        ({"$bit": {"n": {"and": 4}}}, {"n": 4}),
    ],
    ids=str,
)
def test_the_dialect_of_updates(ann: Caller, update: Any, after: dict[str, Any]) -> None:
    [id] = ann.put("open", {"n": 5, "l": [1, 2, 3]})
    ann.do("open", "update", id=id, update=update)
    found = ann.do("open", "get", id=id)
    assert {name: found.get(name) for name in after} == after


def test_the_current_date_is_the_servers(ann: Caller) -> None:
    [id] = ann.put("open", {})
    ann.do("open", "update", id=id, update={"$currentDate": {"at": True}})
    found = ann.do("open", "get", id=id)
    assert found["at"] == found["_updateTime"]


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ({"$match": {"n": 1}}, [{"_id": "pa", "n": 1, "l": [1, 2]}]),
        ({"$project": {"n": 1, "_id": 0}}, [{"n": 1}, {"n": 2}]),
        ({"$group": {"_id": None, "sum": {"$sum": "$n"}}}, [{"_id": None, "sum": 3}]),
        ({"$count": "total"}, [{"total": 2}]),
        ({"$sortByCount": "$k"}, [{"_id": None, "count": 2}]),
        ({"$replaceRoot": {"newRoot": {"m": "$n"}}}, [{"m": 1}, {"m": 2}]),
        ({"$facet": {"all": [{"$count": "n"}]}}, [{"all": [{"n": 2}]}]),
        (
            {"$bucket": {"groupBy": "$n", "boundaries": [0, 2, 4]}},
            [{"_id": 0, "count": 1}, {"_id": 2, "count": 1}],
        ),
    ],
    ids=str,
)
def test_the_stages_of_pipelines(ann: Caller, stage: Any, answer: list[Any]) -> None:
    assert ann.do("open", "aggregate", pipeline=[*_PLAIN, stage])["documents"] == answer


_PLAIN: list[Any] = [
    {"$match": {"g": "pipes"}},
    {"$sort": {"_id": 1}},
    {"$project": {"n": 1, "l": 1}},
]


@pytest.fixture(scope="module", autouse=True)
def pipes(ann: Caller) -> None:
    ann.put(
        "open",
        {"_id": "pa", "g": "pipes", "n": 1, "l": [1, 2]},
        {"_id": "pb", "g": "pipes", "n": 2},
    )


def test_more_stages_of_pipelines(ann: Caller) -> None:
    def run(*stages: Any) -> Any:
        return ann.do("open", "aggregate", pipeline=[*_PLAIN, *stages])["documents"]

    assert [one["m"] for one in run({"$addFields": {"m": {"$add": ["$n", 1]}}})] == [2, 3]
    assert [one["l"] for one in run({"$unwind": "$l"})] == [1, 2]
    assert [one["n"] for one in run({"$sort": {"n": -1}}, {"$skip": 1}, {"$limit": 5})] == [1]
    assert len(run({"$sample": {"size": 1}})) == 1
    join = {"from": "open", "localField": "n", "foreignField": "n", "as": "same"}
    assert run({"$lookup": join})[0]["same"][0]["n"] == 1
    hidden = {**join, "from": "nowhere"}
    assert ann.refused("open", "aggregate", pipeline=[{"$lookup": hidden}]) == DENIED


@pytest.mark.parametrize("stage", ["$out", "$merge", "$function", "$where", "$unionWith"])
def test_what_writes_or_runs_code_does_not_exist(ann: Caller, stage: str) -> None:
    assert ann.refused("open", "aggregate", pipeline=[{stage: "open"}]) == INVALID
