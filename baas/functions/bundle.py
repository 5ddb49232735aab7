"""The files of a release: read from a folder, hashed, written out again.

A release is imported from a copy that nothing changes afterwards, so a version that still serves
calls never meets a newer file, whatever is saved or deployed meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec

from baas.errors import ConfigurationError

MAX_FILE_BYTES: Final = 8 * 1024**2
MAX_BUNDLE_BYTES: Final = 64 * 1024**2
MAX_FILES: Final = 5000
MAX_PATH: Final = 400
_HASH_LENGTH: Final = 20
_IGNORED: Final = ("__pycache__", "node_modules")
_IGNORED_SUFFIXES: Final = (".pyc", ".pyo", ".swp", "~")


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """`files` by path (`/` between segments) below the functions folder; `config` has the sections
    of baas.yaml that speak of functions; `hash` is the digest of both."""

    files: dict[str, bytes]
    config: dict[str, Any]
    hash: str


def make_bundle(files: dict[str, bytes], config: dict[str, Any]) -> Bundle:
    """ConfigurationError for a path that leads out of the folder, or more than the limits."""
    for path, data in files.items():
        _check_path(path)
        if len(data) > MAX_FILE_BYTES:
            raise ConfigurationError(f"more than {MAX_FILE_BYTES // 1024**2} MiB", file=path)
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_BUNDLE_BYTES:
        raise ConfigurationError(
            f"a release has at most {MAX_FILES} files and {MAX_BUNDLE_BYTES // 1024**2} MiB"
        )
    return Bundle(files=files, config=config, hash=_digest(files, config))


def _digest(files: dict[str, bytes], config: dict[str, Any]) -> str:
    digest = hashlib.sha256(msgspec.json.encode(config, order="sorted"))
    for path in sorted(files):
        digest.update(f"\0{path}\0{len(files[path])}\0".encode())
        digest.update(files[path])
    return digest.hexdigest()[:_HASH_LENGTH]


def _check_path(path: str) -> None:
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or "\0" in path:
        raise ConfigurationError("not a path below the functions folder", file=path)
    if len(path) > MAX_PATH or os.path.isabs(path) or ":" in parts[0]:
        raise ConfigurationError("not a path below the functions folder", file=path)


def read_bundle(folder: Path, config: dict[str, Any]) -> Bundle:
    """The bundle of a folder; one that is not there has no files. Hidden files, caches and links
    that lead out of the folder are left out."""
    files: dict[str, bytes] = {}
    total = 0
    for path, entry in walk(folder):
        total += entry.stat().st_size
        if total > MAX_BUNDLE_BYTES or len(files) >= MAX_FILES:
            break
        try:
            files[path] = Path(entry.path).read_bytes()
        except FileNotFoundError:  # gone since it was listed: it is gone
            continue
        except OSError as fault:
            raise ConfigurationError(f"cannot be read: {fault.strerror}", file=path) from None
    if total > MAX_BUNDLE_BYTES:
        raise ConfigurationError(f"the functions are more than {MAX_BUNDLE_BYTES // 1024**2} MiB")
    return make_bundle(files, config)


def belongs(path: str) -> bool:
    """Whether a file of this path is part of a bundle: nothing hidden, no caches."""
    parts = path.split("/")
    hidden = any(part.startswith(".") or part in _IGNORED for part in parts)
    return not (hidden or path.endswith(_IGNORED_SUFFIXES))


def walk(folder: Path, prefix: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file that belongs to a bundle, with its path, in the order of names."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        name = entry.name
        if not belongs(name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from walk(Path(entry.path), f"{prefix}{name}/")
        elif entry.is_file(follow_symlinks=False) or _stays_inside(entry, folder):
            yield f"{prefix}{name}", entry


def _stays_inside(entry: os.DirEntry[str], folder: Path) -> bool:
    """Whether a link is to a file of its own folder."""
    try:
        target = Path(entry.path).resolve(strict=True)
    except OSError:
        return False
    return target.is_file() and target.is_relative_to(folder.resolve())


def write_bundle(bundle: Bundle, releases: Path) -> Path:
    """The folder `releases`/<hash> with the bundle's files, made unless it is there already.

    It appears whole or not at all: several gateways may write the same one at once.
    """
    target = releases / bundle.hash
    if target.is_dir():
        if _holds(target, bundle):
            return target
        # Cut short by a loss of power, or changed by hand.
        shutil.rmtree(target)
    draft = releases / f".{bundle.hash}.{uuid4().hex}"
    draft.mkdir(parents=True)
    try:
        for path, data in bundle.files.items():
            file = draft / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        draft.rename(target)
    except OSError:
        if not target.is_dir():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def remove_copies(releases: Path, kept: Collection[str], older_than: float) -> None:
    """Removes copies of other versions than `kept` that were made more than so many seconds ago:
    what another process has just written is not yet in any list."""
    if not releases.is_dir():
        return
    for copy in releases.iterdir():
        with suppress(OSError):
            if copy.name not in kept and time.time() - copy.stat().st_mtime > older_than:
                shutil.rmtree(copy)


def _holds(folder: Path, bundle: Bundle) -> bool:
    try:
        return all((folder / path).read_bytes() == data for path, data in bundle.files.items())
    except OSError:
        return False
