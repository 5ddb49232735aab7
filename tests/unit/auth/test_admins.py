"""People at the panel: the first account, signing in, roles, sessions, and the last owner."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from baas.auth.admins import AdminPasswordChange, AdminSession, SetUp, SignIn
from baas.auth.collections import ADMIN_KEYS, ADMINS
from baas.auth.roles import SCOPES_OF, Role, require_at_least
from baas.auth.scopes import SCOPES
from baas.errors import Code
from baas.schema.actor import Actor
from tests.support.auth import CLIENT, Bench, refused, scenario

PASSWORD = "correct horse"
HOUR_S = 3600


async def set_up(auth: Bench, name: str = "ann") -> AdminSession:
    code = await auth.service.admins.set_up_code()
    assert code is not None
    body = SetUp(code=code, name=name, password=PASSWORD)
    return await auth.service.admins.set_up(body, CLIENT)


async def sign_in(auth: Bench, name: str = "ann", password: str = PASSWORD) -> AdminSession:
    return await auth.service.admins.sign_in(SignIn(name=name, password=password), CLIENT)


async def caller(auth: Bench, session: AdminSession) -> Actor:
    return await auth.caller(f"Bearer {session.token}")


# -- the first account -----------------------------------------------------------------------------


@scenario()
async def test_the_code_makes_an_owner_once(auth: Bench) -> None:
    code = await auth.service.admins.set_up_code()
    session = await set_up(auth)

    assert session.admin.role == "owner"
    actor = await caller(auth, session)
    assert (actor.trusted, actor.operator, set(actor.scopes)) == (True, "ann", set(SCOPES))
    assert await auth.service.admins.set_up_code() is None
    with refused(Code.INVALID_CREDENTIALS):
        await auth.service.admins.set_up(
            SetUp(code=code or "", name="eve", password=PASSWORD), CLIENT
        )


@scenario()
async def test_every_process_knows_the_same_code(auth: Bench) -> None:
    other = await auth.another_process()
    assert await other.admins.set_up_code() == await auth.service.admins.set_up_code()


@scenario()
async def test_of_many_set_ups_at_once_one_succeeds(auth: Bench) -> None:
    code = await auth.service.admins.set_up_code() or ""
    tries = [
        auth.service.admins.set_up(SetUp(code=code, name=f"a{n}", password=PASSWORD), CLIENT)
        for n in range(5)
    ]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    assert sum(isinstance(one, AdminSession) for one in outcomes) == 1
    assert len(await auth.service.admins.list()) == 1


@pytest.mark.parametrize("code", ["", "x", "A" * 32, "\N{SNOWMAN}"])
@scenario()
async def test_another_code_makes_nothing(auth: Bench, code: str) -> None:
    with refused(Code.INVALID_CREDENTIALS):
        await auth.service.admins.set_up(SetUp(code=code, name="eve", password=PASSWORD), CLIENT)
    assert await auth.documents(ADMINS) == []


@scenario()
async def test_an_account_of_the_command_line_ends_the_code_too(auth: Bench) -> None:
    await auth.service.admins.create("ann", PASSWORD, "viewer")
    assert await auth.service.admins.set_up_code() is None


# -- signing in ------------------------------------------------------------------------------------


@scenario()
async def test_a_name_is_found_whatever_its_case_and_a_wrong_password_is_not(auth: Bench) -> None:
    await set_up(auth, "Ann")
    assert (await sign_in(auth, "aNN")).admin.name == "Ann"
    for name, password in (("ann", "wrong horse"), ("bob", PASSWORD), ("", ""), ("set-up", "x")):
        with refused(Code.INVALID_CREDENTIALS):
            await sign_in(auth, name, password)


@scenario()
async def test_an_admins_password_opens_no_user_account_and_the_other_way_round(
    auth: Bench,
) -> None:
    await set_up(auth)
    await auth.sign_up("zoe", PASSWORD)
    with refused(Code.INVALID_CREDENTIALS):
        await auth.sign_in("ann", PASSWORD)
    with refused(Code.INVALID_CREDENTIALS):
        await sign_in(auth, "zoe", PASSWORD)


@scenario()
async def test_nothing_stored_tells_a_password_or_token(auth: Bench) -> None:
    session = await set_up(auth)
    stored = str(await auth.documents(ADMINS)) + str(await auth.documents(ADMIN_KEYS))
    assert PASSWORD not in stored
    assert session.token.rpartition("_")[2] not in stored


# -- sessions --------------------------------------------------------------------------------------


@scenario()
async def test_a_session_ends_by_itself_unless_it_is_renewed(auth: Bench) -> None:
    session = await set_up(auth)
    auth.clock.advance(11 * HOUR_S)
    actor = await caller(auth, session)
    await auth.service.admins.renew(actor.key or "")
    auth.clock.advance(11 * HOUR_S)
    assert (await caller(auth, session)).operator == "ann"
    auth.clock.advance(1.1 * HOUR_S)
    with refused(Code.UNAUTHENTICATED):
        await caller(auth, session)


@scenario()
async def test_a_connection_that_stays_open_knows_when_its_session_ends(auth: Bench) -> None:
    session = await set_up(auth)
    identity = await auth.service.identify(session.token)
    assert identity.expires == pytest.approx(auth.clock.now_ms() / 1000 + 12 * HOUR_S)


@scenario()
async def test_sign_out_ends_one_session_and_no_other(auth: Bench) -> None:
    first, second = await set_up(auth), await sign_in(auth)
    id = (await caller(auth, first)).key or ""
    await auth.service.admins.end_session(first.admin.id, id)
    with refused(Code.UNAUTHENTICATED):
        await caller(auth, first)
    assert (await caller(auth, second)).operator == "ann"


@scenario()
async def test_sessions_of_people_are_not_listed_or_revoked_as_keys(auth: Bench) -> None:
    session = await set_up(auth)
    id = (await caller(auth, session)).key or ""
    assert await auth.service.admin_keys.list() == ()
    with refused(Code.NOT_FOUND):
        await auth.service.admin_keys.find(id)


@scenario()
async def test_a_changed_password_ends_the_other_sessions(auth: Bench) -> None:
    here, there = await set_up(auth), await sign_in(auth)
    key = (await caller(auth, here)).key or ""
    await caller(auth, there)  # remembered
    body = AdminPasswordChange(old_password=PASSWORD, new_password="another horse")
    await auth.service.admins.change_password(here.admin.id, key, body)

    assert (await caller(auth, here)).operator == "ann"
    with refused(Code.UNAUTHENTICATED):
        await caller(auth, there)
    with refused(Code.INVALID_CREDENTIALS):
        await auth.service.admins.change_password(here.admin.id, key, body)
    await sign_in(auth, password="another horse")


CHANGES: dict[str, Any] = {
    "role": lambda admins, id: admins.set_role(id, "viewer"),
    "disabled": lambda admins, id: admins.set_disabled(id, True),
    "password": lambda admins, id: admins.set_password(id, "another horse"),
    "deleted": lambda admins, id: admins.delete(id),
}


@pytest.mark.parametrize("change", CHANGES)
@scenario()
async def test_what_becomes_of_an_account_ends_its_sessions_at_once(
    auth: Bench, change: str
) -> None:
    await set_up(auth)
    await auth.service.admins.create("bob", PASSWORD, "developer")
    bob = await sign_in(auth, "bob")
    await caller(auth, bob)  # remembered
    await CHANGES[change](auth.service.admins, bob.admin.id)
    with refused(Code.UNAUTHENTICATED):
        await caller(auth, bob)


@scenario()
async def test_a_disabled_account_cannot_sign_in_until_it_is_let_in_again(auth: Bench) -> None:
    await set_up(auth)
    bob = await auth.service.admins.create("bob", PASSWORD, "viewer")
    await auth.service.admins.set_disabled(bob.id, True)
    with refused(Code.INVALID_CREDENTIALS):
        await sign_in(auth, "bob")
    await auth.service.admins.set_disabled(bob.id, False)
    await sign_in(auth, "bob")


# -- roles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("owner", ("users:write", "settings:write"), ()),
        ("developer", ("functions:write", "settings:write", "users:read"), ("users:write",)),
        ("viewer", ("database:read", "settings:read"), ("database:write", "push:write")),
    ],
)
@scenario()
async def test_a_role_is_a_set_of_scopes(
    auth: Bench, role: Role, may: tuple[str, ...], may_not: tuple[str, ...]
) -> None:
    await auth.service.admins.create("bob", PASSWORD, role)
    scopes = (await caller(auth, await sign_in(auth, "bob"))).scopes
    assert set(may) <= set(scopes)
    assert not set(may_not) & set(scopes)


def test_nobody_gives_more_than_they_have() -> None:
    developer = Actor(key="k", scopes=SCOPES_OF["developer"])
    require_at_least(developer, SCOPES_OF["viewer"])
    require_at_least(developer, SCOPES_OF["developer"])
    with refused(Code.PERMISSION_DENIED):
        require_at_least(developer, SCOPES_OF["owner"])


@pytest.mark.parametrize("change", ["role", "disabled", "deleted"])
@scenario()
async def test_the_last_owner_stays(auth: Bench, change: str) -> None:
    ann = (await set_up(auth)).admin
    with refused(Code.CONFLICT):
        await CHANGES[change](auth.service.admins, ann.id)
    bob = await auth.service.admins.create("bob", PASSWORD, "owner")
    await CHANGES[change](auth.service.admins, ann.id)
    with refused(Code.CONFLICT):
        await CHANGES[change](auth.service.admins, bob.id)


@scenario()
async def test_two_owners_cannot_remove_each_other_at_once(auth: Bench) -> None:
    ann = (await set_up(auth)).admin
    bob = await auth.service.admins.create("bob", PASSWORD, "owner")
    admins = auth.service.admins
    await asyncio.gather(admins.delete(ann.id), admins.delete(bob.id), return_exceptions=True)
    assert [one.role for one in await admins.list()] == ["owner"]


@scenario()
async def test_a_name_belongs_to_one_account(auth: Bench) -> None:
    await set_up(auth)
    with refused(Code.CONFLICT):
        await auth.service.admins.create("ANN", PASSWORD, "viewer")


@pytest.mark.parametrize("id", ["set-up", "nobody", ""])
@scenario()
async def test_what_is_no_account_cannot_be_changed(auth: Bench, id: str) -> None:
    await set_up(auth)
    for change in CHANGES.values():
        with refused(Code.NOT_FOUND):
            await change(auth.service.admins, id)
