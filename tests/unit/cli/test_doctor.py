"""`baas doctor`: names what is wrong before a start would."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from baas.cli import main
from baas.cli.listener import note_address
from baas.engines.sqlite.lock import own_folder
from baas.secret import FILE_NAME
from tests.support import mongo
from tests.support.s3 import Server


@pytest.fixture(autouse=True)
def _in_an_app_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAAS_SERVER__PORT", "0")


def doctor() -> tuple[int, str]:
    result = CliRunner().invoke(main, ["doctor"])
    return result.exit_code, result.output


def test_an_empty_folder_could_be_served() -> None:
    code, output = doctor()
    assert code == 0
    assert "fault" not in output
    assert "every request for documents will be denied" in output


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("baas.yaml", "sever: {}\n", "baas.yaml:1:1: unknown section 'sever'"),
        ("rules/notes.yaml", "rules:\n  read: doc.a ==\n", "notes.yaml:2:"),
        ("baas.yaml", "server: {secret: changeme}\n", "secret"),
    ],
)
def test_a_fault_in_the_app_s_files_is_shown_with_its_place(
    tmp_path: Path, file: str, text: str, complaint: str
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / file).write_text(text)
    code, output = doctor()
    assert code == 1
    assert any(line.startswith("fault") and complaint in line for line in output.splitlines())


def test_a_secret_that_others_may_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE_NAME).write_text("x")
    (tmp_path / "data" / FILE_NAME).chmod(0o644)
    code, output = doctor()
    assert code == 1
    assert f"chmod 600 {tmp_path / 'data' / FILE_NAME}" in output


def test_a_port_that_is_taken_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("BAAS_SERVER__PORT", str(port))
        code, output = doctor()
    assert code == 1
    assert f"127.0.0.1 port {port}" in output


def test_a_gateway_that_is_running_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    lock = own_folder(tmp_path / "data")
    note_address(tmp_path / "data", "http://127.0.0.1:9123")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("BAAS_SERVER__PORT", str(taken.getsockname()[1]))
        code, output = doctor()
    lock.close()
    assert code == 0
    assert "in use by a gateway" in output
    assert "ok     address: http://127.0.0.1:9123, of the gateway that runs now" in output


def test_an_s3_store_is_asked_for_its_bucket(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    code, output = doctor()
    assert code == 0
    assert re.search(rf"^ok +files: bucket b-[0-9a-f]+ at {s3_server.url}$", output, re.MULTILINE)

    monkeypatch.setenv("BAAS_STORAGE__S3_BUCKET", "no-such-bucket-here")
    code, output = doctor()
    assert code == 1
    assert "fault  storage.s3_bucket: there is no bucket of this name" in output
    assert s3_server.secret_key not in output


def test_a_mongo_server_is_asked_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAAS_DATABASE__ENGINE", "mongo")
    monkeypatch.setenv("BAAS_DATABASE__MONGO_URL", mongo.server_url())
    code, output = doctor()
    assert code == 1
    assert re.search(r"ok +documents: MongoDB [0-9.]+, replica set \w+ of \d", output)
    assert "set server.secret" in output
    assert re.search(r"note +files: .*storage.engine s3", output)


def test_a_mongo_server_that_is_away_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAAS_DATABASE__ENGINE", "mongo")
    monkeypatch.setenv("BAAS_DATABASE__MONGO_URL", "mongodb://u:p4ss@127.0.0.1:9/?replicaSet=x")
    monkeypatch.setenv("BAAS_DATABASE__MONGO_TIMEOUT", "0.2")
    code, output = doctor()
    assert code == 1
    assert re.search(r"fault +no primary .* database.mongo_url", output)
    assert "p4ss" not in output
