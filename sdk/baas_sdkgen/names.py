"""Names of types, from names of collections, functions and roles."""

from __future__ import annotations

import re
from typing import Final

_PARTS: Final = re.compile(r"[A-Za-z0-9]+")
_CASE: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def pascal(name: str) -> str:
    """`user_profiles` and `userProfiles` as `UserProfiles`; `_` in front of a digit."""
    words = [word for part in _PARTS.findall(name) for word in _CASE.split(part)]
    joined = "".join(word[0].upper() + word[1:] for word in words) or "_"
    return f"_{joined}" if joined[0].isdigit() else joined


def snake(name: str) -> str:
    """`UserProfiles` and `user-profiles` as `user_profiles`."""
    words = [word for part in _PARTS.findall(name) for word in _CASE.split(part)]
    joined = "_".join(word.lower() for word in words) or "_"
    return f"_{joined}" if joined[0].isdigit() else joined


def distinct(wanted: dict[str, str], reserved: frozenset[str]) -> dict[str, str]:
    """By key a name that no other key has, and none that is reserved: later ones get a number."""
    taken = set(reserved)
    found = {}
    for key, name in wanted.items():
        free, number = name, 2
        while free in taken:
            free, number = f"{name}{number}", number + 1
        taken.add(free)
        found[key] = free
    return found
