"""Sign-up and sign-in: with a password and anonymously."""

from __future__ import annotations

import asyncio

import pytest

from baas.auth import bodies
from baas.auth.collections import CREDENTIALS, IDENTITIES, SESSIONS, USERS
from baas.auth.passwords import Passwords
from baas.auth.service import AuthService
from baas.errors import Code
from baas.schema.actor import NOBODY
from baas.schema.values import encode
from tests.support.auth import CLIENT, PASSWORD, SECRET, Bench, refused, scenario


@scenario()
async def test_a_new_account_is_signed_in_at_once(auth: Bench) -> None:
    session = await auth.sign_up("Ann")
    actor = await auth.actor(session)
    assert (actor.uid, actor.openid, actor.login_type) == (
        session.user.uid,
        session.user.uid,
        "USERNAME",
    )
    assert session.expires_in == 900
    assert session.user.username == "Ann"
    assert session.user.roles == actor.roles == ()
    assert not actor.trusted


@scenario()
async def test_signing_in_again_reaches_the_same_account_with_another_session(auth: Bench) -> None:
    first = await auth.sign_up()
    second = await auth.sign_in()
    assert second.user.uid == first.user.uid
    assert (await auth.actor(second)).session != (await auth.actor(first)).session


@pytest.mark.parametrize("spelling", ["ann", "ANN", "Ａｎｎ"])  # the last in full width
@scenario()
async def test_names_that_differ_in_case_or_width_are_one_name(auth: Bench, spelling: str) -> None:
    session = await auth.sign_up("Ann")
    with refused(Code.CONFLICT):
        await auth.sign_up(spelling)
    assert (await auth.sign_in(spelling)).user.uid == session.user.uid


UNSEEN = [
    "\ufe0f",
    "\u034f",
    "\u115f",
    "\u1160",
    "\u3164",
    "\uffa0",
    "\u17b4",
    "\u180b",
    "\U000e0100",
]


@pytest.mark.parametrize("unseen", UNSEEN)
@scenario()
async def test_nobody_signs_up_as_another_with_something_unseen(auth: Bench, unseen: str) -> None:
    await auth.sign_up("Ann")
    for spelling in (f"ann{unseen}", f"{unseen}ann", f"a{unseen}{unseen}nn"):
        with refused(Code.CONFLICT):
            await auth.sign_up(spelling)
    with refused(Code.INVALID_ARGUMENT):
        await auth.sign_up(unseen)


@pytest.mark.parametrize("name", ["", " ", "a b", "a\n", "a\u200b", "a\u0000", "\u00ad"])
@scenario()
async def test_names_with_spaces_or_invisible_characters_are_refused(
    auth: Bench, name: str
) -> None:
    with refused(Code.INVALID_ARGUMENT):
        await auth.sign_up(name)


@pytest.mark.parametrize("password", ["short", "ann-ann-ann"])
@scenario(password_min_length=8)
async def test_weak_passwords_are_refused(auth: Bench, password: str) -> None:
    with refused(Code.INVALID_ARGUMENT) as fault:
        await auth.sign_up("Ann-Ann-Ann", password)
    assert fault.problem.errors[0].path == "password"


@scenario()
async def test_a_failed_sign_up_leaves_nothing_behind(auth: Bench) -> None:
    await auth.sign_up("ann")
    before = [len(await auth.documents(c)) for c in (USERS, IDENTITIES, CREDENTIALS, SESSIONS)]
    with refused(Code.CONFLICT):
        await auth.sign_up("ann")
    after = [len(await auth.documents(c)) for c in (USERS, IDENTITIES, CREDENTIALS, SESSIONS)]
    assert before == after


@scenario()
async def test_two_sign_ups_with_one_name_at_once_make_one_account(auth: Bench) -> None:
    outcomes = await asyncio.gather(
        *(auth.sign_up("ann") for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, bodies.Session) for outcome in outcomes) == 1
    assert len(await auth.documents(USERS)) == 1


@scenario()
async def test_every_anonymous_sign_in_is_a_new_account(auth: Bench) -> None:
    first, second = await auth.anonymous(), await auth.anonymous()
    assert first.user.uid != second.user.uid
    assert first.user.login_type == (await auth.actor(first)).login_type == "ANONYMOUS"


@scenario(sign_up=False, anonymous=False)
async def test_both_can_be_switched_off(auth: Bench) -> None:
    with refused(Code.PERMISSION_DENIED):
        await auth.sign_up()
    with refused(Code.PERMISSION_DENIED):
        await auth.anonymous()


@scenario()
async def test_a_profile_is_kept_and_merged(auth: Bench) -> None:
    body = bodies.SignUp(username="ann", password=PASSWORD, profile={"nick": "A", "age": 3})
    session = await auth.service.sign_up(body, NOBODY, CLIENT)
    assert session.user.profile == {"nick": "A", "age": 3}
    actor = await auth.actor(session)
    user = await auth.call(auth.service.profile, {"age": None, "city": "Bern"}, actor)
    assert user.profile == {"nick": "A", "city": "Bern"}
    assert (await auth.call(auth.service.me, bodies.Empty(), actor)).profile == user.profile


@pytest.mark.parametrize("profile", [{"$set": 1}, {"a.b": 1}, {"": 1}, {"n": 2**53}])
@scenario()
async def test_a_profile_is_held_to_the_value_model(auth: Bench, profile: dict[str, int]) -> None:
    body = bodies.SignUp(username="ann", password=PASSWORD, profile=profile)
    with refused(Code.INVALID_ARGUMENT):
        await auth.service.sign_up(body, NOBODY, CLIENT)


@scenario()
async def test_a_profile_cannot_grow_without_end(auth: Bench) -> None:
    actor = await auth.actor(await auth.sign_up())
    await auth.call(auth.service.profile, {"a": "x" * 9_000}, actor)
    with refused(Code.LIMIT_EXCEEDED):
        await auth.call(auth.service.profile, {"b": "x" * 9_000}, actor)


@scenario()
async def test_no_password_is_kept_as_text_and_no_hash_is_shown(auth: Bench) -> None:
    session = await auth.sign_up()
    kept = encode([await auth.documents(c) for c in (USERS, IDENTITIES, CREDENTIALS, SESSIONS)])
    assert PASSWORD.encode() not in kept
    assert session.refresh_token.encode() not in kept
    assert b"$argon2" in kept
    assert b"$argon2" not in encode(session)


@scenario()
async def test_a_hash_with_older_parameters_is_renewed_by_signing_in(auth: Bench) -> None:
    await auth.sign_up()
    before = (await auth.documents(CREDENTIALS))[0]["password"]
    stronger = Passwords(1, memory_kib=128, rounds=1)
    later = AuthService(auth.store, auth.settings, auth.clock, SECRET, passwords=stronger)
    await later.start()
    body = bodies.PasswordSignIn(username="ann", password=PASSWORD)
    await later.sign_in_password(body, NOBODY, CLIENT)
    await later.close()
    after = (await auth.documents(CREDENTIALS))[0]["password"]
    assert "m=64," in before
    assert "m=128," in after
    await auth.sign_in()
