"""ChangeFeed on the collection that every write appends to, in the write's own transaction.

Rows are numbered without gaps, for transactions that write follow each other (`turns`), and pruning
keeps the last; so a reader sees from the first number it gets whether something was pruned before
it. A cursor is `<epoch>.<number>`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

from baas.engines.mongo.driver import Driver, PyMongoError, Row, unavailable
from baas.engines.mongo.names import FEED
from baas.engines.mongo.together import Latest
from baas.engines.waiting import Waiters
from baas.errors import Problem
from baas.ports.changes import ChangeEvent, CursorTooOld

#: How often other gateways' writes are looked for while somebody waits, in seconds.
POLL: Final = 0.075
#: Images that one read holds at once.
_PAGE_BYTES: Final = 16 * 1024**2
#: A number that the server can hold.
_MOST_DIGITS: Final = 18


class MongoFeed:
    def __init__(self, driver: Driver, epoch: str, turn_row: Latest[Row]) -> None:
        self._driver = driver
        self._turn_row = turn_row
        self._epoch = epoch
        self._waiters = Waiters(self._poll)

    async def head(self) -> str:
        return self.cursor(await self._last())

    async def read(self, after: str, limit: int = 1000) -> list[ChangeEvent]:
        position = self._position(after)
        try:
            rows = await self._page(position, limit)
        except PyMongoError as error:
            raise unavailable() from error
        if rows and rows[0]["_id"] != position + 1:
            raise CursorTooOld(after)
        if not rows and position > await self._last():
            raise CursorTooOld(after)
        return [self._event(row) for row in rows]

    async def _page(self, after: int, limit: int) -> list[Row]:
        """The next rows; fewer than `limit` where they are large."""
        found: list[Row] = []
        pages = self._driver.batches(
            FEED, {"_id": {"$gt": after}}, sort=[("_id", 1)], limit=limit, weigh=_weight
        )
        held = 0
        async with aclosing(pages) as batches:
            async for rows in batches:
                found += rows
                held += sum(map(_weight, rows))
                if held > _PAGE_BYTES:
                    break
        return found

    def order(self, cursor: str) -> int:
        return self._position(cursor)

    async def wait(self, after: str, timeout: float) -> bool:  # noqa: ASYNC109 - the port's name
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not await self._is_behind(after):
            if (left := deadline - loop.time()) <= 0:
                return False
            await self._waiters.wait(left)
        return True

    def notify(self) -> None:
        """This process has written."""
        self._waiters.wake()

    async def _poll(self) -> None:
        """Looks for other gateways' writes for as long as somebody waits."""
        seen: int | None = None  # at first whoever waits looks again: it may have looked before
        while self._waiters:
            try:
                last = await self._last()
            except Problem:
                await asyncio.sleep(POLL)
                continue  # whoever reads meets it too
            if last != seen:
                self.notify()
                seen = last
            await asyncio.sleep(POLL)

    async def close(self) -> None:
        await self._waiters.close()

    async def _last(self) -> int:
        try:
            row = await self._turn_row.ask()
        except PyMongoError as error:
            raise unavailable() from error
        return int(row["position"])

    async def _is_behind(self, after: str) -> bool:
        try:
            return self._position(after) < await self._last()
        except CursorTooOld:
            return True

    def cursor(self, position: int) -> str:
        return f"{self._epoch}.{position}"

    def _position(self, cursor: str) -> int:
        epoch, _, digits = cursor.partition(".")
        good = digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
        if epoch != self._epoch or not good:
            raise CursorTooOld(cursor)
        return int(digits)

    def _event(self, row: Row) -> ChangeEvent:
        before, after = _image(row, "before"), _image(row, "after")
        return ChangeEvent(
            cursor=self.cursor(row["_id"]),
            transaction=str(row["tx"]),
            time=row["time"],
            collection=row["collection"],
            operation="insert" if before is None else "delete" if after is None else "update",
            id=row["document"],
            before=before,
            after=after,
            actor=row["actor"],
            depth=row["depth"],
        )


def _weight(row: Row) -> int:
    return len(row["before"] or b"") + len(row["after"] or b"")


def _image(row: Mapping[str, Any], name: str) -> bytes | None:
    return None if row[name] is None else bytes(row[name])
