"""What client JSON may say, what it becomes, and how each fault is named."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given

from baas.errors import Code, Problem
from baas.query import ast
from baas.query.evaluate import matches
from baas.query.limits import MAX_PROJECTION_PATHS, MAX_SORT_KEYS, QueryLimits
from baas.query.parse import parse_filter, parse_projection, parse_sort
from baas.settings import LimitSettings
from tests.support.strategies import LIMITS, NOW_MS, parsed, raw_filters

A = ("a",)


def fault_of(raw: object, **limits: int) -> Problem:
    with pytest.raises(Problem) as caught:
        parse_filter(raw, QueryLimits(**limits), now_ms=NOW_MS)
    return caught.value


class TestShapes:
    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            ({}, ast.ALWAYS),
            ({"a": 1}, ast.Field(A, ast.Eq(1))),
            ({"a": {"$eq": 1.0}}, ast.Field(A, ast.Eq(1))),
            ({"a.b.0": None}, ast.Field(("a", "b", "0"), ast.Eq(None))),
            ({"a": {}}, ast.Field(A, ast.Eq({}))),
            ({"a": {"$ne": 1}}, ast.Not(ast.Field(A, ast.Eq(1)))),
            ({"a": {"$nin": [1]}}, ast.Not(ast.Field(A, ast.In((1,))))),
            ({"a": {"$exists": False}}, ast.Not(ast.Field(A, ast.Exists()))),
            ({"a": {"$type": "bool"}}, ast.Field(A, ast.Type(("bool",)))),
            ({"a": {"$size": 2}}, ast.Field(A, ast.Size(2))),
            ({"a": {"$mod": [4, 0]}}, ast.Field(A, ast.Mod(4, 0))),
            (
                {"a": {"$regex": "x", "$options": "smi"}},
                ast.Field(A, ast.Regex("x", "ims")),
            ),
            (
                {"a": {"$in": [1, {"$regex": "x"}]}},
                ast.Field(A, ast.In((1,), (ast.Regex("x"),))),
            ),
            ({"$or": [{"a": 1}]}, ast.Field(A, ast.Eq(1))),
            ({"$nor": [{"a": 1}]}, ast.Not(ast.Field(A, ast.Eq(1)))),
            (
                {"a": {"$gt": 1, "$lt": 5}},
                ast.And((ast.Field(A, ast.Range("gt", 1)), ast.Field(A, ast.Range("lt", 5)))),
            ),
            (
                {"a": {"$elemMatch": {"b": 1}}},
                ast.Field(A, ast.ElemMatch(ast.Field(("b",), ast.Eq(1)))),
            ),
            (
                {"a": {"$elemMatch": {"$or": [{"b": 1}]}}},
                ast.Field(A, ast.ElemMatch(ast.Field(("b",), ast.Eq(1)))),
            ),
            (
                {"a": {"$elemMatch": {"$gt": 1, "$ne": 3}}},
                ast.Field(
                    A,
                    ast.ElemTest(ast.AllOf((ast.Range("gt", 1), ast.NotTest(ast.Eq(3))))),
                ),
            ),
            (
                {"a": {"$date": 0}},
                ast.Field(A, ast.Eq({"$date": "1970-01-01T00:00:00.000Z"})),
            ),
            (
                {"a": {"$lt": {"$date": {"offset": -1000}}}},
                ast.Field(A, ast.Range("lt", {"$date": "2026-11-20T07:59:59.000Z"})),
            ),
        ],
    )
    def test_becomes(self, raw: dict[str, Any], expected: ast.Filter) -> None:
        assert parsed(raw) == expected

    @given(raw_filters())
    def test_the_input_is_not_modified(self, raw: dict[str, Any]) -> None:
        before = copy.deepcopy(raw)
        parsed(raw, uid="u1")
        assert raw == before


class TestTheCaller:
    @pytest.mark.parametrize("text", ["{openid}", "{uid}"])
    def test_stands_for_a_whole_value_at_any_depth(self, text: str) -> None:
        assert parsed({"a": text}, uid="u1") == ast.Field(A, ast.Eq("u1"))
        assert parsed({"a": {"$in": ["x", text]}}, uid="u1") == ast.Field(A, ast.In(("x", "u1")))
        nested = parsed({"a": {"b": [text]}}, uid="u1")
        assert nested == ast.Field(A, ast.Eq({"b": ["u1"]}))

    def test_is_not_looked_for_inside_longer_texts_or_names(self) -> None:
        assert parsed({"a": "x{uid}"}, uid="u1") == ast.Field(A, ast.Eq("x{uid}"))
        assert parsed({"{uid}": 1}, uid="u1") == ast.Field(("{uid}",), ast.Eq(1))

    def test_a_uid_that_looks_like_a_placeholder_is_not_replaced_again(self) -> None:
        assert parsed({"a": "{openid}"}, uid="{uid}") == ast.Field(A, ast.Eq("{uid}"))

    @pytest.mark.parametrize(
        "test",
        [
            *("{uid}", {"$eq": "{uid}"}, {"$gte": "{uid}"}, {"$in": ["{uid}"]}, {"b": "{uid}"}),
            *({"$all": ["{uid}"]}, {"$elemMatch": {"$eq": "{uid}"}}),
        ],
    )
    def test_where_there_is_none_nothing_is_equal_to_it(self, test: Any) -> None:
        condition = parsed({"a": test})
        for value in (None, "{uid}", "", [], ["{uid}"], [None], {"b": "{uid}"}, {"b": None}):
            assert not matches(condition, {"a": value})
        assert not matches(condition, {})

    def test_where_there_is_none_everything_is_unequal_to_it(self) -> None:
        assert matches(parsed({"a": {"$ne": "{uid}"}}), {})
        assert matches(parsed({"a": {"$nin": ["{uid}"]}}), {"a": "{uid}"})

    def test_the_path_stays_for_field_masks_to_see(self) -> None:
        assert parsed({"secret": "{uid}"}) == ast.Field(("secret",), ast.In(()))


class TestFaults:
    @pytest.mark.parametrize(
        ("raw", "path", "words"),
        [
            ([], "filter", "object"),
            (None, "filter", "object"),
            ({"a": {"$gtt": 1}}, "filter.a", "did you mean '$gt'"),
            ({"a": {"$gt": 1, "b": 1}}, "filter.a", "cannot stand in one object"),
            ({"a": {"b": {"$gt": 1}}}, "filter.a.b", "$gt"),
            ({"a": {"$in": 1}}, "filter.a.$in", "list"),
            ({"a": {"$in": [{"$gt": 1}]}}, "filter.a.$in.0", "$gt"),
            ({"a": {"$in": [{"$regex": "x", "b": 1}]}}, "filter.a.$in.0", "alone"),
            ({"a": {"$exists": 1}}, "filter.a.$exists", "true or false"),
            ({"a": {"$type": "int"}}, "filter.a.$type", "did you mean 'number'"),
            ({"a": {"$type": 2}}, "filter.a.$type", "takes number"),
            ({"a": {"$type": []}}, "filter.a.$type", "empty"),
            ({"a": {"$size": -1}}, "filter.a.$size", "from 0"),
            ({"a": {"$size": True}}, "filter.a.$size", "integer"),
            ({"a": {"$mod": [0, 1]}}, "filter.a.$mod.0", "0"),
            ({"a": {"$mod": [1]}}, "filter.a.$mod", "divisor"),
            ({"a": {"$mod": [1.5, 1]}}, "filter.a.$mod.0", "integer"),
            ({"a": {"$not": 1}}, "filter.a.$not", "operators"),
            ({"a": {"$not": {}}}, "filter.a.$not", "operators"),
            ({"a": {"$not": {"b": 1}}}, "filter.a.$not", "operators"),
            ({"a": {"$options": "i"}}, "filter.a", "$regex beside"),
            ({"a": {"$regex": 1}}, "filter.a.$regex", "string"),
            ({"a": {"$regex": "("}}, "filter.a.$regex", "RE2"),
            ({"a": {"$regex": "(?=a)"}}, "filter.a.$regex", "RE2"),
            ({"a": {"$regex": "a", "$options": "x"}}, "filter.a.$options", "i, m and s"),
            ({"a": {"$elemMatch": 1}}, "filter.a.$elemMatch", "object"),
            ({"a": {"$elemMatch": {"$gt": 1, "b": 1}}}, "filter.a.$elemMatch", "one object"),
            ({"a": {"$all": [{"$gt": 1}]}}, "filter.a.$all.0", "$all takes"),
            ({"$or": []}, "filter.$or", "empty"),
            ({"$or": {"a": 1}}, "filter.$or", "list"),
            ({"$or": [{"a": 1}, 5]}, "filter.$or.1", "object"),
            ({"$not": {"a": 1}}, "filter", "$nor"),
            ({"$gt": 1}, "filter", "under a field name"),
            ({"a": {"$or": []}}, "filter.a", "beside field names"),
            ({"a": {"$date": "x"}}, "filter.a", "a date is"),
            ({"a": {"$date": 1, "$gt": 1}}, "filter.a", "$date"),
            ({"a": 2**53}, "filter.a", "2^53"),
            ({"a": {"$gt": float("nan")}}, "filter.a.$gt", "NaN"),
            ({"a": "\0"}, "filter.a", "U+0000"),
            ({"a": "\ud800"}, "filter.a", "surrogates"),
        ],
    )
    def test_is_named_with_its_place(self, raw: object, path: str, words: str) -> None:
        fault = fault_of(raw)
        assert fault.code is Code.INVALID_ARGUMENT
        assert [error.path for error in fault.errors] == [path]
        assert words in fault.errors[0].message

    def test_the_place_starts_where_the_caller_says(self) -> None:
        with pytest.raises(Problem) as caught:
            parse_filter({"a": {"$x": 1}}, LIMITS, now_ms=0, path="pipeline.0.$match")
        assert caught.value.errors[0].path == "pipeline.0.$match.a"


def _nested(levels: int) -> dict[str, Any]:
    raw: dict[str, Any] = {"a": 1}
    for _ in range(levels - 1):
        raw = {"$and": [raw]}
    return raw


class TestLimits:
    def test_defaults_are_those_of_the_settings(self) -> None:
        assert QueryLimits.of(LimitSettings()) == QueryLimits()

    def test_depth(self) -> None:
        parse_filter(_nested(5), QueryLimits(filter_depth=5), now_ms=0)
        assert fault_of(_nested(6), filter_depth=5).code is Code.LIMIT_EXCEEDED

    @pytest.mark.parametrize("wrap", ["$elemMatch", "$not"])
    def test_depth_under_a_field(self, wrap: str) -> None:
        test: dict[str, Any] = {"$gt": 1}
        for _ in range(10):
            test = {wrap: test}
        parse_filter({"a": test}, QueryLimits(filter_depth=11), now_ms=0)
        assert fault_of({"a": test}, filter_depth=10).code is Code.LIMIT_EXCEEDED

    def test_conditions(self) -> None:
        parse_filter({"a": 1, "b": 1}, QueryLimits(filter_nodes=2), now_ms=0)
        assert fault_of({"a": 1, "b": 1, "c": 1}, filter_nodes=2).code is Code.LIMIT_EXCEEDED
        several = {"a": {"$gt": 1, "$lt": 5, "$ne": 3}}
        assert fault_of(several, filter_nodes=2).code is Code.LIMIT_EXCEEDED

    @pytest.mark.parametrize("op", ["$in", "$nin", "$all"])
    def test_lists(self, op: str) -> None:
        parse_filter({"a": {op: [1, 2]}}, QueryLimits(list_items=2), now_ms=0)
        fault = fault_of({"a": {op: [1, 2, 3]}}, list_items=2)
        assert fault.code is Code.LIMIT_EXCEEDED
        assert fault.errors[0].path == f"filter.a.{op}"

    def test_lists_together(self) -> None:
        raw = {"$and": [{"a": {"$in": [1, 2]}} for _ in range(20)]}
        parse_filter(raw, QueryLimits(list_items=20), now_ms=0)
        many = {f"f{n}": {"$in": [1, 2]} for n in range(11)}
        assert fault_of(many, list_items=2).code is Code.LIMIT_EXCEEDED

    def test_patterns(self) -> None:
        parsed({"a": {"$regex": "x" * 256}})
        assert fault_of({"a": {"$regex": "x" * 257}}).code is Code.LIMIT_EXCEEDED

    def test_paths(self) -> None:
        parsed({".".join("a" * 20): 1})
        assert fault_of({".".join("a" * 21): 1}).code is Code.LIMIT_EXCEEDED

    def test_depth_of_a_value(self) -> None:
        value: Any = 1
        for _ in range(5):
            value = [value]
        parse_filter({"a": value}, QueryLimits(document_depth=5), now_ms=0)
        assert fault_of({"a": value}, document_depth=4).code is Code.LIMIT_EXCEEDED


class TestSort:
    def test_always_ends_with_the_id(self) -> None:
        by_id = ast.SortKey(("_id",))
        assert parse_sort(None) == parse_sort({}) == parse_sort([]) == (by_id,)
        assert parse_sort({"a": -1}) == (ast.SortKey(A, True), by_id)
        assert parse_sort([["a.b", 1]]) == (ast.SortKey(("a", "b")), by_id)
        assert parse_sort({"_id": -1}) == (ast.SortKey(("_id",), True),)

    def test_what_stands_behind_the_id_decides_nothing(self) -> None:
        assert parse_sort([["_id", -1], ["a", 1]]) == (ast.SortKey(("_id",), True),)

    @pytest.mark.parametrize(
        ("raw", "path"),
        [
            (1, "sort"),
            ("a", "sort"),
            ({"a": 0}, "sort"),
            ({"a": True}, "sort"),
            ({"a": "asc"}, "sort"),
            ({"a": {"$meta": "textScore"}}, "sort"),
            ({"$a": 1}, "sort"),
            ({"a..b": 1}, "sort"),
            ([["a"]], "sort.0"),
            ([["a", 1], ["a", -1]], "sort.1"),
            ([[1, 1]], "sort.0"),
            ([{"a": 1}], "sort.0"),
        ],
    )
    def test_faults(self, raw: object, path: str) -> None:
        with pytest.raises(Problem) as caught:
            parse_sort(raw)
        assert caught.value.code is Code.INVALID_ARGUMENT
        assert caught.value.errors[0].path == path

    def test_too_many_keys(self) -> None:
        parse_sort({f"f{n}": 1 for n in range(MAX_SORT_KEYS)})
        with pytest.raises(Problem) as caught:
            parse_sort({f"f{n}": 1 for n in range(MAX_SORT_KEYS + 1)})
        assert caught.value.code is Code.LIMIT_EXCEEDED


class TestProjection:
    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            (None, None),
            ({}, None),
            ({"a": 1, "b.c": True}, ast.Projection((A, ("b", "c")), True)),
            ({"a": 0}, ast.Projection((A,), False)),
            ({"a": 1, "_id": 0}, ast.Projection((A,), True, False)),
            ({"a": 0, "_id": 1}, ast.Projection((A,), False)),
            ({"_id": 1}, ast.Projection((), True)),
            ({"_id": 0}, ast.Projection((), False, False)),
        ],
    )
    def test_becomes(self, raw: object, expected: ast.Projection | None) -> None:
        assert parse_projection(raw) == expected

    @pytest.mark.parametrize(
        "raw",
        [
            *([], "a", {"a": 2}, {"a": "x"}, {"a": None}, {"a": {"$slice": 1}}, {"a": 1, "b": 0}),
            *({"a": 1, "a.b": 1}, {"a.b.c": 0, "a": 0}, {"_id.x": 1}, {"$a": 1}, {"": 1}),
        ],
    )
    def test_faults(self, raw: object) -> None:
        with pytest.raises(Problem) as caught:
            parse_projection(raw)
        assert caught.value.code is Code.INVALID_ARGUMENT
        assert caught.value.errors[0].path == "fields"

    def test_too_many(self) -> None:
        with pytest.raises(Problem) as caught:
            parse_projection({f"f{n}": 1 for n in range(MAX_PROJECTION_PATHS + 1)})
        assert caught.value.code is Code.LIMIT_EXCEEDED
