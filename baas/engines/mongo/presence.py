"""Signs of life of gateways, so that one that died in the middle of a turn holds nobody up.

A server keeps the transaction of a client that is gone for a minute (its
`transactionLifetimeLimitSeconds`), and all others would wait for the row that it holds. So each
gateway says which sessions its turns are taken in, and every few seconds that it lives, by the
server's clock. Who gets no turn for a while ends the sessions of those that no longer say so; the
transaction of one that was only slow is run again, as after any conflict.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from baas.engines.mongo.driver import Driver, PyMongoError, Row
from baas.engines.mongo.names import HOLDERS
from baas.ids import new_id

_log: Final = logging.getLogger("baas.mongo")
#: Seconds between two signs of life, and after which a gateway that gave none is taken for dead.
SIGN: Final = 2.0
DEAD: Final = 6.0


class Presence:
    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._name = new_id()
        self._sessions: list[Row] = []
        self._task: asyncio.Task[None] | None = None

    async def open(self, sessions: Sequence[Row]) -> None:
        self._sessions = list(sessions)
        await self._sign()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(SIGN)
            try:
                await self._sign()
            except PyMongoError as error:
                _log.warning("a sign of life will be tried again: %r", error)

    async def _sign(self) -> None:
        sign: Row = {"$currentDate": {"seen": True}, "$set": {"sessions": self._sessions}}
        await self._driver.update(HOLDERS, {"_id": self._name}, sign, upsert=True)

    async def free(self) -> None:
        """Ends what the dead left open; whoever gets no turn asks again."""
        try:
            late = await self._late()
            for row in await self._driver.find(HOLDERS, late):
                _log.warning("the gateway %s is gone; what it left open is ended", row["_id"])
                await self._driver.kill_sessions(row["sessions"])
                # Unless it has given a sign of life after all.
                await self._driver.delete(HOLDERS, {**late, "_id": row["_id"]})
        except PyMongoError as error:
            _log.warning("what the dead left open could not be ended: %r", error)

    async def _late(self) -> Row:
        now: Any = await self._driver.server_time()
        return {"_id": {"$ne": self._name}, "seen": {"$lt": now - timedelta(seconds=DEAD)}}

    async def close(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._driver.delete(HOLDERS, {"_id": self._name})
        except PyMongoError as error:
            _log.warning("this gateway could not say that it ends: %r", error)
