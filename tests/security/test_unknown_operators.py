"""Operators that are not on the list, and any that run code, are refused by name at every depth."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.query.limits import QueryLimits
from baas.query.parse import parse_filter, parse_projection, parse_sort

RUN_CODE = ("$where", "$function", "$accumulator", "$expr", "$jsonSchema", "$eval")
UNKNOWN = (
    *("$comment", "$meta", "$bitsAllSet", "$rand", "$sampleRate", "$natural", "$query", "$regexp"),
    *("$EQ", "$Where", "$ where", "$", "$$", "$$ROOT", "$eq ", "$gt\u200b", "$ref", "$id", "$oid"),
    *("$set", "$inc", "$push", "$match", "$lookup", "$out", "$merge", "$like", "$ilike", "$sql"),
    *("$numberLong", "$binary", "$code", "$symbol", "$undefined", "$minKey", "$uuid", "$"),
)
#: Each puts an operator somewhere in a filter.
PLACES = {
    "top": lambda name: {name: "return true"},
    "under a field": lambda name: {"a": {name: 1}},
    "under a dotted path": lambda name: {"a.b.c": {name: 1}},
    "beside a good operator": lambda name: {"a": {"$gt": 1, name: 1}},
    "in $and": lambda name: {"$and": [{"a": 1}, {name: 1}]},
    "in $or in $nor": lambda name: {"$nor": [{"$or": [{"a": {name: 1}}]}]},
    "in $not": lambda name: {"a": {"$not": {name: 1}}},
    "in $elemMatch as a field": lambda name: {"a": {"$elemMatch": {"b": {name: 1}}}},
    "in $elemMatch as an operator": lambda name: {"a": {"$elemMatch": {name: 1}}},
    "in $elemMatch beside logic": lambda name: {"a": {"$elemMatch": {"$or": [{name: 1}]}}},
    "in $all": lambda name: {"a": {"$all": [{name: 1}]}},
    "in $in": lambda name: {"a": {"$in": [1, {name: 1}]}},
    "in $nin": lambda name: {"a": {"$nin": [{name: 1}]}},
    "in the value of $eq": lambda name: {"a": {"$eq": {name: 1}}},
    "deep in a value": lambda name: {"a": {"b": [{"c": {name: 1}}]}},
    "in a range": lambda name: {"a": {"$gte": {name: 1}}},
    "in $size": lambda name: {"a": {"$size": {name: 1}}},
    "in $mod": lambda name: {"a": {"$mod": [{name: 1}, 0]}},
    "in $regex": lambda name: {"a": {"$regex": {name: 1}}},
    "in $type": lambda name: {"a": {"$type": {name: 1}}},
    "in $exists": lambda name: {"a": {"$exists": {name: 1}}},
    "in a date": lambda name: {"a": {"$date": {name: 1}}},
    "as part of a path": lambda name: {f"a.{name}": 1},
}


def refusal(raw: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        parse_filter(raw, QueryLimits(), now_ms=0, uid="u1")
    return caught.value


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", RUN_CODE + UNKNOWN)
def test_is_refused(name: str, place: str) -> None:
    fault = refusal(PLACES[place](name))
    assert fault.code is Code.INVALID_ARGUMENT
    assert fault.errors[0].path.startswith("filter")


@pytest.mark.parametrize("name", RUN_CODE)
@pytest.mark.parametrize("place", ["top", "under a field", "in $not", "in $elemMatch as a field"])
def test_the_answer_names_it(name: str, place: str) -> None:
    assert name in refusal(PLACES[place](name)).detail


@pytest.mark.parametrize("place", ["top", "under a field", "in $in", "deep in a value"])
def test_the_answer_does_not_echo_an_endless_name(place: str) -> None:
    assert len(refusal(PLACES[place]("$" + "x" * 1_000_000)).detail) < 300


@pytest.mark.parametrize("name", RUN_CODE + UNKNOWN)
def test_is_refused_in_sorts_and_projections(name: str) -> None:
    for value in (1, {name: 1}):
        for field in (name, f"a.{name}", "a"):
            if (field, value) == ("a", 1):
                continue
            with pytest.raises(Problem) as caught:
                parse_sort({field: value})
            assert caught.value.code is Code.INVALID_ARGUMENT
            with pytest.raises(Problem) as caught:
                parse_projection({field: value})
            assert caught.value.code is Code.INVALID_ARGUMENT
