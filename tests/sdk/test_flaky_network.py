"""The TypeScript SDK over a network that refuses, loses, halves, delays and repeats, from a proxy
in front of a real gateway (fakes/flaky.ts). What each case says stands in node/in-flaky.ts."""

from __future__ import annotations

import json
import re
from typing import Final

import pytest

from scripts.node import FOLDER
from tests.support.gateway import Gateway
from tests.support.node import bundle, node

ENTRY: Final = FOLDER / "in-flaky.ts"
CASES: Final = re.findall(r"^  (?:async )?'([\w-]+)'[(:]", ENTRY.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def said(board: Gateway, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each case came to."""
    program = bundle(ENTRY, tmp_path_factory.mktemp("flaky") / "in-flaky.mjs")
    found: dict[str, str] = json.loads(node(program, board.url))
    return found


@pytest.mark.parametrize("case", CASES)
def test_over_a_network_that_fails(said: dict[str, str], case: str) -> None:
    assert said[case] == "ok", said[case]


def test_every_case_is_run(said: dict[str, str]) -> None:
    assert list(said) == CASES
