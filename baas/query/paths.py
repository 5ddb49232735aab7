"""Dotted paths of client JSON, split and checked."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from baas.errors import invalid
from baas.query.limits import MAX_PATH_DEPTH, MAX_PATH_LENGTH, exceeded
from baas.schema.admit import name_fault, shown
from baas.schema.values import Path

#: Longer paths are legal and rare; the cache of parsed paths stays within a megabyte.
_CACHED_LENGTH: Final = 128


def parse_path(name: object, where: str) -> Path:
    """A dotted path, split and checked; `where` is the place of the object that it is a key of."""
    if type(name) is not str:
        raise invalid(where, "a field name must be a string")
    if len(name) <= _CACHED_LENGTH:
        try:
            return _known_path(name)
        except _BadPath:
            pass
    if len(name) > MAX_PATH_LENGTH or name.count(".") >= MAX_PATH_DEPTH:
        raise exceeded(where, f"{shown(name)}: a path has at most {MAX_PATH_DEPTH} components")
    path = tuple(name.split("."))
    for component in path:
        if fault := name_fault(component):
            raise invalid(where, f"{shown(name)}: {fault}")
    return path


class _BadPath(Exception):
    pass


@lru_cache(maxsize=4096)
def _known_path(name: str) -> Path:
    """Remembers good paths only: an exception is not cached, so hostile names take no room."""
    path = tuple(name.split("."))
    if len(path) > MAX_PATH_DEPTH or any(name_fault(component) for component in path):
        raise _BadPath
    return path
