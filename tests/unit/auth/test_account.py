"""Linking, unlinking, password change, sessions, deletion."""

from __future__ import annotations

import pytest

from baas.auth import bodies
from baas.auth.collections import CREDENTIALS, IDENTITIES, SESSIONS, USERS
from baas.errors import Code
from baas.schema.actor import NOBODY, Actor
from tests.support.auth import PASSWORD, Bench, refused, scenario

LINK = bodies.LinkPassword(username="ann", password=PASSWORD)


@scenario()
async def test_an_anonymous_account_gets_a_password_and_keeps_its_uid(auth: Bench) -> None:
    before = await auth.anonymous()
    linked = await auth.call(auth.service.link, LINK, await auth.actor(before))
    assert linked.user.uid == before.user.uid
    assert linked.user.login_type == "USERNAME"
    assert (await auth.actor(linked)).login_type == "USERNAME"
    assert (await auth.sign_in()).user.uid == before.user.uid
    assert (await auth.service.users.find("ann")).login_type == "USERNAME"


@scenario()
async def test_linking_replaces_the_session_that_asked(auth: Bench) -> None:
    before = await auth.anonymous()
    await auth.call(auth.service.link, LINK, await auth.actor(before))
    with refused(Code.UNAUTHENTICATED):
        await auth.actor(before)
    with refused(Code.SESSION_REVOKED):
        await auth.refresh(before.refresh_token)


@scenario()
async def test_linking_cannot_take_over_a_name(auth: Bench) -> None:
    owner = await auth.sign_up("ann")
    thief = await auth.anonymous()
    with refused(Code.CONFLICT):
        await auth.call(auth.service.link, LINK, await auth.actor(thief))
    assert (await auth.sign_in("ann")).user.uid == owner.user.uid
    assert (await auth.actor(thief)).login_type == "ANONYMOUS"


@scenario()
async def test_an_account_has_one_name(auth: Bench) -> None:
    actor = await auth.actor(await auth.sign_up("ann"))
    second = bodies.LinkPassword(username="ann2", password=PASSWORD)
    with refused(Code.CONFLICT):
        await auth.call(auth.service.link, second, actor)


@scenario()
async def test_the_last_way_to_sign_in_stays(auth: Bench) -> None:
    actor = await auth.actor(await auth.sign_up())
    with refused(Code.INVALID_ARGUMENT):
        await auth.call(auth.service.unlink, bodies.Unlink(method="password"), actor)
    with refused(Code.NOT_FOUND):
        await auth.call(auth.service.unlink, bodies.Unlink(method="wechat"), actor)
    await auth.sign_in()


@scenario()
async def test_a_password_change_ends_the_other_sessions(auth: Bench) -> None:
    here, elsewhere = await auth.sign_up(), await auth.sign_in()
    await auth.actor(elsewhere)  # remembered
    change = bodies.PasswordChange(old_password=PASSWORD, new_password="another horse")
    await auth.call(auth.service.password_change, change, await auth.actor(here))
    assert (await auth.actor(here)).uid
    with refused(Code.UNAUTHENTICATED):
        await auth.actor(elsewhere)
    with refused(Code.INVALID_CREDENTIALS):
        await auth.sign_in()
    await auth.sign_in(password="another horse")


@scenario()
async def test_a_password_change_needs_the_old_one(auth: Bench) -> None:
    actor = await auth.actor(await auth.sign_up())
    change = bodies.PasswordChange(old_password="wrong horse", new_password="another horse")
    with refused(Code.INVALID_CREDENTIALS):
        await auth.call(auth.service.password_change, change, actor)
    await auth.sign_in()


@scenario()
async def test_a_sign_in_that_a_password_change_overtakes_fails(auth: Bench) -> None:
    session = await auth.sign_up()
    accounts, uid = auth.service._accounts, session.user.uid
    verify = accounts._passwords.verify

    async def overtaken(password: str, stored: str | None) -> bool:
        right = await verify(password, stored)
        await auth.service.users.set_password(uid, "another horse")
        return right

    accounts._passwords.verify = overtaken  # type: ignore[method-assign]
    with refused(Code.INVALID_CREDENTIALS):
        await auth.sign_in()
    assert await auth.documents(SESSIONS) == []


@scenario()
async def test_sessions_are_listed_and_the_one_in_use_is_marked(auth: Bench) -> None:
    first = await auth.sign_up()
    auth.clock.advance(60)
    second = await auth.sign_in()
    actor = await auth.actor(second)
    listed = (await auth.call(auth.service.sessions, bodies.Empty(), actor)).sessions
    assert [item.current for item in listed] == [True, False]
    assert listed[1].id == (await auth.actor(first)).session
    assert (listed[0].ip, listed[0].user_agent) == ("192.0.2.7", "tests/1")
    assert listed[0].create_time["$date"] > listed[1].create_time["$date"]


