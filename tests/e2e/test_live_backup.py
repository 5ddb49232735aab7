"""A backup of a running gateway, brought up somewhere else: the same app goes on there."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.gateway import NOTES_APP, Gateway, running, wait_until, write_app


def baas(folder: Path, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "baas", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=30,
    )


def insert(gateway: Gateway, token: str, id: str) -> None:
    answer = gateway.post("/v1/database/notes/insert", {"document": {"_id": id}}, token=token)
    assert answer.status_code == 200, answer.text


def test_sessions_and_documents_go_on_where_a_backup_is_restored(tmp_path: Path) -> None:
    first, second = (write_app(tmp_path / name, NOTES_APP) for name in ("first", "second"))
    with running(first) as gateway:
        session = gateway.post("/v1/auth/sign-in/anonymous").json()
        insert(gateway, session["accessToken"], "before")
        baas(first, "backup", "../app.tar", "--data", gateway.data)
        insert(gateway, session["accessToken"], "after")
    baas(second, "restore", "../app.tar")
    with running(second) as gateway:
        body = {"refreshToken": session["refreshToken"]}
        renewed = gateway.post("/v1/auth/refresh", body)
        assert renewed.status_code == 200, renewed.text
        for token in (session["accessToken"], renewed.json()["accessToken"]):
            notes = gateway.post("/v1/database/notes/find", token=token).json()["documents"]
            assert [note["_id"] for note in notes] == ["before"]
        insert(gateway, renewed.json()["accessToken"], "after")


def test_an_import_beside_a_running_gateway_is_seen_by_it(tmp_path: Path) -> None:
    folder = write_app(tmp_path, NOTES_APP)
    with running(folder) as gateway:
        session = gateway.post("/v1/auth/sign-in/anonymous").json()
        uid = session["user"]["uid"]
        (folder / "notes.jsonl").write_text(f'{{"_id": "imported", "_openid": "{uid}"}}\n')
        baas(folder, "data", "import", "notes.jsonl", "--data", gateway.data)
        notes = gateway.post("/v1/database/notes/find", token=session["accessToken"]).json()
        assert [note["_id"] for note in notes["documents"]] == ["imported"]


def test_a_restore_to_an_earlier_moment(tmp_path: Path) -> None:
    first, second = (write_app(tmp_path / name, NOTES_APP) for name in ("first", "second"))
    with running(first) as gateway:
        session = gateway.post("/v1/auth/sign-in/anonymous").json()
        token = session["accessToken"]
        insert(gateway, token, "before")
        moment = datetime.now(UTC)
        wait_until(lambda: datetime.now(UTC) - moment > timedelta(milliseconds=2))
        insert(gateway, token, "after")
        body = {"id": "before", "update": {"$set": {"title": "spoiled"}}}
        assert gateway.post("/v1/database/notes/update", body, token=token).status_code == 200
        baas(first, "backup", "../app.tar", "--data", gateway.data)
    baas(second, "restore", "../app.tar", "--at", moment.isoformat())
    with running(second) as gateway:
        notes = gateway.post("/v1/database/notes/find", token=token).json()["documents"]
        assert [(note["_id"], note.get("title")) for note in notes] == [("before", None)]
