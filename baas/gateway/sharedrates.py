"""Rate limits that hold over several gateway processes.

A process counts its callers in memory, and tells the others of those that take much: it adds what
they took to a document that all share, and takes over what all together have taken. So a caller
that goes from one gateway to the next gets little more than one bucket: of each process at most a
twentieth of it, and what is taken while one write is under way. Quiet callers cost no write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Final

from baas.clock import Clock
from baas.errors import Problem
from baas.gateway.ratelimit import RateLimit
from baas.ports.documents import Change, DocumentStore, Lookups, Outcome, WriteInfo
from baas.schema.model import CollectionSpec
from baas.schema.values import Document, date_from_ms, decode

_log = logging.getLogger(__name__)

RATES: Final = "_rates"
#: What the app declares to the store. `fullAt`: when the bucket is full again, in ms since 1970.
RATE_COLLECTIONS: Final = {RATES: CollectionSpec(name=RATES, ttl=("expires",))}
#: Callers that one exchange tells of.
MOST: Final = 200
#: Between two exchanges, in seconds.
_GAP: Final = 0.05
#: After a fault.
_AGAIN: Final = 1.0
_SERVER: Final = WriteInfo()


class SharedRates:
    """Of these limits, by the names that they have in the store."""

    def __init__(self, limits: Mapping[str, RateLimit], store: DocumentStore, clock: Clock) -> None:
        self._limits = limits
        self._store = store
        self._clock = clock
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        for limit in self._limits.values():
            limit.share(self._wanted.set)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="baas-rates")

    async def stop(self) -> None:
        """Safe twice, and before `start`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.exchange()
                await asyncio.sleep(_GAP)
            except Problem as problem:
                _log.warning("rates could not be shared: %s", problem)
                await asyncio.sleep(_AGAIN)
            except Exception:
                _log.exception("rates could not be shared")
                await asyncio.sleep(_AGAIN)

    async def exchange(self) -> None:
        """Tells of callers that took much, and hears what all took of theirs."""
        now_ms = self._clock.now_ms()
        told = {
            (name, caller): seconds
            for name, limit in self._limits.items()
            for caller, seconds in limit.untold(MOST).items()
        }
        if not told:
            return
        steps = tuple(self._add(*who, taken, now_ms) for who, taken in told.items())
        written = await self._store.write(steps, _SERVER)
        for (name, caller), result in zip(told, written.results, strict=True):
            after = result.written[0].after
            assert after is not None
            until_full = max(0, decode(after)["fullAt"] - now_ms) / 1000
            self._limits[name].heard(caller, until_full)

    def _add(self, name: str, caller: str, taken: float, now_ms: int) -> Change:
        most = round(self._limits[name].seconds * 1000)
        id = blake2b(f"{name}\0{caller}".encode(), digest_size=16).hexdigest()

        def apply(stored: Document | None, lookups: Lookups) -> Outcome:
            before = now_ms if stored is None else max(now_ms, stored["fullAt"])
            # Nobody owes more than a bucket, whatever was taken before all knew of it.
            full_at = min(before + round(taken * 1000), now_ms + most)
            return {"_id": id, "fullAt": full_at, "expires": date_from_ms(now_ms + most)}

        return Change(collection=RATES, id=id, apply=apply)
