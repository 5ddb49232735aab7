"""Admin keys: `bak_{id}_{secret}`, for servers and operators, limited by scopes."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final

import msgspec

from baas.auth.collections import ADMIN_KEYS
from baas.auth.scopes import parse_scopes
from baas.auth.steps import insert, write
from baas.clock import Clock
from baas.errors import Code, Problem, invalid, not_found
from baas.ids import new_id, new_secret
from baas.ports.documents import DELETE, KEEP, Change, DocumentStore, Find, resolve
from baas.schema.actor import Actor
from baas.schema.values import Document, date_from_ms, decode

PREFIX: Final = "bak_"
MAX_NAME: Final = 100
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
        secret = new_secret()
        document = {
            "_id": new_id(),
            "name": name,
            "scopes": list(parse_scopes(scopes)),
            "digest": _digest(secret),
            "_createTime": date_from_ms(self._clock.now_ms()),
        }
        await write(self._store, insert(ADMIN_KEYS, document))
        return _described(document), f"{PREFIX}{document['_id']}_{secret}"

    async def list(self) -> tuple[AdminKey, ...]:
        """The oldest first."""
        found = await resolve(self._store.find(Find(collection=ADMIN_KEYS)))
        return tuple(_described(decode(body)) for body in found)

    async def revoke(self, id: str) -> None:
        """NOT_FOUND where there is no such key."""
        step = Change(
            collection=ADMIN_KEYS, id=id, apply=lambda key, _: KEEP if key is None else DELETE
        )
        result = await write(self._store, step)
        if not result.results[0].written:
            raise not_found("There is no such admin key.")
        self._dropped(id)


def read_key(text: str) -> tuple[str, str]:
    """(id, secret) of a well-formed key; else UNAUTHENTICATED."""
    match = _FORM.fullmatch(text) if len(text) <= _MAX_KEY else None
    if match is None:
        raise bad_key()
    return match[1], match[2]


def actor_of_key(document: Document, secret: str) -> Actor:
    """The server's rights within the key's scopes; UNAUTHENTICATED for a wrong secret."""
    if not hmac.compare_digest(document["digest"], _digest(secret)):
        raise bad_key()
    return Actor(
        trusted=True,
        key=document["_id"],
        scopes=tuple(document["scopes"]),
        cache_key="!",
    )


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
