"""The steps on the file system: synchronous, each run in a thread by `store`.

A file is written aside, flushed to the disk, and renamed into its place; the folder that holds the
name is flushed too. Until then nothing of it can be found, after that it survives loss of power.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import IO

from baas.ports.blobs import CHUNK_BYTES, KEY_PATTERN, Digest, Listed

#: Of the engine's folder.
BLOBS = "blobs"


def blob_path(root: Path, key: str) -> Path:
    """Where a blob of the engine's folder lies. ValueError for what is no key."""
    if not KEY_PATTERN.fullmatch(key):
        raise ValueError("not a blob's key")
    return root / BLOBS / key[:2] / key


class Aside:
    """A file being written; `place` makes it the real one, `drop` forgets it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / secrets.token_hex(16)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file: IO[bytes] = os.fdopen(descriptor, "wb", buffering=0)
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        self._sha256.update(data)
        self._md5.update(data)
        self._size += len(data)

    def place(self, target: Path) -> Digest:
        os.fsync(self._file.fileno())
        self._file.close()
        if not target.parent.is_dir():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flush_folder(target.parent.parent)
        os.replace(self.path, target)
        flush_folder(target.parent)
        return Digest(self._size, self._sha256.hexdigest(), self._md5.hexdigest())

    def drop(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


def put(folder: Path, data: bytes, target: Path) -> Digest:
    """All steps for a small file at once: one hop to a thread instead of three."""
    aside = Aside(folder)
    try:
        aside.write(data)
        return aside.place(target)
    except BaseException:
        aside.drop()
        raise


def flush_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def join(parts: list[Path], aside: Aside) -> None:
    for part in parts:
        with part.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                aside.write(chunk)


def open_at(path: Path, start: int) -> BufferedReader:
    file = path.open("rb")
    if start:
        file.seek(start)
    return file


def files_below(folder: Path) -> Iterator[Listed]:
    """The files of a sharded folder."""
    for shard in _entries(folder):
        for entry in _entries(Path(shard.path)):
            with suppress(OSError):
                yield Listed(entry.name, entry.stat().st_mtime_ns // 1_000_000)


def folders_in(folder: Path) -> Iterator[Listed]:
    for entry in _entries(folder):
        with suppress(OSError):
            yield Listed(entry.name, entry.stat().st_mtime_ns // 1_000_000)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def sweep(folder: Path, before_ms: int) -> int:
    """Removes files older than that; how many."""
    removed = 0
    for entry in folders_in(folder):
        if entry.modified_ms < before_ms:
            with suppress(OSError):
                (folder / entry.key).unlink()
                removed += 1
    return removed
