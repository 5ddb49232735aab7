"""All that an app keeps, out to a folder of files and in again: the same app goes on elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, running, wait_until, write_app

APP = {
    "baas.yaml": "app: {name: moving}\n",
    "rules/notes.yaml": (
        "collection: notes\n"
        "acl: PRIVATE\n"
        "indexes: [{fields: [slug], unique: true}]\n"
        "schema: {type: object, properties: {slug: {type: string}}}\n"
    ),
    "rules/runs.yaml": "collection: runs\nrules: {read: true, create: auth != null}\n",
    "rules/_functions.yaml": '"*": {invoke: auth != null}\n',
    "rules/_storage.yaml": "- {path: 'f/{x}', read: true, write: auth != null}\n",
    "functions/main.py": """
from pathlib import Path
from baas import Context, fn

@fn.event()
async def mark(ctx: Context, event):
    await ctx.database.collection("runs").insert(document={"n": event["n"]})

@fn.on("database.notes.insert")
async def counted(ctx: Context, event):
    await ctx.database.collection("runs").insert(document={"note": event.documentId})
""",
}
#: A call is begun this many seconds after the move at the earliest.
LATER = 6
NOTES = 1_200


def baas(folder: Path, *arguments: str, fails: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "baas", *arguments, "--data", str(folder / "data")],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


def upload(gateway: Gateway, token: str, path: str, content: bytes) -> None:
    headers = {"authorization": f"Bearer {token}"}
    files = {"file": ("f", content)}
    answer = gateway.client.post(
        "/v1/storage/upload", data={"path": path}, files=files, headers=headers
    )
    assert answer.status_code == 200, answer.text


def invocation(gateway: Gateway, token: str, id: str) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {token}"}
    answer = gateway.client.get(f"/v1/functions/invocations/{id}", headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def runs(gateway: Gateway, **match: Any) -> list[dict[str, Any]]:
    body = {"filter": match, "limit": 1000}
    found: list[dict[str, Any]] = gateway.post("/v1/database/runs/find", body).json()["documents"]
    return found


def noted(gateway: Gateway) -> int:
    """How many notes the trigger has answered for."""
    body = {"filter": {"note": {"$exists": True}}, "limit": 1, "count": True}
    return int(gateway.post("/v1/database/runs/find", body).json()["total"])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An app that has lived, its export, and what a client of it still holds."""
    folder = write_app(tmp_path_factory.mktemp("first"), APP)
    with running(folder, BAAS_LIMITS__RATE_WRITE="off") as gateway:
        session = gateway.post("/v1/auth/sign-in/anonymous").json()
        token = session["accessToken"]
        for start in range(0, NOTES, 400):
            documents = [{"_id": f"n{n}", "slug": f"s{n}"} for n in range(start, start + 400)]
            answer = gateway.post(
                "/v1/database/notes/insert", {"documents": documents}, token=token
            )
            assert answer.status_code == 200, answer.text
        upload(gateway, token, "f/a.txt", b"hello")
        upload(gateway, token, "f/b.bin", bytes(range(256)) * 5_000)
        wait_until(lambda: noted(gateway) == NOTES)
        query = f"?mode=async&delay={LATER}"
        waiting = gateway.post(f"/v1/functions/mark{query}", {"n": 1}, token=token).json()
    told = baas(folder, "data", "export", "--everything", "-o", "out")
    assert "2 files" in told
    return {"folder": folder, "session": session, "waiting": waiting["invocationId"]}


@pytest.fixture
def out(exported: dict[str, Any], tmp_path: Path) -> Path:
    """The export, to be spoiled."""
    return Path(shutil.copytree(exported["folder"] / "out", tmp_path / "out"))


