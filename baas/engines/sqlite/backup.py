"""Backup of a live database into one file, and its way back into a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import apsw

from baas.engines.sqlite import schema
from baas.engines.sqlite.connection import FILE, create_private, open_connection
from baas.engines.sqlite.lock import WRITER, FileLock, own_folder
from baas.engines.sqlite.migrate import check_application, prepare_folder
from baas.errors import ConfigurationError

#: Pages copied between two looks at anything else.
_PAGES: Final = 2000


def backup(folder: Path, path: Path) -> None:
    """Copies the database of `folder` as of one moment to `path`, durably, all or nothing.

    Writers go on meanwhile. Blocks: run it in a thread. ConfigurationError where it cannot.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        source = open_connection(folder / FILE)
        try:
            # The read transaction keeps the copy to one moment, whatever is written meanwhile.
            source.execute("BEGIN; SELECT 1 FROM baas_meta")
            _copy(source, partial)
        finally:
            source.close()
        _sync(partial)
        os.replace(partial, path)
        _sync(path.parent)
    except (apsw.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        raise ConfigurationError(f"the backup {path} could not be written: {error}") from error


def restore(source: Path, folder: Path) -> None:
    """Makes `folder` hold what the backup `source` holds.

    The folder must not be in use. A database that is there already is kept beside it as
    `db.sqlite3.before-restore`. Cursors into the change feed given out before are too old after.
    ConfigurationError for a file that is damaged or no backup; then nothing has changed.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = own_folder(folder)
    lock = FileLock(folder / WRITER)
    partial = folder / f"{FILE}.partial"
    try:
        partial.unlink(missing_ok=True)
        _copy_checked(source, partial)
        _move_aside(folder)
        os.replace(partial, folder / FILE)
        _sync(folder)
        prepare_folder(folder, lock)
    finally:
        partial.unlink(missing_ok=True)
        lock.close()
        owner.close()


def _copy_checked(source: Path, partial: Path) -> None:
    if not source.is_file():
        raise ConfigurationError(f"there is no backup {source}")
    try:
        original = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            check_application(original, source)
            _copy(original, partial)
        finally:
            original.close()
        copy = open_connection(partial)
        try:
            _check_integrity(copy, source)
            schema.new_epoch(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        finally:
            copy.close()
        _sync(partial)
    except (apsw.Error, OSError) as error:
        raise ConfigurationError(f"the backup {source} cannot be read: {error}") from error


def _check_integrity(connection: apsw.Connection, path: Path) -> None:
    verdict = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
    if verdict != ["ok"]:
        raise ConfigurationError(f"the backup {path} is damaged: {'; '.join(verdict)}")


def _copy(source: apsw.Connection, path: Path) -> None:
    path.unlink(missing_ok=True)
    create_private(path)
    target = apsw.Connection(str(path))
    try:
        with target.backup("main", source, "main") as work:
            while not work.done:
                work.step(_PAGES)
        # One file, nothing beside it.
        target.execute("PRAGMA journal_mode=DELETE")
    finally:
        target.close()


def _move_aside(folder: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        current = folder / (FILE + suffix)
        if current.exists():
            os.replace(current, folder / f"{FILE}.before-restore{suffix}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
