"""`make run` where Python is not quite what it needs: it says what to do."""

from __future__ import annotations

import importlib.util
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.repository import ROOT

Main = Callable[[Path], int]


@pytest.fixture
def make_environment() -> Main:
    main: Main = runpy.run_path(str(ROOT / "scripts" / "venv.py"))["main"]
    return main


def test_an_old_python_is_told_which_one_is_needed(
    make_environment: Main,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 1, "final", 0))
    assert make_environment(tmp_path / "venv") == 1
    assert "needs Python 3.11 or newer" in capsys.readouterr().out
    assert not (tmp_path / "venv").exists()


def test_a_python_that_cannot_make_environments_is_told_what_to_install(
    make_environment: Main,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert make_environment(tmp_path / "venv") == 1
    assert "apt-get install python3-venv" in capsys.readouterr().out


def test_without_any_python_make_says_so(tmp_path: Path) -> None:
    run = subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), "venv/bin/python", "VENV=venv", "PYTHON="],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode != 0
    assert "baas needs Python 3.11 or newer on the PATH" in run.stdout


def test_without_a_browser_the_tests_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main: Callable[[], None] = runpy.run_path(str(ROOT / "scripts" / "chromium.py"))["main"]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BAAS_TEST_CHROMIUM", raising=False)
    with pytest.raises(SystemExit, match="install Chromium or Chrome"):
        main()
    monkeypatch.setenv("BAAS_TEST_CHROMIUM", "lynx")
    with pytest.raises(SystemExit, match="names 'lynx', which is not there"):
        main()


def test_without_node_the_tests_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main: Callable[[], None] = runpy.run_path(str(ROOT / "scripts" / "node.py"))["main"]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"install Node\.js"):
        main()


def test_continuous_integration_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text().splitlines()[-1] == "exec make test"
