"""The order of documents: across types, through arrays, and what travels in cursors."""

from __future__ import annotations

from functools import cmp_to_key
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.query.order import compare_sort_values, order_key, sort_documents, sort_values
from baas.query.parse import parse_sort
from baas.schema.values import compare, decode, encode
from tests.support.strategies import sorts, stored_documents, values

DAY = {"$date": "2026-11-20T00:00:00.000Z"}
BEFORE_1970 = {"$date": "0099-01-01T00:00:00.000Z"}


def ids(documents: list[dict[str, Any]], sort: object) -> list[str]:
    return [document["_id"] for document in sort_documents(documents, parse_sort(sort))]


def value_of(document: dict[str, Any], path: str, direction: int = 1) -> Any:
    return sort_values(document, parse_sort({path: direction}))[0]


def test_kinds_in_their_order() -> None:
    ascending = [
        *(
            None,
            -1e300,
            -1,
            0,
            0.5,
            1,
            2**53 - 1,
            1e300,
            "",
            "1",
            "A",
            "Z",
            "a",
            "é",
            "\uffff",
            "😀",
        ),
        *({}, {"a": 1}, {"b": 0}, {"a": "x"}, False, True, BEFORE_1970, DAY),
    ]
    documents = [{"_id": f"{n:02d}", "a": value} for n, value in enumerate(ascending)]
    expected = [document["_id"] for document in documents]
    assert ids(documents[::-1], {"a": 1}) == expected
    assert ids(documents, {"a": -1}) == expected[::-1]


def test_an_object_is_ordered_by_kind_then_name_then_value() -> None:
    ascending = [{}, {"b": 1}, {"b": 2}, {"b": 2, "a": 0}, {"a": "x"}, {"a": [0]}, {"a": True}]
    documents = [{"_id": str(n), "a": value} for n, value in enumerate(ascending)]
    assert ids(documents[::-1], {"a": 1}) == ["0", "1", "2", "3", "4", "5", "6"]


def test_missing_null_and_an_empty_array_tie_and_the_id_decides() -> None:
    documents = [{"_id": "2"}, {"_id": "1", "a": None}, {"_id": "3", "a": []}, {"_id": "0", "a": 0}]
    assert ids(documents, {"a": 1}) == ["1", "2", "3", "0"]
    assert ids(documents, {"a": -1}) == ["0", "1", "2", "3"]


def test_an_array_counts_by_its_least_ascending_and_its_greatest_descending() -> None:
    assert value_of({"a": [3, 1, 2]}, "a") == 1
    assert value_of({"a": [3, 1, 2]}, "a", -1) == 3
    assert value_of({"a": [3, "x", None]}, "a") is None
    assert value_of({"a": [[5], 9]}, "a", -1) == [5]
    documents = [{"_id": "1", "a": [1, 9]}, {"_id": "2", "a": 5}]
    assert ids(documents, {"a": 1}) == ["1", "2"]
    assert ids(documents, {"a": -1}) == ["1", "2"]


@pytest.mark.parametrize(
    ("document", "path", "least", "greatest"),
    [
        ({"a": {"b": 1}}, "a.b", 1, 1),
        ({"a": 1}, "a.b", None, None),
        ({"a": DAY}, "a.b", None, None),
        ({"a": [{"b": 2}, {"b": 1}]}, "a.b", 1, 2),
        ({"a": [{"b": [4, 7]}, {"b": 5}]}, "a.b", 4, 7),
        ({"a": [{"b": 2}, {}]}, "a.b", None, 2),
        ({"a": [{"b": 2}, 5]}, "a.b", None, 2),
        ({"a": []}, "a.b", None, None),
        ({"a": [7, 3]}, "a.1", 3, 3),
        ({"a": [7, [3, 4]]}, "a.1", 3, 4),
        ({"a": [{"b": 1}, {"b": 2}]}, "a.1.b", 2, 2),
        ({"a": [7]}, "a.5", None, None),
        ({"a": [{"5": 1}]}, "a.5", 1, 1),
    ],
)
def test_the_sort_value_of_a_dotted_path(
    document: dict[str, Any], path: str, least: Any, greatest: Any
) -> None:
    assert value_of(document, path) == least
    assert value_of(document, path, -1) == greatest


def test_several_keys_each_in_its_direction() -> None:
    documents = [
        {"_id": "1", "a": 1, "b": 1},
        {"_id": "2", "a": 1, "b": 2},
        {"_id": "3", "a": 0, "b": 1},
    ]
    assert ids(documents, {"a": -1, "b": 1}) == ["1", "2", "3"]
    assert ids(documents, {"b": -1, "a": 1}) == ["2", "3", "1"]
    assert ids(documents, {"_id": -1}) == ["3", "2", "1"]


@given(values(), values())
def test_keys_order_as_compare_does(left: Any, right: Any) -> None:
    one, other = order_key(left), order_key(right)
    assert (one > other) - (one < other) == compare(left, right)


@given(st.lists(values(4), min_size=3, max_size=3))
def test_the_order_is_total(three: list[Any]) -> None:
    low, middle, high = sorted(three, key=cmp_to_key(compare))
    assert compare(low, middle) <= 0
    assert compare(middle, high) <= 0
    assert compare(low, high) <= 0
    assert compare(low, high) == -compare(high, low)


@given(stored_documents(), sorts())
def test_sort_values_survive_json_and_give_the_order(documents: Any, sort: Any) -> None:
    ordered = sort_documents(documents, sort)
    keys = [decode(encode(sort_values(document, sort))) for document in ordered]
    for one, other in pairwise(keys):
        assert compare_sort_values(tuple(one), tuple(other), sort) == -1
        assert compare_sort_values(tuple(other), tuple(one), sort) == 1
