"""The synchronous face of the Python client, made from the asynchronous one.

    python scripts/sync_face.py            writes runtime/py/_sync from runtime/py/_async
    python scripts/sync_face.py --check    exit code 1 if that would change something

Token by token: `await` goes, `async def` becomes `def`, names change as `NAMES` says. So there is
one source, and the sync face runs no event loop (docs/decisions/sdk-python-faces.md).
"""

from __future__ import annotations

import io
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import Final

RUNTIME: Final = Path(__file__).parents[1] / "sdk" / "baas_sdkgen" / "runtime" / "py"
SOURCE: Final = RUNTIME / "_async"
TARGET: Final = RUNTIME / "_sync"
#: Not made but written: there the faces differ.
WRITTEN: Final = frozenset(("live.py", "blocks.py"))
#: Besides `AsyncX`, which becomes `X` wherever it stands.
NAMES: Final = {
    "_async": "_sync",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "StopAsyncIteration": "StopIteration",
    "aclose": "close",
    "aread": "read",
    "aiter_bytes": "iter_bytes",
}
_DROPPED: Final = frozenset(("await", "async"))


def sync_source(text: str) -> str:
    """Not yet formatted."""
    lines = text.splitlines(keepends=True)
    changes: list[tuple[int, int, int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        row, start = token.start
        if token.type == tokenize.NAME and token.string in _DROPPED:
            changes.append((row, start, token.end[1] + 1, ""))
        elif token.type == tokenize.NAME and (name := _name(token.string)) != token.string:
            changes.append((row, start, token.end[1], name))
    for row, start, end, new in reversed(changes):
        line = lines[row - 1]
        lines[row - 1] = f"{line[:start]}{new}{line[end:]}"
    return "".join(lines)


def _name(name: str) -> str:
    if name.startswith("Async") and name != "Async":
        return name.removeprefix("Async")
    return NAMES.get(name, name)


def made() -> dict[str, str]:
    """Contents by file name, formatted."""
    return {
        path.name: _formatted(sync_source(path.read_text(encoding="utf-8")), path.name)
        for path in sorted(SOURCE.glob("*.py"))
        if path.name not in WRITTEN
    }


def _formatted(text: str, name: str) -> str:
    for command in (("check", "--select", "I", "--fix-only", "-q"), ("format", "-q")):
        text = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(TARGET / name), "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return text


def main() -> None:
    found = made()
    stale = [name for name, text in found.items() if _text(TARGET / name) != text]
    gone = [path for path in TARGET.glob("*.py") if path.name not in {*found, *WRITTEN}]
    if "--check" in sys.argv:
        sys.exit("run: python scripts/sync_face.py" if stale or gone else 0)
    for name in stale:
        (TARGET / name).write_text(found[name], encoding="utf-8")
        print(f"written: {TARGET.relative_to(Path.cwd()) / name}")
    for path in gone:
        path.unlink()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    main()
