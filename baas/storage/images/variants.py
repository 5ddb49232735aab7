"""Variants of files' pictures: from the cache, or made by a worker, each once at a time."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from baas.errors import Code, Problem
from baas.ports.blobs import BlobReader
from baas.schema.values import Document
from baas.settings import StorageSettings
from baas.storage.images.cache import VariantCache
from baas.storage.images.process import render
from baas.storage.images.spec import Spec
from baas.storage.reading import Reading

#: First bytes of what workers write; WebP's and AVIF's follow a length.
_TYPES: Final = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG", "image/png"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
)


class Variant(msgspec.Struct, frozen=True, eq=False):
    data: bytes
    content_type: str


def variant_etag(row: Document, spec: Spec) -> str:
    """Known before the variant is made: of the file's bytes and what is asked of them."""
    seen = f"{row['hash']} {spec.key()}".encode()
    return f'"{blake2b(seen, digest_size=16).hexdigest()}"'


class Variants:
    """Whether the caller may read the file has been asked before."""

    def __init__(self, reading: Reading, settings: StorageSettings, folder: Path) -> None:
        self._reading = reading
        self._settings = settings
        self._cache = VariantCache(folder, settings.image_cache_bytes)
        self._workers = asyncio.Semaphore(settings.image_workers)
        self._made: dict[str, asyncio.Task[bytes | None]] = {}

    async def get(self, row: Document, spec: Spec) -> Variant | None:
        """None where the file has been replaced since `row` was read. PAYLOAD_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE, UNAVAILABLE where too many wait."""
        name = f"{row['blob']}-{spec.key()}"
        data = await asyncio.to_thread(self._cache.find, name)
        if data is None:
            data = await self._shared(name, row, spec)
        return None if data is None else Variant(data, _type_of(data))

    async def stop(self) -> None:
        """Ends what is being made, with its workers."""
        tasks = list(self._made.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _shared(self, name: str, row: Document, spec: Spec) -> bytes | None:
        """Whoever leaves while others wait for the same variant does not end it."""
        task = self._made.get(name)
        if task is None:
            if row["size"] > self._settings.image_bytes:
                detail = f"Variants are made of files up to {self._settings.image_bytes} bytes."
                raise Problem(Code.PAYLOAD_TOO_LARGE, detail)
            if len(self._made) >= self._settings.image_workers + self._settings.image_queue:
                raise Problem(Code.UNAVAILABLE, "Too many pictures are waiting.", retry_after=1)
            task = self._made[name] = asyncio.create_task(self._make(name, row, spec))
            task.add_done_callback(lambda done: self._forget(name, done))
        return await asyncio.shield(task)

    def _forget(self, name: str, task: asyncio.Task[bytes | None]) -> None:
        del self._made[name]
        if not task.cancelled():
            task.exception()  # Looked at, also where everybody who waited has left.

    async def _make(self, name: str, row: Document, spec: Spec) -> bytes | None:
        async with self._workers:
            reader = await self._reading.open(row, 0, row["size"])
            if reader is None:
                return None
            source, target = self._cache.work(), self._cache.work()
            try:
                await _saved(reader, source)
                await render(spec, source, target, self._settings)
                return await asyncio.to_thread(self._cache.keep, target, name)
            finally:
                source.unlink(missing_ok=True)
                target.unlink(missing_ok=True)


async def _saved(reader: BlobReader, path: Path) -> None:
    try:
        with path.open("wb") as file:
            while piece := await reader.read():
                await asyncio.to_thread(file.write, piece)
    finally:
        await reader.close()


def _type_of(data: bytes) -> str:
    for start, magic, kind in _TYPES:
        if data.startswith(magic, start):
            return kind
    raise Problem(Code.INTERNAL, "The variant cannot be read.")
