"""Several gateways on one MongoDB, each with a folder of its own, as on machines of their own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baas.engines.mongo.driver import Driver
from baas.engines.mongo.store import MongoStore
from baas.settings import DatabaseSettings
from tests.support import mongo
from tests.support.gateway import Gateway, start_gateway, write_app


class Cluster:
    """One database, and gateways on it that serve `app`."""

    def __init__(self, folder: Path, app: Mapping[str, str], **environment: str) -> None:
        self._folder = folder
        self._app = app
        self.settings = DatabaseSettings(
            engine="mongo", mongo_url=mongo.server_url(), mongo_database=f"t-{secrets.token_hex(6)}"
        )
        self.environment = {
            **environment,
            "BAAS_DATABASE__ENGINE": "mongo",
            "BAAS_DATABASE__MONGO_URL": self.settings.mongo_url,
            "BAAS_DATABASE__MONGO_DATABASE": self.settings.mongo_database,
            "BAAS_SERVER__SECRET": secrets.token_urlsafe(48),
        }

    def folder(self, name: str) -> Path:
        place = self._folder / name
        if not place.exists():
            place.mkdir()
            write_app(place, self._app)
        return place

    def start(self, name: str, *options: str, **more: str) -> Gateway:
        return start_gateway(self.folder(name), *options, **{**self.environment, **more})

    async def with_store(self, work: Any) -> Any:
        store = MongoStore(self.settings, guest=True)
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    def drop(self) -> None:
        async def drop() -> None:
            driver = Driver(self.settings.mongo_url, self.settings.mongo_database, 10)
            await driver.drop_database()
            driver.close()

        asyncio.run(drop())
