"""Signed webhooks, both ways.

In: a body is taken only with a signature by the secret that the trigger names. Out: signed
CloudEvents, sent to public addresses alone. Signatures are those of the Standard Webhooks
specification (`webhook-id`, `webhook-timestamp`, `webhook-signature`; symmetric, `v1`), and for
what comes in also GitHub's `X-Hub-Signature-256`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from baas.errors import Code, Problem

#: How far a sender's clock may be off, and how long a signature can be replayed, in seconds.
TOLERANCE: Final = 300
_PREFIX: Final = "whsec_"
MAX_ID: Final = 256


def secret_bytes(secret: str) -> bytes:
    """`whsec_` and base64 as that specification has it; any other text as it stands."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`; `timestamp` in seconds."""
    signed = b"%s.%d.%s" % (id.encode(), timestamp, body)
    digest = hmac.digest(secret_bytes(secret), signed, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def signed_headers(secret: str, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    headers = {"webhook-id": id, "webhook-timestamp": str(timestamp)}
    if secret:
        headers["webhook-signature"] = sign(secret, id, timestamp, body)
    return headers


def verify(
    scheme: str, secret: str, headers: Mapping[str, str], body: bytes, now_ms: int
) -> str | None:
    """The message's id, by which a repeat is known, None where the scheme has none.

    `headers` in lower case. UNAUTHENTICATED for anything but a good signature, however it is bad;
    also where there is no secret, so that a missing one opens nothing.
    """
    if not secret:
        raise _refused()
    if scheme == "github":
        return _verify_github(secret, headers, body)
    return _verify_standard(secret, headers, body, now_ms)


def _verify_standard(secret: str, headers: Mapping[str, str], body: bytes, now_ms: int) -> str:
    id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not 1 <= len(id) <= MAX_ID or not (stamp.isascii() and stamp.isdigit() and len(stamp) < 13):
        raise _refused()
    if abs(now_ms / 1000 - int(stamp)) > TOLERANCE:
        raise _refused()
    good = sign(secret, id, int(stamp), body).encode()
    given = headers.get("webhook-signature", "").encode().split(b" ")
    # Several, separated by spaces, while a sender changes its secret.
    if not any(hmac.compare_digest(good, one) for one in given):
        raise _refused()
    return id


def _verify_github(secret: str, headers: Mapping[str, str], body: bytes) -> str | None:
    digest = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    given = headers.get("x-hub-signature-256", "").encode()
    if not hmac.compare_digest(f"sha256={digest}".encode(), given):
        raise _refused()
    return headers.get("x-github-delivery")


def _refused() -> Problem:
    return Problem(Code.UNAUTHENTICATED, "The signature does not fit.")
