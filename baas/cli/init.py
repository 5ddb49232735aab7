"""`baas init DIR`: a new app folder, every file in it commented."""

from __future__ import annotations

import re
import shlex
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import click

from baas.errors import ConfigurationError

#: What may lie in a folder that counts as empty: a repository may be made before the app.
IGNORED: Final = frozenset({".git", ".gitignore", ".hg", "README.md", "LICENSE"})
#: Names of templates that packaging would take for its own.
RENAMED: Final = {"gitignore": ".gitignore"}
#: Installers leave it beside the templates' Python files.
COMPILED: Final = "__pycache__"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path) -> None:
    """Make a new app folder with commented files.

    DIR must be new or empty (a .git, .gitignore, README.md or LICENSE in it does not count, and is
    left as it is).
    """
    in_the_way = _in_the_way(folder)
    if in_the_way:
        raise ConfigurationError(
            f"{folder} is not empty ({', '.join(in_the_way)}); name a new folder"
        )
    name = app_name(folder)
    for path in sorted(_copy(files("baas.cli") / "templates" / "app", folder, name)):
        click.echo(f"  {path}")
    click.echo(f"\nNext:  cd {shlex.quote(str(folder))}\n       baas rules test\n       baas serve")


def _in_the_way(folder: Path) -> list[str]:
    if not folder.exists():
        return []
    return sorted(entry.name for entry in folder.iterdir() if entry.name not in IGNORED)


def app_name(folder: Path) -> str:
    """The folder's name as an app's id: 1 to 64 of `A-Za-z0-9_-`."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name).strip("-")[:64] or "app"


def _copy(source: Traversable, target: Path, name: str) -> list[Path]:
    """Copies a tree of text files, leaving alone what is there; the paths written."""
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for entry in source.iterdir():
        if entry.name == COMPILED:
            continue
        path = target / RENAMED.get(entry.name, entry.name)
        if entry.is_dir():
            written += _copy(entry, path, name)
        elif not path.exists():
            text = entry.read_text(encoding="utf-8").replace("{{name}}", name)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written
