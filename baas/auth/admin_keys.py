"""Admin keys: `bak_{id}_{secret}`, for servers and operators, limited by scopes."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from math import inf
from typing import Final

import msgspec

from baas.auth.collections import ADMIN_KEYS
from baas.auth.scopes import parse_scopes
from baas.auth.steps import insert, write
from baas.clock import Clock
from baas.errors import Code, Problem, invalid, not_found
from baas.ids import is_id, new_id, new_secret
from baas.ports.documents import DELETE, KEEP, Change, DocumentStore, Find, resolve
from baas.schema.actor import Actor
from baas.schema.values import Document, date_from_ms, date_to_ms, decode

PREFIX: Final = "bak_"
MAX_NAME: Final = 100
#: Of a key that is the session of somebody at the panel: the id of the account.
ADMIN_MEMBER: Final = "admin"
#: Longest key that is looked at; ours have 67 characters.
_MAX_KEY: Final = 200
_FORM: Final = re.compile(r"bak_([A-Za-z0-9]{1,64})_([A-Za-z0-9_-]{43})", re.ASCII)


class AdminKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key as lists show it: never the secret, which nobody can read again."""

    id: str
    name: str
    scopes: tuple[str, ...]
    create_time: dict[str, str]


class AdminKeys:
    """`dropped` is told the id of a key that was revoked, so that it is forgotten at once."""

    def __init__(
        self, store: DocumentStore, clock: Clock, *, dropped: Callable[[str], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._dropped = dropped

    async def create(self, name: str, scopes: tuple[str, ...]) -> tuple[AdminKey, str]:
        """The key's description and its text, which is shown this once."""
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            raise invalid("name", f"must be 1 to {MAX_NAME} printable characters")
        document, secret = new_key(name, parse_scopes(scopes), self._clock.now_ms())
        await write(self._store, insert(ADMIN_KEYS, document))
        return _described(document), key_text(document["_id"], secret)

    async def list(self) -> tuple[AdminKey, ...]:
        """The oldest first, without the sessions of people."""
        found = await resolve(self._store.find(Find(collection=ADMIN_KEYS)))
        keys = [key for key in map(decode, found) if ADMIN_MEMBER not in key]
        return tuple(_described(key) for key in keys)

    async def find(self, id: str) -> AdminKey:
        """NOT_FOUND where there is no such key."""
        stored = await resolve(self._store.get(ADMIN_KEYS, id)) if is_id(id) else None
        key = None if stored is None else decode(stored)
        if key is None or ADMIN_MEMBER in key:
            raise not_found("There is no such admin key.")
        return _described(key)

    async def revoke(self, id: str) -> None:
        """NOT_FOUND where there is no such key."""
        step = Change(
            collection=ADMIN_KEYS, id=id, apply=lambda key, _: KEEP if key is None else DELETE
        )
        result = await write(self._store, step)
        if not result.results[0].written:
            raise not_found("There is no such admin key.")
        self._dropped(id)


def new_key(name: str, scopes: tuple[str, ...], now_ms: int) -> tuple[Document, str]:
    """A key's document and its secret."""
    secret = new_secret()
    document: Document = {
        "_id": new_id(),
        "name": name,
        "scopes": list(scopes),
        "digest": _digest(secret),
        "_createTime": date_from_ms(now_ms),
    }
    return document, secret


def key_text(id: str, secret: str) -> str:
    return f"{PREFIX}{id}_{secret}"


def read_key(text: str) -> tuple[str, str]:
    """(id, secret) of a well-formed key; else UNAUTHENTICATED."""
    match = _FORM.fullmatch(text) if len(text) <= _MAX_KEY else None
    if match is None:
        raise bad_key()
    return match[1], match[2]


def actor_of_key(document: Document, secret: str, now_ms: int) -> Actor:
    """The server's rights within the key's scopes; UNAUTHENTICATED for a wrong secret and for one
    whose time is over."""
    if not hmac.compare_digest(document["digest"], _digest(secret)):
        raise bad_key()
    if ends_ms(document) <= now_ms:
        raise Problem(Code.UNAUTHENTICATED, "This session has ended; sign in again.")
    return Actor(
        trusted=True,
        key=document["_id"],
        scopes=tuple(document["scopes"]),
        operator=document["name"] if ADMIN_MEMBER in document else None,
        cache_key="!",
    )


def ends_ms(document: Document) -> float:
    """When a key ends by itself, in milliseconds since 1970; sessions do."""
    expires = document.get("expires")
    return inf if expires is None else date_to_ms(expires)


def bad_key() -> Problem:
    return Problem(Code.UNAUTHENTICATED, "The admin key is not valid here.")


def _digest(secret: str) -> str:
    """One round of SHA-256: the secret has 256 random bits, so there is nothing to guess and a
    slow hash would only tax every request."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _described(document: Document) -> AdminKey:
    return AdminKey(
        id=document["_id"],
        name=document["name"],
        scopes=tuple(document["scopes"]),
        create_time=document["_createTime"],
    )
