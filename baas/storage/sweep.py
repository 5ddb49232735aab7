"""What broken off uploads and crashes left behind: blobs without a row, parts without an upload.

Nothing young is touched: bytes are there before their row is.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

from baas.ports.documents import Find, resolve
from baas.query.ast import Field, In
from baas.schema.values import decode
from baas.storage.parts import Parts
from baas.storage.rows import FILES, UPLOADS

log = logging.getLogger("baas.storage")

EVERY_SECONDS: Final = 3600.0
#: Age from which what has no row is taken for left behind.
GRACE_MS: Final = 2 * 3_600_000
#: In a bucket, more orphans than these, and than this share of all, are taken for another app's.
FEW_ORPHANS: Final = 20
MOST_ORPHANS: Final = 0.5
_AT_ONCE: Final = 500


class Sweeper:
    """`run_once` does it now; between `start` and `stop` it happens every hour."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="baas-storage-sweep")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.run_once(self._parts.clock.now_ms() - GRACE_MS)
            except Exception:
                log.exception("sweeping files met a fault")

    async def run_once(self, before_ms: int) -> int:
        """Removes what nobody refers to and nobody has touched since `before_ms`; how much."""
        blobs = self._parts.blobs
        orphans, seen = await self._orphans(before_ms)
        if self._is_doubtful(len(orphans), seen):
            log.error(
                "nothing was swept: %d of %d objects have no row here; does another app, or a copy"
                " of this one, keep its files in the same bucket?",
                len(orphans),
                seen,
            )
            return 0
        removed = await blobs.sweep(before_ms)
        for start in range(0, len(orphans), _AT_ONCE):
            removed += await self._sweep_blobs(orphans[start : start + _AT_ONCE])
        async for listed in blobs.uploads():
            if listed.modified_ms < before_ms and not await self._is_open(listed.key):
                await blobs.abort(listed.key)
                removed += 1
        for sweep in self._parts.sweeping:
            removed += await sweep(self._unused)
        if removed:
            log.info("%d left behind pieces of uploads were removed", removed)
        return removed

    async def _orphans(self, before_ms: int) -> tuple[list[str], int]:
        """Blobs without a row that are older than that, and how many blobs there are in all."""
        orphans: list[str] = []
        waiting: list[str] = []
        seen = 0
        async for listed in self._parts.blobs.listing():
            seen += 1
            if listed.modified_ms < before_ms:
                waiting.append(listed.key)
            if len(waiting) >= _AT_ONCE:
                orphans += await self._unused(waiting)
                waiting = []
        return orphans + list(await self._unused(waiting)), seen

    def _is_doubtful(self, orphans: int, seen: int) -> bool:
        """A data folder belongs to one app, a bucket to whoever has its key: two that share one by
        mistake, or an app and its restored copy, would sweep each other's files."""
        is_shared = self._parts.settings.engine != "local"
        return is_shared and orphans > FEW_ORPHANS and orphans > seen * MOST_ORPHANS

    async def _sweep_blobs(self, keys: list[str]) -> int:
        orphans = await self._unused(keys)
        for key in orphans:
            await self._parts.drop(key)
        return len(orphans)

    async def _unused(self, keys: list[str]) -> set[str]:
        if not keys:
            return set()
        used = Find(collection=FILES, filter=Field(("blob",), In(tuple(keys))))
        rows = await resolve(self._parts.store.find(used))
        return set(keys) - {decode(row)["blob"] for row in rows}

    async def _is_open(self, upload: str) -> bool:
        return await resolve(self._parts.store.get(UPLOADS, upload)) is not None
