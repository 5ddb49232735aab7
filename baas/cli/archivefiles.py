"""The files of a backup: which blobs its rows name, their bytes in and out of the tar file."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final

import msgspec

from baas.engines.local.files import BLOBS, Aside, blob_path, flush_folder
from baas.engines.local.store import LocalBlobs
from baas.engines.sqlite.store import SqliteStore
from baas.errors import ConfigurationError
from baas.ports.blobs import CHUNK_BYTES, KEY_PATTERN
from baas.transfer.contents import Blob, Contents, Count, FileTally
from baas.transfer.copy import blobs_of, measure_rows
from baas.transfer.place import Place

#: Folder of members that are blobs; below it as in the data folder.
_FOLDER: Final = "storage/blobs"


class BlobLine(msgspec.Struct, frozen=True):
    """A line of `files.jsonl`."""

    key: str
    size: int
    sha256: str


class Silence:
    """Progress that nobody is told of."""

    def begin(self, what: str, total: int | None = None) -> None: ...

    def add(self, number: int) -> None: ...

    def end(self) -> None: ...


@asynccontextmanager
async def open_folder(folder: Path) -> AsyncIterator[Place]:
    """A data folder that nobody else has, whatever the settings of this app say."""
    store = SqliteStore(folder, guest=True)
    await store.open()
    try:
        yield Place(store, LocalBlobs(folder / "storage"))
    finally:
        await store.close()


async def look_into(folder: Path) -> tuple[Contents, list[Blob]]:
    """Digests of the documents in a folder with a database, and the blobs that rows name."""
    async with open_folder(folder) as place:
        return await measure_rows(place, Silence()), await blobs_of(place)


def lines_of(blobs: Iterable[Blob]) -> bytes:
    lines = (BlobLine(blob.key, blob.size, blob.sha256) for blob in blobs)
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


# -- in --------------------------------------------------------------------------------------------


def add_blobs(
    archive: tarfile.TarFile, storage: Path, blobs: Iterable[Blob]
) -> tuple[FileTally, tuple[str, ...]]:
    """What was added, and the keys of those that were missing or not what their row says: these
    are left to whoever reads it, so that one bad file does not cost all the others."""
    count, size, damaged = Count(), 0, []
    for blob in blobs:
        if _added(archive, storage, blob):
            count.add((f"{blob.key} {blob.sha256}".encode(),))
            size += blob.size
        else:
            damaged.append(blob.key)
    tally = count.tally
    return FileTally(tally.count, tally.sha256, size), tuple(damaged)


def _added(archive: tarfile.TarFile, storage: Path, blob: Blob) -> bool:
    try:
        file = blob_path(storage, blob.key).open("rb")
    except FileNotFoundError:
        return False
    with file:
        found = os.fstat(file.fileno())
        if found.st_size != blob.size:
            return False
        member = tarfile.TarInfo(f"{_FOLDER}/{blob.key[:2]}/{blob.key}")
        member.size, member.mode, member.mtime = blob.size, 0o600, int(found.st_mtime)
        hashing = _Hashing(file)
        archive.addfile(member, hashing)
        return hashing.digest.hexdigest() == blob.sha256


class _Hashing:
    """A file whose bytes are digested as they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self.digest.update(piece)
        return piece


# -- out -------------------------------------------------------------------------------------------


def unpack_blobs(
    archive: tarfile.TarFile, wanted: dict[str, str], damaged: set[str], storage: Path
) -> None:
    """Writes the blobs whose SHA-256 is `wanted` below `storage`, durably. ConfigurationError for
    one that is missing or altered, but for those known to be `damaged`."""
    aside = storage / "aside"
    aside.mkdir(mode=0o700, parents=True)
    missing = set(wanted) - damaged
    for member in archive:
        key = _key_of(member)
        if key is None or key not in missing:
            continue
        source = archive.extractfile(member)
        assert source is not None
        if _written(source, aside, blob_path(storage, key)) != wanted[key]:
            raise ConfigurationError(f"the backup is damaged: the bytes of file {key} are others")
        missing.remove(key)
    if missing:
        raise ConfigurationError(f"the backup is damaged: {len(missing)} of its files are missing")


def _key_of(member: tarfile.TarInfo) -> str | None:
    folder, _, key = member.name.rpartition("/")
    fits = member.isreg() and KEY_PATTERN.fullmatch(key) and folder == f"{_FOLDER}/{key[:2]}"
    return key if fits else None


def _written(source: IO[bytes], aside: Path, target: Path) -> str:
    """The SHA-256 of what was written."""
    file = Aside(aside)
    try:
        while piece := source.read(CHUNK_BYTES):
            file.write(piece)
        return file.place(target).sha256
    except BaseException:
        file.drop()
        raise


def place_blobs(source: Path, storage: Path) -> None:
    """Moves unpacked blobs to where the engine looks for them, on the same file system."""
    for shard in sorted(source.glob(f"{BLOBS}/*")):
        target = storage / BLOBS / shard.name
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        for blob in shard.iterdir():
            blob.replace(target / blob.name)
        flush_folder(target)
    if source.exists():
        storage.mkdir(mode=0o700, exist_ok=True)
        flush_folder(storage)
