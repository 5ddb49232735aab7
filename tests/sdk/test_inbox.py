"""Inboxes in the TypeScript SDK: each message once, and again what was not acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from scripts.node import FOLDER
from tests.support.gateway import Gateway, running, write_app
from tests.support.node import bundle, node

APP: Final = {
    "baas.yaml": "app: {name: inbox}\n",
    "rules/_functions.yaml": "tell: {invoke: auth != null}\n",
    "functions/tell.py": (
        "from baas import Context, fn\n\n\n"
        "@fn.event()\n"
        "async def tell(ctx: Context, event: dict[str, int]) -> None:\n"
        "    await ctx.push.send(user=ctx.auth.uid, event='told', data=event['n'])\n"
    ),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(write_app(tmp_path_factory.mktemp("inbox") / "app", APP)) as started:
        yield started


@pytest.fixture(scope="module")
def in_inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(FOLDER / "in-inbox.ts", tmp_path_factory.mktemp("inbox") / "in-inbox.mjs")


@pytest.mark.parametrize("transport", ["socket", "poll"])
def test_an_inbox(gateway: Gateway, in_inbox: Path, transport: str) -> None:
    assert node(in_inbox, gateway.url, transport) == "ok\n"
