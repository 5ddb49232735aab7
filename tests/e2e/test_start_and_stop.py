"""What an operator sees when the gateway starts, refuses to start, and stops."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import NOTES_APP, ROOT, running, write_app


def refused(folder: Path, **environ: str) -> str:
    """What a start that fails says; one line, no stack."""
    ended = subprocess.run(
        [sys.executable, "-m", "baas", "serve", "--port", "0"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"baas.yaml": "server:\n  prot: 1\n"}, "baas.yaml:2:3: unknown key of server 'prot'"),
        ({"rules/a.yaml": "rules: {read: doc.x ==}\n"}, "a.yaml:1:"),
        ({"rules/a.yaml": "ruels: {read: true}\n"}, "a.yaml:1:"),
    ],
)
def test_a_fault_in_the_apps_files_is_shown_with_its_place(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    assert message in refused(write_app(tmp_path, files))


@pytest.mark.parametrize(
    "secret", ["too-short-7", "secret" * 10, "a" * 64, "changeme-changeme-changeme-1"]
)
def test_a_weak_secret_is_refused_without_being_shown(tmp_path: Path, secret: str) -> None:
    shown = refused(write_app(tmp_path, NOTES_APP), BAAS_SERVER__SECRET=secret)

    assert "secret" in shown
    assert secret not in shown


def test_an_empty_folder_is_an_app(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        assert gateway.client.get("/readyz").status_code == 200
        assert gateway.post("/v1/database/anything/find").status_code == 403


def test_asked_to_stop_it_stops_and_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    write_app(tmp_path, NOTES_APP)
    with running(tmp_path) as gateway:
        token = gateway.sign_in()
        gateway.post("/v1/database/notes/insert", {"document": {"_id": "n1"}}, token=token)
        assert gateway.stop() == 0
        assert gateway.log()[-1]["message"] == "stopped"
    wal = tmp_path / "data" / "baas.db-wal"
    assert not wal.exists() or wal.stat().st_size == 0

    with running(tmp_path) as gateway:
        again = gateway.post("/v1/database/notes/get", {"id": "n1"}, token=token)
        assert again.status_code == 200


def test_a_second_gateway_on_the_same_data_is_refused(tmp_path: Path) -> None:
    write_app(tmp_path, NOTES_APP)
    with running(tmp_path) as gateway:
        assert "data" in refused(tmp_path)
        assert gateway.client.get("/readyz").status_code == 200
