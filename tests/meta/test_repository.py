"""Habits of the house that a reader can count on."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from statistics import median

import pytest

import baas
from tests.support.repository import ROOT, modules, name, text_files

#: Longer files want to be two. A few more lines than "most under 300" allows on purpose.
MOST_LINES = 600
#: What no file may say: places of one machine, and promises left open.
FORBIDDEN = {
    "a home folder": re.compile(r"(?<!\w)/(?:root|home|Users)/[a-z]"),
    "a place outside the repository": re.compile(r"(?<![\w.])/(?:work|opt|mnt)/\w"),
    "a promise left open": re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b"),
}


@pytest.mark.parametrize("fault", FORBIDDEN)
def test_no_file_says(fault: str) -> None:
    found = [
        f"{name(path)}:{number}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if FORBIDDEN[fault].search(line)
    ]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        name(path)
        for folder in ("baas", "bench", "scripts", "tests")
        for path in modules(folder)
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_files_are_short_enough_to_read() -> None:
    lines = {name(path): len(path.read_text("utf-8").splitlines()) for path in modules()}
    assert {file: number for file, number in lines.items() if number > MOST_LINES} == {}
    assert median(lines.values()) < 200


def test_functions_are_short_enough_to_see_at_once() -> None:
    """Nine in ten under 40 lines, docstrings counted; the median at most a dozen."""
    lengths = [
        (node.end_lineno or 0) - node.lineno + 1
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert median(lengths) <= 12
    assert sum(length < 40 for length in lengths) / len(lengths) > 0.9


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == baas.__version__
    assert f"\n## {baas.__version__} " in (ROOT / "CHANGELOG.md").read_text()


def test_make_help_lists_at_most_eight_verbs() -> None:
    help_text = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True
    )
    verbs = re.findall(r"^  make ([a-z]+)", help_text.stdout, flags=re.MULTILINE)
    assert {"run", "test"} <= set(verbs)
    assert len(verbs) <= 8


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "decisions" / "dependencies.md").read_text()
    optional = project["optional-dependencies"]
    wanted = [*project["dependencies"], *optional["test"], *optional["dev"]]
    names = (re.split(r"[<>=;\[ ]", one)[0].lower() for one in wanted)
    assert [one for one in names if f"`{one}`" not in page.lower()] == []
