"""What each expression operator computes, for values, null and missing fields."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, Problem
from tests.support.pipelines import NOW, compute

DOCUMENT: dict[str, Any] = {
    "_id": "a",
    "n": 7,
    "h": 2.5,
    "s": "héllo",
    "null": None,
    "list": [3, 1, 2],
    "rows": [{"k": 1, "l": [1, 2]}, {"k": 2}, 5, {"l": [3]}],
    "o": {"x": 1, "y": {"z": 2}},
    "at": {"$date": "2026-03-29T00:30:15.250Z"},
    "0": "zero",
}
MISSING = "<missing>"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # paths, variables, literals
        ("$n", 7),
        ("$o.y.z", 2),
        ("$none", MISSING),
        ("$n.x", MISSING),
        ("$rows.k", [1, 2]),
        ("$rows.l", [[1, 2], [3]]),
        ("$rows.0", []),
        ("$list.0", []),
        ("$at.x", MISSING),
        ("$0", "zero"),
        ("$$ROOT.n", 7),
        ("$$CURRENT.o.x", 1),
        ("$$NOW", NOW),
        ("$$REMOVE", MISSING),
        ("plain", "plain"),
        ({"$literal": "$n"}, "$n"),
        ({"a": "$n", "b": "$none"}, {"a": 7}),
        (["$n", "$none"], [7, None]),
        ({"$date": 0}, {"$date": "1970-01-01T00:00:00.000Z"}),
        ({"$getField": "n"}, 7),
        ({"$getField": {"field": "y", "input": "$o"}}, {"z": 2}),
        # arithmetic
        ({"$add": ["$n", 1, 0.5]}, 8.5),
        ({"$add": ["$h", "$h"]}, 5),
        ({"$add": ["$n", None]}, None),
        ({"$add": ["$n", "$none"]}, None),
        ({"$add": [{"$toDate": 0}, 1500]}, {"$date": "1970-01-01T00:00:01.500Z"}),
        ({"$subtract": ["$n", "$h"]}, 4.5),
        ({"$subtract": [{"$toDate": 5000}, {"$toDate": 2000}]}, 3000),
        ({"$subtract": [{"$toDate": 5000}, 5000]}, {"$date": "1970-01-01T00:00:00.000Z"}),
        ({"$multiply": ["$n", 2]}, 14),
        ({"$divide": ["$n", 2]}, 3.5),
        ({"$divide": [6, 3]}, 2),
        ({"$mod": [-7, 3]}, -1),
        ({"$mod": [7.5, -2]}, 1.5),
        ({"$abs": -3}, 3),
        ({"$ceil": 1.2}, 2),
        ({"$floor": -1.2}, -2),
        ({"$ceil": 1e300}, 1e300),
        ({"$round": 2.5}, 2),
        ({"$round": [1.256, 2]}, 1.26),
        ({"$round": [1234, -2]}, 1200),
        ({"$trunc": -1.9}, -1),
        ({"$trunc": [1.289, 2]}, 1.28),
        ({"$trunc": [1289, -2]}, 1200),
        ({"$sqrt": 9}, 3),
        ({"$pow": [2, 10]}, 1024),
        ({"$pow": [2, -1]}, 0.5),
        ({"$pow": [3, 33]}, 5559060566555523),
        ({"$abs": "$none"}, None),
        # comparison: exact, across kinds, missing apart from null
        ({"$eq": [1, 1.0]}, True),
        ({"$eq": [1, True]}, False),
        ({"$eq": ["$none", None]}, False),
        ({"$eq": ["$none", "$nothing"]}, True),
        ({"$eq": [{"a": 1, "b": 2}, {"b": 2, "a": 1}]}, False),
        ({"$ne": ["$list", [3, 1, 2]]}, False),
        ({"$gt": ["a", 99]}, True),
        ({"$lt": ["$none", None]}, True),
        ({"$gte": ["$null", None]}, True),
        ({"$cmp": [1, 2]}, -1),
        # conditions
        ({"$and": [1, "", [], True]}, True),
        ({"$and": [1, 0]}, False),
        ({"$and": []}, True),
        ({"$or": [None, "$none", 0, False]}, False),
        ({"$not": ["$null"]}, True),
        ({"$cond": [{"$gt": ["$n", 5]}, "big", "small"]}, "big"),
        ({"$cond": {"if": "$none", "then": 1, "else": "$n"}}, 7),
        ({"$ifNull": ["$none", "$null", 3]}, 3),
        ({"$ifNull": ["$none", "$nothing"]}, MISSING),
        ({"$switch": {"branches": [{"case": False, "then": 1}], "default": 2}}, 2),
        ({"$switch": {"branches": [{"case": True, "then": 1}]}}, 1),
        ({"$and": [False, {"$divide": [1, 0]}]}, False),
        ({"$cond": [True, 1, {"$divide": [1, 0]}]}, 1),
        # arrays
        ({"$size": "$list"}, 3),
        ({"$arrayElemAt": ["$list", -1]}, 2),
        ({"$arrayElemAt": ["$list", 9]}, MISSING),
        ({"$first": "$list"}, 3),
        ({"$last": {"$literal": []}}, MISSING),
        ({"$first": "$null"}, None),
        ({"$concatArrays": ["$list", [4]]}, [3, 1, 2, 4]),
        ({"$concatArrays": ["$list", "$none"]}, None),
        ({"$slice": ["$list", 2]}, [3, 1]),
        ({"$slice": ["$list", -2]}, [1, 2]),
        ({"$slice": ["$list", 1, 9]}, [1, 2]),
        ({"$slice": ["$list", -9, 1]}, [3]),
        ({"$in": [1, "$list"]}, True),
        ({"$in": [True, "$list"]}, False),
        ({"$in": ["$none", [None]]}, False),
        ({"$reverseArray": "$list"}, [2, 1, 3]),
        ({"$range": [0, 5, 2]}, [0, 2, 4]),
        ({"$range": [3, 0, -1]}, [3, 2, 1]),
        ({"$range": [3, 0]}, []),
        ({"$isArray": "$list"}, True),
        ({"$isArray": ["$none"]}, False),
        ({"$setUnion": [[1, 2, 1], [3, 2]]}, [1, 2, 3]),
        ({"$setIntersection": [[3, 1, 2], [2, 3]]}, [3, 2]),
        ({"$setDifference": [[3, 1, 3, 2], [1]]}, [3, 2]),
        ({"$setUnion": ["$list", None]}, None),
        ({"$map": {"input": "$list", "in": {"$add": ["$$this", 1]}}}, [4, 2, 3]),
        ({"$map": {"input": "$rows", "as": "row", "in": "$$row.k"}}, [1, 2, None, None]),
        ({"$map": {"input": "$none", "in": 1}}, None),
        ({"$filter": {"input": "$list", "cond": {"$gt": ["$$this", 1]}}}, [3, 2]),
        ({"$filter": {"input": "$list", "cond": True, "limit": 2}}, [3, 1]),
        (
            {"$reduce": {"input": "$list", "initialValue": [], "in": {
                "$concatArrays": [["$$this"], "$$value"]}}},
            [2, 1, 3],
        ),
        ({"$let": {"vars": {"x": 2}, "in": {"$multiply": ["$$x", "$n"]}}}, 14),
        (
            {"$let": {"vars": {"this": 5}, "in": {"$map": {"input": [1], "in": "$$this"}}}},
            [1],
        ),
        ({"$sum": "$list"}, 6),
        ({"$sum": ["$n", "$h", "x"]}, 9.5),
        ({"$avg": "$list"}, 2),
        ({"$max": ["$n", "$h", None]}, 7),
        ({"$min": "$list"}, 1),
        # strings
        ({"$concat": ["$s", "!"]}, "héllo!"),
        ({"$concat": ["$s", "$none"]}, None),
        ({"$toUpper": "$s"}, "HÉLLO"),
        ({"$toLower": None}, ""),
        ({"$strLenCP": "a😀é"}, 3),
        ({"$substrCP": ["$s", 1, 3]}, "éll"),
        ({"$substrCP": ["$s", 9, 3]}, ""),
        ({"$split": ["a-b-", "-"]}, ["a", "b", ""]),
        ({"$trim": {"input": "  x \n"}}, "x"),
        ({"$trim": {"input": "xxaxx", "chars": "x"}}, "a"),
        ({"$ltrim": {"input": " x "}}, "x "),
        ({"$indexOfCP": ["$s", "l"]}, 2),
        ({"$indexOfCP": ["$s", "l", 3]}, 3),
        ({"$indexOfCP": ["$s", "z"]}, -1),
        ({"$replaceOne": {"input": "aXaX", "find": "X", "replacement": "-"}}, "a-aX"),
        ({"$replaceAll": {"input": "aXaX", "find": "X", "replacement": "-"}}, "a-a-"),
        ({"$regexMatch": {"input": "$s", "regex": "^H.L", "options": "i"}}, True),
        ({"$regexMatch": {"input": "$none", "regex": "."}}, False),
        # types
        ({"$type": "$none"}, "missing"),
        ({"$type": "$at"}, "date"),
        ({"$type": {"$literal": [1]}}, "array"),
        ({"$isNumber": "$h"}, True),
        ({"$toString": 1.5}, "1.5"),
        ({"$toString": True}, "true"),
        ({"$toString": "$at"}, "2026-03-29T00:30:15.250Z"),
        ({"$toInt": "12"}, 12),
        ({"$toInt": -1.9}, -1),
        ({"$toInt": True}, 1),
        ({"$toDouble": "1.5e2"}, 150),
        ({"$toDouble": "$at"}, 1774744215250),
        ({"$toBool": 0}, False),
        ({"$toBool": ""}, True),
        ({"$toDate": "2026-01-01T08:00:00+08:00"}, {"$date": "2026-01-01T00:00:00.000Z"}),
        ({"$toDate": "$none"}, None),
        # objects
        ({"$mergeObjects": ["$o", None, {"x": 2}]}, {"x": 2, "y": {"z": 2}}),
        ({"$objectToArray": {"a": 1}}, [{"k": "a", "v": 1}]),
        ({"$arrayToObject": [[["a", 1], ["b", 2]]]}, {"a": 1, "b": 2}),
        ({"$arrayToObject": {"$objectToArray": "$o"}}, {"x": 1, "y": {"z": 2}}),
    ],
)  # fmt: skip
def test_an_operator_computes(expression: Any, expected: Any) -> None:
    value = compute(expression, DOCUMENT)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"$year": "$at"}, 2026),
        ({"$month": "$at"}, 3),
        ({"$dayOfMonth": {"date": "$at", "timezone": "America/New_York"}}, 28),
        ({"$hour": {"date": "$at", "timezone": "+0530"}}, 6),
        ({"$minute": {"date": "$at", "timezone": "-00:45"}}, 45),
        ({"$second": "$at"}, 15),
        ({"$millisecond": "$at"}, 250),
        ({"$dayOfWeek": "$at"}, 1),
        ({"$isoDayOfWeek": "$at"}, 7),
        ({"$dayOfYear": "$at"}, 88),
        ({"$week": "$at"}, 13),
        ({"$isoWeek": "$at"}, 13),
        ({"$isoWeekYear": {"$toDate": "2027-01-01T00:00:00Z"}}, 2026),
        ({"$year": "$none"}, None),
        ({"$dateToString": {"date": "$at"}}, "2026-03-29T00:30:15.250Z"),
        (
            {"$dateToString": {"date": "$at", "format": "%d/%m/%Y %H:%M:%S.%L %z %j %u %%",
                               "timezone": "Asia/Shanghai"}},
            "29/03/2026 08:30:15.250 +0800 088 7 %",
        ),
        ({"$dateToString": {"date": "$none", "onNull": "-"}}, "-"),
        # A day across the change to summer time has 23 hours; local time of day is kept.
        (
            {"$dateToString": {"timezone": "Europe/Berlin", "format": "%Y-%m-%d %H:%M", "date": {
                "$dateAdd": {"startDate": "$at", "unit": "day", "amount": 1,
                             "timezone": "Europe/Berlin"}}}},
            "2026-03-30 01:30",
        ),
        (
            {"$dateToString": {"timezone": "Europe/Berlin", "format": "%Y-%m-%d %H:%M", "date": {
                "$dateAdd": {"startDate": "$at", "unit": "hour", "amount": 24,
                             "timezone": "Europe/Berlin"}}}},
            "2026-03-30 02:30",
        ),
        (
            {"$dateAdd": {"startDate": {"$date": "2024-01-31T00:00:00Z"}, "unit": "month",
                          "amount": 1}},
            {"$date": "2024-02-29T00:00:00.000Z"},
        ),
        (
            {"$dateSubtract": {"startDate": {"$date": "2024-02-29T00:00:00Z"}, "unit": "year",
                               "amount": 1}},
            {"$date": "2023-02-28T00:00:00.000Z"},
        ),
        (
            {"$dateDiff": {"startDate": {"$date": "2025-12-31T23:59:00Z"},
                           "endDate": {"$date": "2026-01-01T00:00:00Z"}, "unit": "year"}},
            1,
        ),
        (
            {"$dateDiff": {"startDate": {"$date": "2026-01-01T22:00:00Z"},
                           "endDate": {"$date": "2026-01-01T23:30:00Z"}, "unit": "day",
                           "timezone": "+01:00"}},
            1,
        ),
        (
            {"$dateDiff": {"startDate": {"$date": "2026-11-21T00:00:00Z"},
                           "endDate": {"$date": "2026-11-23T00:00:00Z"}, "unit": "week"}},
            1,
        ),
        (
            {"$dateDiff": {"startDate": {"$date": "2026-11-22T00:00:00Z"},
                           "endDate": {"$date": "2026-11-23T00:00:00Z"}, "unit": "week",
                           "startOfWeek": "Monday"}},
            1,
        ),
        (
            {"$dateTrunc": {"date": "$at", "unit": "day", "timezone": "Asia/Shanghai"}},
            {"$date": "2026-03-28T16:00:00.000Z"},
        ),
        ({"$dateTrunc": {"date": "$at", "unit": "week"}}, {"$date": "2026-03-29T00:00:00.000Z"}),
        ({"$dateTrunc": {"date": "$at", "unit": "quarter"}}, {"$date": "2026-01-01T00:00:00.000Z"}),
        ({"$dateTrunc": {"date": "$at", "unit": "hour"}}, {"$date": "2026-03-29T00:00:00.000Z"}),
    ],
)  # fmt: skip
def test_dates_in_their_zone(expression: Any, expected: Any) -> None:
    assert compute(expression, DOCUMENT) == expected


@pytest.mark.parametrize(
    "expression",
    [
        {"$add": ["$n", "$s"]},
        {"$add": ["$at", "$at"]},
        {"$add": [2**53 - 1, 1]},
        {"$multiply": [1e200, 1e200]},
        {"$subtract": [-(2**53) + 1, 1]},
        {"$subtract": ["$n", "$at"]},
        {"$divide": ["$n", 0]},
        {"$mod": ["$n", 0]},
        {"$pow": [0, -1]},
        {"$pow": [-8, 0.5]},
        {"$sqrt": -1},
        {"$round": [1, 99]},
        {"$size": "$none"},
        {"$size": "$n"},
        {"$in": [1, "$none"]},
        {"$arrayElemAt": ["$list", 0.5]},
        {"$first": "$s"},
        {"$slice": ["$list", 1, 0]},
        {"$range": [0, 5, 0]},
        {"$range": [0, "$h"]},
        {"$map": {"input": "$n", "in": 1}},
        {"$filter": {"input": "$list", "cond": True, "limit": 0}},
        {"$switch": {"branches": [{"case": False, "then": 1}]}},
        {"$concat": ["$s", 1]},
        {"$strLenCP": "$none"},
        {"$split": ["$s", ""]},
        {"$substrCP": ["$s", -1, 1]},
        {"$replaceAll": {"input": "$s", "find": "", "replacement": "x"}},
        {"$toInt": "1.5"},
        {"$toInt": "x"},
        {"$toInt": 1e300},
        {"$toDouble": "Infinity"},
        {"$toDouble": "1e999"},
        {"$toString": "$list"},
        {"$toDate": "2026-01-01"},
        {"$toDate": 1e300},
        {"$year": "$n"},
        {"$hour": {"date": "$at", "timezone": "Mars/Base"}},
        {"$dateToString": {"date": "$at", "format": "%Q"}},
        {"$dateAdd": {"startDate": "$at", "unit": "century", "amount": 1}},
        {"$dateAdd": {"startDate": "$at", "unit": "year", "amount": 9999}},
        {"$dateAdd": {"startDate": "$at", "unit": "millisecond", "amount": 2**53 - 1}},
        {"$mergeObjects": ["$o", 1]},
        {"$objectToArray": "$at"},
        {"$arrayToObject": {"$literal": [[1, 2]]}},
        {"$arrayToObject": {"$literal": [["a"]]}},
    ],
)
def test_what_an_operator_does_not_take_is_a_fault_of_the_stage(expression: Any) -> None:
    with pytest.raises(Problem) as caught:
        compute(expression, DOCUMENT)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.errors[0].path == "pipeline.0.$replaceWith"
    assert caught.value.detail.count("$") >= 2, "names the operator"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ({"$ad": [1]}, "unknown expression operator '$ad'"),
        ({"$add": [1], "$abs": 1}, "stands alone"),
        ({"$add": [1], "x": 1}, "stands alone"),
        ({"$subtract": [1]}, "takes 2 operands, not 1"),
        ({"$abs": [1, 2]}, "takes 1 operands"),
        ({"$cond": [1, 2]}, "[if, then, else]"),
        ({"$cond": {"if": 1, "then": 2}}, "needs else"),
        ({"$ifNull": [1]}, "two operands"),
        ({"$switch": {"branches": []}}, "{case, then}"),
        ({"$map": {"input": []}}, "needs in"),
        ({"$map": {"input": [], "in": 1, "inputs": 1}}, "did you mean 'input'"),
        ({"$map": {"input": [], "in": 1, "as": "X"}}, "lower case"),
        ({"$let": {"vars": {"ROOT": 1}, "in": 1}}, "lower case"),
        ("$$nothing", "unknown variable 'nothing'"),
        ({"$let": {"vars": {"x": 1}, "in": "$$y"}}, "unknown variable 'y'"),
        ({"$map": {"input": ["$$this"], "in": 1}}, "unknown variable 'this'"),
        ("$", "1 to 128 characters"),
        ("$a..b", "1 to 128 characters"),
        ("$a.$b", "start with '$'"),
        ("$$ROOT.", "1 to 128 characters"),
        ({"a.b": 1}, "cannot contain '.'"),
        ({"$dateToString": {"format": "%Y"}}, "needs date"),
        ({"$trim": "x"}, "object of input"),
        ({"$literal": {"$gt": 1}}, "cannot start with '$'"),
        (2**53, "2^53"),
    ],
)
def test_a_malformed_expression_is_refused_when_the_pipeline_is_read(
    expression: Any, words: str
) -> None:
    with pytest.raises(Problem) as caught:
        compute(expression, DOCUMENT)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert words in caught.value.detail
    assert caught.value.errors[0].path.startswith("pipeline.0.$replaceWith.value")
