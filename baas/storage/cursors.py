"""`after` cursors of a list: the path where a page ended, sealed.

That path may be one that the caller may not see, so its length must not show either: what is
sealed always has one size. Caller, prefix and rules in force are the associated data.
"""

from __future__ import annotations

import binascii
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from baas.errors import Code, Problem
from baas.schema.actor import Actor
from baas.schema.filepath import MAX_PATH_BYTES
from baas.storage.parts import KeySource

_NONCE_BYTES: Final = 12


class ListCursors:
    """Seals and opens with the installation's key."""

    def __init__(self, secret: KeySource) -> None:
        self._cipher = AESGCM(secret.derive("storage/cursor"))

    def seal(self, path: str, binding: bytes) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        plain = path.encode().ljust(MAX_PATH_BYTES, b"\0")
        sealed = nonce + self._cipher.encrypt(nonce, plain, binding)
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: str, binding: bytes) -> str:
        """The path; CURSOR_INVALID for anything that `seal` did not make for `binding`."""
        try:
            sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], binding)
        except (ValueError, binascii.Error, InvalidTag):
            raise Problem(
                Code.CURSOR_INVALID,
                "after: this cursor belongs to another list, caller or version of the rules.",
            ) from None
        return plain.rstrip(b"\0").decode()


def binding_of(actor: Actor, prefix: str, rules: str) -> bytes:
    caller = [actor.uid, actor.key, actor.trusted]
    return sha256(msgspec.json.encode([caller, prefix, rules])).digest()
