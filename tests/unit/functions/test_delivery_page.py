"""docs/functions-delivery.md says what the source says of states, presets and limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from baas.functions import destinations, queues, retry
from baas.functions.model import RETRY_PRESETS
from baas.functions.outbound import AT_ONCE
from baas.functions.pump import LEASE_SECONDS
from baas.functions.triggers import timers, webhooks
from baas.ports.jobs import MAX_HISTORY, MOVES, JobState
from baas.settings import JobSettings

PAGE = (Path(__file__).parents[3] / "docs" / "functions-delivery.md").read_text(encoding="utf-8")


def row(first: str) -> list[str]:
    """The cells of the row that begins so."""
    found = re.search(rf"^\| {re.escape(first)} \|(.*)\|$", PAGE, re.MULTILINE)
    assert found is not None, first
    return [cell.strip() for cell in found[1].split("|")]


@pytest.mark.parametrize("state", ["enqueued", "running", "retrying", "stopping"])
def test_the_moves_between_states(state: str) -> None:
    told = set(re.findall(r"`(\w+)`", row(f"`{state}`")[1]))
    # A claim taken over, and one handed back unbegun, are the kit's own affair.
    own = {"running": {"running", "enqueued"}}.get(state, set())
    assert told == {move.value for move in MOVES[JobState(state)]} - own


AGES = {"6 h": 6 * 3600, "10 min": 600, "24 h": 86_400, "15 days": 15 * 86_400}


@pytest.mark.parametrize("name", sorted(RETRY_PRESETS))
def test_the_presets(name: str) -> None:
    told, age = row(f"`{name}`")
    policy = RETRY_PRESETS[name]
    assert AGES[age] == policy.max_age
    tries = policy.function.tries
    if tries:
        assert told.startswith(f"{tries} more")
        waits = [retry.delay_seconds(policy.function, n + 1) for n in range(min(tries, 3))]
        listed = [float(text) for text in re.findall(r"[\d.]+(?=,| s)", told)]
        assert listed == waits[: len(listed)]
        assert listed


def test_numbers() -> None:
    settings = JobSettings()
    assert row("asynchronous calls at once, per process")[0] == str(settings.concurrency)
    assert row("webhooks sent at once, per process")[0] == str(AT_ONCE)
    assert row("kept after the end")[0] == f"{settings.keep_days} days"
    assert row("batches of one queue at once, per process")[0].endswith(str(queues.DEFAULT_BATCHES))
    assert f"{MAX_HISTORY} changes" in row("history of one job")[0]
    assert f"under a lease of {LEASE_SECONDS:.0f} s" in PAGE
    assert f"more than {timers.GRACE_MS // 1000} s old" in PAGE
    assert f"the newest {timers.MAX_MISSED})" in PAGE
    assert f"older than {webhooks.TOLERANCE // 60} minutes" in PAGE
    assert f"waits {destinations.MESSAGE_MS // 86_400_000} days" in PAGE
    assert retry.MAX_LAPSES + 1 == 6
    assert "took its worker down with it six times" in PAGE