@scenario()
async def test_one_session_can_be_ended_from_another(auth: Bench) -> None:
    lost, here = await auth.sign_up(), await auth.sign_in()
    id = (await auth.actor(lost)).session
    body = bodies.SessionsRevoke(id=id)
    answer = await auth.call(auth.service.sessions_revoke, body, await auth.actor(here))
    assert answer.revoked == 1
    with refused(Code.UNAUTHENTICATED):
        await auth.actor(lost)
    assert (await auth.actor(here)).uid


@scenario()
async def test_nobody_ends_a_stranger_s_session(auth: Bench) -> None:
    victim, stranger = await auth.sign_up("ann"), await auth.sign_up("bob")
    body = bodies.SessionsRevoke(id=(await auth.actor(victim)).session)
    with refused(Code.NOT_FOUND):
        await auth.call(auth.service.sessions_revoke, body, await auth.actor(stranger))
    assert (await auth.actor(victim)).uid == victim.user.uid


@pytest.mark.parametrize("id", ["", "nothing", "../x", "a\x00b", "x" * 5000, "\U0001f600", "%"])
@scenario()
async def test_a_session_that_cannot_be_is_not_found(auth: Bench, id: str) -> None:
    actor = await auth.actor(await auth.sign_up())
    with refused(Code.NOT_FOUND):
        await auth.call(auth.service.sessions_revoke, bodies.SessionsRevoke(id=id), actor)


@scenario()
async def test_all_sessions_can_be_ended_at_once(auth: Bench) -> None:
    here, elsewhere = await auth.sign_up(), await auth.sign_in()
    bystander = await auth.sign_up("bob")
    body = bodies.SessionsRevoke(all=True)
    answer = await auth.call(auth.service.sessions_revoke, body, await auth.actor(here))
    assert answer.revoked == 2
    for session in (here, elsewhere):
        with refused(Code.UNAUTHENTICATED):
            await auth.actor(session)
    assert (await auth.actor(bystander)).uid


@pytest.mark.parametrize("body", [{}, {"id": "x", "all": True}])
@scenario()
async def test_revoking_says_which(auth: Bench, body: dict[str, object]) -> None:
    actor = await auth.actor(await auth.sign_up())
    with refused(Code.INVALID_ARGUMENT):
        await auth.call(auth.service.sessions_revoke, bodies.SessionsRevoke(**body), actor)


@scenario()
async def test_signing_out_ends_this_session_alone(auth: Bench) -> None:
    here, elsewhere = await auth.sign_up(), await auth.sign_in()
    await auth.call(auth.service.sign_out, bodies.Empty(), await auth.actor(here))
    with refused(Code.UNAUTHENTICATED):
        await auth.actor(here)
    with refused(Code.SESSION_REVOKED):
        await auth.refresh(here.refresh_token)
    assert (await auth.actor(elsewhere)).uid


@scenario()
async def test_a_deleted_account_is_gone_with_all_that_belonged_to_it(auth: Bench) -> None:
    bystander = await auth.sign_up("bob")
    session = await auth.sign_up("ann")
    await auth.call(auth.service.delete, bodies.Empty(), await auth.actor(session))
    with refused(Code.UNAUTHENTICATED):
        await auth.actor(session)
    with refused(Code.SESSION_REVOKED):
        await auth.refresh(session.refresh_token)
    with refused(Code.INVALID_CREDENTIALS):
        await auth.sign_in("ann")
    for collection in (USERS, IDENTITIES, CREDENTIALS, SESSIONS):
        documents = await auth.documents(collection)
        assert {d.get("uid", d["_id"]) for d in documents} <= {
            bystander.user.uid,
            (await auth.actor(bystander)).session,
        }
    assert (await auth.sign_up("ann")).user.uid != session.user.uid


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("sign_out", bodies.Empty()),
        ("link", LINK),
        ("unlink", bodies.Unlink(method="password")),
        ("password_change", bodies.PasswordChange(old_password="a", new_password="b" * 9)),
        ("sessions", bodies.Empty()),
        ("sessions_revoke", bodies.SessionsRevoke(all=True)),
        ("me", bodies.Empty()),
        ("profile", {}),
        ("delete", bodies.Empty()),
    ],
)
@scenario()
async def test_nobody_and_keys_that_act_as_no_one_are_turned_away(
    auth: Bench, route: str, body: object
) -> None:
    for actor in (NOBODY, Actor(trusted=True, key="k", scopes=("users:write",))):
        with refused(Code.UNAUTHENTICATED):
            await auth.call(getattr(auth.service, route), body, actor)
