"""Files of this machine: read as trees, written so that no name leads out of their folder."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Final

import msgspec

from baas.schema.filepath import fault_of

PIECE_BYTES: Final = 256 * 1024
#: What is being written is called so until it is whole; never sent.
_PARTIAL: Final = ".baas-part"
_WINDOWS_FORBIDDEN: Final = frozenset('<>:"|?*')
_WINDOWS_DEVICES: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(?:\..*)?", re.IGNORECASE
)


class Unfit(Exception):
    """A name, or what lies at its place, will not do; the message says why."""


class Local(msgspec.Struct, frozen=True):
    """A file below a folder; `name` as a gateway would call it."""

    name: str
    path: Path
    size: int


def files_below(root: Path, exclude: tuple[str, ...] = ()) -> Iterator[Local]:
    """Regular files, in order. Symbolic links are left out: what they lead to may be anything.
    OSError for a folder that cannot be read: taken for an empty one, it would have its files
    deleted at the other side."""
    for folder, folders, names in os.walk(root, onerror=_raise):
        here = Path(folder).relative_to(root)
        folders[:] = sorted(name for name in folders if not _excluded(here / name, exclude))
        for name in sorted(names):
            path = Path(folder, name)
            if name.endswith(_PARTIAL) or _excluded(here / name, exclude):
                continue
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                spelt = unicodedata.normalize("NFC", (here / name).as_posix())
                yield Local(spelt, path, found.st_size)


def _raise(fault: OSError) -> None:
    raise fault


def excluded(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a file, or a folder above it, fits one of the patterns, by its name or its path."""
    path = Path(name)
    return any(_excluded(part, patterns) for part in (path, *path.parents[:-1]))


def _excluded(path: Path, patterns: tuple[str, ...]) -> bool:
    return any(
        fnmatch(path.name, pattern) or fnmatch(path.as_posix(), pattern) for pattern in patterns
    )


def place(root: Path, name: str, *, windows: bool = os.name == "nt") -> Path:
    """Where the file that a gateway calls `name` belongs below `root`. Unfit for a name that is no
    path of a file, that this system would read otherwise, or where a link leads elsewhere."""
    fault = fault_of(name)
    if fault is not None:
        raise Unfit(f"its name {fault}")
    segments = name.split("/")
    if windows and (bad := [one for one in segments if _windows_fault(one)]):
        raise Unfit(f"Windows has no file {bad[0]!r}")
    folder = root
    for segment in segments[:-1]:
        folder = folder / segment
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise Unfit(f"{folder} is no folder here")
    target = folder / segments[-1]
    if target.is_dir() and not target.is_symlink():
        raise Unfit(f"{target} is a folder here")
    return target


def _windows_fault(segment: str) -> bool:
    return (
        not _WINDOWS_FORBIDDEN.isdisjoint(segment)
        or segment[-1] in " ."
        or _WINDOWS_DEVICES.fullmatch(segment) is not None
    )


def is_same(path: Path, size: int, digest: str) -> bool:
    """Whether a regular file of this size and SHA-256 is there."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size and digest_of(path) == digest


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def written(target: Path) -> Iterator[IO[bytes]]:
    """A new file beside `target` that takes its place once it is whole, with the permissions of
    any new file; on a fault nothing is left."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.name[:40]}.", suffix=_PARTIAL, delete=False
    ) as file:
        try:
            yield file
            file.flush()
            os.chmod(file.name, 0o666 & ~_umask())
            os.replace(file.name, target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _umask() -> int:
    """There is no way to ask for it alone; this program has one thread."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
