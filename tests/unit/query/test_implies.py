"""What the prover of implications sees, and what it must not be talked into."""

from __future__ import annotations

from typing import Any

import pytest

from baas.query.ast import Filter
from baas.query.implies import implies
from baas.query.limits import QueryLimits
from baas.query.parse import parse_filter
from baas.rules.residual import Known, reduce, to_filter
from tests.support.rules import condition


def query(raw: dict[str, Any]) -> Filter:
    return parse_filter(raw, QueryLimits(), now_ms=0)


def rule(text: str) -> Filter:
    return to_filter(reduce(condition(text), Known({})))


MINE = "doc._openid == 'me'"


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ({"_openid": "me"}, MINE),
        ({"_openid": "me", "a": 1}, MINE),
        ({"_openid": {"$in": ["me"]}}, MINE),
        ({"_openid": "me"}, "doc.a == 1 || doc._openid == 'me'"),
        ({"_openid": "me"}, "doc._openid != 'you'"),
        ({"_openid": "me"}, "doc._openid in ['me', 'you']"),
        ({"_openid": {"$in": ["me", "you"]}}, "doc._openid in ['me', 'you', 'her']"),
        ({"_openid": "me"}, "startsWith(doc._openid, 'm')"),
        ({"_openid": "me"}, "!(doc._openid == 'you')"),
        ({"$or": [{"_openid": "me"}, {"_openid": "you"}]}, "doc._openid in ['me', 'you']"),
        ({"$and": [{"a": 1}, {"$or": [{"_openid": "me", "b": 1}, {"_openid": "me"}]}]}, MINE),
        ({"_openid": {"$gt": "b"}}, "doc._openid > 'a'"),
        ({"_openid": {"$gte": "b"}}, "doc._openid != 'a'"),
        (
            {"_createTime": {"$gt": {"$date": "2026-11-20T08:00:00.000Z"}}},
            "doc._createTime != null",
        ),
        ({"_openid": "me"}, "true"),
        ({"_id": {"$in": []}}, "doc.a == 1"),
    ],
)
def test_a_query_implies_a_rule(known: dict[str, Any], wanted: str) -> None:
    assert implies(query(known), rule(wanted))


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ({}, MINE),
        ({"_openid": "you"}, MINE),
        ({"_openid": {"$ne": "you"}}, MINE),
        ({"_openid": {"$in": ["me", "you"]}}, MINE),
        ({"$or": [{"_openid": "me"}, {"a": 1}]}, MINE),
        ({"$nor": [{"_openid": "me"}]}, MINE),
        ({"a": "me"}, "doc.a == 'me'"),
        ({"a.b": "me"}, "doc.a.b == 'me'"),
        ({"a": "me"}, "'me' in doc.a"),
        ({"_openid": {"$gte": "a"}}, "doc._openid > 'a'"),
        ({"_openid": {"$regex": "^me$"}}, MINE),
        ({"_openid": "me"}, "doc.a == 1 && doc._openid == 'me'"),
        ({"_openid": "me"}, "get('database.a.' + doc._openid).ok"),
        ({"_openid": None}, "has(doc._openid)"),
        ({"_openid": "me"}, "false"),
    ],
)
def test_a_query_does_not(known: dict[str, Any], wanted: str) -> None:
    assert not implies(query(known), rule(wanted))


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ("doc.a == 1", {"a": 1}),
        ("doc.a == 1", {"a": {"$gt": 0}}),
        ("doc.a.b == 1", {"a.b": {"$exists": True}}),
        ("doc.a > 5", {"a": {"$gte": 5}}),
        ("'x' in doc.tags", {"tags": "x"}),
        ("'x' in doc.items.name", {"items.name": {"$in": ["x", "y"]}}),
        ("doc.a == [1]", {"a": {"$size": 1}}),
        ("doc.a ? doc.b == 1 : doc.b == 2", {"b": {"$in": [1, 2]}}),
    ],
)
def test_a_rule_implies_a_query(known: str, wanted: dict[str, Any]) -> None:
    assert implies(rule(known), query(wanted))


def test_the_same_condition_implies_itself_whatever_it_says() -> None:
    text = "get('database.rooms.' + doc.room).open && matches(doc.a, 'x')"
    assert implies(rule(text), rule(text))


def test_where_arrays_are_ruled_out_a_query_says_what_a_field_is() -> None:
    published = query({"published": True})
    assert not implies(published, rule("doc.published"))
    assert implies(published, rule("doc.published"), lambda path: True)


def test_too_many_cases_prove_nothing_and_take_no_time() -> None:
    either = {"$or": [{"_openid": "me"}, {"_openid": "me", "a": 1}]}
    many = query({"$and": [either] * 40})
    assert not implies(many, rule("doc._openid == 'me' && doc.a == 1"))
