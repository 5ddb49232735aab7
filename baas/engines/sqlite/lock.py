"""Operating system locks on the data folder. POSIX only (flock).

`lock` is held for the whole life of the process that owns the folder; its workers share it and
guests (command line tools beside a running gateway) do without. `write.lock` is held around every
group of writes by every process, owner or not, so no two of them ever meet in SQLite's own lock.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from baas.errors import ConfigurationError

OWNER: Final = "lock"
WRITER: Final = "write.lock"


class FileLock:
    """An exclusive lock on a file, freed by the system if the process dies."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_acquire(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self) -> None:
        """Waits for it: never on the event loop."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def read(self) -> str:
        return os.pread(self._descriptor, 64, 0).decode("ascii", "replace").strip()

    def write(self, text: str) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode("ascii"), 0)

    def fileno(self) -> int:
        """For handing it to a child process: the lock is held until all of them have closed it."""
        return self._descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def own_folder(folder: Path) -> FileLock:
    """Makes this process the owner; ConfigurationError naming the one that already is."""
    lock = FileLock(folder / OWNER)
    if not lock.try_acquire():
        owner = lock.read() or "unknown"
        lock.close()
        raise ConfigurationError(
            f"the data folder {folder} is in use by process {owner}; stop it first, or use "
            "another folder (--data)"
        )
    lock.write(f"{os.getpid()}\n")
    return lock
