"""Prevents: a forged, altered, borrowed or outlived access token opening a door."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from baas.auth import bodies
from baas.auth.collections import SESSIONS
from baas.errors import Code
from baas.schema.actor import NOBODY
from baas.schema.values import decode, encode
from tests.support.auth import Bench, refused, scenario


def segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else encode(value)
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head, body, _ = token.split(".")
    return tuple(decode(base64.urlsafe_b64decode(part + "==")) for part in (head, body))  # type: ignore[return-value]


def signed(auth: Bench, head: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token with the gateway's own key: only what is said in it can be at fault."""
    keys = auth.service.keys
    now = auth.clock.now_ms() // 1000
    base = {"iss": "app", "aud": "app/access", "iat": now, "exp": now + 900}
    body = {name: value for name, value in {**base, **claims}.items() if value is not None}
    header = head or {"alg": "EdDSA", "kid": keys.kid, "typ": "at+jwt"}
    message = f"{segment(header)}.{segment(body)}"
    return f"{message}.{segment(keys.signer.sign(message.encode()))}"


async def refuse(auth: Bench, token: str, code: Code = Code.UNAUTHENTICATED) -> None:
    with refused(code):
        await auth.caller(f"Bearer {token}")


@scenario()
async def test_the_helper_above_makes_tokens_that_pass(auth: Bench) -> None:
    _, claims = opened((await auth.sign_up()).access_token)
    actor = await auth.caller(f"Bearer {signed(auth, sub=claims['sub'], sid=claims['sid'])}")
    assert actor.uid == claims["sub"]


@pytest.mark.parametrize(
    "fault",
    [
        {"iss": "other"},
        {"iss": None},
        {"aud": "other/access"},
        {"aud": "app/refresh"},
        {"aud": ["app/access"]},
        {"aud": ["app/access", "other/access"]},
        {"aud": None},
        {"exp": "9999999999"},
        {"exp": 9999999999.5},
        {"exp": 1e12},
        {"exp": True},
        {"exp": None},
        {"exp": [9999999999]},
        {"iat": "0"},
        {"iat": None},
        {"iat": 2_000_000_000},
        {"sub": 7},
        {"sub": None},
        {"sub": "someone-else"},
        {"sid": None},
        {"sid": "no-such-session"},
        {"roles": ["admin"]},
        {"nbf": 0},
    ],
    ids=str,
)
@scenario()
async def test_claims_are_exactly_ours_and_exactly_typed(
    auth: Bench, fault: dict[str, Any]
) -> None:
    _, claims = opened((await auth.sign_up()).access_token)
    await refuse(auth, signed(auth, **{"sub": claims["sub"], "sid": claims["sid"], **fault}))


@scenario()
async def test_another_user_s_session_does_not_fit(auth: Bench) -> None:
    _, ann = opened((await auth.sign_up("ann")).access_token)
    _, bob = opened((await auth.sign_up("bob")).access_token)
    await refuse(auth, signed(auth, sub=ann["sub"], sid=bob["sid"]))


@scenario()
async def test_a_token_ends_when_it_says(auth: Bench) -> None:
    session = await auth.sign_up()
    auth.clock.advance(899)
    assert (await auth.actor(session)).uid
    auth.clock.advance(1)
    await refuse(auth, session.access_token, Code.TOKEN_EXPIRED)
    assert (await auth.actor(await auth.refresh(session.refresh_token))).uid


@scenario()
async def test_a_remembered_token_ends_when_it_says(auth: Bench) -> None:
    session = await auth.sign_up()
    auth.clock.advance(899.7)
    assert (await auth.actor(session)).uid
    auth.clock.advance(0.4)
    await refuse(auth, session.access_token, Code.TOKEN_EXPIRED)


@scenario()
async def test_an_expired_forgery_is_a_forgery_first(auth: Bench) -> None:
    session = await auth.sign_up()
    auth.clock.advance(1000)
    head, body, _ = session.access_token.split(".")
    await refuse(auth, f"{head}.{body}.{segment(bytes(64))}")


@scenario()
async def test_no_algorithm_but_the_key_s_own(auth: Bench) -> None:
    head, claims = opened((await auth.sign_up()).access_token)
    body = segment(claims)
    for alg in ("none", "None", "NONE", ""):
        for signature in ("", segment(bytes(64))):
            await refuse(auth, f"{segment({**head, 'alg': alg})}.{body}.{signature}")


@scenario()
async def test_the_public_key_is_no_shared_secret(auth: Bench) -> None:
    head, claims = opened((await auth.sign_up()).access_token)
    public = auth.service.keys.signer.public_key()
    jwk = (await auth.service.jwks())["keys"][0]["x"]
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, pem.strip(), public.public_bytes_raw(), jwk.encode()):
        for alg in ("HS256", "EdDSA"):
            message = f"{segment({**head, 'alg': alg})}.{segment(claims)}"
            mac = hmac.digest(secret, message.encode(), hashlib.sha256)
            await refuse(auth, f"{message}.{segment(mac)}")


