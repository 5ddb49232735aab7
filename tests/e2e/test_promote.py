"""`baas promote`: an app moves with all that it keeps, and goes on where it is."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baas_sdkgen.runtime.py import Cloud

from tests.sdk.python.runner import run
from tests.support import mongo
from tests.support.board import serving_board
from tests.support.gateway import ROOT, running, write_app
from tests.support.populace import Populace
from tests.support.s3 import Server, server_names

APP = {
    "baas.yaml": "app: {name: moving}\n",
    "rules/notes.yaml": "collection: notes\nacl: PRIVATE\n",
    "rules/_storage.yaml": "- {path: 'f/{x}', read: true, write: auth != null}\n",
    "new.yaml": "app: {name: moving}\ndatabase: {data: elsewhere}\n",
}


def promote(folder: Path, *arguments: str, fails: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "baas", "promote", *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


@pytest.fixture
def lived(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """An app with a user, a note and a file, and the user's session."""
    folder = write_app(tmp_path, APP)
    with running(folder) as gateway:
        session: dict[str, Any] = gateway.post("/v1/auth/sign-in/anonymous").json()
        token = session["accessToken"]
        gateway.post("/v1/database/notes/insert", {"document": {"_id": "n"}}, token=token)
        headers = {"authorization": f"Bearer {token}"}
        sent = gateway.client.post(
            "/v1/storage/upload",
            data={"path": "f/a"},
            files={"file": ("a", b"bytes")},
            headers=headers,
        )
        assert sent.status_code == 200
    return folder, session


def test_there_and_back_again(lived: tuple[Path, dict[str, Any]]) -> None:
    folder, session = lived
    assert "it could be moved" in promote(folder, "--to", "new.yaml", "--check")
    for _ in range(2):  # done again it moves nothing, and compares
        assert "the digests of both sides agree" in promote(folder, "--to", "new.yaml")
    shutil.copy(folder / "baas.yaml", folder / "old.yaml")
    assert "agree" in promote(folder, "--from", "new.yaml", "--to", "old.yaml")
    shutil.rmtree(folder / "data")
    shutil.move(folder / "elsewhere", folder / "data")
    with running(folder) as gateway:
        refreshed = gateway.post("/v1/auth/refresh", {"refreshToken": session["refreshToken"]})
        token = refreshed.json()["accessToken"]
        notes = gateway.post("/v1/database/notes/find", token=token).json()["documents"]
        assert [note["_id"] for note in notes] == ["n"]
        assert gateway.client.get("/v1/storage/files/f/a").content == b"bytes"


def test_files_move_to_a_bucket_and_back(
    lived: tuple[Path, dict[str, Any]], s3_servers: Callable[[str], Server]
) -> None:
    folder, _ = lived
    bucket = s3_servers(server_names()[0]).settings()
    names = ("engine", "s3_endpoint", "s3_bucket", "s3_access_key", "s3_secret_key")
    storage = json.dumps({name: getattr(bucket, name) for name in names})
    old = (folder / "baas.yaml").read_text()
    new = f"{old}database: {{data: other}}\nstorage: {storage}\n"
    places = {"other": new, "third": f"{old}database: {{data: third}}\n"}
    for data, settings in places.items():
        (folder / "to.yaml").write_text(settings)
        assert "1 file (5 bytes); the digests of both sides agree" in promote(
            folder, "--to", "to.yaml"
        )
        (folder / "baas.yaml").write_text(settings)
        with running(folder, "--data", str(folder / data)) as gateway:
            assert gateway.client.get("/v1/storage/files/f/a").content == b"bytes"


