"""Variants of files' pictures: from the cache, or made by a worker, each once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from baas.errors import Code, Problem
from baas.ports.blobs import BlobReader
from baas.schema.values import Document
from baas.settings import StorageSettings
from baas.storage.images.cache import Kept, VariantCache
from baas.storage.images.process import Undecodable, render
from baas.storage.images.refusals import Refusals
from baas.storage.images.spec import Spec
from baas.storage.reading import Reading

#: First bytes of what workers write; WebP's and AVIF's follow a length.
_TYPES: Final = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG", "image/png"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
)
#: Blobs that are looked up together as the cache is swept.
_AT_ONCE: Final = 500


class Variant(msgspec.Struct, frozen=True, eq=False):
    """Open for reading; `size` in bytes."""

    size: int
    content_type: str
    _kept: Kept

    async def pieces(self) -> AsyncIterator[bytes]:
        position = 0
        piece = self._kept.head
        while piece:
            yield piece
            position += len(piece)
            if position >= self.size:
                return
            piece = await asyncio.to_thread(self._kept.read, position)


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
        self._made: dict[str, asyncio.Task[Kept | None]] = {}
        self._refusals = Refusals(monotonic)

    async def get(self, row: Document, spec: Spec) -> Variant | None:
        """None where the file has been replaced since `row` was read. PAYLOAD_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE, UNAVAILABLE where too many wait."""
        kept = await asyncio.to_thread(self._cache.find, row["blob"], spec.key())
        if kept is None:
            kept = await self._shared(row, spec)
        return None if kept is None else Variant(kept.size, _type_of(kept.head), kept)

    async def forget(self, blob: str) -> None:
        """A blob that is gone takes its variants with it."""
        await asyncio.to_thread(self._cache.forget, blob)

    async def sweep(self, unused: Callable[[list[str]], Awaitable[set[str]]]) -> int:
        """Forgets the blobs that `unused` finds; how many."""
        blobs = await asyncio.to_thread(self._cache.blobs)
        removed = 0
        for start in range(0, len(blobs), _AT_ONCE):
            for blob in await unused(blobs[start : start + _AT_ONCE]):
                await self.forget(blob)
                removed += 1
        return removed

    async def stop(self) -> None:
        """Ends what is being made, with its workers."""
        tasks = list(self._made.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _shared(self, row: Document, spec: Spec) -> Kept | None:
        """Whoever leaves while others wait for the same variant does not end it."""
        name = f"{row['blob']}-{spec.key()}"
        task = self._made.get(name)
        if task is None:
            self._refusals.check(row["blob"], name)
            if row["size"] > self._settings.image_bytes:
                detail = f"Variants are made of files up to {self._settings.image_bytes} bytes."
                raise Problem(Code.PAYLOAD_TOO_LARGE, detail)
            if len(self._made) >= self._settings.image_workers + self._settings.image_queue:
                raise Problem(Code.UNAVAILABLE, "Too many pictures are waiting.", retry_after=1)
            task = self._made[name] = asyncio.create_task(self._make(name, row, spec))
            task.add_done_callback(lambda done: self._forget(name, done))
        return await asyncio.shield(task)

    def _forget(self, name: str, task: asyncio.Task[Kept | None]) -> None:
        del self._made[name]
        if not task.cancelled():
            task.exception()  # Looked at, also where everybody who waited has left.

    async def _make(self, name: str, row: Document, spec: Spec) -> Kept | None:
        async with self._workers:
            reader = await self._reading.open(row, 0, row["size"])
            if reader is None:
                return None
            source, target = self._cache.work(), self._cache.work()
            try:
                await _saved(reader, source)
                await self._render(name, row, spec, source, target)
                return await asyncio.to_thread(self._cache.keep, target, row["blob"], spec.key())
            finally:
                source.unlink(missing_ok=True)
                target.unlink(missing_ok=True)

    async def _render(
        self, name: str, row: Document, spec: Spec, source: Path, target: Path
    ) -> None:
        try:
            await render(spec, source, target, self._settings)
        except Problem as problem:
            # What cannot be decoded at all cannot be for any other variant either.
            whole = isinstance(problem, Undecodable)
            self._refusals.add(row["blob"] if whole else name, problem)
            raise


async def _saved(reader: BlobReader, path: Path) -> None:
    try:
        with path.open("wb") as file:
            while piece := await reader.read():
                await asyncio.to_thread(file.write, piece)
    finally:
        await reader.close()


def _type_of(head: bytes) -> str:
    for start, magic, kind in _TYPES:
        if head.startswith(magic, start):
            return kind
    raise Problem(Code.INTERNAL, "The variant cannot be read.")
