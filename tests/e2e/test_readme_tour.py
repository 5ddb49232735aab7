"""The tour of both READMEs, run word for word against the sample app, answers as it shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import ROOT, Gateway, running

README_ADDRESS = "http://127.0.0.1:8000"
SAMPLE_APP = ("baas.yaml", "rules", "functions", "public")
NEEDED = ("sh", "curl", "python3")
TOURS = {"README.md": "## A tour with curl", "README.zh-CN.md": "## 用 curl 走一遍"}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("board")
    for name in SAMPLE_APP:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    with running(folder) as gateway:
        yield gateway


def blocks(readme: str) -> list[tuple[str, str]]:
    """The tour's code blocks in order, each with its language."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    section = text.split(TOURS[readme], 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```(\w+)\n(.*?)```", section, flags=re.DOTALL)


def matches(shown: Any, found: Any) -> bool:
    """Equal, where "..." stands for any text."""
    if shown == "...":
        return isinstance(found, str) and found != ""
    if isinstance(shown, dict) and isinstance(found, dict):
        same_names = list(shown) == list(found)
        return same_names and all(matches(shown[name], found[name]) for name in shown)
    if isinstance(shown, list) and isinstance(found, list):
        return len(shown) == len(found) and all(map(matches, shown, found))
    return type(shown) is type(found) and bool(shown == found)


@pytest.mark.parametrize("readme", TOURS)
def test_the_tour_gives_what_it_shows(board: Gateway, readme: str) -> None:
    for tool in NEEDED:
        if shutil.which(tool) is None:
            pytest.skip(f"the tour needs {tool}")
    parts = blocks(readme)
    script = "set -eu\n" + "".join(text for language, text in parts if language == "sh")
    shown = [
        json.loads(line)
        for language, text in parts
        if language == "json"
        for line in text.splitlines()
    ]
    run = subprocess.run(
        ["sh", "-c", script.replace(README_ADDRESS, board.url)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(found) == len(shown), run.stdout
    for expected, answer in zip(shown, found, strict=True):
        assert matches(expected, answer), f"shown {expected}, found {answer}"


def test_both_tours_run_the_same_commands() -> None:
    english, chinese = (blocks(readme) for readme in TOURS)
    assert english == chinese


def test_the_rule_file_shown_is_the_one_that_is_there() -> None:
    """But for comments and spaces, which a reader of one page needs differently."""

    def bare(text: str) -> str:
        lines = (re.sub(r"\s+#.*|^#.*", "", line) for line in text.splitlines())
        return "\n".join(re.sub(r" +", " ", line).rstrip() for line in lines if line.strip())

    stored = bare((ROOT / "rules" / "posts.yaml").read_text(encoding="utf-8"))
    for readme in TOURS:
        text = (ROOT / readme).read_text(encoding="utf-8")
        shown = re.search(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
        assert shown is not None
        assert bare(shown.group(1)).strip() == stored.strip()
