"""What writers that died left half written is told by its age."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from baas.engines.local.store import LocalBlobs
from baas.ports.blobs import new_key
from tests.support.storage import pieces


def test_old_halves_go_young_ones_stay(tmp_path: Path) -> None:
    async def through() -> None:
        blobs = LocalBlobs(tmp_path)
        await blobs.start()
        key = new_key()
        await blobs.put(key, pieces(b"whole"))
        for name, seconds in (("old", 1000), ("young", 3000)):
            half = tmp_path / "aside" / name
            half.write_bytes(b"half")
            os.utime(half, (seconds, seconds))
        assert await blobs.sweep(2_000_000) == 1
        assert [path.name for path in (tmp_path / "aside").iterdir()] == ["young"]
        assert [found.key async for found in blobs.listing()] == [key]

    asyncio.run(through())
