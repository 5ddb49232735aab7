"""What a backup is: a tar file of the database as of one moment and the secret that seals its keys.

Without the secret a restored app could not read its own signing keys, and everyone would be signed
out. So a backup is as confidential as the data folder: it is written for its owner's eyes alone.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final

import msgspec

from baas import __version__
from baas.clock import SystemClock
from baas.engines.sqlite.backup import backup, restore
from baas.errors import ConfigurationError
from baas.schema.values import date_from_ms
from baas.secret import FILE_NAME as SECRET
from baas.secret import check_strength
from baas.wholefile import whole_file

FORMAT: Final = 1
ABOUT: Final = "backup.json"
DATABASE: Final = "db.sqlite3"
_SQLITE_MAGIC: Final = b"SQLite format 3\x00"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The first member: what this is. A newer `format` than `FORMAT` is refused."""

    format: int
    version: str
    app: str
    time: dict[str, str]


def write_backup(folder: Path, app: str, target: Path) -> None:
    """Copies the data folder of a live or a resting app to `target`, all or nothing."""
    about = About(
        format=FORMAT, version=__version__, app=app, time=date_from_ms(SystemClock().now_ms())
    )
    try:
        with TemporaryDirectory(dir=target.absolute().parent, prefix=".baas-backup-") as work:
            database = Path(work) / DATABASE
            backup(folder, database)
            with whole_file(target) as file, tarfile.open(fileobj=file, mode="w") as archive:
                _add(archive, ABOUT, msgspec.json.encode(about))
                archive.add(database, DATABASE)
                if (folder / SECRET).is_file():
                    _add(archive, SECRET, (folder / SECRET).read_bytes())
    except OSError as fault:
        raise ConfigurationError(f"the backup {target} could not be written: {fault}") from fault


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o600
    member.mtime = SystemClock().now_ms() // 1000
    archive.addfile(member, io.BytesIO(content))


def read_backup(source: Path, folder: Path) -> About | None:
    """Makes `folder` hold what the backup holds; None for a bare database file.

    The database is checked before anything is changed. ConfigurationError for a damaged backup and
    for a folder in use.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not source.is_file():
        raise ConfigurationError(f"there is no backup {source}")
    with source.open("rb") as file:
        if file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC:
            restore(source, folder)
            return None
    with TemporaryDirectory(dir=folder, prefix=".restore-") as work:
        about, secret = _unpack(source, Path(work))
        restore(Path(work) / DATABASE, folder)
        if secret is not None:
            _put_secret(folder, secret)
    return about


def _unpack(source: Path, work: Path) -> tuple[About, bytes | None]:
    """Members are read by name, never extracted by theirs."""
    try:
        with tarfile.open(source, "r:") as archive:
            about = msgspec.json.decode(_member(archive, ABOUT).read(), type=About)
            if about.format > FORMAT:
                raise ConfigurationError(
                    f"the backup {source} has format {about.format}, this version knows {FORMAT}: "
                    "use a newer version of baas"
                )
            with (work / DATABASE).open("wb") as file:
                shutil.copyfileobj(_member(archive, DATABASE), file)
            secret = _member(archive, SECRET).read() if SECRET in archive.getnames() else None
    except (tarfile.TarError, msgspec.MsgspecError, KeyError, EOFError, OSError) as fault:
        raise ConfigurationError(f"{source} is damaged or no backup of baas: {fault}") from fault
    if secret is not None:
        check_strength(secret.decode("utf-8", "replace").strip(), str(source))
    return about, secret


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
