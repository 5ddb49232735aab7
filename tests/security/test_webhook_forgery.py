"""A webhook is taken only with a signature by its secret: anything else is refused alike."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from baas.errors import Code, Problem
from baas.functions.triggers.webhooks import signed_headers, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
NOW = 1_614_265_330
GOOD = signed_headers(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", NOW, BODY)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1,\u00e9"},
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-id": "x" * 300},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "\u0661"},
        {"webhook-timestamp": "9" * 40},
    ],
)
def test_anything_else_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(Problem) as caught:
        verify("standard", SECRET, {**GOOD, **change}, BODY, NOW * 1000)
    assert caught.value.code is Code.UNAUTHENTICATED


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signature_ages(seconds: int) -> None:
    with pytest.raises(Problem):
        verify("standard", SECRET, GOOD, BODY, (NOW + seconds) * 1000)


def test_another_body_or_secret_is_refused_and_so_is_no_secret() -> None:
    for secret, body in ((SECRET, b"{}"), ("whsec_AAAA", BODY), ("", BODY)):
        with pytest.raises(Problem):
            verify("standard", secret, GOOD, body, NOW * 1000)
    empty = {**GOOD, **signed_headers("x", GOOD["webhook-id"], NOW, BODY)}
    with pytest.raises(Problem):
        verify("standard", "", empty, BODY, NOW * 1000)


def test_github_signs_the_body_alone() -> None:
    digest = hmac.new(b"key", BODY, hashlib.sha256).hexdigest()
    headers = {"x-hub-signature-256": f"sha256={digest}", "x-github-delivery": "d1"}
    assert verify("github", "key", headers, BODY, 0) == "d1"
    for bad in ({}, {"x-hub-signature-256": digest}, {"x-hub-signature-256": "sha256=00"}):
        with pytest.raises(Problem):
            verify("github", "key", bad, BODY, 0)
