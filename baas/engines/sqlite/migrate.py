"""The format of the data folder: made, checked, and brought up to date after a copy."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import apsw

from baas.engines.sqlite import schema
from baas.engines.sqlite.connection import FILE, Durability, create_private, open_connection
from baas.engines.sqlite.jobtables import create_job_tables
from baas.engines.sqlite.lock import FileLock
from baas.errors import ConfigurationError

FORMAT_FILE: Final = "FORMAT"
#: The format that this version of the kit writes.
FORMAT: Final = 2

#: From a format to the next: what to do to the database, inside one transaction.
MIGRATIONS: Final[dict[int, Callable[[apsw.Connection], None]]] = {1: create_job_tables}


def prepare_folder(
    folder: Path,
    lock: FileLock,
    durability: Durability = "full",
    migrations: Mapping[int, Callable[[apsw.Connection], None]] = MIGRATIONS,
    target: int = FORMAT,
) -> None:
    """Makes a new folder's database, or brings an old one to format `target`.

    The database's own `user_version` decides; the file FORMAT is for people and scripts.
    """
    lock.acquire()
    try:
        connection = open_connection(folder / FILE, durability)
        try:
            _prepare(connection, folder, migrations, target)
        finally:
            connection.close()
        _write_format(folder, target)
    finally:
        lock.release()


def _prepare(
    connection: apsw.Connection,
    folder: Path,
    migrations: Mapping[int, Callable[[apsw.Connection], None]],
    target: int,
) -> None:
    found = int(connection.execute("PRAGMA user_version").get)
    check_application(connection, folder / FILE)
    if found > target:
        raise ConfigurationError(
            f"the data folder {folder} has format {found}; this version knows formats up to "
            f"{target}: use a newer version of baas"
        )
    if found == target:
        return
    if found == 0:
        with connection:
            schema.create_tables(connection)
            connection.execute(f"PRAGMA user_version={target}")
        return
    _keep_copy(connection, folder / f"{FILE}.format-{found}")
    with connection:
        for version in range(found, target):
            migrations[version](connection)
        connection.execute(f"PRAGMA user_version={target}")


def check_application(connection: apsw.Connection, path: Path) -> None:
    """ConfigurationError for a database that some other program made."""
    mark = connection.execute("PRAGMA application_id").get
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    if mark != schema.APPLICATION_ID and (tables or mark):
        raise ConfigurationError(f"{path} is not a database of this kit")


def _keep_copy(connection: apsw.Connection, path: Path) -> None:
    path.unlink(missing_ok=True)
    create_private(path)
    copy = apsw.Connection(str(path))
    try:
        with copy.backup("main", connection, "main") as work:
            work.step()
    finally:
        copy.close()


def _write_format(folder: Path, version: int) -> None:
    path, text = folder / FORMAT_FILE, f"{version}\n"
    if path.exists() and path.read_text() == text:
        return
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)
