"""The state machines of store and job queue, on MongoDB."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from hypothesis import settings

from baas.engines.mongo.driver import Driver
from baas.engines.mongo.store import MongoStore
from baas.settings import DatabaseSettings
from tests.property.test_job_queue_machine import JobMachine
from tests.property.test_store_machine import StoreMachine
from tests.support import mongo


def fresh() -> DatabaseSettings:
    name = f"test-{secrets.token_hex(6)}"
    return DatabaseSettings(engine="mongo", mongo_url=mongo.server_url(), mongo_database=name)


def drop(database: DatabaseSettings) -> None:
    async def work() -> None:
        driver = Driver(database.mongo_url, database.mongo_database, 10)
        await driver.drop_database()
        driver.close()

    asyncio.run(work())


class MongoStoreMachine(StoreMachine):
    def make_store(self) -> Any:
        self.database = fresh()
        return MongoStore(self.database)

    def teardown(self) -> None:
        super().teardown()
        drop(self.database)


class MongoJobMachine(JobMachine):
    def make_stores(self) -> list[Any]:
        self.database = fresh()
        return [MongoStore(self.database, self.clock) for _ in range(2)]

    def teardown(self) -> None:
        super().teardown()
        drop(self.database)


TestMongoStoreMachine = MongoStoreMachine.TestCase
TestMongoStoreMachine.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestMongoJobMachine = MongoJobMachine.TestCase
TestMongoJobMachine.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
