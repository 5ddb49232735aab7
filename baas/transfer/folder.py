"""An export: a folder of plain files that any tool can read.

- `export.json`, written last: what is in the others, with digests. Without it the export is not
  whole, and can be gone on with.
- `collections/NAME.jsonl`: documents, one per line, in the order of `_id`. Names that begin with an
  underline are what the kit keeps for itself: users, keys, rows of files, versions of functions.
- `jobs.jsonl`: asynchronous calls, waiting and done. `ticks.json`: when timers last fired.
- `files/ab/KEY`: bytes of files, by the `blob` of their rows in `_files`.
- `secret`: of an app whose secret is a file. It opens what users and keys are sealed with.

It is as confidential as the data folder, and readable by its owner alone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec

from baas.errors import ConfigurationError
from baas.ports.blobs import KEY_PATTERN, BlobMissing
from baas.ports.jobs import Job
from baas.secret import FILE_NAME as SECRET
from baas.transfer.contents import Contents, job_of
from baas.wholefile import whole_file

FORMAT: Final = 1
ABOUT: Final = "export.json"
COLLECTIONS: Final = "collections"
JOBS: Final = "jobs.jsonl"
TICKS: Final = "ticks.json"
FILES: Final = "files"
_SUFFIX: Final = ".jsonl"
#: Read from a file at a time.
_PIECE: Final = 1024 * 1024
_LINES: Final = 1000
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)


class About(msgspec.Struct, frozen=True, kw_only=True):
    """`export.json`. A newer `format` than FORMAT is refused; `time` as an extended date."""

    format: int
    version: str
    app: str
    time: dict[str, str]
    contents: Contents


class Folder:
    """A Source, and what an export is written to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # -- writing -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """ConfigurationError where there is something else, or a whole export."""
        if (self.path / ABOUT).exists():
            raise ConfigurationError(f"{self.path} holds a whole export; name another folder")
        if self.path.is_dir() and (strange := sorted(self._strange())):
            raise ConfigurationError(f"{self.path} holds {strange[0]}, which is of no export")
        for folder in (self.path, self.path / COLLECTIONS, self.path / FILES):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _strange(self) -> set[str]:
        ours = {COLLECTIONS, JOBS, TICKS, FILES, SECRET}
        return {one.name for one in self.path.iterdir() if not one.name.startswith(".")} - ours

    @contextmanager
    def collection(self, name: str) -> Iterator[IO[bytes]]:
        """Takes lines; the file takes its name once it is whole."""
        with whole_file(self._file_of(name)) as file:
            yield file

    @contextmanager
    def job_lines(self) -> Iterator[IO[bytes]]:
        with whole_file(self.path / JOBS) as file:
            yield file

    def put_ticks(self, ticks: dict[str, int]) -> None:
        with whole_file(self.path / TICKS) as file:
            file.write(msgspec.json.encode(ticks))

    def finish(self, about: About) -> None:
        with whole_file(self.path / ABOUT) as file:
            file.write(msgspec.json.format(msgspec.json.encode(about), indent=2) + b"\n")

    def has_collection(self, name: str) -> bool:
        return self._file_of(name).is_file()

    def has_blob(self, key: str) -> bool:
        return self._blob(key).is_file()

    async def put_blob(self, key: str, data: AsyncIterator[bytes]) -> None:
        target = self._blob(key)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        with whole_file(target) as file:
            async for piece in data:
                await asyncio.to_thread(file.write, piece)

    # -- reading -----------------------------------------------------------------------------------

    def about(self) -> About:
        """ConfigurationError unless this is a whole export that this version can read."""
        file = self.path / ABOUT
        if not file.is_file():
            raise ConfigurationError(f"{self.path} holds no whole export: there is no {ABOUT}")
        try:
            about = msgspec.json.decode(file.read_bytes(), type=About)
        except msgspec.DecodeError as fault:
            raise ConfigurationError(f"not an export: {fault}", file=str(file)) from None
        if about.format > FORMAT:
            raise ConfigurationError("written by a newer version of baas", file=str(file))
        return about

    async def collections(self) -> list[str]:
        names = [file.stem for file in (self.path / COLLECTIONS).glob(f"*{_SUFFIX}")]
        return sorted(name for name in names if _NAME.fullmatch(name))

    async def size(self, collection: str) -> int | None:
        return None

    async def documents(self, collection: str) -> AsyncIterator[bytes]:
        async for line in _lines(self._file_of(collection)):
            yield line

    async def jobs(self) -> AsyncIterator[Job]:
        number = 0
        async for line in _lines(self.path / JOBS):
            number += 1
            try:
                yield job_of(line)
            except msgspec.DecodeError as fault:
                raise ConfigurationError(f"not a job: {fault}", file=JOBS, line=number) from None

    async def ticks(self) -> dict[str, int]:
        file = self.path / TICKS
        try:
            return msgspec.json.decode(file.read_bytes(), type=dict[str, int])
        except (OSError, msgspec.DecodeError) as fault:
            raise ConfigurationError(f"cannot be read: {fault}", file=str(file)) from None

    async def read(self, key: str) -> AsyncIterator[bytes]:
        try:
            file = self._blob(key).open("rb")
        except FileNotFoundError:
            raise BlobMissing(key) from None
        with file:
            while piece := await asyncio.to_thread(file.read, _PIECE):
                yield piece

    # -- names -------------------------------------------------------------------------------------

    def _file_of(self, collection: str) -> Path:
        if not _NAME.fullmatch(collection):
            raise ConfigurationError(f"{collection!r} is not the name of a collection")
        return self.path / COLLECTIONS / f"{collection}{_SUFFIX}"

    def _blob(self, key: str) -> Path:
        if not KEY_PATTERN.fullmatch(key):
            raise ConfigurationError(f"{key!r} is not the key of a blob")
        return self.path / FILES / key[:2] / key


async def _lines(file: Path) -> AsyncIterator[bytes]:
    """Without their ends. ConfigurationError where the file is not there."""
    try:
        stream = file.open("rb")
    except OSError as fault:
        raise ConfigurationError(f"cannot be read: {fault}", file=str(file)) from None
    with stream:
        while lines := await asyncio.to_thread(_some, stream):
            for line in lines:
                yield line


def _some(stream: Iterable[bytes]) -> list[bytes]:
    found: list[bytes] = []
    for line in stream:
        found.append(line.rstrip(b"\n"))
        if len(found) == _LINES:
            break
    return found
