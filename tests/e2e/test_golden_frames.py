"""The server says what tests/golden/frames says that it says."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, running
from tests.support.golden import FILES, FRAMES, Play


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("golden") / "app"
    shutil.copytree(FRAMES / "app", folder)
    with running(folder, BAAS_LIMITS__RATE_AUTH="off") as started:
        yield started


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_exchange(gateway: Gateway, file: Path) -> None:
    exchange = json.loads(file.read_text())
    assert set(exchange) == {"about", "steps"}
    asyncio.run(Play(gateway, file.stem).run(exchange["steps"]))


def test_a_wrong_expectation_is_found(gateway: Gateway) -> None:
    steps = [{"client": {"type": "auth", "token": None}}, {"server": {"type": "pong"}}]
    with pytest.raises(AssertionError, match="step 1"):
        asyncio.run(Play(gateway, "wrong").run(steps))
