"""Queries made to cost: depth, breadth, lists, patterns. Each is refused early, by a named limit.

"Early" is checked by what is not done, not by a stopwatch: a refusal is a Problem, never a
RecursionError, and costs no more than reading the input once.
"""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.query.evaluate import matches
from baas.query.limits import QueryLimits
from baas.query.parse import parse_filter, parse_projection, parse_sort
from baas.query.patterns import compile_pattern

LIMITS = QueryLimits()
ENDLESS = 100_000


def refusal(raw: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        parse_filter(raw, LIMITS, now_ms=0, uid="u1")
    return caught.value


def nest(wrap: Any, inner: Any, levels: int = ENDLESS) -> Any:
    for _ in range(levels):
        inner = wrap(inner)
    return inner


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: {"$and": [inner]},
        lambda inner: {"$or": [inner]},
        lambda inner: {"$nor": [inner]},
        lambda inner: {"a": {"$elemMatch": inner}},
        lambda inner: {"$and": [{"a": {"$elemMatch": inner}}]},
    ],
)
def test_filters_in_filters(wrap: Any) -> None:
    assert refusal(nest(wrap, {"a": 1})).code is Code.LIMIT_EXCEEDED
    parse_filter(nest(wrap, {"a": 1}, 8), LIMITS, now_ms=0)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: {"$not": inner},
        lambda inner: {"$elemMatch": inner},
        lambda inner: {"$all": [{"$elemMatch": inner}]},
        lambda inner: {"$not": {"$elemMatch": inner}},
    ],
)
def test_operators_in_operators(wrap: Any) -> None:
    assert refusal({"a": nest(wrap, {"$eq": 1})}).code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"b": inner}])
@pytest.mark.parametrize("op", ["$eq", "$gt", "$in"])
def test_values_in_values(wrap: Any, op: str) -> None:
    value = nest(wrap, 1)
    assert refusal({"a": value}).code is Code.LIMIT_EXCEEDED
    assert refusal({"a": {op: [value]}}).code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    "raw",
    [
        {f"f{n}": 1 for n in range(ENDLESS)},
        {"$and": [{"a": 1}] * ENDLESS},
        {"$or": [{"$or": [{"a": 1}] * 100}] * 100},
        {"a": {"$in": [1] * ENDLESS}},
        {"a": {"$nin": [1] * ENDLESS}},
        {"a": {"$all": [1] * ENDLESS}},
        {"a": {"$in": [{"$regex": "x"}] * 900}},
        {"$and": [{"a": {"$in": [1] * 1000}}] * 11},
        {"a": {"$type": ["string"] * ENDLESS}},
        {"a": {"$regex": "x" * ENDLESS}},
        {".".join(["a"] * ENDLESS): 1},
        {"." * ENDLESS: 1},
    ],
    ids=lambda raw: str(raw)[:30],
)
def test_breadth(raw: Any) -> None:
    fault = refusal(raw)
    assert fault.code is Code.LIMIT_EXCEEDED
    assert len(fault.detail) < 300


def test_empty_branches_are_counted_too() -> None:
    assert refusal({"$and": [{"$or": [{}] * 1000} for _ in range(11)]}).code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|aa)+$", "(.*)*$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a?){30}a{30}", "(x+x+)+y"],
)
def test_a_pattern_that_backtracks_elsewhere_takes_linear_time(pattern: str) -> None:
    # 2^50000 steps for an engine that backtracks: this test ends, or it does not.
    condition = parse_filter({"a": {"$regex": pattern}}, LIMITS, now_ms=0)
    matches(condition, {"a": "a" * 50_000 + "!"})


@pytest.mark.parametrize(
    "pattern",
    [
        *("((a{100}){100}){100}", "(((((x{10}){10}){10}){10}){10}){10}", "a{1001}"),
        *(r"(?=a)", r"(?!a)", r"(?<=a)", r"(a)\1", r"(?>a)", "(?P<n>a)(?P=n)", "\\C*" * 50 + "("),
        r"(\pL{1,400}){1,2}" * 8,
    ],
)
def test_a_pattern_that_needs_backtracking_or_much_memory_is_refused(pattern: str) -> None:
    assert refusal({"a": {"$regex": pattern}}).code is Code.INVALID_ARGUMENT


def test_compiled_patterns_are_kept_within_bounds() -> None:
    for number in range(2000):
        compile_pattern(f"x{number}")
    info = compile_pattern.cache_info()
    assert info.maxsize is not None
    assert info.currsize <= info.maxsize


def test_sorts_and_projections() -> None:
    for read in (parse_sort, parse_projection):
        for raw in (
            {f"f{n}": 1 for n in range(ENDLESS)},
            {".".join(["a"] * ENDLESS): 1},
        ):
            with pytest.raises(Problem) as caught:
                read(raw)
            assert caught.value.code is Code.LIMIT_EXCEEDED
            assert len(caught.value.detail) < 300
    with pytest.raises(Problem):
        parse_sort([["a", 1]] * ENDLESS)
