"""The sample app of this repository, in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.gateway import ROOT, Gateway, running

_PARTS: Final = ("baas.yaml", "rules", "functions", "public")


def copy_board(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in _PARTS:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignore)
        elif source.exists():
            shutil.copy(source, folder / name)
    return folder


@contextmanager
def serving_board(folder: Path, **settings: str) -> Iterator[Gateway]:
    """A gateway that serves it, without limits per minute."""
    off = {f"BAAS_LIMITS__RATE_{kind}": "off" for kind in ("AUTH", "READ", "WRITE")}
    with running(copy_board(folder), **{**off, **settings}) as gateway:
        yield gateway
