"""What filters mean: the cases where engines are known to differ, stated one by one."""

from __future__ import annotations

from typing import Any

import pytest

from baas.query import ast, expr
from baas.query.evaluate import array_position, candidates, matches
from baas.schema.values import MISSING
from tests.support.strategies import parsed

DAY = {"$date": "2026-11-20T00:00:00.000Z"}
NEXT_DAY = {"$date": "2026-11-21T00:00:00.000Z"}


def holds(filter: dict[str, Any], document: dict[str, Any]) -> bool:
    return matches(parsed(filter), document)


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        ({"a": 5}, "a", [5]),
        ({}, "a", [MISSING]),
        ({"a": [5, 6]}, "a", [5, 6, [5, 6]]),
        ({"a": []}, "a", [[]]),
        ({"a": [[1], 2]}, "a", [[1], 2, [[1], 2]]),
        ({"a": 4}, "a.b", [MISSING]),
        ({"a": None}, "a.b", [MISSING]),
        ({"a": DAY}, "a.b", [MISSING]),
        ({"a": {}}, "a.b", [MISSING]),
        ({"a": [4]}, "a.b", []),
        ({"a": [DAY]}, "a.b", []),
        ({"a": []}, "a.b", []),
        ({"a": {"b": []}}, "a.b", [[]]),
        (
            {"a": [{"b": 5}, 3, {}, {"b": [9, 11]}, {"b": 7}]},
            "a.b",
            [5, MISSING, 9, 11, [9, 11], 7],
        ),
        ({"a": [[{"b": 1}]]}, "a.b", []),
        ({"a": [5, 7, 3]}, "a.1", [7]),
        ({"a": [5, [2, 4], 3]}, "a.1", [[2, 4]]),
        ({"a": [5, {"1": 4}, 3]}, "a.1", [4, {"1": 4}]),
        ({"a": [5, {"b": 4}, 3]}, "a.1.b", [MISSING, 4]),
        ({"a": [5, [{"b": 4}], 3]}, "a.1.b", [4]),
        ({"a": [5, [[1, 2]]]}, "a.1.0", [[1, 2]]),
        ({"a": [5, [[1, 2]]]}, "a.1.0.1", [2]),
        ({"a": [5]}, "a.0.b", []),
        ({"a": [5]}, "a.1", []),
        ({"a": [5]}, "a.00", []),
        ({"a": {"0": 5}}, "a.0", [5]),
    ],
)
def test_the_candidates_of_a_path(document: Any, path: str, expected: list[Any]) -> None:
    assert list(candidates(document, tuple(path.split(".")))) == expected


def test_a_position_is_decimal_without_leading_zeros_and_within_the_array() -> None:
    assert [array_position(text, 3) for text in ("0", "2", "3", "00", "-1", "x", "", "٢")] == [
        *(0, 2, -1, -1, -1, -1, -1, -1)
    ]
    assert array_position("9" * 5000, 3) == -1


