"""A backup holds the bytes of every file that its rows name, whatever happens while it is made."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tarfile
import threading
from contextlib import chdir
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from click.testing import CliRunner, Result

from baas.cli import main
from baas.cli.archive import ABOUT, CONTENTS, DATABASE
from baas.engines.local.hold import held
from baas.engines.local.store import LocalBlobs
from baas.ports.blobs import new_key
from tests.support.gateway import Gateway, running, wait_until, write_app
from tests.support.s3 import Server
from tests.support.storage import pieces
from tests.support.writers import UNLIMITED

APP = {
    "baas.yaml": "app: {name: files}\n",
    "rules/_storage.yaml": "- path: '{file...}'\n  read: true\n  write: true\n",
    "rules/_functions.yaml": "'*': {invoke: true}\n",
    "functions/main.py": (
        "from baas import fn\n\n@fn.event()\nasync def later(ctx, event):\n    return 1\n"
    ),
}
SENDERS = 3


def baas(folder: Path, *arguments: object) -> Result:
    with chdir(folder):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])


def done(folder: Path, *arguments: object) -> str:
    result = baas(folder, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def failed(folder: Path, *arguments: object) -> str:
    result = baas(folder, *arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    return result.stderr


def send(client: httpx.Client, path: str, data: bytes) -> None:
    form = {"file": ("x", data, "application/octet-stream")}
    answer = client.post("/v1/storage/upload", data={"path": path}, files=form)
    assert answer.status_code == 200, answer.text


def delete(client: httpx.Client, path: str) -> None:
    answer = client.post("/v1/storage/delete", json={"files": [{"path": path}]})
    assert answer.status_code == 200, answer.text


def listed(gateway: Gateway) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        body = {"limit": 100} if after is None else {"limit": 100, "after": after}
        answer = gateway.post("/v1/storage/list", body).json()
        found += answer["files"]
        after = answer["next"]
        if after is None:
            return found


class Senders:
    """Replace and delete files without pause, so that bytes go all the time."""

    def __init__(self, url: str) -> None:
        self.halt = threading.Event()
        self.sent = 0
        self.faults: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(url, number)) for number in range(SENDERS)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, url: str, number: int) -> None:
        with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
            while not self.halt.is_set():
                try:
                    send(client, f"hot/{number}/{self.sent % 4}", os.urandom(20_000))
                    if self.sent % 5 == 0:
                        delete(client, f"hot/{number}/{self.sent % 4}")
                except AssertionError as fault:
                    self.faults.append(str(fault))
                self.sent += 1

    def stop(self) -> None:
        self.halt.set()
        for thread in self._threads:
            thread.join()


def test_under_load_every_row_has_its_bytes_and_all_else_is_there(tmp_path: Path) -> None:
    first, second = (write_app(tmp_path / name, APP) for name in ("first", "second"))
    file = tmp_path / "backup.tar"
    with running(first, "--workers", "2", **UNLIMITED) as gateway:
        for number in range(60):
            send(gateway.client, f"rest/{number}", os.urandom(50_000))
        calling = gateway.client.post("/v1/functions/later?mode=async&delay=3600", json={})
        assert calling.status_code == 202, calling.text
        senders = Senders(gateway.url)
        try:
            for _ in range(2):
                before = senders.sent
                wait_until(lambda before=before: senders.sent > before + 5)
                done(first, "backup", file)
                assert "the digests agree" in (told := done(tmp_path, "backup", "verify", file))
        finally:
            senders.stop()
        assert senders.faults == []
        assert "1 job" in told
    with tarfile.open(file) as archive:
        member = archive.extractfile(CONTENTS)
        assert member is not None
        held_ones = msgspec.json.decode(member.read())["contents"]["collections"]
    assert {"_files", "_functions"} <= set(held_ones)
    done(second, "restore", file)
    with running(second, **UNLIMITED) as gateway:
        found = listed(gateway)
        assert {f"rest/{number}" for number in range(60)} <= {one["path"] for one in found}
        for one in found:
            data = gateway.client.get(f"/v1/storage/files/{one['path']}").content
            assert hashlib.sha256(data).hexdigest() == one["hash"], one["path"]
        send(gateway.client, "rest/0", b"new")
        answer = gateway.client.post("/v1/functions/later", json={})
        assert answer.json() == 1


def test_what_goes_while_a_backup_copies_stays_until_the_sweep(tmp_path: Path) -> None:
    async def through() -> None:
        blobs, key, other = LocalBlobs(tmp_path), new_key(), new_key()
        await blobs.start()
        for one in (key, other):
            await blobs.put(one, pieces(b"x"))
        with held(tmp_path):
            await blobs.delete(key)
            assert len([found async for found in blobs.listing()]) == 2
            await blobs.put(new_key(), pieces(b"new ones come in"))
        await blobs.delete(other)
        left = [found.key async for found in blobs.listing()]
        assert key in left
        assert other not in left
        await blobs.delete(key)
        assert len([found async for found in blobs.listing()]) == 1

    asyncio.run(through())


# -- what is wrong with one -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `b.tar`, the backup of an app with some files."""
    folder = write_app(tmp_path_factory.mktemp("app"), APP)
    with running(folder) as gateway:
        for number in range(5):
            send(gateway.client, f"f/{number}", f"content {number}".encode() * 100)
        gateway.post("/v1/storage/copy", {"from": "f/0", "to": "f/copy"})
    done(folder, "backup", "b.tar")
    return folder


