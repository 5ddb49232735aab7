"""Variants on disk, the least lately used removed beyond a size. Blocking: called in threads.

Names are a blob's key and a variant's. A file's bytes never change under a blob's key, so nothing
here grows stale; what belongs to a blob that is gone is never asked for again, and pushed out.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

#: Swept down to this share of the limit, so that not every new variant sweeps.
_KEPT: Final = 0.9
#: Work that a gateway which died left; in seconds, far beyond any worker's time.
_ABANDONED_SECONDS: Final = 3600


class VariantCache:
    """`limit` in bytes. Several processes may share the folder."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._held: int | None = None

    def find(self, name: str) -> bytes | None:
        path = self._folder / name
        try:
            data = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        return data

    def work(self) -> Path:
        """A new empty file for what is on its way, its owner's alone."""
        self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"work-{secrets.token_hex(8)}"
        path.touch(mode=0o600, exist_ok=False)
        return path

    def keep(self, work: Path, name: str) -> bytes:
        """Takes `work` in as `name`; its bytes."""
        data = work.read_bytes()
        work.replace(self._folder / name)
        self._held = None if self._held is None else self._held + len(data)
        if self._held is None or self._held > self._limit:
            self.sweep()
        return data

    def sweep(self) -> None:
        """Removes the least lately used beyond the limit, and work that nobody goes on with."""
        found = sorted(self._entries())
        held = sum(size for _, size, _ in found)
        over = held > self._limit
        newest = found[-1][0] if found else 0.0
        for used, size, path in found:
            abandoned = path.name.startswith("work-") and newest - used > _ABANDONED_SECONDS
            if abandoned or (over and held > self._limit * _KEPT and "work-" not in path.name):
                path.unlink(missing_ok=True)
                held -= size
        self._held = held

    def _entries(self) -> list[tuple[float, int, Path]]:
        """(last used, bytes, path); other processes remove some meanwhile."""
        entries = []
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                with suppress(FileNotFoundError):
                    seen = entry.stat(follow_symlinks=False)
                    entries.append((seen.st_mtime, seen.st_size, Path(entry.path)))
        return entries
