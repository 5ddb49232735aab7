"""Which paths a new document sets, and which a replacement changes."""

from __future__ import annotations

from typing import Any

import pytest

from baas.database.etag import etag_of, same_etag
from baas.database.paths import lies_within, paths_changed, paths_of
from baas.schema.values import date_from_ms

DATE = date_from_ms(0)


def dotted(paths: Any) -> set[str]:
    return {".".join(path) for path in paths}


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ({}, {""}),
        ({"a": 1, "b": None}, {"a", "b"}),
        ({"a": {"b": 1, "c": {"d": 1}}}, {"a.b", "a.c.d"}),
        ({"a": {}, "b": []}, {"a", "b"}),
        ({"a": [1, 2]}, {"a"}),
        ({"a": [{"b": 1}, {"c": 2}, 5]}, {"a.b", "a.c", "a"}),
        ({"a": [[{"b": 1}]]}, {"a.b"}),
        ({"a": DATE}, {"a"}),
    ],
)
def test_paths_of_a_document(document: dict[str, Any], paths: set[str]) -> None:
    assert dotted(paths_of(document)) == paths


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": 1}, {"a": 1}, set()),
        ({"a": 1}, {"a": 1.0}, set()),
        ({"a": 1}, {"a": True}, {"a"}),
        ({"a": None}, {}, {"a"}),
        ({}, {"a": None}, {"a"}),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 1, "c": 2}}, {"a.c"}),
        ({}, {"a": {"b": 1}}, {"a.b"}),
        ({"a": {"b": 1}}, {}, {"a.b"}),
        ({"a": {"b": 1}}, {"a": 5}, {"a"}),
        ({"a": 5}, {"a": {"b": 1}}, {"a"}),
        ({"a": [1, {"b": 1}]}, {"a": [1, {"b": 1}]}, set()),
        ({"a": [1, {"b": 1}]}, {"a": [1, {"b": True}]}, {"a"}),
        ({"a": [1]}, {"a": [1, 2]}, {"a"}),
        ({"a": DATE}, {"a": date_from_ms(1)}, {"a"}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, set()),
    ],
)
def test_paths_that_change(before: Any, after: Any, paths: set[str]) -> None:
    assert dotted(paths_changed(before, after)) == paths


def test_positions_may_stand_between_names() -> None:
    assert lies_within(("a", "0", "b", "c"), ("a", "b"))
    assert lies_within(("a", "b"), ("a", "b"))
    assert not lies_within(("a",), ("a", "b"))
    assert not lies_within(("ab",), ("a",))


def test_a_tag_is_quoted_and_weak_ones_are_compared_without_their_mark() -> None:
    tag = etag_of(b"{}")
    assert tag[0] == tag[-1] == '"'
    assert tag == etag_of(b"{}")
    assert same_etag(tag, tag)
    assert same_etag(f"W/{tag}", tag)
    assert not same_etag(etag_of(b"[]"), tag)
    assert not same_etag(tag.strip('"'), tag)
