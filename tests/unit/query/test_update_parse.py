"""What `parse_update` lets in, and how it refuses the rest."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.query.limits import QueryLimits
from baas.query.update import parse_update, paths_read, paths_written, set_object
from baas.query.update.model import paths_entered

NOW_MS = 1_795_161_600_000
LIMITS = QueryLimits()


def refusal(raw: Any, limits: QueryLimits = LIMITS) -> Problem:
    with pytest.raises(Problem) as caught:
        parse_update(raw, limits, now_ms=NOW_MS)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (None, "object of operators"),
        ([], "object of operators"),
        ({}, "object of operators"),
        ({"a": 1}, "use replace"),
        ({"$set": {"a": 1}, "b": 2}, "use replace"),
        ({"$sett": {"a": 1}}, "did you mean '$set'"),
        ({"$where": {"a": "1"}}, "unknown operator '$where'"),
        ({"$set": 1}, "object of paths"),
        ({"$set": {"": 1}}, "1 to 128 characters"),
        ({"$set": {"a..b": 1}}, "1 to 128 characters"),
        ({"$set": {"$a": 1}}, "positional"),
        ({"$set": {"a.$": 1}}, "positional"),
        ({"$set": {"a.$[].b": 1}}, "positional"),
        ({"$inc": {"a.$[x]": 1}}, "positional"),
        ({"$set": {"a": {"$gt": 1}}}, "cannot start with '$'"),
        ({"$set": {"a": float("nan")}}, "NaN"),
        ({"$set": {"a": 2**53}}, "2^53"),
        ({"$inc": {"a": "1"}}, "must be a number"),
        ({"$inc": {"a": True}}, "must be a number"),
        ({"$mul": {"a": None}}, "must be a number"),
        ({"$rename": {"a": 1}}, "must be the new path"),
        ({"$rename": {"a": "a"}}, "conflict"),
        ({"$rename": {"a": "a.b"}}, "conflict"),
        ({"$currentDate": {"a": False}}, "must be true or"),
        ({"$currentDate": {"a": {"$type": "timestamp"}}}, "must be true or"),
        ({"$push": {"a": {"$position": 0}}}, "need $each"),
        ({"$push": {"a": {"$each": 1}}}, "must be an array"),
        ({"$push": {"a": {"$each": [], "$slise": 1}}}, "did you mean '$slice'"),
        ({"$push": {"a": {"$each": [], "$position": 1.5}}}, "must be an integer"),
        ({"$push": {"a": {"$each": [], "$sort": 2}}}, "1 or -1"),
        ({"$push": {"a": {"$each": [], "$sort": {}}}}, "paths"),
        ({"$addToSet": {"a": {"$each": [1], "$sort": 1}}}, "unknown modifier"),
        ({"$pop": {"a": 2}}, "must be 1"),
        ({"$pop": {"a": True}}, "must be 1"),
        ({"$pullAll": {"a": 1}}, "must be an array"),
        ({"$pull": {"a": {"$gtt": 1}}}, "$gtt"),
        ({"$bit": {"a": {"and": 1.5}}}, "must be an integer"),
        ({"$bit": {"a": {"shift": 1}}}, "'and', 'or', 'xor'"),
        ({"$set": {"a": 1, "a.b": 2}}, "'a' and 'a.b' conflict"),
        ({"$set": {"a": 1}, "$inc": {"a": 2}}, "'a' and 'a' conflict"),
        ({"$set": {"a.b.c": 1}, "$unset": {"a": 1}}, "conflict"),
        ({"$set": {"b": 1}, "$rename": {"a": "b"}}, "conflict"),
    ],
)
def test_what_is_not_in_the_language_is_refused_with_its_place(raw: Any, words: str) -> None:
    problem = refusal(raw)
    assert problem.code is Code.INVALID_ARGUMENT
    assert words in problem.detail
    assert problem.errors[0].path.startswith("update")


@pytest.mark.parametrize(
    "raw",
    [
        {"$set": {f"f{n}": 1 for n in range(1001)}},
        {"$push": {"a": {"$each": [0] * 1001}}},
        {"$set": {".".join("a" * 21): 1}},
        {"$set": {".".join("a" * 20): {}}},
        {"$push": {".".join("a" * 19): {"$each": [{}]}}},
        {"$pull": {"a": {"$in": [0] * 1001}}},
    ],
)
def test_what_is_too_much_is_a_limit(raw: Any) -> None:
    assert refusal(raw).code is Code.LIMIT_EXCEEDED


def test_a_value_may_fill_the_depth_of_a_document_exactly() -> None:
    path = ".".join("a" * 19)
    parse_update({"$set": {path: {"b": 1}}}, LIMITS, now_ms=NOW_MS)
    assert refusal({"$set": {path: {"b": {}}}}).code is Code.LIMIT_EXCEEDED


def test_the_paths_of_siblings_and_of_names_with_a_common_beginning_do_not_conflict() -> None:
    update = parse_update({"$set": {"a.b": 1, "a.c": 2, "ab": 3, "a-b": 4}}, LIMITS, now_ms=NOW_MS)
    assert paths_written(update) == {("a", "b"), ("a", "c"), ("ab",), ("a-b",)}


def test_written_are_both_ends_of_a_rename_and_read_is_its_source() -> None:
    raw = {
        "$set": {"a.b": 1},
        "$unset": {"c": ""},
        "$setOnInsert": {"d": 1},
        "$rename": {"e": "f.g"},
        "$inc": {"h": 1},
        "$pull": {"i": 1},
    }
    update = parse_update(raw, LIMITS, now_ms=NOW_MS)
    assert paths_written(update) == {
        ("a", "b"), ("c",), ("d",), ("e",), ("f", "g"), ("h",), ("i",),
    }  # fmt: skip
    assert paths_read(update) == {("e",), ("h",), ("i",)}
    assert paths_entered(update) == {("a",), ("f",)}


def test_the_set_object_is_what_was_sent_with_its_values_admitted() -> None:
    raw = {
        "$set": {"a.b": 1.0, "at": {"$date": {"offset": 0}}, "o": {"x": {"$date": 0}}},
        "$inc": {"n": 1},
    }
    update = parse_update(raw, LIMITS, now_ms=NOW_MS)
    assert set_object(update) == {
        "a.b": 1,
        "at": {"$date": "2026-11-20T08:00:00.000Z"},
        "o": {"x": {"$date": "1970-01-01T00:00:00.000Z"}},
    }
    assert raw["$set"]["at"] == {"$date": {"offset": 0}}
    assert set_object(parse_update({"$inc": {"a": 1}}, LIMITS, now_ms=NOW_MS)) == {}