def test_the_app_goes_on_where_the_export_is_imported(
    exported: dict[str, Any], tmp_path: Path
) -> None:
    second = write_app(tmp_path / "second", APP)
    source = str(exported["folder"] / "out")
    assert "the digests agree" in baas(second, "data", "import", "--everything", source)
    # Done again it changes nothing.
    assert "the digests agree" in baas(second, "data", "import", "--everything", source)
    assert "the digests agree" in baas(second, "data", "verify", source, "--app")
    with running(second) as gateway:
        renewed = gateway.post(
            "/v1/auth/refresh", {"refreshToken": exported["session"]["refreshToken"]}
        )
        token = renewed.json()["accessToken"]
        body = {"filter": {}, "limit": 1, "count": True}
        found = gateway.post("/v1/database/notes/find", body, token=token).json()
        assert found["total"] == NOTES
        taken = {"document": {"slug": "s3"}}
        again = gateway.post("/v1/database/notes/insert", taken, token=token)
        assert again.json()["code"] == "CONFLICT"
        answer = gateway.client.get("/v1/storage/files/f/b.bin")
        assert answer.content == bytes(range(256)) * 5_000
        waiting = exported["waiting"]
        wait_until(lambda: invocation(gateway, token, waiting)["state"] == "succeeded")
        assert len(runs(gateway, n=1)) == 1
        # What was written before has been answered for; what was imported is nothing new.
        gateway.post("/v1/database/notes/insert", {"document": {"_id": "new"}}, token=token)
        wait_until(lambda: runs(gateway, note="new"))
        assert noted(gateway) == NOTES + 1


def test_an_export_that_was_cut_off_goes_on(exported: dict[str, Any], tmp_path: Path) -> None:
    again = tmp_path / "again"
    folder = exported["folder"]
    baas(folder, "data", "export", "--everything", "-o", str(again))
    whole = json.loads((again / "export.json").read_text())["contents"]
    for name in ("export.json", "collections/notes.jsonl", "ticks.json"):
        (again / name).unlink()
    first = next(one for one in (again / "files").rglob("*") if one.is_file())
    first.unlink()
    (again / "collections" / ".half.jsonl").write_text("{")
    refused = baas(folder, "data", "import", "--everything", str(again), fails=True)
    assert "no whole export" in refused
    baas(folder, "data", "export", "--everything", "-o", str(again))
    assert json.loads((again / "export.json").read_text())["contents"] == whole
    refused = baas(folder, "data", "export", "--everything", "-o", str(again), fails=True)
    assert "holds a whole export" in refused


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("document", "collection notes: as many documents on both sides, but not the same ones"),
        ("line", "collection notes: 1,200 documents on one side, 1,199 on the other"),
        ("job", "jobs: "),
        ("bytes", "are not what its row says"),
        ("missing", "are not there"),
    ],
)
def test_what_was_changed_is_found(
    out: Path, exported: dict[str, Any], spoil: str, told: str
) -> None:
    notes = out / "collections" / "notes.jsonl"
    blob = next(one for one in (out / "files").rglob("*") if one.is_file())
    match spoil:
        case "document":
            notes.write_text(notes.read_text().replace('"s7"', '"t7"'))
        case "line":
            notes.write_text("".join(notes.read_text().splitlines(keepends=True)[:-1]))
        case "job":
            (out / "jobs.jsonl").write_text("")
        case "bytes":
            content = bytearray(blob.read_bytes())
            content[-1] ^= 1
            blob.write_bytes(content)
        case "missing":
            blob.unlink()
    assert told in baas(exported["folder"], "data", "verify", str(out), fails=True)


def test_an_import_over_other_documents_is_refused(out: Path, tmp_path: Path) -> None:
    second = write_app(tmp_path / "second", APP)
    with running(second) as gateway:
        token = gateway.sign_in()
        gateway.post("/v1/database/notes/insert", {"document": {"_id": "n5"}}, token=token)
    told = baas(second, "data", "import", "--everything", str(out), fails=True)
    assert "a secret of its own" in told
    shutil.copy(second / "data" / "secret", out / "secret")
    told = baas(second, "data", "import", "--everything", str(out), fails=True)
    assert "holds another document" in told


def test_a_folder_in_use_is_left_alone(exported: dict[str, Any], out: Path, tmp_path: Path) -> None:
    second = write_app(tmp_path / "second", APP)
    with running(second):
        told = baas(second, "data", "import", "--everything", str(out), fails=True)
        assert "in use by process" in told
        told = baas(second, "data", "export", "--everything", "-o", "there", fails=True)
        assert "in use by process" in told


def test_hostile_exports(out: Path, exported: dict[str, Any]) -> None:
    rows = out / "collections" / "_files.jsonl"
    rows.write_text(rows.read_text().replace('"blob":"', '"blob":"../../'))
    told = baas(exported["folder"], "data", "verify", str(out), fails=True)
    assert "is not the key of a blob" in told
    (out / "export.json").write_text('{"format": 2}')
    assert "not an export" in baas(exported["folder"], "data", "verify", str(out), fails=True)
