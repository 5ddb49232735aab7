"""Prevents: an admin key doing more than its scopes say, or outliving its revocation."""

from __future__ import annotations

import pytest

from baas.auth.collections import ADMIN_KEYS
from baas.auth.scopes import SCOPES, require_scope
from baas.errors import Code
from baas.schema.actor import NOBODY, SERVER
from baas.schema.values import encode
from tests.support.auth import Bench, refused, scenario


@pytest.mark.parametrize("scope", sorted(SCOPES))
@scenario()
async def test_a_scope_opens_itself_and_nothing_else(auth: Bench, scope: str) -> None:
    _, text = await auth.service.admin_keys.create("ci", (scope,))
    actor = await auth.caller(f"Bearer {text}")
    assert actor.trusted
    assert actor.uid is None
    require_scope(actor, scope)
    for other in SCOPES - {scope}:
        with refused(Code.PERMISSION_DENIED):
            require_scope(actor, other)


@scenario()
async def test_a_star_is_every_scope(auth: Bench) -> None:
    _, text = await auth.service.admin_keys.create("ops", ("*",))
    actor = await auth.caller(f"Bearer {text}")
    for scope in SCOPES:
        require_scope(actor, scope)


def test_scopes_hold_keys_alone() -> None:
    require_scope(NOBODY, "database:write")
    require_scope(SERVER, "database:write")


@pytest.mark.parametrize("scopes", [(), ("database",), ("database:all",), ("DATABASE:READ",)])
@scenario()
async def test_unknown_scopes_make_no_key(auth: Bench, scopes: tuple[str, ...]) -> None:
    with refused(Code.INVALID_ARGUMENT):
        await auth.service.admin_keys.create("ci", scopes)
    assert await auth.documents(ADMIN_KEYS) == []


@scenario()
async def test_a_key_that_acts_as_a_user_has_neither_server_rights_nor_more_scopes(
    auth: Bench,
) -> None:
    session = await auth.sign_up()
    await auth.service.users.set_roles(session.user.uid, ("editor",), ())
    _, text = await auth.service.admin_keys.create("ci", ("database:read",))
    actor = await auth.service.authenticate_as(f"Bearer {text}", session.user.uid)
    assert (actor.uid, actor.trusted, actor.roles) == (session.user.uid, False, ("editor",))
    require_scope(actor, "database:read")
    with refused(Code.PERMISSION_DENIED):
        require_scope(actor, "database:write")


@scenario()
async def test_only_an_admin_key_acts_as_someone(auth: Bench) -> None:
    ann, bob = await auth.sign_up("ann"), await auth.sign_up("bob")
    for header in (None, f"Bearer {bob.access_token}"):
        with refused(Code.PERMISSION_DENIED):
            await auth.service.authenticate_as(header, ann.user.uid)
    with refused(Code.UNAUTHENTICATED):
        await auth.service.authenticate_as("Bearer bak_x_y", ann.user.uid)


@pytest.mark.parametrize("uid", ["", "nobody", "../x", "a b", "x" * 65])
@scenario()
async def test_nobody_can_be_acted_as_who_is_not_there(auth: Bench, uid: str) -> None:
    _, text = await auth.service.admin_keys.create("ci", ("*",))
    with refused(Code.NOT_FOUND):
        await auth.service.authenticate_as(f"Bearer {text}", uid)


@scenario()
async def test_wrong_altered_and_foreign_keys_are_refused(auth: Bench) -> None:
    first, text = await auth.service.admin_keys.create("one", ("*",))
    _, other = await auth.service.admin_keys.create("two", ("*",))
    secret, foreign = text.split("_", 2)[2], other.split("_", 2)[2]
    flipped = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    for forged in (
        f"bak_{first.id}_{foreign}",
        f"bak_{first.id}_{flipped}",
        f"bak_{first.id}_{secret[:-1]}",
        f"bak_{first.id}_",
        f"bak_{first.id}",
        f"bak__{secret}",
        "bak_",
        f"BAK_{first.id}_{secret}",
        f"{text} ",
        f"{text}\n",
        "bak_" + "x" * 300,
    ):
        with refused(Code.UNAUTHENTICATED):
            await auth.caller(f"Bearer {forged}")


@scenario()
async def test_a_revoked_key_is_refused_at_once(auth: Bench) -> None:
    key, text = await auth.service.admin_keys.create("ci", ("*",))
    await auth.caller(f"Bearer {text}")  # remembered
    await auth.service.admin_keys.revoke(key.id)
    with refused(Code.UNAUTHENTICATED):
        await auth.caller(f"Bearer {text}")
    with refused(Code.NOT_FOUND):
        await auth.service.admin_keys.revoke(key.id)


@scenario()
async def test_a_key_revoked_by_another_process_is_refused_within_two_seconds(auth: Bench) -> None:
    key, text = await auth.service.admin_keys.create("ci", ("*",))
    await auth.caller(f"Bearer {text}")  # remembered
    await (await auth.another_process()).admin_keys.revoke(key.id)
    auth.clock.advance(1.9)
    with refused(Code.UNAUTHENTICATED):
        await auth.caller(f"Bearer {text}")


@scenario()
async def test_the_secret_of_a_key_is_not_kept(auth: Bench) -> None:
    key, text = await auth.service.admin_keys.create("ci", ("*",))
    secret = text.split("_", 2)[2].encode()
    assert secret not in encode(await auth.documents(ADMIN_KEYS))
    assert secret not in encode(await auth.service.admin_keys.list())
    assert [found.id for found in await auth.service.admin_keys.list()] == [key.id]
