"""Signing keys: made once, sealed, rotated while others run, published."""

from __future__ import annotations

import asyncio
import base64

import jwt
import pytest

from baas.auth.collections import AUTH_COLLECTIONS, KEYS
from baas.auth.keys import SigningKeys, thumbprint
from baas.clock import ManualClock
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Code, ConfigurationError
from baas.schema.values import encode
from baas.secret import MasterSecret
from tests.support.auth import SECRET, Bench, refused, scenario


@scenario()
async def test_a_token_verifies_with_the_published_key_by_any_library(auth: Bench) -> None:
    session = await auth.sign_up()
    keys = jwt.PyJWKSet.from_dict(await auth.service.jwks())
    kid = jwt.get_unverified_header(session.access_token)["kid"]
    claims = jwt.decode(
        session.access_token,
        keys[kid].key,
        algorithms=["EdDSA"],
        audience="app/access",
        issuer="app",
        options={"verify_exp": False, "verify_iat": False},  # the clock here is moved by hand
    )
    assert claims["sub"] == session.user.uid
    assert claims["exp"] - claims["iat"] == 900
    assert sorted(claims) == ["aud", "exp", "iat", "iss", "sid", "sub"]


def test_a_kid_is_the_thumbprint_of_the_specification() -> None:
    """The example of RFC 8037, appendix A.3."""
    public = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert thumbprint(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@scenario()
async def test_nothing_private_is_published_or_stored_in_the_clear(auth: Bench) -> None:
    raw = auth.service.keys.signer.private_bytes_raw()
    texts = [base64.urlsafe_b64encode(raw).rstrip(b"="), base64.b64encode(raw).rstrip(b"=")]
    published = encode(await auth.service.jwks())
    stored = encode(await auth.documents(KEYS))
    for text in texts:
        assert text not in published
        assert text not in stored
    assert b'"d"' not in published


@scenario()
async def test_processes_that_start_at_once_share_one_key(auth: Bench) -> None:
    others = await asyncio.gather(*(auth.another_process() for _ in range(4)))
    assert {other.keys.kid for other in others} == {auth.service.keys.kid}


def test_the_first_start_of_many_processes_makes_one_key() -> None:
    async def test() -> None:
        store, clock = SqliteStore.memory(), ManualClock()
        await store.open()
        await store.declare(AUTH_COLLECTIONS)
        made = [SigningKeys(store, SECRET, clock, 900) for _ in range(8)]
        await asyncio.gather(*(keys.start() for keys in made))
        assert len({keys.kid for keys in made}) == 1
        await store.close()

    asyncio.run(test())


@scenario()
async def test_after_a_rotation_old_tokens_live_out_their_time(auth: Bench) -> None:
    before = await auth.sign_up()
    await auth.service.rotate_keys()
    after = await auth.sign_in()
    kids = [jwt.get_unverified_header(s.access_token)["kid"] for s in (before, after)]
    assert kids[0] != kids[1]
    published = [key["kid"] for key in (await auth.service.jwks())["keys"]]
    assert published == [kids[1], kids[0]]
    assert (await auth.actor(before)).uid == (await auth.actor(after)).uid
    auth.clock.advance(899)
    assert (await auth.actor(before)).uid
    auth.clock.advance(60)
    with refused(Code.TOKEN_EXPIRED):
        await auth.actor(before)
    assert [key["kid"] for key in (await auth.service.jwks())["keys"]] == [kids[1]]


@scenario()
async def test_a_rotation_elsewhere_is_seen_within_two_seconds(auth: Bench) -> None:
    other = await auth.another_process()
    old = await auth.sign_up()
    await auth.actor(old)
    kid = await other.rotate_keys()
    auth.clock.advance(1.9)
    assert jwt.get_unverified_header((await auth.sign_in()).access_token)["kid"] == kid


@scenario()
async def test_dropping_old_keys_ends_their_tokens_here_and_elsewhere(auth: Bench) -> None:
    other = await auth.another_process()
    session = await auth.sign_up()
    await auth.actor(session)  # remembered
    await other.rotate_keys(drop_old=True)
    auth.clock.advance(1.9)
    with refused(Code.UNAUTHENTICATED):
        await auth.actor(session)
    assert (await auth.actor(await auth.refresh(session.refresh_token))).uid


@scenario()
async def test_many_rotations_do_not_pile_up(auth: Bench) -> None:
    for _ in range(20):
        await auth.service.rotate_keys()
    [document] = await auth.documents(KEYS)
    assert len(document["keys"]) == 16
    assert sum("private" in key for key in document["keys"]) == 1


@scenario()
async def test_another_master_secret_stops_the_start_and_new_keys_help(auth: Bench) -> None:
    other = SigningKeys(auth.store, MasterSecret(b"y" * 32), auth.clock, 900)
    with pytest.raises(ConfigurationError, match="rotate --drop-old"):
        await other.start()
    with pytest.raises(ConfigurationError, match="rotate --drop-old"):
        await other.rotate()
    assert (await auth.service.jwks())["keys"][0]["kid"] == auth.service.keys.kid
    await auth.service.keys.start()
    kid = await other.rotate(drop_old=True)
    assert other.kid == kid
