"""Where a watch may go on: a sealed position in the feed, and a seal on who watches what.

A cursor is `<position>.<seal>`. The position is encrypted, since how far the feed has come tells of
writes that the client may know nothing of, and of one length, since its digits tell too. It is the
same for everybody, so that a frame can be shared: that two differ tells that something has been
written somewhere, and no more. The seal is a client's own: over the query, the caller, its roles
and the rules in force.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from baas.schema.actor import Actor

_NONCE_BYTES: Final = 12
_SEAL_BYTES: Final = 16
#: Positions are sealed in multiples of so many bytes.
_PADDED: Final = 32


class KeySource(Protocol):
    """`baas.secret.MasterSecret`, as far as it is needed here."""

    def derive(self, purpose: str) -> bytes: ...


class WatchCursors:
    def __init__(self, secret: KeySource) -> None:
        self._cipher = AESGCM(secret.derive("watch"))
        self._nonce_key = secret.derive("watch/nonce")
        self._seal_key = secret.derive("watch/seal")
        self._last = ("", b"")

    def position(self, feed_cursor: str) -> bytes:
        """The shared part; equal for equal cursors of the feed."""
        if self._last[0] != feed_cursor:
            plain = feed_cursor.encode()
            plain = plain.ljust(-len(plain) % _PADDED + len(plain), b"\0")
            nonce = blake2b(plain, digest_size=_NONCE_BYTES, key=self._nonce_key).digest()
            sealed = nonce + self._cipher.encrypt(nonce, plain, None)
            self._last = (feed_cursor, urlsafe_b64encode(sealed).rstrip(b"="))
        return self._last[1]

    def seal(self, query: bytes, actor: Actor, revision: str) -> bytes:
        """A client's own part. `query` is the digest of what it asked."""
        parts = [query, actor.uid, actor.key, actor.trusted, actor.cache_key, revision]
        text = msgspec.json.encode(parts)
        digest = blake2b(text, digest_size=_SEAL_BYTES, key=self._seal_key).digest()
        return urlsafe_b64encode(digest).rstrip(b"=")

    def open(self, text: str, seal: bytes) -> str | None:
        """The feed's cursor; None for a cursor of another query, caller or set of rules."""
        position, _, own = text.partition(".")
        if own.encode(errors="replace") != seal:
            return None
        try:
            raw = urlsafe_b64decode(position + "=" * (-len(position) % 4))
            plain = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
            return plain.rstrip(b"\0").decode()
        except (ValueError, binascii.Error, InvalidTag):
            return None
