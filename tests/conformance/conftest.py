"""One suite per port, on every engine. An engine is a class that sets a store up; nothing else.

To add one: write a class with `open`, `join` and `maintain` as below and put it into ENGINES.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from baas.clock import ManualClock
from baas.engines.mongo.driver import Driver
from baas.engines.mongo.store import MongoStore
from baas.engines.sqlite.store import SqliteStore
from baas.settings import DatabaseSettings
from tests.support import mongo


class SqliteEngine:
    """Stores in a temporary folder; `normal` durability, for these tests cut no power."""

    def __init__(self, folder: Path, clock: ManualClock, **settings: Any) -> None:
        self._folder = folder / "data"
        self._clock = clock
        self._settings = DatabaseSettings(durability="normal", **settings)

    async def open(self) -> SqliteStore:
        store = SqliteStore(self._folder, self._settings, self._clock)
        await store.open()
        return store

    async def join(self) -> SqliteStore:
        """What another gateway process of the same app opens, beside the first."""
        store = SqliteStore(self._folder, self._settings, self._clock, shared=True)
        await store.open()
        return store

    async def maintain(self, store: SqliteStore) -> None:
        """Does now what the engine would do in the background."""
        await store.maintenance.run_once()

    async def clean(self) -> None:
        """Removes what the stores left; here the folder goes with the test."""

    def need(self, capability: str) -> None:
        """Skips a test that asks for what the server under test cannot do; nothing here."""


class MongoEngine:
    """Stores in a database of their own, which `clean` removes."""

    def __init__(self, folder: Path, clock: ManualClock, **settings: Any) -> None:
        self._clock = clock
        self._settings = DatabaseSettings(
            engine="mongo",
            mongo_url=mongo.server_url(),
            mongo_database=f"test-{secrets.token_hex(6)}",
            **settings,
        )

    async def open(self) -> MongoStore:
        store = MongoStore(self._settings, self._clock)
        await store.open()
        return store

    join = open

    async def maintain(self, store: MongoStore) -> None:
        await store.maintenance.run_once()

    async def clean(self) -> None:
        driver = Driver(self._settings.mongo_url, self._settings.mongo_database, 10)
        await driver.drop_database()
        driver.close()

    def need(self, capability: str) -> None:
        mongo.need(capability)


ENGINES: dict[str, Callable[..., Any]] = {"sqlite": SqliteEngine, "mongo": MongoEngine}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def settings() -> dict[str, Any]:
    """Settings of the engine; a test overrides them by `parametrize("settings", ...)`."""
    return {}


@pytest.fixture(params=sorted(ENGINES))
async def engine(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, settings: dict[str, Any]
) -> AsyncIterator[Any]:
    engine = ENGINES[request.param](tmp_path, clock, **settings)
    yield engine
    await engine.clean()


@pytest.fixture
async def store(engine: Any) -> AsyncIterator[Any]:
    store = await engine.open()
    yield store
    await store.close()


@pytest.fixture
async def elsewhere(engine: Any, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Any]:
    """A second, empty store of the same engine."""
    other = type(engine)(tmp_path / "elsewhere", clock)
    store = await other.open()
    yield store
    await store.close()
    await other.clean()
