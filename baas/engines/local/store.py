"""LocalBlobs: the BlobStore in one folder.

    blobs/3f/3f9a...     a blob, sharded by the first two digits of its key
    uploads/{id}/{n}     a part of an unfinished upload
    aside/...            what is being written
    held                 locked while a backup copies (`hold.py`)

Every name is made here or by `ports.blobs`; what does not look like one is refused, so that no
path can come from outside whatever the caller does wrong.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from baas.engines.local import files
from baas.engines.local.files import Aside
from baas.engines.local.hold import remove
from baas.errors import Code, Problem
from baas.ports.blobs import (
    CHUNK_BYTES,
    KEY_PATTERN,
    MAX_PARTS,
    UPLOAD_PATTERN,
    BlobMissing,
    Digest,
    Listed,
    Part,
    UploadForm,
    gathered,
)

log = logging.getLogger("baas.storage")

P = ParamSpec("P")
T = TypeVar("T")
_LISTED_AT_ONCE: Final = 500


class LocalBlobs:
    """`folder` is made at the start, readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._blobs = folder / files.BLOBS
        self._uploads = folder / "uploads"
        self._aside = folder / "aside"

    async def start(self) -> None:
        await asyncio.to_thread(self._make_folders)

    def _make_folders(self) -> None:
        for folder in (self._blobs, self._uploads, self._aside):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def close(self) -> None:
        """Nothing is held between calls."""

    async def check(self) -> None:
        if not await asyncio.to_thread(os.access, self._aside, os.W_OK | os.X_OK):
            raise Problem(Code.UNAVAILABLE, "Stored files cannot be reached now.", retry_after=5)

    # -- whole blobs ------------------------------------------------------------------------------

    async def put(self, key: str, data: AsyncIterator[bytes]) -> Digest:
        return await self._write(self._path(key), data)

    async def open(self, key: str, start: int = 0, end: int | None = None) -> LocalReader:
        try:
            file = await asyncio.to_thread(files.open_at, self._path(key), start)
        except FileNotFoundError:
            raise BlobMissing(key) from None
        return LocalReader(file, None if end is None else end - start)

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(remove, self._root, self._path(key))

    async def listing(self) -> AsyncIterator[Listed]:
        async for listed in _in_threads(files.files_below(self._blobs)):
            if KEY_PATTERN.fullmatch(listed.key):
                yield listed

    # -- parts ------------------------------------------------------------------------------------

    async def put_part(self, upload: str, number: int, data: AsyncIterator[bytes]) -> Digest:
        if not 1 <= number <= MAX_PARTS:
            raise ValueError("a part's number")
        return await self._write(self._folder(upload) / str(number), data)

    async def parts(self, upload: str) -> list[Part]:
        return await asyncio.to_thread(_parts, self._folder(upload))

    async def join(self, upload: str, key: str) -> Digest:
        folder = self._folder(upload)
        return await _step(self._join, folder, self._path(key))

    def _join(self, folder: Path, target: Path) -> Digest:
        numbers = [part.number for part in _parts(folder)]
        if not numbers:
            raise BlobMissing(folder.name)
        aside = Aside(self._aside)
        try:
            files.join([folder / str(number) for number in numbers], aside)
            return aside.place(target)
        except FileNotFoundError:  # aborted meanwhile
            aside.drop()
            raise BlobMissing(folder.name) from None
        except BaseException:
            aside.drop()
            raise

    async def abort(self, upload: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self._folder(upload), ignore_errors=True)

    async def uploads(self) -> AsyncIterator[Listed]:
        async for listed in _in_threads(files.folders_in(self._uploads)):
            if UPLOAD_PATTERN.fullmatch(listed.key):
                yield listed

    async def sweep(self, before_ms: int) -> int:
        return await asyncio.to_thread(files.sweep, self._aside, before_ms)

    # -- links: a folder has no address ------------------------------------------------------------

    def link_to_read(
        self, key: str, *, seconds: int, content_type: str, disposition: str
    ) -> str | None:
        return None

    def form_to_send(
        self, upload: str, *, size: int, content_type: str, seconds: int
    ) -> UploadForm | None:
        return None

    # -- within -----------------------------------------------------------------------------------

    async def _write(self, target: Path, data: AsyncIterator[bytes]) -> Digest:
        source = gathered(data)
        first = await anext(source, b"")
        second = await anext(source, b"")
        if not second:
            return await _step(files.put, self._aside, first, target)
        aside = await _step(Aside, self._aside)
        try:
            await _step(aside.write, first + second)
            async for piece in source:
                await _step(aside.write, piece)
            return await _step(aside.place, target)
        except BaseException:
            # In place, without a thread: this also runs where the task is being cancelled.
            aside.drop()
            raise

    def _path(self, key: str) -> Path:
        return files.blob_path(self._root, key)

    def _folder(self, upload: str) -> Path:
        if not UPLOAD_PATTERN.fullmatch(upload):
            raise ValueError("not an upload's id")
        return self._uploads / upload


async def _step(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """One that writes, in a thread. UNAVAILABLE for what the disk does not take; why is logged,
    never told."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except OSError as fault:
        log.error("the disk takes no more of stored files: %s", fault.strerror or fault)
        raise Problem(
            Code.UNAVAILABLE, "Stored files cannot be written now.", retry_after=5
        ) from fault


class LocalReader:
    """A file open for reading, `left` bytes of it, or all."""

    def __init__(self, file: BufferedReader, left: int | None) -> None:
        self._file = file
        self._left = left

    async def read(self) -> bytes:
        wanted = CHUNK_BYTES if self._left is None else min(CHUNK_BYTES, self._left)
        if not wanted:
            return b""
        piece = await asyncio.to_thread(self._file.read, wanted)
        if self._left is not None:
            self._left -= len(piece)
        return piece

    async def close(self) -> None:
        self._file.close()


async def _in_threads(items: Iterator[T]) -> AsyncIterator[T]:
    """A slow iterator, some of it at a time in a thread."""
    while some := await asyncio.to_thread(_some, items):
        for item in some:
            yield item


def _some(items: Iterator[T]) -> list[T]:
    return list(islice(items, _LISTED_AT_ONCE))


def _parts(folder: Path) -> list[Part]:
    found = []
    for entry in files.folders_in(folder):
        if entry.key.isdigit():
            try:
                size = (folder / entry.key).stat().st_size
            except FileNotFoundError:
                continue
            found.append(Part(int(entry.key), size))
    return sorted(found, key=lambda part: part.number)
