"""Projection through objects and arrays."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given

from baas.query.parse import parse_projection
from baas.query.project import project
from tests.support.strategies import documents, raw_projections

DAY = {"$date": "2026-11-20T00:00:00.000Z"}


def projected(document: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    projection = parse_projection(fields)
    assert projection is not None
    return project(document, projection)


@pytest.mark.parametrize(
    ("document", "fields", "expected"),
    [
        ({"_id": "1", "a": 1, "b": 2}, {"a": 1}, {"_id": "1", "a": 1}),
        ({"_id": "1", "a": 1, "b": 2}, {"a": 1, "_id": 0}, {"a": 1}),
        ({"_id": "1", "a": 1, "b": 2}, {"a": 0}, {"_id": "1", "b": 2}),
        ({"_id": "1", "a": 1, "b": 2}, {"a": 0, "_id": 0}, {"b": 2}),
        ({"_id": "1", "a": 1}, {"_id": 1}, {"_id": "1"}),
        ({"_id": "1", "a": 1}, {"_id": 0}, {"a": 1}),
        ({"b": 2, "a": 1}, {"a": 1, "b": 1}, {"b": 2, "a": 1}),
        ({"a": 1}, {"z": 1}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a.b": 1}, {"a": {"b": 1}}),
        ({"a": {"b": 1, "c": 2}}, {"a.b": 0}, {"a": {"c": 2}}),
        ({"a": {"c": 2}}, {"a.b": 1}, {"a": {}}),
        ({"a": 5}, {"a.b": 1}, {}),
        ({"a": 5}, {"a.b": 0}, {"a": 5}),
        ({"a": DAY}, {"a.b": 1}, {}),
        ({"a": DAY}, {"a.b": 0}, {"a": DAY}),
        ({"a": []}, {"a.b": 1}, {"a": []}),
        ({"a": [1, {"b": 2, "c": 3}, {}, DAY]}, {"a.b": 1}, {"a": [{"b": 2}, {}]}),
        ({"a": [1, {"b": 2, "c": 3}, DAY]}, {"a.b": 0}, {"a": [1, {"c": 3}, DAY]}),
        ({"a": [[{"b": 1, "c": 2}, 7]]}, {"a.b": 1}, {"a": [[{"b": 1}]]}),
        ({"a": [[{"b": 1, "c": 2}, 7]]}, {"a.b": 0}, {"a": [[{"c": 2}, 7]]}),
        ({"a": [5, 6]}, {"a.0": 1}, {"a": []}),
        ({"a": {"b": 1, "c": 2, "d": 3}}, {"a.b": 1, "a.c": 1}, {"a": {"b": 1, "c": 2}}),
        ({"__proto__": 1, "a": 2}, {"__proto__": 1}, {"__proto__": 1}),
    ],
)
def test_what_is_sent(document: Any, fields: Any, expected: Any) -> None:
    result = projected(document, fields)
    assert result == expected
    assert list(result) == list(expected)


@given(documents(), raw_projections())
def test_the_document_is_not_modified_and_projecting_again_changes_nothing(
    document: Any, fields: Any
) -> None:
    before = copy.deepcopy(document)
    once = projected(document, fields)
    assert document == before
    assert projected(once, fields) == once


@given(documents(), raw_projections())
def test_included_and_excluded_share_no_top_level_field_whole(document: Any, fields: Any) -> None:
    plain = dict.fromkeys((name for name in fields if "." not in name and name != "_id"), 1)
    if not plain:
        return
    kept = projected(document, {**plain, "_id": 0})
    rest = projected(document, {**dict.fromkeys(plain, 0), "_id": 0})
    assert kept.keys().isdisjoint(rest)
    assert {**kept, **rest, "_id": document["_id"]} == document
