"""The names that rules may use: roots with their members, functions with their arguments."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

import msgspec

AUTH_MEMBERS: Final = (
    "uid",
    "openid",
    "unionid",
    "appid",
    "loginType",
    "roles",
    "claims",
    "identities",
)
REQUEST_MEMBERS: Final = ("data", "ip", "time", "fields", "operation")
LOGIN_TYPES: Final = ("ANONYMOUS", "USERNAME", "EMAIL", "PHONE", "WECHAT", "OIDC", "CUSTOM")
CONSTANTS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}

#: Least and most arguments of each function.
FUNCTION_ARGUMENTS: Final[dict[str, tuple[int, int]]] = {
    "get": (1, 1),
    "exists": (1, 1),
    "size": (1, 1),
    "has": (1, 1),
    "matches": (2, 2),
    "startsWith": (2, 2),
    "endsWith": (2, 2),
    "contains": (2, 2),
    "lower": (1, 1),
    "upper": (1, 1),
    "int": (1, 1),
    "float": (1, 1),
    "string": (1, 1),
    "bool": (1, 1),
    "date": (1, 1),
    "duration": (1, 1),
    "unchanged": (1, 50),
    "changed": (1, 50),
}

#: Functions whose value is a boolean or undefined.
CONDITION_FUNCTIONS: Final = frozenset(
    ("has", "matches", "startsWith", "endsWith", "contains", "bool", "unchanged", "changed")
)

#: What people call from habit, and how a rule says it. `{x}` is what stood before the dot.
FOREIGN_METHODS: Final[dict[str, str]] = {
    "includes": "in",
    "indexOf": "in",
    "startsWith": "startsWith",
    "endsWith": "endsWith",
    "contains": "contains",
    "toLowerCase": "lower",
    "toUpperCase": "upper",
    "lower": "lower",
    "upper": "upper",
    "toString": "string",
    "match": "matches",
    "matches": "matches",
    "test": "matches",
    "size": "size",
    "hasOwnProperty": "has",
}


class Root(msgspec.Struct, frozen=True):
    """A name that an expression may begin with.

    `members` None: any. `becomes` is the document that `doc` or `newDoc` stands for, or "" for
    a variable. `whole`: whether it may stand alone.
    """

    members: tuple[str, ...] | None = None
    becomes: str = ""
    whole: bool = True


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule may see at its place. `absent` are names known elsewhere, and why not here."""

    roots: dict[str, Root]
    absent: dict[str, str] = {}
    both_documents: bool = False
    """Whether `unchanged` and `changed` have a stored and a new document to compare."""
    unchanged_is: bool | None = None
    """What `unchanged` is where one document is both (a shared text on create)."""
    pushed_down: bool = True
    """Whether a `get()` that depends on `doc` can be answered here; not for `watch`."""


COMMON_ROOTS: Final[dict[str, Root]] = {
    "auth": Root(AUTH_MEMBERS),
    "request": Root(REQUEST_MEMBERS, whole=False),
    "now": Root(()),
}


def closest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    lowered = {item.lower(): item for item in known}
    found = get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return f"; did you mean '{lowered[found[0]]}'?" if found else ""
