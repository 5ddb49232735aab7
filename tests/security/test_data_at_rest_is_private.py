"""What the kit writes to disk is for its own user alone, whatever the umask: the database holds
password hashes and sealed keys."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from baas.app import build
from baas.cli.archive import read_backup, write_backup
from baas.settings import Settings


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def start_once(folder: Path) -> Path:
    async def run() -> None:
        app = build(folder, Settings())
        await app.start()
        try:
            assert others_may_read(folder / "data") == []
        finally:
            await app.stop()

    (folder / "rules").mkdir()
    asyncio.run(run())
    return folder / "data"


def others_may_read(data: Path) -> list[str]:
    """Files that someone else could reach, each with its mode; none where the folder is shut."""
    files = [file for file in data.iterdir() if file.name.startswith(("db.", "secret", "lock"))]
    return [
        f"{file.name} {stat.filemode(file.stat().st_mode)}"
        for file in files
        if file.stat().st_mode & 0o077
    ]


def test_a_new_data_folder_is_shut(tmp_path: Path) -> None:
    data = start_once(tmp_path)
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_the_database_is_private_in_an_open_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    data = start_once(tmp_path)
    assert (data / "db.sqlite3").is_file()
    assert others_may_read(data) == []


def test_backups_and_what_is_restored_from_them(tmp_path: Path) -> None:
    data = start_once(tmp_path)
    backup, place = tmp_path / "app.backup", tmp_path / "restored"
    write_backup(data, "app", backup)
    place.mkdir(mode=0o755)
    read_backup(backup, place)
    read_backup(backup, place)  # the first database is kept beside it
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert (place / "db.sqlite3.before-restore").is_file()
    assert others_may_read(place) == []
