"""`after` cursors: where a page ended, sealed so that only the same query can go on from there.

A cursor is `base64url(nonce | AES-256-GCM(sort values))`. The caller, the collection with the rule
in force, the filter and the sort are the associated data, so a cursor that is altered, borrowed
from another caller or put to another query does not open, and says nothing of what it holds.

The nonce is a keyed digest of all that is sealed (the synthetic IV of RFC 8452 in spirit): equal
pages give equal cursors, so an answer's bytes depend on what the caller sees and on nothing else.
A nonce could only meet another's by chance, once in about 2^48 different cursors.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b, sha256
from typing import Any, Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from baas.errors import Code, Problem
from baas.query.ast import Sort
from baas.schema.actor import Actor
from baas.schema.values import Value

_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16


class KeySource(Protocol):
    """`baas.secret.MasterSecret`, as far as it is needed here."""

    def derive(self, purpose: str) -> bytes:
        """32 bytes of its own for each purpose."""
        ...


class Cursors:
    """Seals and opens cursors with the installation's key."""

    def __init__(self, secret: KeySource) -> None:
        self._cipher = AESGCM(secret.derive("cursor"))
        self._nonce_key = secret.derive("cursor/nonce")

    def seal(self, values: tuple[Value, ...], binding: bytes) -> str:
        """The cursor behind a document with these sort values."""
        plain = msgspec.json.encode(values)
        nonce = blake2b(binding + plain, digest_size=_NONCE_BYTES, key=self._nonce_key).digest()
        sealed = nonce + self._cipher.encrypt(nonce, plain, binding)
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: str, binding: bytes, *, keys: int) -> tuple[Value, ...]:
        """The sort values; CURSOR_INVALID for anything that `seal` did not make for `binding`."""
        try:
            sealed = _decode(text)
            nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            values = tuple(msgspec.json.decode(self._cipher.decrypt(nonce, rest, binding)))
        except (ValueError, InvalidTag):
            raise _invalid() from None
        if len(values) != keys:
            raise _invalid()
        return values


def _decode(text: str) -> bytes:
    """Strict base64url without padding; ValueError. One cursor has one spelling."""
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(raw) < _NONCE_BYTES + _TAG_BYTES:
        raise binascii.Error("too short")
    if urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise binascii.Error("not canonical")
    return raw


def binding_of(
    actor: Actor, collection: str, rule: str, filter: dict[str, Any], sort: Sort
) -> bytes:
    """What a cursor is bound to, as a digest. `rule` names the rules in force; `filter` is the
    client's own, so that a date relative to now does not change it between pages."""
    keys = [
        [*key.path, key.descending] if key.near is None else [*key.path, "near"] for key in sort
    ]
    caller = [actor.uid, actor.key, actor.trusted]
    parts = msgspec.json.encode([caller, collection, rule, filter, keys], order="sorted")
    return sha256(parts).digest()


def _invalid() -> Problem:
    return Problem(
        Code.CURSOR_INVALID,
        "after: this cursor belongs to another query, caller or version of the rules.",
    )
