"""Entity tags: a digest of a document as its reader sees it.

Masked and projected bytes go in, so a change of what is hidden from a caller does not change the
tag that this caller gets. Strong in the sense of RFC 9110, section 8.8.1: equal tags, equal bytes.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

#: Two documents collide once in 2^60.
_DIGEST_BYTES: Final = 15


def etag_of(body: bytes) -> str:
    """The quoted tag, as it stands in the `ETag` header."""
    return f'"{blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()}"'


def same_etag(given: str, current: str) -> bool:
    """Whether a client's tag names the current one.

    The weak mark `W/` is passed over: proxies that compress put it there, and the digest is of the
    document, not of its transfer form.
    """
    return given.removeprefix("W/") == current
