"""What docs/sdk.md shows works as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.gateway import ROOT, Gateway
from tests.support.node import SDK, tool

PAGE: Final = (ROOT / "docs" / "sdk.md").read_text(encoding="utf-8")
_SAID: Final = re.compile(r"\bprint\(.*# (?:first: )?(.*?)(?:  ?\(.*\))?$", re.MULTILINE)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python(board: Gateway, tmp_path: Path, number: int) -> None:
    block = blocks("python")[number]
    assert "http://127.0.0.1:8000" in block
    (tmp_path / "page.py").write_text(block.replace("http://127.0.0.1:8000", board.url))
    source = str(ROOT / "sdk" / "python" / "src")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "page.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": source, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    for said in _SAID.findall(block):
        assert said in ran.stdout


def test_python_is_typed_as_it_stands(tmp_path: Path) -> None:
    for number, block in enumerate(blocks("python")):
        (tmp_path / f"page{number}.py").write_text(block)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file=", "."],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT / "sdk" / "python" / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""


def test_typescript_compiles_and_the_wrong_lines_do_not(tmp_path: Path) -> None:
    whole, wrong = blocks("ts")
    refused = "".join(f"// @ts-expect-error\n{line}\n" for line in wrong.splitlines())
    names = "const posts = db.collection('posts')\n"
    (tmp_path / "page.ts").write_text(f"{whole}{names}{refused}export {{}}\n")
    places = {"board-cloud": "index", "board-cloud/web": "web"}
    options = {
        "paths": {name: [str(SDK / "src" / f"{file}.ts")] for name, file in places.items()},
        **{"strict": True, "skipLibCheck": True, "noEmit": True, "types": []},
        **{"module": "esnext", "moduleResolution": "bundler", "target": "es2022"},
    }
    config = {"compilerOptions": options, "files": ["page.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))
    tool("tsc", "-p", tmp_path, "--pretty", "false")


def test_the_size_is_what_the_page_says(tmp_path: Path) -> None:
    from tests.sdk.test_typescript import CORE_BYTES, core_bytes

    kib = re.search(r"is ([\d.]+)\s+KiB compressed, a test keeps it below (\d+)", PAGE)
    assert kib is not None
    assert abs(core_bytes(tmp_path) / 1024 - float(kib[1])) < 0.3
    assert int(kib[2]) * 1024 == CORE_BYTES
