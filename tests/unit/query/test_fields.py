"""Which paths a query names, and access by path."""

from __future__ import annotations

from typing import Any

import pytest

from baas.query import ast, expr
from baas.query.fields import get_path, overlap, paths_in_filter, paths_in_sort
from baas.query.parse import parse_sort
from baas.schema.values import MISSING
from tests.support.strategies import parsed


def _path(dotted: str) -> tuple[str, ...]:
    return tuple(dotted.split(".")) if dotted else ()


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        ({"a": {"b": 1}}, "a.b", 1),
        ({"a": {"b": None}}, "a.b", None),
        ({"a": {}}, "a.b", MISSING),
        ({"a": [{"b": 1}]}, "a.b", MISSING),
        ({"a": [1]}, "a.0", MISSING),
        ({"a": [1]}, "a", [1]),
        ({"a": {"$date": "2026-11-20T00:00:00.000Z"}}, "a.$date", MISSING),
        ({"a": 1}, "", {"a": 1}),
    ],
)
def test_get_path_opens_objects_alone(document: Any, path: str, expected: Any) -> None:
    assert get_path(document, _path(path)) == expected


@pytest.mark.parametrize(
    ("raw", "paths"),
    [
        ({}, set()),
        ({"a.b": 1, "c": {"$gt": 1, "$ne": 2}}, {"a.b", "c"}),
        ({"$or": [{"a": 1}, {"$nor": [{"b": 1}]}]}, {"a", "b"}),
        ({"a": {"$elemMatch": {"b": 1, "c.d": 1}}}, {"a", "a.b", "a.c.d"}),
        ({"a": {"$elemMatch": {"$elemMatch": {"b": 1}}}}, {"a", "a.b"}),
        ({"a": {"$elemMatch": {"$not": {"$elemMatch": {"b": 1}}, "$gt": 1}}}, {"a", "a.b"}),
        ({"a": {"$not": {"$all": [{"$elemMatch": {"b": 1}}]}}}, {"a", "a.b"}),
        ({"a.0.b": {"$exists": False}}, {"a.0.b"}),
        ({"a": "{uid}"}, {"a"}),
    ],
)
def test_every_path_that_decides_a_filter_is_named(raw: Any, paths: set[str]) -> None:
    assert paths_in_filter(parsed(raw)) == {_path(path) for path in paths}


def test_paths_of_a_rules_condition() -> None:
    lookup = expr.Member(expr.Lookup("rooms", expr.DocField("doc", ("room",))), "open")
    rule = expr.Logic("||", (expr.DocField("doc", ("a", "b")), lookup))
    assert paths_in_filter(ast.Not(ast.Where(rule))) == {("a", "b"), ("room",)}


def test_paths_of_a_sort() -> None:
    assert paths_in_sort(parse_sort({"a.b": -1})) == {("a", "b"), ("_id",)}


@pytest.mark.parametrize(
    ("used", "named", "expected"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a", "a.b", True),
        ("a.b", "a", True),
        ("a.b", "a.c", False),
        ("ab", "a", False),
        ("a.0.b", "a.b", True),
        ("a.0.1.b", "a.b", True),
        ("a.0", "a.b", True),
        ("a.0.c", "a.b", False),
        ("a.0.b", "a.0.b", True),
        ("a.0.c", "a.0", True),
        ("a.b", "a.0", False),
        ("a.1", "a.0", True),
        ("", "a", True),
        ("0.a", "a", False),
        ("0", "a.b", False),
        (".".join(["a"] + ["0"] * 19 + ["b"]), ".".join(["a"] + ["0"] * 19 + ["c"]), False),
    ],
)
def test_a_used_path_overlaps_a_named_one(used: str, named: str, expected: bool) -> None:
    assert overlap(_path(used), _path(named)) is expected
