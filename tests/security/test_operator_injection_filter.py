"""A value that a client controls stays a value: no string becomes an operator or a pattern.

The classic attack sends `{"password": {"$ne": null}}` where an app expected a string. Apps put
values into filters; these tests state what such a value can and cannot turn into.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.errors import Code, Problem
from baas.query import ast
from baas.query.evaluate import matches
from baas.query.limits import QueryLimits
from baas.query.parse import parse_filter

LIMITS = QueryLimits()
HOSTILE_TEXTS = (
    *("$ne", "$gt", "$where", '{"$ne": null}', "{$ne: null}", "[$ne]", "$where: 1 == 1"),
    *("' OR 1=1 --", '"; DROP TABLE posts; --', "x' UNION SELECT 1", "%", "_", "*", "?", ".*"),
    *(
        "^",
        "a|b",
        "(",
        "\\",
        "true",
        "null",
        "undefined",
        "NaN",
        "0",
        "1 || 1",
        "${7*7}",
        "{{7*7}}",
    ),
    *("$$ROOT", "$title", "a.b", "__proto__", "constructor", "\u2028", "\u202e", "'", '"', "`"),
)


def parsed(raw: dict[str, Any]) -> ast.Filter:
    return parse_filter(raw, LIMITS, now_ms=0, uid="u1")


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_a_string_is_only_ever_equal_to_itself(text: str) -> None:
    for raw in ({"a": text}, {"a": {"$eq": text}}, {"a": {"$in": [text]}}):
        condition = parsed(raw)
        assert matches(condition, {"a": text})
        assert not matches(condition, {"a": text + "x"})
        assert not matches(condition, {"a": None})
        assert not matches(condition, {"a": 1})
        assert not matches(condition, {})


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20))
def test_any_text_is_a_plain_value(text: str) -> None:
    expected = "u1" if text in ("{uid}", "{openid}") else text
    assert parsed({"a": text}) == ast.Field(("a",), ast.Eq(expected))


@pytest.mark.parametrize("op", ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"])
@pytest.mark.parametrize("value", [{"$ne": None}, {"$gt": ""}, {"$regex": "."}, {"$exists": True}])
def test_an_operator_is_no_operand(op: str, value: Any) -> None:
    with pytest.raises(Problem) as caught:
        parsed({"a": {op: value}})
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("op", ["$in", "$nin", "$all"])
@pytest.mark.parametrize("value", [{"$ne": None}, {"$gt": ""}, {"$exists": True}])
def test_an_operator_is_no_member_of_a_list(op: str, value: Any) -> None:
    with pytest.raises(Problem) as caught:
        parsed({"a": {op: ["x", value]}})
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "value",
    [
        *({"b": {"$ne": None}}, [{"$ne": None}], {"b": [{"$gt": 1}]}, {"$ne": 1, "b": 1}),
        *({"b": 1, "$ne": 1}, {"$date": {"$gt": 0}}, {"$date": 0, "$gt": 0}),
    ],
)
def test_operators_hidden_in_a_value_are_refused(value: Any) -> None:
    with pytest.raises(Problem) as caught:
        parsed({"a": value})
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_flag_cannot_be_smuggled_through_the_options() -> None:
    for options in ("x", "u", "i)(?s", "I", "-i", " ", "i\n", ["i"], None, 1, {"$gt": ""}):
        with pytest.raises(Problem) as caught:
            parsed({"a": {"$regex": "b", "$options": options}})
        assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_pattern_cannot_close_the_group_of_its_flags() -> None:
    with pytest.raises(Problem):
        parsed({"a": {"$regex": ")|(", "$options": "i"}})
    assert not matches(parsed({"a": {"$regex": "(?-i)B", "$options": "i"}}), {"a": "b"})
