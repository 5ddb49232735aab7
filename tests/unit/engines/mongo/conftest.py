"""Stores on one database of a running server; see `tests.support.mongo`."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from baas.clock import ManualClock
from baas.engines.mongo.driver import Driver
from baas.engines.mongo.store import MongoStore
from baas.settings import DatabaseSettings
from tests.support import mongo


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings() -> DatabaseSettings:
    return DatabaseSettings(
        engine="mongo",
        mongo_url=mongo.server_url(),
        mongo_database=f"test-{secrets.token_hex(6)}",
        mongo_timeout=2,
    )


@pytest.fixture
async def driver(settings: DatabaseSettings) -> AsyncIterator[Driver]:
    """A way to the same database past the stores."""
    driver = Driver(settings.mongo_url, settings.mongo_database, 5)
    yield driver
    await driver.drop_database()
    driver.close()


@pytest.fixture
async def join(settings: DatabaseSettings, driver: Driver) -> AsyncIterator[Callable[..., Any]]:
    """Opens one gateway's store after the other."""
    opened = []

    async def open_one(**more: Any) -> MongoStore:
        store = MongoStore(settings, more.get("clock") or ManualClock())
        await store.open()
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def store(join: Any) -> MongoStore:
    found: MongoStore = await join()
    return found
