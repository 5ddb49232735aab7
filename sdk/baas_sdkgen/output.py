"""Whole packages: the runtime as it is, and what is made for the app; written, or compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from baas_sdkgen.manifest import Manifest
from baas_sdkgen.python_package import python_package
from baas_sdkgen.typescript_package import typescript_package

#: By language, what makes the files of its package: contents by path.
LANGUAGES: Final[dict[str, Callable[[Manifest], dict[str, bytes]]]] = {
    "python": python_package,
    "typescript": typescript_package,
}
#: Of the runtime, which every package has a copy of.
LICENSE: Final = Path(__file__).parent / "runtime" / "LICENSE"
#: Names the files that were written last time, so that those that are gone can be removed.
RECORD: Final = ".generated"


class Difference(msgspec.Struct, frozen=True):
    """A file that is not as it would be made: `missing`, `changed` or `stale`."""

    path: str
    kind: str


def generate(manifest: Manifest, language: str) -> dict[str, bytes]:
    """The files of a language's package by path. KeyError for a language that is not known."""
    files = {**LANGUAGES[language](manifest), LICENSE.name: LICENSE.read_bytes()}
    record = "".join(f"{path}\n" for path in sorted(files))
    return {**files, RECORD: record.encode()}


def compare(files: dict[str, bytes], folder: Path) -> list[Difference]:
    """What `write` would change."""
    found = []
    for path, content in sorted(files.items()):
        target = folder / path
        if not target.is_file():
            found.append(Difference(path, "missing"))
        elif target.read_bytes() != content:
            found.append(Difference(path, "changed"))
    return found + [Difference(path, "stale") for path in _stale(files, folder)]


def write(files: dict[str, bytes], folder: Path) -> list[Difference]:
    """Brings the folder up to date; what else lies there stays. The files that were not as made."""
    differences = compare(files, folder)
    for difference in differences:
        target = folder / difference.path
        if difference.kind == "stale":
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Whole or not at all: a bundler may be watching.
            draft = target.with_name(f".{target.name}.new")
            try:
                draft.write_bytes(files[difference.path])
                draft.replace(target)
            finally:
                draft.unlink(missing_ok=True)
    return differences


def _stale(files: dict[str, bytes], folder: Path) -> list[str]:
    """Files of an earlier run that are not made any more."""
    record = folder / RECORD
    if not record.is_file():
        return []
    names = record.read_text().splitlines()
    inside = [name for name in names if ".." not in Path(name).parts and not name.startswith("/")]
    return sorted(name for name in inside if name not in files and (folder / name).is_file())
