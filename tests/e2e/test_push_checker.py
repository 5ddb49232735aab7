"""The checker of push, for a short while; `make check-push SECONDS=600` runs it for longer."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import randrange

import pytest

from tests.support.checker.run import Plan, check
from tests.support.checker.targets import Own, Pair

SEED = int(os.environ.get("BAAS_TEST_PUSH_SEED", randrange(10**6)))


@pytest.mark.parametrize("kind", ["workers", "gateways"])
def test_nothing_is_lost_repeated_or_out_of_order(tmp_path: Path, kind: str) -> None:
    """Of one gateway with two processes, and of two gateways on one MongoDB."""
    print("seed", SEED)
    target = Own(tmp_path, workers=2) if kind == "workers" else Pair(tmp_path)
    try:
        plan = Plan(seed=SEED, seconds=1, round_seconds=3, trouble=0.7)
        summary = asyncio.run(check(target, plan))
    finally:
        target.close()
    print(summary)
    assert summary.rounds == 1
    assert summary.writes > 10
    assert kind == "workers" or any("kill" in blow for blow in summary.blows)
