"""The Python SDK, both faces of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from baas_sdkgen.runtime.py import AsyncCloud, Cloud
from websockets.asyncio.client import ClientConnection

from tests.sdk.python.runner import run
from tests.support.gateway import ROOT, Gateway

TYPING: Final = Path(__file__).parent / "typing"
PACKAGE: Final = ROOT / "sdk" / "python"
Transport = Literal["socket", "poll"]
TRANSPORTS: tuple[Transport, ...] = ("socket", "poll")


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Breaks every socket that the SDK has open."""
    made: list[ClientConnection] = []
    begin = ClientConnection.connection_made

    def remember(self: ClientConnection, transport: Any) -> None:
        made.append(self)
        begin(self, transport)

    monkeypatch.setattr(ClientConnection, "connection_made", remember)

    def cut() -> None:
        for connection in made:
            loop = connection.loop
            loop.call_soon_threadsafe(connection.transport.abort)

    return cut


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_scenario_async(
    board: Gateway, scenario: Path, cut: Callable[[], None], transport: Transport
) -> None:
    steps = json.loads(scenario.read_text())["steps"]

    async def play() -> int:
        async with AsyncCloud(board.url, transport=transport, trust_env=False) as cloud:
            return await run(cloud, steps, cut)

    assert asyncio.run(play()) == len(steps)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_scenario_sync(
    board: Gateway, scenario: Path, cut: Callable[[], None], transport: Transport
) -> None:
    steps = json.loads(scenario.read_text())["steps"]
    with Cloud(board.url, transport=transport, trust_env=False) as cloud:
        assert asyncio.run(run(cloud, steps, cut)) == len(steps)


def test_types_let_through_what_is_right_and_nothing_else() -> None:
    assert mypy(TYPING / "board.py") == ""


def test_a_type_test_can_fail(tmp_path: Path) -> None:
    wrong = (TYPING / "board.py").read_text().replace('{"titel": "x"}', '{"title": "x"}')
    (tmp_path / "board.py").write_text(wrong)
    assert 'Unused "type: ignore" comment' in mypy(tmp_path / "board.py")


def mypy(file: Path) -> str:
    """What it says of a program that uses the board's client."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file=", file],
        env={**os.environ, "MYPYPATH": str(PACKAGE / "src")},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    return done.stdout + done.stderr
