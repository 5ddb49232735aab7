"""What `baas serve` says: lines that work as they stand."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from baas.cli import main
from baas.cli.banner import address_of, banner
from baas.settings import AdminSettings, AppSettings, ServerSettings, Settings

ADDRESS = "http://127.0.0.1:8000"


def said(folder: Path, data: Path, settings: Settings | None = None) -> dict[str, str]:
    """The banner's lines by their first word."""
    text = banner(ADDRESS, folder, data, settings or Settings())
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return {line[0]: line[-1] for line in lines}


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]")]
)
def test_the_address_is_one_that_can_be_opened(host: str, shown: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = Settings(server=ServerSettings(host=host))
        assert address_of(listener, settings) == f"http://{shown}:{port}"


def test_the_first_line_names_app_and_address(tmp_path: Path) -> None:
    settings = Settings(app=AppSettings(name="board"))
    first = banner(ADDRESS, tmp_path, tmp_path / "data", settings).splitlines()[0]
    assert f"board listens at {ADDRESS} " in first


def test_a_page_is_only_named_where_there_is_one(tmp_path: Path) -> None:
    assert f"{ADDRESS}/ (" not in said(tmp_path, tmp_path / "data")["pages"]
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "index.html").touch()
    assert f"{ADDRESS}/ (" in said(tmp_path, tmp_path / "data")["pages"]


def test_the_admin_line_opens_the_panel_and_makes_the_first_account_while_there_is_none(
    tmp_path: Path,
) -> None:
    assert said(tmp_path, tmp_path / "data")["admin"] == f"{ADDRESS}/admin/"
    text = banner(ADDRESS, tmp_path, tmp_path / "data", Settings(), "code-1")
    assert f"{ADDRESS}/admin/#/set-up/code-1 " in text
    off = Settings(admin=AdminSettings(panel=False))
    assert "admin" not in said(tmp_path, tmp_path / "data", off)


@pytest.mark.parametrize("data", ["data", "other place"])
def test_the_keys_line_makes_a_key_in_the_data_folder_that_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(said(tmp_path, tmp_path / data)["keys"])
    arguments = words[words.index("admin") :]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("bak_")
    assert (tmp_path / data / "db.sqlite3").exists()
