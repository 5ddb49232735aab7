"""Names of the workers that hold leases, each with a lock that the system frees when it dies."""

from __future__ import annotations

import os
from pathlib import Path

from baas.engines.sqlite.lock import FileLock
from baas.ids import new_id


class WorkerName:
    """This worker's name, made and locked when it first claims something."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: tuple[str, FileLock] | None = None

    def get(self) -> str:
        if self._held is None:
            name = new_id()
            lock = FileLock(self._path(name))
            lock.try_acquire()
            self._held = name, lock
        return self._held[0]

    def is_dead(self, name: str) -> bool:
        """Whether the worker of that name is gone; never this one."""
        if self._held is not None and name == self._held[0]:
            return False
        path = self._path(name)
        if not os.path.exists(path):
            return True
        lock = FileLock(path)
        try:
            return lock.try_acquire()
        finally:
            lock.close()

    def forget(self, name: str) -> None:
        """Removes what a dead worker left."""
        self._path(name).unlink(missing_ok=True)

    def close(self) -> None:
        if self._held is not None:
            name, lock = self._held
            self._held = None
            lock.close()
            self.forget(name)

    def _path(self, name: str) -> Path:
        return self._folder / f"worker-{name}.lock"
