"""Backups on request: `baas backup`, run beside the gateway as an operator would.

A process of its own, so that copying and packing hold up no request, and so that there is one way
to make a backup. The files stay on the server: each holds everything, the app's secret too.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from baas.clock import Clock
from baas.errors import Code, Problem

#: Files shown, the newest.
MAX_LISTED: Final = 100
#: Of what the command said, at its end, where it failed.
MAX_WORDS: Final = 500
_SUFFIX: Final = ".tar"


class BackupFile(msgspec.Struct, frozen=True):
    """`time` in ms since 1970."""

    name: str
    bytes: int
    time: int


class BackupStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`running` the name of the file that is being written; `error` why the last one failed."""

    folder: str
    running: str | None
    error: str
    files: list[BackupFile]


class Backups:
    """Writes to `folder`. One at a time per process."""

    def __init__(self, app: Path, data: Path, folder: Path, name: str, clock: Clock) -> None:
        self._app = app
        self._data = data
        self._folder = folder
        self._name = name
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._running: str | None = None
        self._error = ""

    def start(self) -> str:
        """The name of the file to be. CONFLICT while one is being written."""
        if self._running is not None:
            raise Problem(Code.CONFLICT, "A backup is being written already.")
        moment = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        self._running = f"{self._name}-{moment:%Y%m%d-%H%M%S}{_SUFFIX}"
        self._task = asyncio.create_task(self._write(self._running), name="baas-backup")
        return self._running

    async def _write(self, name: str) -> None:
        try:
            self._error = await self._run(name)
        except OSError as fault:
            self._error = f"cannot be written: {fault.strerror}"
        finally:
            self._running = None

    async def _run(self, name: str) -> str:
        """Why it failed; empty where it did not."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "baas", "backup", str(self._folder / name), "--data", str(self._data)),
            cwd=self._app,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, said = await process.communicate()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        return said.decode("utf-8", "replace").strip()[-MAX_WORDS:] if process.returncode else ""

    async def status(self) -> BackupStatus:
        return BackupStatus(
            folder=self._folder.name,
            running=self._running,
            error=self._error,
            files=await asyncio.to_thread(self._list),
        )

    def _list(self) -> list[BackupFile]:
        if not self._folder.is_dir():
            return []
        found = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}"), reverse=True)[:MAX_LISTED]:
            stat = path.stat()
            found.append(BackupFile(path.name, stat.st_size, int(stat.st_mtime * 1000)))
        return found

    async def stop(self) -> None:
        """Ends one that is being written; nothing of it stays."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