def rewritten(source: Path, target: Path, change: Any) -> Path:
    """The tar file with members changed: `change(member, data)` gives both, or None."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            file = old.extractfile(member)
            found = change(member, file.read() if file else b"")
            if found is not None:
                member, data = found
                member.size = len(data)
                new.addfile(member, BytesIO(data))
    return target


def is_blob(member: tarfile.TarInfo) -> bool:
    return member.name.startswith("storage/")


def test_it_says_what_it_holds(made: Path) -> None:
    told = done(made, "backup", "verify", "b.tar")
    assert told.splitlines()[0].startswith("b.tar: files at 2")
    assert "5 files (4,500 bytes); restored, and the digests agree" in told
    assert (made / "b.tar").stat().st_mode & 0o077 == 0
    assert [path.name for path in made.glob(".baas*")] == []


@pytest.mark.parametrize("fault", ["altered", "missing", "a link", "elsewhere"])
def test_a_file_that_is_not_what_it_was_is_found_and_nothing_changes(
    made: Path, tmp_path: Path, fault: str
) -> None:
    turned = []

    def change(member: tarfile.TarInfo, data: bytes) -> Any:
        if not is_blob(member) or turned:
            return member, data
        turned.append(member.name)
        if fault == "altered":
            return member, bytes([data[0] ^ 1]) + data[1:]
        if fault == "missing":
            return None
        if fault == "a link":
            member.type, member.linkname = tarfile.SYMTYPE, str(made / "baas.yaml")
            return member, b""
        member.name = f"storage/blobs/../../{member.name.rpartition('/')[2]}"
        return member, data

    bad = rewritten(made / "b.tar", tmp_path / "bad.tar", change)
    assert "damaged" in failed(made, "backup", "verify", bad)
    app = write_app(tmp_path / "app", APP)
    assert "damaged" in failed(app, "restore", bad)
    assert list((app / "data").iterdir()) == []


def test_rows_that_were_altered_are_found(made: Path, tmp_path: Path) -> None:
    def change(member: tarfile.TarInfo, data: bytes) -> Any:
        if member.name == DATABASE:
            data = data.replace(b"application/octet-stream", b"application/octet-strewn")
        return member, data

    bad = rewritten(made / "b.tar", tmp_path / "bad.tar", change)
    assert "collection _files" in failed(made, "backup", "verify", bad)


def test_a_backup_that_was_cut_off_is_no_backup(made: Path, tmp_path: Path) -> None:
    def change(member: tarfile.TarInfo, data: bytes) -> Any:
        return None if member.name == CONTENTS else (member, data)

    bad = rewritten(made / "b.tar", tmp_path / "bad.tar", change)
    assert "damaged or no backup" in failed(made, "backup", "verify", bad)


def test_one_of_the_first_format_is_restored_without_files(made: Path, tmp_path: Path) -> None:
    def change(member: tarfile.TarInfo, data: bytes) -> Any:
        if member.name == ABOUT:
            about = msgspec.json.decode(data)
            return member, msgspec.json.encode({**about, "format": 1})
        return (member, data) if member.name in (DATABASE, "secret") else None

    old = rewritten(made / "b.tar", tmp_path / "old.tar", change)
    assert "from before" in done(made, "backup", "verify", old)
    app = write_app(tmp_path / "app", APP)
    done(app, "restore", old)
    assert not (app / "data" / "storage").exists()


def test_a_file_that_is_damaged_already_costs_no_other(made: Path, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", APP)
    done(app, "restore", made / "b.tar")
    blobs = sorted((app / "data/storage/blobs").glob("*/*"))
    blobs[0].write_bytes(b"rotten" * 150)
    blobs[1].unlink()
    assert "whole but for 2 files" in failed(app, "backup", "b.tar")
    assert "2 files had no good bytes" in failed(app, "backup", "verify", "b.tar")
    other = write_app(tmp_path / "other", APP)
    done(other, "restore", app / "b.tar")
    assert len(list((other / "data/storage/blobs").glob("*/*"))) == 3


def test_over_an_app_that_has_files_both_are_there_until_the_sweep(
    made: Path, tmp_path: Path
) -> None:
    app = write_app(tmp_path / "app", APP)
    with running(app) as gateway:
        send(gateway.client, "own", b"mine")
    assert "--force" in failed(app, "restore", made / "b.tar")
    done(app, "restore", made / "b.tar", "--force")
    assert len(list((app / "data/storage/blobs").glob("*/*"))) == 6
    with running(app) as gateway:
        assert gateway.client.get("/v1/storage/files/own").status_code == 404
        assert gateway.client.get("/v1/storage/files/f/copy").content == b"content 0" * 100
        assert "in use" in failed(app, "restore", made / "b.tar", "--force")


def test_of_an_app_on_s3_it_holds_the_rows_and_says_so(s3_server: Server, tmp_path: Path) -> None:
    app = write_app(tmp_path, APP)
    environ = s3_server.environment()
    with running(app, **environ) as gateway:
        send(gateway.client, "a", b"x")
    with chdir(app):
        found = CliRunner().invoke(main, ["backup", "b.tar"], env=environ)
        assert "not in this backup" in found.stderr
        told = CliRunner().invoke(main, ["backup", "verify", "b.tar"], env=environ)
        assert (told.exit_code, told.stderr) == (0, "")
        assert "bucket and not in this backup" in told.stdout
        command = ["restore", "b.tar", "--data", "data2"]
        assert CliRunner().invoke(main, command, env=environ).exit_code == 0
    with running(app, "--data", "data2", **environ) as gateway:
        assert gateway.client.get("/v1/storage/files/a").content == b"x"
