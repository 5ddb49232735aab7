"""Buckets: a burst up to the count, an even refill, and bounded memory."""

from __future__ import annotations

import pytest

from baas.clock import ManualClock
from baas.errors import Code, Problem
from baas.gateway import ratelimit
from baas.gateway.ratelimit import RateLimit, network_of


def take_all(limit: RateLimit, caller: str, most: int = 1000) -> int:
    """How many requests pass at this moment."""
    for count in range(most):
        try:
            limit.take(caller)
        except Problem as problem:
            return count if problem.code is Code.RATE_LIMITED else -1
    return most


def test_as_many_as_the_count_pass_at_once_and_not_one_more() -> None:
    clock = ManualClock()
    limit = RateLimit("30/m", clock.monotonic)

    assert take_all(limit, "a") == 30


def test_the_bucket_refills_evenly() -> None:
    clock = ManualClock()
    limit = RateLimit("30/m", clock.monotonic)
    take_all(limit, "a")

    clock.advance(1.9)
    assert take_all(limit, "a") == 0
    clock.advance(0.1)
    assert take_all(limit, "a") == 1
    clock.advance(20)
    assert take_all(limit, "a") == 10
    clock.advance(3600)
    assert take_all(limit, "a") == 30


def test_a_refusal_says_how_long_to_wait() -> None:
    clock = ManualClock()
    limit = RateLimit("6/m", clock.monotonic)
    take_all(limit, "a")

    with pytest.raises(Problem) as caught:
        limit.take("a")

    assert caught.value.retry_after == pytest.approx(10, abs=0.01)
    clock.advance(caught.value.retry_after or 0)
    limit.take("a")


def test_refused_requests_do_not_push_the_end_further_away() -> None:
    clock = ManualClock()
    limit = RateLimit("1/s", clock.monotonic)
    limit.take("a")
    for _ in range(50):
        with pytest.raises(Problem):
            limit.take("a")

    clock.advance(1)
    limit.take("a")


def test_callers_do_not_share_a_bucket() -> None:
    clock = ManualClock()
    limit = RateLimit("2/m", clock.monotonic)
    take_all(limit, "a")

    assert take_all(limit, "b") == 2


@pytest.mark.parametrize("rate", ["off", "0"])
def test_switched_off_nothing_is_counted_or_kept(rate: str) -> None:
    limit = RateLimit(rate, ManualClock().monotonic)

    assert take_all(limit, "a", 100) == 100
    assert len(limit) == 0


def test_memory_is_bounded_and_the_busiest_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ratelimit, "MAX_CALLERS", 100)
    limit = RateLimit("3/h", ManualClock().monotonic)
    take_all(limit, "busy")
    for number in range(1000):
        limit.take(f"caller-{number}")

    assert len(limit) <= 101
    assert take_all(limit, "busy") == 0


def test_quiet_callers_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit, "MAX_CALLERS", 10)
    clock = ManualClock()
    limit = RateLimit("60/m", clock.monotonic)
    for number in range(10):
        limit.take(f"quiet-{number}")
    clock.advance(60)

    limit.take("now")
    limit.take("now too")

    assert len(limit) <= 3


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_an_ipv6_customer_is_one_caller(address: str, bucket: str) -> None:
    assert network_of(address) == bucket
