"""`baas backup` and `baas restore`: a whole app in one file, and nothing lost on the way back."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from baas.cli import main
from baas.cli.archive import ABOUT, CONTENTS, DATABASE, FILES, FORMAT
from baas.secret import FILE_NAME, MasterSecret


@pytest.fixture(autouse=True)
def _in_an_app_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put({"_id": "a", "n": 1})


def baas(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def done(*arguments: str) -> str:
    result = baas(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def failed(*arguments: str) -> str:
    result = baas(*arguments)
    assert result.exit_code == 1, result.output
    return result.stderr


def put(document: dict[str, object], data: str = "data") -> None:
    Path("notes.jsonl").write_text(json.dumps(document))
    done("data", "import", "notes.jsonl", "--replace", "--data", data)


def ids(data: str) -> list[str]:
    lines = done("data", "export", "notes", "--data", data).splitlines()
    return [json.loads(line)["_id"] for line in lines]


def test_a_restored_app_has_the_documents_and_the_secret_of_the_backup() -> None:
    MasterSecret.load(Path("data"), "")
    done("backup", "b.tar")
    put({"_id": "later", "n": 2})
    done("restore", "b.tar", "--data", "other")
    assert ids("other") == ["a"]
    assert Path("other", FILE_NAME).read_text() == Path("data", FILE_NAME).read_text()
    assert Path("other", FILE_NAME).stat().st_mode & 0o077 == 0


def test_a_backup_is_for_its_owner_alone() -> None:
    done("backup", "b.tar")
    assert Path("b.tar").stat().st_mode & 0o077 == 0


def test_a_secret_from_the_environment_is_not_written_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BAAS_SERVER__SECRET", "Rk2vQ8yLx7Wm4Tz9Hd3Nc6Bf1Js5Gp0A")
    done("backup", "b.tar")
    with tarfile.open("b.tar") as archive:
        assert archive.getnames() == [ABOUT, DATABASE, FILES, CONTENTS]


def test_a_folder_that_is_not_empty_is_left_alone_unless_forced() -> None:
    done("backup", "b.tar")
    put({"_id": "later", "n": 2})
    assert "--force" in failed("restore", "b.tar")
    assert ids("data") == ["a", "later"]
    done("restore", "b.tar", "--force")
    assert ids("data") == ["a"]
    assert Path("data", "db.sqlite3.before-restore").exists()


@pytest.mark.parametrize(
    "content", [b"", b"nothing of ours", b"SQLite format 3\x00" + b"\x01" * 5000]
)
def test_what_is_no_backup_is_refused_and_nothing_changed(content: bytes) -> None:
    Path("bad.tar").write_bytes(content)
    failed("restore", "bad.tar", "--force")
    assert ids("data") == ["a"]


def test_a_damaged_backup_is_refused_and_nothing_changed() -> None:
    done("backup", "b.tar")
    whole = Path("b.tar").read_bytes()
    Path("b.tar").write_bytes(whole[: len(whole) // 2])
    assert "b.tar" in failed("restore", "b.tar", "--force")
    assert ids("data") == ["a"]


def test_a_backup_of_a_newer_format_says_so() -> None:
    about = {"format": FORMAT + 1, "version": "9", "app": "x", "time": {"$date": "x"}}
    with tarfile.open("b.tar", "w") as archive:
        content = json.dumps(about).encode()
        member = tarfile.TarInfo(ABOUT)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    assert "use a newer version of baas" in failed("restore", "b.tar", "--data", "other")


def test_a_member_cannot_be_written_outside_the_data_folder() -> None:
    """Members are read by the names that we know; others in the file are not looked at."""
    done("backup", "b.tar")
    with tarfile.open("b.tar", "a") as archive:
        member = tarfile.TarInfo("../escaped")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    done("restore", "b.tar", "--data", "deep/other")
    assert not Path("deep/escaped").exists()
    assert not Path("escaped").exists()


def test_a_bare_database_file_can_be_restored_too(tmp_path: Path) -> None:
    done("backup", "b.tar")
    with tarfile.open("b.tar") as archive:
        archive.extract(DATABASE, tmp_path / "bare", filter="data")
    done("restore", f"bare/{DATABASE}", "--data", "other")
    assert ids("other") == ["a"]


def test_an_older_backup_is_kept_when_the_new_one_fails(tmp_path: Path) -> None:
    Path("b.tar").write_text("older")
    (tmp_path / "empty").mkdir()
    failed("backup", "b.tar", "--data", "empty")
    assert Path("b.tar").read_text() == "older"
    assert sorted(path.name for path in tmp_path.glob(".*")) == []


def test_without_data_there_is_nothing_to_back_up() -> None:
    assert "no data folder" in failed("backup", "b.tar", "--data", "nowhere")
    assert not Path("nowhere").exists()


def test_where_documents_are_elsewhere_an_old_database_is_not_taken_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done("backup", "b.tar")
    monkeypatch.setenv("BAAS_DATABASE__ENGINE", "mongo")
    assert "documents are in mongo" in failed("backup", "c.tar")
    assert "documents are in mongo" in failed("restore", "b.tar", "--data", "other")
    assert not Path("c.tar").exists()
