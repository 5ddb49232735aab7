"""Signed links: leave to read one file, or to send the bytes of one upload, until a time.

A link's signature covers what it is for, so that no part can be changed or used elsewhere. To read:
the path and the generation of the file, so that the link dies with its file; it asks no rule again.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import quote, urlencode

import msgspec

from baas.errors import denied, invalid
from baas.storage.parts import KeySource

READ = "read"
UPLOAD = "upload"


class Signature(msgspec.Struct, frozen=True):
    """As it stands in a URL. `expires` in seconds since 1970."""

    expires: int
    version: str
    signature: str


class Links:
    """Makes and checks them with the installation's key."""

    def __init__(self, secret: KeySource) -> None:
        self._key = secret.derive("storage/links")

    def query(self, kind: str, name: str, version: str, expires: int) -> str:
        """The query string that makes an address a link."""
        signature = self._sign(kind, name, version, expires)
        return urlencode({"expires": expires, "version": version, "signature": signature})

    def check(self, kind: str, name: str, given: Signature, now_ms: int) -> None:
        """PERMISSION_DENIED for a link that is not ours, altered, or over."""
        expected = self._sign(kind, name, given.version, given.expires)
        if not hmac.compare_digest(expected.encode(), given.signature.encode()):
            raise denied("The link's signature does not hold.")
        if given.expires * 1000 <= now_ms:
            raise denied("The link has expired.")

    def _sign(self, kind: str, name: str, version: str, expires: int) -> str:
        text = msgspec.json.encode([kind, name, version, expires])
        digest = hmac.digest(self._key, text, sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


def read_signature(fields: dict[str, str]) -> Signature | None:
    """The signature among a URL's fields, None where there is none; INVALID_ARGUMENT for half of
    one."""
    if "signature" not in fields:
        return None
    expires = fields.get("expires", "")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        raise invalid("expires", "is a number of seconds")
    return Signature(int(expires), fields.get("version", ""), fields["signature"])


def file_address(path: str) -> str:
    return f"/v1/storage/files/{quote(path, safe='/')}"


def part_address(upload: str, number: int) -> str:
    return f"/v1/storage/uploads/{upload}/parts/{number}"
