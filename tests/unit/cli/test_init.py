"""`baas init`: a folder that runs as it is, and nothing of anybody else's overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from baas.cli import main
from baas.cli.init import _copy, app_name
from baas.functions.bundle import read_bundle, write_bundle
from baas.functions.load import load_release, unload
from baas.functions.rules import load_function_rules
from baas.rules.load import load_rules
from baas.settings import load_settings


def init(folder: Path) -> Result:
    return CliRunner().invoke(main, ["init", str(folder)])


def test_the_new_app_has_settings_and_rules_that_load(tmp_path: Path) -> None:
    folder = tmp_path / "my app"
    assert init(folder).exit_code == 0
    assert load_settings(folder, {}).app.name == "my-app"
    book = load_rules(folder / "rules")
    assert list(book.collections) == ["notes"]
    assert book.advice == ()


def test_the_new_app_s_rule_tests_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init(tmp_path / "app")
    monkeypatch.chdir(tmp_path / "app")
    result = CliRunner().invoke(main, ["rules", "test"])
    assert result.exit_code == 0, result.output
    assert " 0 failed" in result.output


def test_the_new_app_s_function_loads_and_may_be_called_by_rule(tmp_path: Path) -> None:
    init(tmp_path / "app")
    bundle = read_bundle(tmp_path / "app" / "functions", {})
    release = load_release(bundle, write_bundle(bundle, tmp_path / "copies"))
    rules = load_function_rules(tmp_path / "app" / "rules")
    assert set(release.functions) == {"hello"} == set(rules.invoke)
    unload(release)


def test_what_an_installer_compiled_is_not_copied(tmp_path: Path) -> None:
    source = tmp_path / "templates"
    (source / "functions" / "__pycache__").mkdir(parents=True)
    (source / "functions" / "__pycache__" / "hello.pyc").write_bytes(b"\xff\x00")
    (source / "functions" / "hello.py").write_text("")
    assert _copy(source, tmp_path / "app", "app") == [tmp_path / "app" / "functions" / "hello.py"]


def test_data_is_kept_out_of_version_control(tmp_path: Path) -> None:
    init(tmp_path / "app")
    assert "/data/" in (tmp_path / "app" / ".gitignore").read_text().splitlines()


def test_what_is_in_the_way_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "baas.yaml").write_text("app: {name: mine}\n")
    result = init(tmp_path)
    assert result.exit_code == 1
    assert "baas.yaml, rules" in result.output
    assert (tmp_path / "baas.yaml").read_text() == "app: {name: mine}\n"
    assert list((tmp_path / "rules").iterdir()) == []


def test_a_fresh_repository_counts_as_empty_and_keeps_its_files(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("mine\n")
    assert init(tmp_path).exit_code == 0
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert (tmp_path / "baas.yaml").exists()


@pytest.mark.parametrize(
    ("folder", "name"),
    [("board", "board"), ("my app", "my-app"), ("留言板", "app"), ("a" * 90, "a" * 64)],
)
def test_the_app_is_named_after_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    assert app_name(tmp_path / folder) == name
