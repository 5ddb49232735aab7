"""Whether an app's settings have changed since the last look: for `baas serve --reload`."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from baas.settings import FILE_NAME

_Stamp: TypeAlias = tuple[int, int] | None


class Watch:
    """baas.yaml alone: rule files and functions reload by themselves."""

    def __init__(self, folder: Path) -> None:
        self._manifest = folder / FILE_NAME
        self._seen = self._look()

    def changed(self) -> bool:
        """Whether the file is new, gone or different since the last call."""
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def _look(self) -> _Stamp:
        try:
            status = self._manifest.stat()
        except FileNotFoundError:  # not there, or between two states of an editor
            return None
        return status.st_mtime_ns, status.st_size
