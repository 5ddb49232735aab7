"""admin/dist is what admin/src says, and the source keeps its promises."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import pytest

from scripts.node import ADMIN, install

SECONDS: Final = 120
SOURCES: Final = sorted([*ADMIN.glob("src/**/*.vue"), *ADMIN.glob("src/**/*.ts")])


def tool(name: str, *arguments: str) -> None:
    program = install(ADMIN) / "node_modules" / ".bin" / name
    done = subprocess.run(
        [str(program), *arguments], cwd=ADMIN, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_build_gives_what_is_checked_in(tmp_path: Path) -> None:
    """Else: cd admin && npm run build, after a change of the panel or of the SDK's runtime."""
    tool("vite", "build", "--outDir", str(tmp_path / "dist"), "--logLevel", "error")

    built, kept = tree(tmp_path / "dist"), tree(ADMIN / "dist")
    assert built.keys() == kept.keys()
    assert [name for name, content in built.items() if kept[name] != content] == []


def test_the_types_hold() -> None:
    tool("vue-tsc", "--noEmit")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_of_the_data_can_become_markup(path: Path) -> None:
    text = path.read_text("utf-8")
    for way in (
        "v-html",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
    ):
        assert way not in text


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (ADMIN / "package-lock.json").read_text("utf-8")