def test_what_would_lose_something_is_refused(lived: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = lived
    (folder / "same.yaml").write_text("app: {name: moving}\n")
    assert "where the data is" in promote(folder, "--to", "same.yaml", fails=True)
    (folder / "secret.yaml").write_text(
        "app: {name: moving}\ndatabase: {data: elsewhere}\n"
        "server: {secret: k3J8sPq0ZxVb7NwLt5YhRm2GdCf9Ua4E}\n"
    )
    assert "server.secret is another" in promote(folder, "--to", "secret.yaml", fails=True)
    with running(folder):
        assert "in use by process" in promote(folder, "--to", "new.yaml", fails=True)


def test_a_place_with_other_data_is_refused(lived: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = lived
    other = write_app(folder / "other", APP)
    (other / "rules" / "more.yaml").write_text("collection: more\nrules: {create: true}\n")
    with running(other) as gateway:
        gateway.post("/v1/database/more/insert", {"document": {}})
    shutil.copytree(other / "data", folder / "elsewhere")
    shutil.copy(folder / "data" / "secret", folder / "elsewhere" / "secret")
    assert "a collection 'more' already" in promote(folder, "--to", "new.yaml", fails=True)


def test_from_sqlite_to_mongo_and_back(lived: tuple[Path, dict[str, Any]]) -> None:
    folder, session = lived
    database = f"promote-{secrets.token_hex(6)}"
    secret = (folder / "data" / "secret").read_text().strip()
    (folder / "new.yaml").write_text(
        f"app: {{name: moving}}\nserver: {{secret: {secret}}}\n"
        f"database: {{engine: mongo, mongo_database: {database}, "
        f"mongo_url: '{mongo.server_url()}'}}\n"
    )
    assert "the digests of both sides agree" in promote(folder, "--to", "new.yaml")
    (folder / "old.yaml").write_text("app: {name: moving}\ndatabase: {data: again}\n")
    shutil.copy(folder / "baas.yaml", folder / "first.yaml")
    shutil.copy(folder / "new.yaml", folder / "baas.yaml")
    with running(folder) as gateway:
        refreshed = gateway.post("/v1/auth/refresh", {"refreshToken": session["refreshToken"]})
        token = refreshed.json()["accessToken"]
        gateway.post("/v1/database/notes/insert", {"document": {"_id": "there"}}, token=token)
        assert gateway.client.get("/v1/storage/files/f/a").content == b"bytes"
        assert "still alive" in promote(folder, "--to", "old.yaml", fails=True)
    told = promote(folder, "--to", "old.yaml", fails=True)
    assert "server.secret must be set" in told
    (folder / "old.yaml").write_text(
        f"app: {{name: moving}}\ndatabase: {{data: again}}\nserver: {{secret: {secret}}}\n"
    )
    assert "the digests of both sides agree" in promote(folder, "--to", "old.yaml")
    shutil.copytree(folder / "again", folder / "data", dirs_exist_ok=True)
    (folder / "baas.yaml").write_text(f"app: {{name: moving}}\nserver: {{secret: {secret}}}\n")
    with running(folder) as gateway:
        notes = gateway.post("/v1/database/notes/find", token=token).json()["documents"]
        assert sorted(note["_id"] for note in notes) == ["n", "there"]


def test_a_populated_board_moves_and_its_clients_notice_nothing(tmp_path: Path) -> None:
    """`python -m tests.support.populace` makes larger ones; docs/scale.md has what they took."""
    folder = tmp_path / "board"
    with serving_board(folder) as gateway:
        populace = Populace(gateway.url)
        populace.fill(documents=5000, files=100)
        populace.close()
    secret = (folder / "data" / "secret").read_text().strip()
    (folder / "new.yaml").write_text(
        f"app: {{name: board}}\nserver: {{secret: {secret}}}\n"
        f"database: {{engine: mongo, mongo_database: promote-{secrets.token_hex(6)}, "
        f"mongo_url: '{mongo.server_url()}'}}\n"
    )
    told = promote(folder, "--to", "new.yaml")
    assert "100 files" in told
    assert "the digests of both sides agree" in told
    shutil.copy(folder / "new.yaml", folder / "baas.yaml")
    steps = json.loads((ROOT / "tests" / "sdk" / "scenario.json").read_text())["steps"]
    off = {f"BAAS_LIMITS__RATE_{kind}": "off" for kind in ("AUTH", "READ", "WRITE")}
    with running(folder, **off) as gateway, Cloud(gateway.url, trust_env=False) as cloud:
        assert asyncio.run(run(cloud, steps, lambda: None)) == len(steps)
