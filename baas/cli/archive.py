"""What a backup is: a tar file of all that an app keeps, as of one moment.

    backup.json        what this is: format, version, app, moment, where files are kept
    db.sqlite3         documents, users, keys, rows of files, calls, versions of functions, feed
    secret             what seals its keys, unless that comes from the environment
    files.jsonl        the blobs that its rows of files name, with their digests
    storage/blobs/...  their bytes, where the app keeps them in its data folder
    contents.json      digests of all documents, and of the files as they were read; last

Without the secret a restored app could not read its own signing keys, and everyone would be signed
out. So a backup is as confidential as the data folder: it is written for its owner's eyes alone.
"""

from __future__ import annotations

import asyncio
import io
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final, Literal

import msgspec

from baas import __version__
from baas.cli import archivefiles
from baas.cli.archivefiles import BlobLine
from baas.clock import SystemClock
from baas.engines.local.hold import held
from baas.engines.sqlite.backup import backup, restore
from baas.engines.sqlite.lock import OWNER, own_folder
from baas.errors import ConfigurationError
from baas.schema.values import date_from_ms
from baas.secret import FILE_NAME as SECRET
from baas.secret import check_strength
from baas.transfer.contents import Contents
from baas.wholefile import whole_file

#: 2: with the bytes of files.
FORMAT: Final = 2
ABOUT: Final = "backup.json"
DATABASE: Final = "db.sqlite3"
FILES: Final = "files.jsonl"
CONTENTS: Final = "contents.json"
#: Of the data folder.
STORAGE: Final = "storage"
_SQLITE_MAGIC: Final = b"SQLite format 3\x00"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The first member: what this is. A newer `format` than `FORMAT` is refused. `files` tells
    where the app keeps the bytes of files: only `local` ones are in the backup."""

    format: int
    version: str
    app: str
    time: dict[str, str]
    files: Literal["local", "s3"] = "local"


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """The last member: what the others hold. `damaged` are blobs whose bytes were missing or not
    what their row says when the backup was made."""

    contents: Contents
    damaged: tuple[str, ...] = ()


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """None of them for a bare database file; `whole` None for a backup of format 1."""

    about: About | None = None
    whole: Whole | None = None


# -- writing ---------------------------------------------------------------------------------------


def write_backup(
    folder: Path, app: str, target: Path, files: Literal["local", "s3"] = "local"
) -> Whole:
    """Copies the data folder of a live or a resting app to `target`, all or nothing. While it
    copies, bytes of files that are deleted stay."""
    time = date_from_ms(SystemClock().now_ms())
    about = About(format=FORMAT, version=__version__, app=app, time=time, files=files)
    holding = held(folder / STORAGE) if files == "local" else nullcontext()
    try:
        with (
            TemporaryDirectory(dir=target.absolute().parent, prefix=".baas-backup-") as work,
            holding,
            whole_file(target) as file,
        ):
            backup(folder, Path(work) / DATABASE)
            with tarfile.open(fileobj=file, mode="w") as archive:
                return _write_members(archive, about, Path(work), folder)
    except OSError as fault:
        raise ConfigurationError(f"the backup {target} could not be written: {fault}") from fault


def _write_members(archive: tarfile.TarFile, about: About, work: Path, folder: Path) -> Whole:
    _add(archive, ABOUT, msgspec.json.encode(about))
    archive.add(work / DATABASE, DATABASE)
    if (folder / SECRET).is_file():
        _add(archive, SECRET, (folder / SECRET).read_bytes())
    # Only now: to open it as a store changes its bytes.
    contents, blobs = asyncio.run(archivefiles.look_into(work))
    _add(archive, FILES, archivefiles.lines_of(blobs))
    whole = Whole(contents=contents)
    if about.files == "local":
        tally, damaged = archivefiles.add_blobs(archive, folder / STORAGE, blobs)
        contents = msgspec.structs.replace(contents, files=tally)
        whole = Whole(contents=contents, damaged=damaged)
    _add(archive, CONTENTS, msgspec.json.encode(whole))
    return whole


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o600
    member.mtime = SystemClock().now_ms() // 1000
    archive.addfile(member, io.BytesIO(content))


# -- reading ---------------------------------------------------------------------------------------


def read_backup(source: Path, folder: Path) -> Restored:
    """Makes `folder` hold what the backup holds.

    Database and files are checked before anything is changed. ConfigurationError for a damaged
    backup and for a folder in use. Files of an app that was there before stay until they are swept.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not source.is_file():
        raise ConfigurationError(f"there is no backup {source}")
    with source.open("rb") as file:
        if file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC:
            restore(source, folder)
            return Restored()
    if (folder / OWNER).exists():  # before hours of unpacking; `restore` makes sure
        own_folder(folder).close()
    with TemporaryDirectory(dir=folder, prefix=".restore-") as name:
        work = Path(name)
        restored, secret = _unpack(source, work)
        archivefiles.place_blobs(work / STORAGE, folder / STORAGE)
        restore(work / DATABASE, folder)
        if secret is not None:
            _put_secret(folder, secret)
    return restored


def _unpack(source: Path, work: Path) -> tuple[Restored, bytes | None]:
    """Members are read by name, never extracted by theirs."""
    with _opened(source) as archive:
        about = msgspec.json.decode(_member(archive, ABOUT).read(), type=About)
        if about.format > FORMAT:
            raise ConfigurationError(
                f"the backup {source} has format {about.format}, this version knows {FORMAT}: "
                "use a newer version of baas"
            )
        with (work / DATABASE).open("wb") as file:
            shutil.copyfileobj(_member(archive, DATABASE), file)
        secret = _member(archive, SECRET).read() if SECRET in archive.getnames() else None
        whole = None
        if about.format > 1:
            whole = msgspec.json.decode(_member(archive, CONTENTS).read(), type=Whole)
            _unpack_blobs(archive, about, whole, work)
    if secret is not None:
        check_strength(secret.decode("utf-8", "replace").strip(), str(source))
    return Restored(about=about, whole=whole), secret


def _unpack_blobs(archive: tarfile.TarFile, about: About, whole: Whole, work: Path) -> None:
    if about.files == "local":
        lines = (msgspec.json.decode(line, type=BlobLine) for line in _member(archive, FILES))
        wanted = {line.key: line.sha256 for line in lines}
        archivefiles.unpack_blobs(archive, wanted, set(whole.damaged), work / STORAGE)


@contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source, "r:") as archive:
            yield archive
    except (tarfile.TarError, msgspec.MsgspecError, KeyError, EOFError, OSError) as fault:
        raise ConfigurationError(f"{source} is damaged or no backup of baas: {fault}") from fault


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    if found is None:
        raise KeyError(f"{name} is not a file")
    return found


def _put_secret(folder: Path, secret: bytes) -> None:
    path = folder / SECRET
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(secret)
