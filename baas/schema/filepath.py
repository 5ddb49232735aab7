"""Paths of stored files: names for rows, never places on a disk.

One form each: what could be spelt twice, or read as something else further on (by a proxy, a
browser, an operating system), is refused rather than repaired.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import sha256
from typing import Final

from baas.errors import invalid

MAX_PATH_BYTES: Final = 850
_SCHEME: Final = "cloud://"
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}", re.ASCII)


def fault_of(path: str) -> str | None:
    """What is wrong with a path, to follow "it"; None for a good one."""
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "is not Unicode text"
    if not 1 <= size <= MAX_PATH_BYTES:
        return f"must have 1 to {MAX_PATH_BYTES} bytes of UTF-8"
    if "\\" in path:
        return "must not have a backslash"
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in path):
        return "must not have control characters"
    if _ENCODED.search(path):
        return "must not have '%' before two hexadecimal digits"
    if not unicodedata.is_normalized("NFC", path):
        return "must be in Unicode's normal form NFC"
    return _segments_fault(path.split("/"))


def _segments_fault(segments: list[str]) -> str | None:
    if segments[0] == "" or segments[-1] == "":
        return "must not begin or end with '/'"
    if "" in segments:
        return "must not have an empty segment"
    if "." in segments or ".." in segments:
        return "must not have a segment '.' or '..'"
    return None


def check_path(path: str, where: str = "path") -> str:
    """`path` itself; INVALID_ARGUMENT naming the field `where`."""
    fault = fault_of(path)
    if fault is not None:
        raise invalid(where, fault)
    return path


def check_prefix(prefix: str) -> str:
    """The beginning of paths: empty, or a path that may end in '/' or within a segment."""
    if prefix:
        check_path(prefix.removesuffix("/") if prefix != "/" else prefix, "prefix")
    return prefix


def file_id(app: str, path: str) -> str:
    return f"{_SCHEME}{app}/{path}"


def path_of(app: str, name: str, where: str) -> str:
    """The path that a `fileId` names; INVALID_ARGUMENT for what is none of this app's."""
    begin = f"{_SCHEME}{app}/"
    if not name.startswith(begin):
        raise invalid(where, f"a fileId of this app begins with {begin}")
    return check_path(name.removeprefix(begin), where)


def is_file_id(name: str) -> bool:
    return name.startswith(_SCHEME)


def row_id(path: str) -> str:
    """The `_id` of a file's row: one path, one row."""
    return sha256(path.encode()).hexdigest()
