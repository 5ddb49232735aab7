"""A store in a temporary folder, and a second process beside it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from baas.engines.sqlite.store import SqliteStore


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(folder)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def python() -> list[str]:
    """The start of a command line that runs Python code in another process."""
    return [sys.executable, "-c"]
