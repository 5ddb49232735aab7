"""Where a member may go on: the number of the last message it has, sealed for its channel."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12


class KeySource(Protocol):
    """`baas.secret.MasterSecret`, as far as it is needed here."""

    def derive(self, purpose: str) -> bytes: ...


class ChannelCursors:
    def __init__(self, secret: KeySource) -> None:
        self._cipher = AESGCM(secret.derive("channel"))
        self._nonce_key = secret.derive("channel/nonce")

    def seal(self, channel: str, seq: int) -> str:
        plain, name = str(seq).encode(), channel.encode()
        digest = blake2b(name + b"\0" + plain, digest_size=_NONCE_BYTES, key=self._nonce_key)
        nonce = digest.digest()
        sealed = nonce + self._cipher.encrypt(nonce, plain, name)
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, channel: str, text: str) -> int | None:
        """The number; None for what was not made for this channel."""
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            nonce, rest = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            return int(self._cipher.decrypt(nonce, rest, channel.encode()))
        except (ValueError, binascii.Error, InvalidTag):
            return None
