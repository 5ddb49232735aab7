"""Secrets of the app: sealed at rest, opened in memory alone, handed to functions at each call.

Each is a document of `_secrets`: its value under AES-256-GCM, with its name as associated data, so
that one sealed value cannot be put in another's place. The key is derived from the master secret
and the random name of a generation; `rotate` seals all of them anew under a new generation.
Nothing that answers a request reads a value: routes and lists show names.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from baas.clock import Clock
from baas.errors import Problem, invalid, not_found
from baas.ids import new_id
from baas.ports.documents import (
    DELETE,
    KEEP,
    Change,
    DocumentStore,
    Find,
    Lookups,
    Outcome,
    WriteInfo,
    resolve,
)
from baas.schema.model import CollectionSpec
from baas.schema.values import Document, date_from_ms, decode
from baas.secret import MasterSecret

_log: Final = logging.getLogger("baas.functions")

SECRETS: Final = "_secrets"
SECRET_COLLECTIONS: Final = {SECRETS: CollectionSpec(name=SECRETS)}
MAX_VALUE_BYTES: Final = 64 * 1024
#: How soon a change made beside this process is seen.
LOOK_SECONDS: Final = 1.0
_NONCE_BYTES: Final = 12
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)


class SecretInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as lists show it: never its value. Times are dates of the value model."""

    name: str
    createTime: dict[str, str]
    updateTime: dict[str, str]


class Unreadable(Exception):
    """A sealed value that this master secret does not open."""


class SecretVault:
    """The stored secrets. Works on any store, beside a running gateway too."""

    def __init__(self, store: DocumentStore, master: MasterSecret, clock: Clock) -> None:
        self._store = store
        self._master = master
        self._clock = clock

    async def set(self, name: str, value: str) -> None:
        """INVALID_ARGUMENT for a name or value that cannot be."""
        check_name(name)
        check_value(value)
        generation = await self._generation()

        def apply(before: Document | None, lookups: Lookups) -> Outcome:
            now = date_from_ms(self._clock.now_ms())
            created = now if before is None else before["createTime"]
            return {
                **self._sealed(name, value, generation),
                "createTime": created,
                "updateTime": now,
            }

        await self._store.write((Change(collection=SECRETS, id=name, apply=apply),), WriteInfo())

    async def delete(self, name: str) -> None:
        """NOT_FOUND where there is none of that name."""
        check_name(name)

        def apply(before: Document | None, lookups: Lookups) -> Outcome:
            return KEEP if before is None else DELETE

        step = Change(collection=SECRETS, id=name, apply=apply)
        result = await self._store.write((step,), WriteInfo())
        if not result.results[0].written:
            raise not_found(f"There is no secret {name}.")

    async def listed(self) -> tuple[SecretInfo, ...]:
        """By name."""
        return tuple(
            SecretInfo(name=one["_id"], createTime=one["createTime"], updateTime=one["updateTime"])
            for one in map(decode, await self.sealed())
        )

    async def rotate(self) -> int:
        """Seals every secret under a new key, all of them or none; how many. Problem where one
        cannot be opened."""
        generation = new_id()

        def apply(before: Document | None, lookups: Lookups) -> Outcome:
            if before is None:
                return KEEP
            return {**before, **self._sealed(before["_id"], self._opened(before), generation)}

        names = [one.name for one in await self.listed()]
        steps = tuple(Change(collection=SECRETS, id=name, apply=apply) for name in names)
        try:
            if steps:
                await self._store.write(steps, WriteInfo())
        except Unreadable as fault:
            raise invalid("", f"the secret {fault} cannot be opened: set it anew") from None
        return len(steps)

    async def sealed(self) -> list[bytes]:
        """The stored documents as they lie, to see whether anything changed."""
        return await resolve(self._store.find(Find(collection=SECRETS)))

    def open_all(self, sealed: list[bytes]) -> dict[str, str]:
        """Values by name. One that cannot be opened is named in the log and left out."""
        found: dict[str, str] = {}
        for document in map(decode, sealed):
            try:
                found[document["_id"]] = self._opened(document)
            except Unreadable as fault:
                _log.error("the secret %s cannot be opened: was server.secret changed?", fault)
        return found

    async def _generation(self) -> str:
        """The key in use; a new one for the first secret."""
        known = [decode(one)["generation"] for one in await self.sealed()]
        return str(known[-1]) if known else new_id()

    # -- sealing -----------------------------------------------------------------------------------

    def _cipher(self, generation: str) -> AESGCM:
        return AESGCM(self._master.derive(f"functions/secrets/{generation}"))

    def _sealed(self, name: str, value: str, generation: str) -> Document:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher(generation).encrypt(nonce, value.encode(), name.encode())
        return {"_id": name, "generation": generation, "value": base64.b64encode(sealed).decode()}

    def _opened(self, document: Document) -> str:
        name: str = document["_id"]
        try:
            sealed = base64.b64decode(document["value"])
            nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            opened = self._cipher(document["generation"]).decrypt(nonce, text, name.encode())
        except (InvalidTag, binascii.Error, ValueError):
            raise Unreadable(name) from None
        return opened.decode()


def check_name(name: str) -> None:
    """INVALID_ARGUMENT unless it could be the name of a variable."""
    if not _NAME.fullmatch(name):
        raise invalid("name", "has 1 to 64 letters, digits and '_', and begins with a letter")


def check_value(value: str) -> None:
    if not value:
        raise invalid("value", "is empty")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise invalid("value", "is not text") from None
    if size > MAX_VALUE_BYTES:
        raise invalid("value", f"has at most {MAX_VALUE_BYTES} bytes")


class Secrets:
    """This process's view: what `ctx.secrets` holds. `start` before use."""

    def __init__(self, vault: SecretVault) -> None:
        self._vault = vault
        self._seen: list[bytes] = []
        self._values: Mapping[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    def current(self) -> Mapping[str, str]:
        """Values by name; another object after each change."""
        return self._values

    async def start(self) -> None:
        await self.look()
        self._task = asyncio.create_task(self._follow(), name="baas-secrets")

    async def stop(self) -> None:
        """Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def look(self) -> bool:
        """One look at the store; whether anything changed."""
        sealed = await self._vault.sealed()
        if sealed == self._seen:
            return False
        self._values = self._vault.open_all(sealed)
        self._seen = sealed
        return True

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Problem as problem:
                _log.error("secrets cannot be read, the last known ones hold: %s", problem)
