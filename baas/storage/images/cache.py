"""Variants on disk, the least lately used removed beyond a size. Blocking: called in threads.

    {blob}/{variant}     both are names that the server makes
    work-...             what is on its way

A file's bytes never change under a blob's key, so nothing here grows stale. What belongs to a blob
that is gone goes with it (`forget`), or with the sweep where another machine removed it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

from baas.ports.blobs import CHUNK_BYTES, KEY_PATTERN

#: Swept down to this share of the limit, so that not every new variant sweeps.
_KEPT: Final = 0.9
#: Work that a gateway which died left; in seconds, far beyond any worker's time.
_ABANDONED_SECONDS: Final = 3600
_WORK: Final = "work-"
_ATTEMPTS: Final = 3


class Kept:
    """A variant open for reading, by several at once; it is closed with the last of them, and can
    be read to its end whatever becomes of its name. Nobody holds more of it than one piece."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)
        self.size: Final = os.fstat(self._descriptor).st_size
        self.head: Final = self.read(0)

    def read(self, start: int) -> bytes:
        """The piece that begins there; empty at the end."""
        return os.pread(self._descriptor, CHUNK_BYTES, start)


class VariantCache:
    """`limit` in bytes. Several processes may share the folder."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._held: int | None = None

    def find(self, blob: str, variant: str) -> Kept | None:
        path = self._folder / blob / variant
        try:
            kept = Kept(path)
            os.utime(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return kept

    def work(self) -> Path:
        """A new empty file for what is on its way, its owner's alone."""
        self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{_WORK}{secrets.token_hex(8)}"
        path.touch(mode=0o600, exist_ok=False)
        return path

    def keep(self, work: Path, blob: str, variant: str) -> Kept:
        """Takes `work` in."""
        kept = Kept(work)
        folder = self._folder / blob
        for _ in range(_ATTEMPTS):
            folder.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileNotFoundError):  # swept between the two steps
                work.replace(folder / variant)
                break
        self._held = None if self._held is None else self._held + kept.size
        if self._held is None or self._held > self._limit:
            self.sweep()
        return kept

    def forget(self, blob: str) -> None:
        """All variants of a blob that is gone."""
        shutil.rmtree(self._folder / blob, ignore_errors=True)

    def blobs(self) -> list[str]:
        """Those that something is kept of."""
        with suppress(FileNotFoundError):
            return [name for name in os.listdir(self._folder) if KEY_PATTERN.fullmatch(name)]
        return []

    def sweep(self) -> None:
        """Removes the least lately used beyond the limit, and work that nobody goes on with."""
        found = sorted(self._entries())
        held = sum(size for _, size, _ in found)
        over = held > self._limit
        newest = found[-1][0] if found else 0.0
        for used, size, path in found:
            is_work = path.parent == self._folder
            abandoned = is_work and newest - used > _ABANDONED_SECONDS
            if abandoned or (over and held > self._limit * _KEPT and not is_work):
                path.unlink(missing_ok=True)
                held -= size
                if not is_work:
                    with suppress(OSError):  # others of the same blob
                        path.parent.rmdir()
        self._held = held

    def _entries(self) -> list[tuple[float, int, Path]]:
        """(last used, bytes, path); other processes remove some meanwhile."""
        entries = []
        for blob in [self._folder, *(self._folder / blob for blob in self.blobs())]:
            with suppress(FileNotFoundError):
                for entry in os.scandir(blob):
                    with suppress(FileNotFoundError):
                        seen = entry.stat(follow_symlinks=False)
                        if entry.is_file(follow_symlinks=False):
                            entries.append((seen.st_mtime, seen.st_size, Path(entry.path)))
        return entries
