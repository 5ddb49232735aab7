"""What each update operator makes of a document."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.query.limits import QueryLimits
from baas.query.update import apply_update, parse_update
from baas.query.update.draft import MAX_PADDING

NOW_MS = 1_795_161_600_000
NOW = {"$date": "2026-11-20T08:00:00.000Z"}
LIMITS = QueryLimits()


def apply(raw: Any, document: dict[str, Any], *, inserting: bool = False) -> dict[str, Any]:
    before = copy.deepcopy(document)
    update = parse_update(raw, LIMITS, now_ms=NOW_MS)
    after = apply_update(update, document, now_ms=NOW_MS, inserting=inserting)
    assert document == before, "the given document is untouched"
    return after


def refusal(raw: Any, document: dict[str, Any]) -> Problem:
    with pytest.raises(Problem) as caught:
        apply(raw, document)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "document", "expected"),
    [
        # paths
        ({"$set": {"a.b.c": 1}}, {}, {"a": {"b": {"c": 1}}}),
        ({"$set": {"a.0": 1}}, {}, {"a": {"0": 1}}),
        ({"$set": {"a.0": 1}}, {"a": []}, {"a": [1]}),
        ({"$set": {"a.2.b": 1}}, {"a": [0]}, {"a": [0, None, {"b": 1}]}),
        ({"$set": {"a.0.b": 2}}, {"a": [{"b": 1, "c": 3}]}, {"a": [{"b": 2, "c": 3}]}),
        ({"$set": {"a.1": 1, "a.0": 2}}, {"a": []}, {"a": [2, 1]}),
        ({"$set": {"b": 1, "a": 2}}, {"a": 0}, {"a": 2, "b": 1}),
        # $unset
        ({"$unset": {"a": 1}}, {"a": 1, "b": 2}, {"b": 2}),
        ({"$unset": {"a.b": 1}}, {"a": {"b": 1}}, {"a": {}}),
        ({"$unset": {"a.1": 1}}, {"a": [1, 2, 3]}, {"a": [1, None, 3]}),
        ({"$unset": {"a.b": 1, "c.d": 1, "e.9": 1}}, {"a": 5, "e": [1]}, {"a": 5, "e": [1]}),
        # numbers
        ({"$inc": {"a": 2, "b.c": 0.5}}, {"a": 1}, {"a": 3, "b": {"c": 0.5}}),
        ({"$inc": {"a": 0.5}}, {"a": 1.5}, {"a": 2}),
        ({"$mul": {"a": 3, "b": 3}}, {"a": 0.5}, {"a": 1.5, "b": 0}),
        ({"$bit": {"a": {"or": 5, "and": 6}}}, {"a": 2}, {"a": 6}),
        ({"$bit": {"a": {"xor": 3}}}, {}, {"a": 3}),
        # $min and $max: order across kinds, and a missing field is not null
        ({"$min": {"a": 2, "b": 1, "c": None}}, {"a": 1, "c": 0}, {"a": 1, "c": None, "b": 1}),
        (
            {"$max": {"a": 2, "b": "", "c": 1}},
            {"a": 1, "b": 9, "c": "x"},
            {"a": 2, "b": "", "c": "x"},
        ),
        ({"$min": {"a": 5}}, {}, {"a": 5}),
        # $rename
        ({"$rename": {"a": "b.c"}}, {"a": 1}, {"b": {"c": 1}}),
        ({"$rename": {"a": "b"}}, {"a": 1, "b": 2}, {"b": 1}),
        ({"$rename": {"a": "b"}}, {"b": 2}, {"b": 2}),
        # dates
        ({"$currentDate": {"a": True, "b": {"$type": "date"}}}, {}, {"a": NOW, "b": NOW}),
        ({"$set": {"a": {"$date": "2026-11-20T16:00:00+08:00"}}}, {}, {"a": NOW}),
        (
            {"$max": {"a": {"$date": {"offset": 0}}}},
            {"a": {"$date": "2020-01-01T00:00:00.000Z"}},
            {"a": NOW},
        ),
        # $push
        ({"$push": {"a": 1}}, {}, {"a": [1]}),
        ({"$push": {"a": [1, 2]}}, {"a": [0]}, {"a": [0, [1, 2]]}),
        ({"$push": {"a": {"$date": 0}}}, {}, {"a": [{"$date": "1970-01-01T00:00:00.000Z"}]}),
        ({"$push": {"a": {"$each": [1, 2]}}}, {"a": [0]}, {"a": [0, 1, 2]}),
        ({"$push": {"a": {"$each": [9], "$position": 1}}}, {"a": [1, 2]}, {"a": [1, 9, 2]}),
        ({"$push": {"a": {"$each": [9], "$position": -1}}}, {"a": [1, 2]}, {"a": [1, 9, 2]}),
        ({"$push": {"a": {"$each": [9], "$position": 50}}}, {"a": [1]}, {"a": [1, 9]}),
        ({"$push": {"a": {"$each": [9], "$position": -50}}}, {"a": [1]}, {"a": [9, 1]}),
        ({"$push": {"a": {"$each": [3, 1], "$sort": 1, "$slice": 2}}}, {"a": [2]}, {"a": [1, 2]}),
        ({"$push": {"a": {"$each": [3, 1], "$sort": -1, "$slice": -2}}}, {"a": [2]}, {"a": [2, 1]}),
        ({"$push": {"a": {"$each": [], "$slice": 0}}}, {"a": [2]}, {"a": []}),
        (
            {"$push": {"a": {"$each": [{"s": 1, "t": 1}], "$sort": {"s": -1, "t": 1}}}},
            {"a": [{"s": 1, "t": 2}, 5, {"s": 2}]},
            {"a": [{"s": 2}, {"s": 1, "t": 1}, {"s": 1, "t": 2}, 5]},
        ),
        # $addToSet: exact equality
        ({"$addToSet": {"a": 1}}, {"a": [1]}, {"a": [1]}),
        ({"$addToSet": {"a": True}}, {"a": [1]}, {"a": [1, True]}),
        ({"$addToSet": {"a": {"$each": [2, 1, 2]}}}, {"a": [1]}, {"a": [1, 2]}),
        (
            {"$addToSet": {"a": {"y": 1, "x": 1}}},
            {"a": [{"x": 1, "y": 1}]},
            {"a": [{"x": 1, "y": 1}, {"y": 1, "x": 1}]},
        ),
        ({"$addToSet": {"a": {"$each": []}}}, {}, {"a": []}),
        # $pop
        ({"$pop": {"a": 1, "b": -1}}, {"a": [1, 2], "b": [1, 2]}, {"a": [1], "b": [2]}),
        ({"$pop": {"a": 1, "b": 1}}, {"a": []}, {"a": []}),
        # $pull and $pullAll
        ({"$pullAll": {"a": [1, "x"]}}, {"a": [1, True, "x", 1, 2]}, {"a": [True, 2]}),
        ({"$pull": {"a": 1}}, {"a": [1, [1], 1, 2]}, {"a": [[1], 2]}),
        ({"$pull": {"a": [1]}}, {"a": [1, [1], [1, 2]]}, {"a": [1, [1, 2]]}),
        ({"$pull": {"a": {"$gte": 2}}}, {"a": [1, 2, "3", 4]}, {"a": [1, "3"]}),
        ({"$pull": {"a": {"$in": [1, "x"]}}}, {"a": [1, "x", 2]}, {"a": [2]}),
        ({"$pull": {"a": {"$regex": "^x"}}}, {"a": ["xy", "yx", 1]}, {"a": ["yx", 1]}),
        (
            {"$pull": {"a": {"k": 1}}},
            {"a": [{"k": 1, "z": 0}, {"k": [1]}, {"k": 2}, 1]},
            {"a": [{"k": 2}, 1]},
        ),
        (
            {"$pull": {"a": {"k": {"$lt": 2}, "z": 0}}},
            {"a": [{"k": 1, "z": 0}, {"k": 1}]},
            {"a": [{"k": 1}]},
        ),
        (
            {"$pull": {"a": {"$or": [{"k": 1}, {"k": 2}]}}},
            {"a": [{"k": 1}, {"k": 3}]},
            {"a": [{"k": 3}]},
        ),
        ({"$pull": {"a": {}}}, {"a": [{"k": 1}, 1]}, {"a": [1]}),
        (
            {"$pull": {"a": {"$date": 0}}},
            {"a": [{"$date": "1970-01-01T00:00:00.000Z"}, 0]},
            {"a": [0]},
        ),
        ({"$pull": {"a": 1}, "$pullAll": {"b": [1]}}, {}, {}),
    ],
)
def test_an_operator_does_what_the_dialect_says(
    raw: Any, document: dict[str, Any], expected: dict[str, Any]
) -> None:
    after = apply(raw, document)
    assert after == expected
    assert list(after) == list(expected)


@pytest.mark.parametrize(
    ("raw", "document", "place"),
    [
        ({"$set": {"a.b": 1}}, {"a": 5}, "update.$set.a.b"),
        ({"$set": {"a.b": 1}}, {"a": None}, "update.$set.a.b"),
        ({"$set": {"a.b.c": 1}}, {"a": {"b": "x"}}, "update.$set.a.b.c"),
        ({"$set": {"a.$date".replace("$", "x"): 1}}, {"a": NOW}, "update.$set.a.xdate"),
        ({"$set": {"a.b": 1}}, {"a": [{"b": 2}]}, "update.$set.a.b"),
        ({"$set": {"a.01": 1}}, {"a": [1, 2]}, "update.$set.a.01"),
        ({"$set": {f"a.{MAX_PADDING + 1}": 1}}, {"a": []}, f"update.$set.a.{MAX_PADDING + 1}"),
        ({"$inc": {"a": 1}}, {"a": "1"}, "update.$inc.a"),
        ({"$inc": {"a": 1}}, {"a": None}, "update.$inc.a"),
        ({"$inc": {"a": 1}}, {"a": True}, "update.$inc.a"),
        ({"$inc": {"a": 1}}, {"a": 2**53 - 1}, "update.$inc.a"),
        ({"$mul": {"a": 2}}, {"a": 2**52}, "update.$mul.a"),
        ({"$mul": {"a": 1e200}}, {"a": 1e200}, "update.$mul.a"),
        ({"$bit": {"a": {"or": 1}}}, {"a": 1.5}, "update.$bit.a"),
        ({"$bit": {"a": {"and": -2}}}, {"a": -(2**53) + 1}, "update.$bit.a"),
        ({"$push": {"a": 1}}, {"a": {}}, "update.$push.a"),
        ({"$addToSet": {"a": 1}}, {"a": None}, "update.$addToSet.a"),
        ({"$pop": {"a": 1}}, {"a": 1}, "update.$pop.a"),
        ({"$pull": {"a.b": 1}}, {"a": 1}, "update.$pull.a.b"),
        ({"$rename": {"a.0": "b"}}, {"a": [1]}, "update.$rename.a.0"),
        ({"$rename": {"b": "a.0"}}, {"a": [1], "b": 1}, "update.$rename.b"),
    ],
)
def test_what_the_stored_value_does_not_allow_names_operator_and_path(
    raw: Any, document: dict[str, Any], place: str
) -> None:
    problem = refusal(raw, document)
    assert problem.code is Code.INVALID_ARGUMENT
    assert problem.errors[0].path == place


def test_padding_goes_up_to_its_limit() -> None:
    after = apply({"$set": {f"a.{MAX_PADDING}": 1}}, {"a": []})
    assert after["a"] == [None] * MAX_PADDING + [1]


def test_set_on_insert_counts_only_for_a_new_document() -> None:
    raw = {"$set": {"a": 1}, "$setOnInsert": {"b": 2}}
    assert apply(raw, {"_id": "x"}) == {"_id": "x", "a": 1}
    assert apply(raw, {"_id": "x"}, inserting=True) == {"_id": "x", "a": 1, "b": 2}


def test_parts_that_do_not_change_are_shared_and_parts_that_do_are_not() -> None:
    document = {"kept": {"x": [1]}, "changed": {"y": {"z": 1}, "w": {}}}
    after = apply({"$set": {"changed.y.z": 2}}, document)
    assert after["kept"] is document["kept"]
    assert after["changed"]["w"] is document["changed"]["w"]
    assert after["changed"]["y"] is not document["changed"]["y"]


def test_one_update_applied_to_many_documents_keeps_them_apart() -> None:
    update = parse_update({"$set": {"a": {"b": []}}}, LIMITS, now_ms=NOW_MS)
    more = parse_update({"$push": {"a.b": 1}}, LIMITS, now_ms=NOW_MS)
    first = apply_update(update, {}, now_ms=NOW_MS)
    second = apply_update(update, {}, now_ms=NOW_MS)
    assert apply_update(more, first, now_ms=NOW_MS) == {"a": {"b": [1]}}
    assert second == {"a": {"b": []}}


def test_a_rename_cannot_nest_a_document_too_deep() -> None:
    deep: Any = 1
    for _ in range(19):
        deep = {"d": deep}
    assert refusal({"$rename": {"a": "b.c"}}, {"a": deep}).code is Code.LIMIT_EXCEEDED
    assert apply({"$rename": {"a": "b"}}, {"a": deep}) == {"b": deep}


def test_work_on_long_arrays_is_limited() -> None:
    long = {"a": list(range(100_000))}
    condition = {"$or": [{"k": n} for n in range(100)]}
    assert refusal({"$pull": {"a": condition}}, long).code is Code.LIMIT_EXCEEDED
    raw = {"$push": {"a": {"$each": [1], "$sort": 1}}}
    assert refusal(raw, long).code is Code.LIMIT_EXCEEDED