@pytest.mark.parametrize(
    "kid", ["", "x", "../../etc/passwd", "' or 1=1 --", None, 1, ["x"], {"$ne": ""}], ids=str
)
@scenario()
async def test_a_kid_only_ever_names_a_known_key(auth: Bench, kid: Any) -> None:
    head, claims = opened((await auth.sign_up()).access_token)
    forger = Ed25519PrivateKey.generate()
    message = f"{segment({**head, 'kid': kid})}.{segment(claims)}"
    await refuse(auth, f"{message}.{segment(forger.sign(message.encode()))}")
    assert opened(signed(auth, {**head, "kid": kid}, **claims))[1] == claims
    await refuse(auth, signed(auth, {**head, "kid": kid}, **claims))


@scenario()
async def test_keys_in_the_header_are_not_looked_at(auth: Bench) -> None:
    head, claims = opened((await auth.sign_up()).access_token)
    forger = Ed25519PrivateKey.generate()
    x = segment(forger.public_key().public_bytes_raw())
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": head["kid"]}
    for extra in ({"jwk": jwk}, {"jku": "https://evil.example/k"}, {"x5u": "https://evil.example"}):
        token = jwt.encode(claims, forger, algorithm="EdDSA", headers={**head, **extra})
        await refuse(auth, token)


@pytest.mark.parametrize(
    "extra",
    [{"crit": ["exp"]}, {"b64": False}, {"typ": "JWT"}, {"zip": "DEF"}, {"cty": "JWT"}],
    ids=str,
)
@scenario()
async def test_a_header_is_ours_to_the_byte(auth: Bench, extra: dict[str, Any]) -> None:
    head, claims = opened((await auth.sign_up()).access_token)
    await refuse(auth, signed(auth, {**head, **extra}, **claims))


@scenario()
async def test_what_was_altered_is_refused(auth: Bench) -> None:
    session = await auth.sign_up()
    head, body, signature = session.access_token.split(".")
    _, claims = opened(session.access_token)
    raised = segment({**claims, "exp": claims["exp"] + 1})
    last = "A" if signature[0] != "A" else "B"
    for token in (
        f"{head}.{raised}.{signature}",
        f"{head}.{body}.{last}{signature[1:]}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}..{signature}",
        f"{head}.{body}.{signature}.{signature}",
        f"{head}.{body}.{signature}AAAA",
        "x" * 4000,
        ".",
        "..",
        "\u00e9.\u00e9.\u00e9",
    ):
        await refuse(auth, token)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x", "bearer", "Bearer  x", "x" * 9000]
)
@scenario()
async def test_only_a_bearer_header_is_one(auth: Bench, header: str) -> None:
    with refused(Code.UNAUTHENTICATED):
        await auth.caller(header)


@scenario()
async def test_no_header_is_nobody_and_the_scheme_s_case_does_not_matter(auth: Bench) -> None:
    session = await auth.sign_up()
    assert await auth.caller(None) is NOBODY
    assert (await auth.caller(f"bEaReR {session.access_token}")).uid == session.user.uid


@scenario()
async def test_tokens_of_one_kind_do_not_serve_as_another(auth: Bench) -> None:
    session = await auth.sign_up()
    await refuse(auth, session.refresh_token)
    with refused(Code.UNAUTHENTICATED):
        await auth.refresh(session.access_token)
    await refuse(auth, f"bak_{session.refresh_token}")


@scenario()
async def test_a_token_of_another_installation_is_refused(auth: Bench) -> None:
    head, claims = opened((await auth.sign_up()).access_token)
    forger = Ed25519PrivateKey.generate()
    await refuse(auth, jwt.encode(claims, forger, algorithm="EdDSA", headers=head))


@scenario()
async def test_a_key_that_was_replaced_cannot_vouch_for_new_tokens(auth: Bench) -> None:
    """Whoever gets hold of an old private key gains nothing once it was rotated away."""
    session = await auth.sign_up()
    head, claims = opened(session.access_token)
    stolen = auth.service.keys.signer
    auth.clock.advance(100)
    await auth.service.rotate_keys()
    assert (await auth.actor(session)).uid  # its own old tokens still do
    now = auth.clock.now_ms() // 1000
    late = {**claims, "iat": now, "exp": now + 950}
    await refuse(auth, jwt.encode(late, stolen, algorithm="EdDSA", headers=head))


@scenario()
async def test_a_token_of_a_session_that_is_over_is_refused(auth: Bench) -> None:
    session = await auth.sign_up()
    uid = (await auth.actor(session)).uid
    assert uid is not None
    await auth.call(
        auth.service.sessions_revoke, bodies.SessionsRevoke(all=True), await auth.actor(session)
    )
    assert await auth.documents(SESSIONS) == []
    await refuse(auth, session.access_token)


@pytest.mark.parametrize(
    "respelled",
    [
        lambda token: f"{token}=",
        lambda token: f"{token}.",
        lambda token: token.replace(".", "..", 1),
        lambda token: f"{token[:-1]}{chr(ord(token[-1]) + 1)}",  # bits that decoding drops
        lambda token: token[:-4] + "!" + token[-4:],
        lambda token: f"{token}\n",
        lambda token: f"{token.rpartition('.')[0]}.é",
        lambda token: token.rpartition(".")[0],
    ],
)
@scenario()
async def test_a_token_has_one_spelling(auth: Bench, respelled: Callable[[str], str]) -> None:
    """What revokes or remembers a token by its text must not meet it in another guise."""
    token = (await auth.sign_up()).access_token
    await refuse(auth, respelled(token))
