"""Which class an error is of, and what the policies make of it."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, OwnCode, Problem
from baas.functions.model import RETRY_PRESETS, Backoff, RetryPolicy
from baas.functions.retry import classify, consider, delay_seconds

OWN = OwnCode("SOLD_OUT", 409, "Conflict")
OWN_SLOW = OwnCode("SLOW", 429, "Too Many Requests")


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (Problem(Code.FUNCTION_FAILED, ""), "function"),
        (Problem(Code.FUNCTION_TIMEOUT, ""), "function"),
        (Problem(Code.FUNCTION_FAILED, "", own=OWN), "function"),
        (Problem(Code.FUNCTION_FAILED, "", own=OWN_SLOW), "throttled"),
        (Problem(Code.RATE_LIMITED, ""), "throttled"),
        (Problem(Code.UNAVAILABLE, ""), "system"),
        (Problem(Code.INTERNAL, ""), "system"),
        (Problem(Code.NOT_FOUND, ""), "system"),
        (Problem(Code.INVALID_ARGUMENT, ""), "refused"),
        (Problem(Code.LOOP_DETECTED, ""), "refused"),
    ],
)
def test_classes(problem: Problem, expected: str) -> None:
    assert classify(problem) == expected


def waits(policy: RetryPolicy, *problems: Problem, expires_ms: int | None = None) -> list[Any]:
    """Milliseconds until the next try after each failure; the reason where there is none."""
    found: list[Any] = []
    before, now = None, 0
    for problem in problems:
        tried = consider(problem, policy, before=before, now_ms=now, expires_ms=expires_ms)
        before = tried.error
        found.append(tried.reason if tried.wait_ms is None else tried.wait_ms)
        now += tried.wait_ms or 0
    return found


FAILED = Problem(Code.FUNCTION_FAILED, "")
DOWN = Problem(Code.UNAVAILABLE, "")


def test_the_default_is_three_tries_more_for_a_functions_own_errors() -> None:
    default = RETRY_PRESETS["default"]
    assert waits(default, *[FAILED] * 4) == [1000, 2000, 4000, "retries exhausted"]


def test_system_errors_double_from_half_a_second_to_the_cap() -> None:
    found = waits(RETRY_PRESETS["default"], *[DOWN] * 12)
    assert found[:4] == [500, 1000, 2000, 4000]
    assert found[-2:] == [300_000, 300_000]


def test_system_errors_end_with_the_age() -> None:
    found = waits(RETRY_PRESETS["default"], *[DOWN] * 5, expires_ms=5000)
    assert found == [500, 1000, 2000, "too old to be tried again", "too old to be tried again"]


def test_classes_are_counted_apart() -> None:
    mixed = [FAILED, DOWN, FAILED, DOWN, FAILED, FAILED]
    assert waits(RETRY_PRESETS["default"], *mixed) == [
        1000, 500, 2000, 1000, 4000, "retries exhausted",
    ]  # fmt: skip


def test_who_throttles_says_how_long() -> None:
    told = Problem(Code.RATE_LIMITED, "", retry_after=30.0)
    untold = Problem(Code.RATE_LIMITED, "")
    assert waits(RETRY_PRESETS["default"], told, untold) == [30_000, 2000]


def test_none_tries_nothing_again() -> None:
    for problem in (FAILED, DOWN, Problem(Code.RATE_LIMITED, "")):
        assert waits(RETRY_PRESETS["none"], problem) == ["retries exhausted"]


@pytest.mark.parametrize("name", sorted(RETRY_PRESETS))
def test_a_refused_call_is_never_tried_again(name: str) -> None:
    refused = Problem(Code.INVALID_ARGUMENT, "")
    assert waits(RETRY_PRESETS[name], refused) == ["refused"]


def test_a_backoff_of_very_many_failures_is_its_cap() -> None:
    assert delay_seconds(Backoff(tries=None, first=1, factor=2, cap=9), 100_000) == 9
