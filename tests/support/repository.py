"""The files of this repository, for tests about the repository itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = (
    ".ci", "baas", "bench", "docs", "functions", "public", "rules", "scripts", "sdk", "tests"
)  # fmt: skip
#: Folders that are made or installed.
NOT_OURS: Final = frozenset({"__pycache__", "node_modules", "dist"})
TEXT: Final = frozenset(
    {".py", ".md", ".yaml", ".yml", ".toml", ".html", ".lark", ".txt", ".json", ""}
)


def text_files() -> Iterator[Path]:
    """Every file that is written by hand, at the top and in the folders above."""
    yield from (path for path in sorted(ROOT.iterdir()) if path.is_file() and _is_text(path))
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and _is_text(path):
                yield path


def _is_text(path: Path) -> bool:
    return path.suffix in TEXT and path.name != ".coverage" and not NOT_OURS & {*path.parts}


def modules(folder: str = "baas") -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py"))


def pages() -> list[Path]:
    """The Markdown pages."""
    return [path for path in text_files() if path.suffix == ".md"]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def without_code(text: str) -> str:
    """Markdown without its code blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


def code_of(text: str) -> str:
    """Markdown's code blocks and code spans alone, a line each."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.S | re.M)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", rest)])