class TestEquality:
    def test_true_is_not_one_and_one_is_one_point_nought(self) -> None:
        assert not holds({"a": True}, {"a": 1})
        assert not holds({"a": 1}, {"a": True})
        assert not holds({"a": False}, {"a": 0})
        assert holds({"a": 1.0}, {"a": 1})
        assert not holds({"a": "1"}, {"a": 1})

    def test_null_holds_for_missing_and_nothing_else_does(self) -> None:
        assert holds({"a": None}, {})
        assert holds({"a": None}, {"a": None})
        assert not holds({"a": None}, {"a": 0})
        assert not holds({"a": {}}, {})
        assert not holds({"a": ""}, {})

    def test_of_an_empty_array_no_member_is_null(self) -> None:
        assert not holds({"a.b": None}, {"a": []})
        assert holds({"a.b": {"$ne": None}}, {"a": []})
        assert holds({"a.b": {"$exists": False}}, {"a": []})

    def test_objects_are_equal_only_with_the_same_fields_in_the_same_order(self) -> None:
        assert holds({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 2}})
        assert not holds({"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}})
        assert not holds({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}})

    def test_an_array_equals_as_a_whole_or_by_an_element(self) -> None:
        assert holds({"a": 1}, {"a": [0, 1]})
        assert holds({"a": [0, 1]}, {"a": [0, 1]})
        assert holds({"a": [0, 1]}, {"a": [[0, 1], 2]})
        assert not holds({"a": [1, 0]}, {"a": [0, 1]})
        assert not holds({"a": 1}, {"a": [[1]]})

    def test_dates_equal_dates_and_no_strings(self) -> None:
        assert holds({"a": DAY}, {"a": DAY})
        assert holds({"a": {"$date": "2026-11-20T08:00:00+08:00"}}, {"a": DAY})
        assert not holds({"a": DAY["$date"]}, {"a": DAY})

    def test_not_equal_is_the_negation_of_the_whole(self) -> None:
        assert holds({"a": {"$ne": 1}}, {})
        assert not holds({"a": {"$ne": 1}}, {"a": [1, 2]})
        assert holds({"a": {"$nin": [1, 2]}}, {"a": 3})
        assert not holds({"a": {"$nin": [None]}}, {})


class TestRanges:
    @pytest.mark.parametrize("op", ["$gt", "$gte", "$lt", "$lte"])
    @pytest.mark.parametrize("value", [1, "1", True, DAY, {"b": 1}, [1]])
    def test_a_missing_or_null_field_is_in_no_range(self, op: str, value: Any) -> None:
        assert not holds({"a": {op: value}}, {})
        assert not holds({"a": {op: value}}, {"a": None})

    def test_unlike_kinds_never_compare(self) -> None:
        assert not holds({"a": {"$gt": 0}}, {"a": "5"})
        assert not holds({"a": {"$gt": 0}}, {"a": True})
        assert not holds({"a": {"$gt": "2020"}}, {"a": DAY})
        assert not holds({"a": {"$lt": 5}}, {"a": False})

    def test_null_is_in_the_closed_ranges_of_null(self) -> None:
        for document in ({}, {"a": None}):
            assert holds({"a": {"$gte": None}}, document)
            assert holds({"a": {"$lte": None}}, document)
            assert not holds({"a": {"$gt": None}}, document)
            assert not holds({"a": {"$lt": None}}, document)

    def test_bounds(self) -> None:
        assert [holds({"a": {op: 2}}, {"a": 2}) for op in ("$gt", "$gte", "$lt", "$lte")] == [
            *(False, True, False, True)
        ]
        assert holds({"a": {"$gt": DAY}}, {"a": NEXT_DAY})
        assert holds({"a": {"$gt": "Z"}}, {"a": "a"})
        assert holds({"a": {"$gt": "\uffff"}}, {"a": "😀"})
        assert holds({"a": {"$gt": False}}, {"a": True})
        assert holds({"a": {"$lt": [1, 2]}}, {"a": [1]})

    def test_each_bound_may_be_met_by_another_element(self) -> None:
        assert holds({"a": {"$gt": 1, "$lt": 3}}, {"a": [0, 5]})
        assert not holds({"a": {"$elemMatch": {"$gt": 1, "$lt": 3}}}, {"a": [0, 5]})

    def test_large_integers_are_compared_exactly(self) -> None:
        assert not holds({"a": 2**53 - 1}, {"a": 2**53 - 2})
        assert holds({"a": {"$lt": 1e300}}, {"a": 2**53 - 1})


class TestArrays:
    def test_size_is_of_the_array_itself(self) -> None:
        assert holds({"a": {"$size": 2}}, {"a": [1, 2]})
        assert not holds({"a": {"$size": 2}}, {"a": [[1, 2]]})
        assert holds({"a.0": {"$size": 2}}, {"a": [[1, 2]]})
        assert holds({"a": {"$size": 0}}, {"a": []})
        assert not holds({"a": {"$size": 0}}, {})

    def test_elem_match_of_fields_needs_one_object(self) -> None:
        both = {"a": {"$elemMatch": {"b": 1, "c": 1}}}
        assert holds(both, {"a": [{"b": 1, "c": 1}]})
        assert not holds(both, {"a": [{"b": 1}, {"c": 1}]})
        assert not holds({"a": {"$elemMatch": {"b": 1}}}, {"a": {"b": 1}})
        assert not holds({"a": {"$elemMatch": {"b": None}}}, {"a": [1, [{}], DAY]})
        assert holds({"a": {"$elemMatch": {}}}, {"a": [{}]})
        assert not holds({"a": {"$elemMatch": {}}}, {"a": [1]})

    def test_elem_match_of_the_element_opens_no_array(self) -> None:
        assert not holds({"a": {"$elemMatch": {"$eq": 1}}}, {"a": [[1]]})
        assert holds({"a": {"$elemMatch": {"$eq": [1]}}}, {"a": [[1]]})
        assert holds({"a": {"$elemMatch": {"$elemMatch": {"$eq": 1}}}}, {"a": [[1]]})
        assert holds({"a": {"$elemMatch": {"$ne": 1}}}, {"a": [1, 2]})
        assert not holds({"a": {"$elemMatch": {"$ne": 1}}}, {"a": [1]})
        assert not holds({"a": {"$elemMatch": {"$ne": 1}}}, {"a": 2})
        assert holds({"a": {"$elemMatch": {"$not": {"$gt": 1}}}}, {"a": [1, 5]})

    def test_all(self) -> None:
        assert holds({"a": {"$all": [1, 2]}}, {"a": [2, 1, 0]})
        assert not holds({"a": {"$all": [1, 2]}}, {"a": [1]})
        assert holds({"a": {"$all": [1]}}, {"a": 1})
        assert not holds({"a": {"$all": []}}, {"a": []})
        assert not holds({"a": {"$all": []}}, {})
        assert holds({"a": {"$not": {"$all": []}}}, {})
        pairs = {"a": {"$all": [{"$elemMatch": {"b": 1}}, {"$elemMatch": {"b": 2}}]}}
        assert holds(pairs, {"a": [{"b": 1}, {"b": 2}]})
        assert not holds(pairs, {"a": [{"b": 1}]})

    def test_in_holds_null_patterns_and_arrays(self) -> None:
        assert holds({"a": {"$in": [None]}}, {})
        assert holds({"a": {"$in": [{"$regex": "^B", "$options": "i"}]}}, {"a": ["x", "bc"]})
        assert holds({"a": {"$in": [[1]]}}, {"a": [1]})
        assert not holds({"a": {"$in": []}}, {"a": []})


class TestOtherOperators:
    @pytest.mark.parametrize(
        ("value", "name"),
        [
            (1, "number"),
            (1.5, "number"),
            ("", "string"),
            (True, "bool"),
            (None, "null"),
            ({}, "object"),
            ([], "array"),
            (DAY, "date"),
        ],
    )
    def test_each_value_has_one_type(self, value: Any, name: str) -> None:
        names = ["number", "string", "bool", "null", "object", "array", "date"]
        assert [n for n in names if holds({"a": {"$type": n}}, {"a": value})] == [name]

    def test_a_missing_field_has_no_type_and_an_array_also_those_of_its_elements(self) -> None:
        assert not holds({"a": {"$type": "null"}}, {})
        assert holds({"a": {"$type": "number"}}, {"a": [1]})
        assert holds({"a": {"$type": "array"}}, {"a": [1]})
        assert holds({"a": {"$type": ["bool", "number"]}}, {"a": 1})

    def test_mod_cuts_fractions_and_keeps_the_sign_of_the_dividend(self) -> None:
        assert holds({"a": {"$mod": [3, 1]}}, {"a": 4.9})
        assert holds({"a": {"$mod": [3, -1]}}, {"a": -4.9})
        assert holds({"a": {"$mod": [-3, 1]}}, {"a": 4})
        assert holds({"a": {"$mod": [2, 0]}}, {"a": 1e18})
        assert not holds({"a": {"$mod": [2, 0]}}, {"a": 1e19})
        assert not holds({"a": {"$mod": [2, 0]}}, {"a": False})
        assert not holds({"a": {"$mod": [1, 0]}}, {})

    def test_regex_finds_in_strings_alone(self) -> None:
        assert holds({"a": {"$regex": "b"}}, {"a": "abc"})
        assert not holds({"a": {"$regex": "1"}}, {"a": 1})
        assert holds({"a": {"$regex": "^B$", "$options": "im"}}, {"a": "a\nb"})
        assert not holds({"a": {"$regex": "a.b"}}, {"a": "a\nb"})
        assert holds({"a": {"$regex": "a.b", "$options": "s"}}, {"a": "a\nb"})
        assert not holds({"a": {"$regex": "b$"}}, {"a": "b\n"})
        assert holds({"a": {"$regex": "^.$"}}, {"a": "中"})
        assert holds({"a": {"$not": {"$regex": "b"}}}, {})

    def test_exists_counts_null(self) -> None:
        assert holds({"a": {"$exists": True}}, {"a": None})
        assert not holds({"a": {"$exists": False}}, {"a": None})
        assert holds({"a.b": {"$exists": True}}, {"a": [{}, {"b": 1}]})

    def test_logic(self) -> None:
        assert holds({"$or": [{"a": 1}, {"b": 1}]}, {"b": 1})
        assert not holds({"$and": [{"a": 1}, {"b": 1}]}, {"b": 1})
        assert holds({"$nor": [{"a": 1}, {"b": 2}]}, {"b": 1})
        assert holds({"a": {"$not": {"$gt": 0, "$lt": 2}}}, {"a": 5})


def test_the_kits_hostile_names_are_names_like_others() -> None:
    assert not holds({"__proto__": {"$exists": True}}, {})
    assert not holds({"constructor.name": {"$exists": True}}, {"constructor": {}})
    assert holds({"__class__.__mro__": 1}, {"__class__": {"__mro__": 1}})


def test_a_rules_condition_is_exact_where_a_filter_looks_into_arrays() -> None:
    owner = expr.DocField("doc", ("owner",))
    rule = ast.Where(expr.Binary("==", owner, expr.Literal("me")))
    assert matches(rule, {"owner": "me"})
    assert not matches(rule, {"owner": ["me", "victim"]})


def test_a_rules_condition_sees_other_documents_through_the_lookups() -> None:
    room = expr.Lookup("rooms", expr.DocField("doc", ("room",)))
    rule = ast.Where(expr.Binary("==", expr.Member(room, "open"), expr.Literal(True)))
    rooms = {("rooms", "r1"): {"_id": "r1", "open": True}}
    assert matches(rule, {"room": "r1"}, lambda collection, id: rooms.get((collection, id)))
    assert not matches(rule, {"room": "r2"}, lambda collection, id: rooms.get((collection, id)))
