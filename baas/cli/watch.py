"""Which files of an app have changed since the last look: for `baas serve --reload`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from baas.settings import FILE_NAME, Settings


class Watch:
    """baas.yaml and the Python files of functions/. Rule files reload by themselves."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._manifest = folder / FILE_NAME
        self._functions = folder / settings.app.functions
        self._seen = self._look()

    def changed(self) -> bool:
        """Whether a file is new, gone or different since the last call."""
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def _look(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in self._files():
            try:
                status = path.stat()
            except FileNotFoundError:  # gone, or between two states of an editor
                continue
            found[path] = (status.st_mtime_ns, status.st_size)
        return found

    def _files(self) -> Iterator[Path]:
        yield self._manifest
        yield from self._functions.rglob("*.py")
