"""Numbers over time: quantiles of a histogram, and points of many workers put together."""

from __future__ import annotations

import pytest

from baas.gateway.history import _point, quantile, top_calls
from baas.observe.metrics import BUCKETS

EMPTY = [0] * (len(BUCKETS) + 1)


def counted(**at: int) -> list[int]:
    found = list(EMPTY)
    for name, count in at.items():
        found[int(name.removeprefix("b"))] = count
    return found


@pytest.mark.parametrize(
    ("buckets", "share", "expected"),
    [
        (EMPTY, 0.5, None),
        (counted(b0=10), 0.5, 0.00025),
        (counted(b0=10), 1.0, 0.0005),
        (counted(b0=50, b2=50), 0.75, 0.00175),
        (counted(b0=1, b13=99), 0.5, BUCKETS[-1]),
    ],
)
def test_a_quantile_lies_evenly_within_its_bucket(
    buckets: list[int], share: float, expected: float | None
) -> None:
    found = quantile(buckets, share)
    assert found == (None if expected is None else pytest.approx(expected))


def sample(**members: int) -> dict[str, object]:
    names = [
        "requests",
        "refused",
        "failed",
        "calls",
        "errors",
        "connections",
        "jobs",
        "dead",
        "memory",
    ]
    return {"t": 0, "buckets": counted(b0=1), **dict.fromkeys(names, 0), **members}


def test_counts_of_workers_are_added_and_levels_are_the_largest() -> None:
    point = _point(0, [sample(requests=3, connections=5), sample(requests=4, connections=2)])
    assert (point.requests, point.connections) == (7, 5)


def test_what_workers_called_is_put_together_and_old_samples_have_none() -> None:
    samples = [
        sample(data=7, calls=5) | {"functions": [{"name": "a", "calls": 5, "errors": 1}]},
        sample(data=9, calls=3) | {"functions": [{"name": "a", "calls": 2, "errors": 0}]},
        sample(),
    ]
    del samples[2]["memory"]
    point = _point(0, samples)
    assert (point.data, point.calls) == (9, 8)
    assert point.functions == [{"name": "a", "calls": 7, "errors": 1}]


def test_functions_are_listed_by_calls() -> None:
    calls = {("a", "ok"): 2, ("b", "ok"): 3, ("b", "timeout"): 1}
    assert top_calls(calls) == [
        {"name": "b", "calls": 4, "errors": 1},
        {"name": "a", "calls": 2, "errors": 0},
    ]
