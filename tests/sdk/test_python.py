"""The Python SDK, both faces of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from baas_sdkgen.runtime.py import AsyncCloud, Cloud
from websockets.asyncio.client import ClientConnection

from tests.sdk.python.runner import run
from tests.support.gateway import Gateway

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
