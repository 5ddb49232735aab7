"""Names of types, from names of collections, functions and roles."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Final

_PARTS: Final = re.compile(r"[^\W_]+")
_CASE: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class NamesCollideError(Exception):
    """Two names of one app would be one and the same in a client; the text says which."""


def pascal(name: str) -> str:
    """`user_profiles` and `userProfiles` as `UserProfiles`; letters of every script are kept. `_`
    in front of what no identifier begins with."""
    joined = "".join(word[0].upper() + word[1:] for word in _words(name)) or "_"
    return joined if joined.isidentifier() else f"_{joined}"


def snake(name: str) -> str:
    """`UserProfiles` and `user-profiles` as `user_profiles`."""
    joined = "_".join(word.lower() for word in _words(name)) or "_"
    return joined if joined.isidentifier() else f"_{joined}"


def _words(name: str) -> list[str]:
    """Without what identifiers cannot hold, as Python and ECMAScript compare them (NFKC)."""
    plain = unicodedata.normalize("NFKC", name)
    kept = "".join(one if f"a{one}".isidentifier() else " " for one in plain)
    return [word for part in _PARTS.findall(kept) for word in _CASE.split(part)]


def distinct(wanted: dict[str, str], reserved: Collection[str], what: str) -> dict[str, str]:
    """By key its name, with a number behind it where it is reserved. NamesCollideError where two
    keys would have one name: `what` says what they are."""
    owners: dict[str, str] = {}
    for key, name in wanted.items():
        if name in owners:
            both = f"{owners[name]!r} and {key!r}"
            raise NamesCollideError(f"the {what} {both} would both be called {name}: rename one")
        owners[name] = key
    taken = {*reserved, *owners}
    return {key: free(name, taken) if name in reserved else name for key, name in wanted.items()}


def free(name: str, taken: Iterable[str]) -> str:
    """The name, or the name with the first number that nothing else has."""
    found, number, others = name, 2, frozenset(taken)
    while found in others:
        found, number = f"{name}{number}", number + 1
    return found
