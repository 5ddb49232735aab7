"""What the tests of the SDKs share: one gateway with the sample app."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.board import serving_board
from tests.support.gateway import Gateway


@pytest.fixture(scope="package")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving_board(tmp_path_factory.mktemp("board") / "app") as gateway:
        yield gateway


@pytest.fixture(scope="session")
def scenario() -> Path:
    """The steps that every SDK takes alike."""
    return Path(__file__).parent / "scenario.json"
