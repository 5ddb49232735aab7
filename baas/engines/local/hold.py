"""Deletions held back while a backup copies the bytes that rows of one moment speak of.

An OS lock on `{folder}/held` (flock): who deletes takes it shared and without waiting, who holds
back takes it alone, so it waits for deletions under way. What is not deleted meanwhile has no row
any more and is swept, as after a crash. The lock ends with its process.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

NAME: Final = "held"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nothing is deleted from `folder`, by any process, for the length of a `with`. Blocks."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = _open(folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove(folder: Path, path: Path) -> None:
    """Deletes a file of `folder`, if it is there, unless that is held back."""
    descriptor = _open(folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    return os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
