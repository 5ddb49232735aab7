"""`baas user` and `baas admin`, alone and beside a running gateway's auth service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from baas.auth import bodies
from baas.auth.collections import AUTH_COLLECTIONS
from baas.auth.service import AuthService
from baas.cli import main
from baas.clock import ManualClock
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Code
from baas.ports.documents import resolve
from baas.schema.actor import NOBODY, Actor
from baas.secret import MasterSecret
from baas.settings import Settings
from tests.support.auth import CLIENT, PASSWORD, cheap_passwords, refused


@pytest.fixture(autouse=True)
def _in_an_app_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def baas(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=given)


def done(*arguments: str, given: str = "") -> str:
    result = baas(*arguments, given=given)
    assert result.exit_code == 0, result.output
    return result.stdout


def failed(*arguments: str, given: str = "") -> str:
    result = baas(*arguments, given=given)
    assert result.exit_code == 1
    assert result.stdout == ""
    return result.stderr


def create(name: str, *options: str) -> str:
    out = done("user", "create", name, "--password-stdin", *options, given=f"{PASSWORD}\n")
    return out.split("uid ")[1].split(",")[0].strip()


def beside_a_gateway(
    tmp_path: Path, test: Callable[[AuthService, ManualClock], Awaitable[None]]
) -> None:
    """Runs `test` with the auth service of a process that owns the data folder."""

    async def play() -> None:
        clock = ManualClock(time.time_ns() // 1_000_000)
        store = SqliteStore(tmp_path / "data")
        await store.open()
        await store.declare(AUTH_COLLECTIONS)
        secret = MasterSecret.load(tmp_path / "data", "")
        service = AuthService(store, Settings(), clock, secret, passwords=cheap_passwords())
        try:
            await service.start()
            await test(service, clock)
        finally:
            await service.close()
            await store.close()

    asyncio.run(play())


async def sign_in(service: AuthService, name: str) -> bodies.Session:
    body = bodies.PasswordSignIn(username=name, password=PASSWORD)
    return await service.sign_in_password(body, NOBODY, CLIENT)


async def caller(service: AuthService, token: str) -> Actor:
    return await resolve(service.authenticate(f"Bearer {token}"))


def test_a_user_made_before_the_first_start_can_sign_in(tmp_path: Path) -> None:
    uid = create("Ann", "--role", "admin", "--role", "editor")

    async def test(service: AuthService, clock: ManualClock) -> None:
        session = await sign_in(service, "ann")
        assert (session.user.uid, session.user.roles) == (uid, ("admin", "editor"))

    beside_a_gateway(tmp_path, test)


def test_users_are_listed_with_roles_and_state() -> None:
    ann, bob = create("ann", "--role", "admin"), create("bob")
    done("user", "disable", "bob")
    lines = [line.split() for line in done("user", "list").splitlines()]
    assert lines[0] == ["UID", "NAME", "TYPE", "ROLES", "STATE", "CREATED"]
    assert [line[:5] for line in lines[1:]] == [
        [ann, "ann", "USERNAME", "admin", "active"],
        [bob, "bob", "USERNAME", "-", "disabled"],
    ]


def test_roles_are_shown_given_and_taken() -> None:
    uid = create("ann", "--role", "a")
    assert done("user", "roles", "ANN") == "a\n"
    assert done("user", "roles", uid, "--add", "c", "--add", "b", "--remove", "a") == "b c\n"
    assert done("user", "roles", uid, "--remove", "b", "--remove", "c") == "no roles\n"


def test_faults_are_one_line_without_a_stack() -> None:
    create("ann")
    assert "There is no user 'bob'" in failed("user", "roles", "bob")
    taken = failed("user", "create", "ANN", "--password-stdin", given=f"{PASSWORD}\n")
    assert "belongs to an account already" in taken
    assert "at least 8" in failed("user", "create", "bob", "--password-stdin", given="short\n")
    assert "scope" in failed("admin", "key", "create", "ci", "--scope", "everything")
    assert "no such admin key" in failed("admin", "key", "revoke", "nothing")


def test_a_gateway_acts_on_roles_and_disabling_within_two_seconds(tmp_path: Path) -> None:
    async def test(service: AuthService, clock: ManualClock) -> None:
        await asyncio.to_thread(create, "ann")
        token = (await sign_in(service, "ann")).access_token
        assert (await caller(service, token)).roles == ()
        await asyncio.to_thread(done, "user", "roles", "ann", "--add", "editor")
        clock.advance(1.9)
        assert (await caller(service, token)).roles == ("editor",)
        await asyncio.to_thread(done, "user", "disable", "ann")
        clock.advance(1.9)
        with refused(Code.UNAUTHENTICATED):
            await caller(service, token)
        await asyncio.to_thread(done, "user", "enable", "ann")
        await sign_in(service, "ann")

    beside_a_gateway(tmp_path, test)


def test_a_gateway_takes_up_a_rotation_within_two_seconds(tmp_path: Path) -> None:
    async def test(service: AuthService, clock: ManualClock) -> None:
        await asyncio.to_thread(create, "ann")
        before = await sign_in(service, "ann")
        out = await asyncio.to_thread(done, "admin", "keys", "rotate")
        clock.advance(1.9)
        published = [key["kid"] for key in (await service.jwks())["keys"]]
        assert published[0] == out.split()[-1]
        assert len(published) == 2
        assert (await caller(service, before.access_token)).uid == before.user.uid
        after = await sign_in(service, "ann")
        await asyncio.to_thread(done, "admin", "keys", "rotate", "--drop-old")
        clock.advance(1.9)
        for session in (before, after):
            with refused(Code.UNAUTHENTICATED):
                await caller(service, session.access_token)

    beside_a_gateway(tmp_path, test)


def test_an_admin_key_works_until_it_is_revoked(tmp_path: Path) -> None:
    async def test(service: AuthService, clock: ManualClock) -> None:
        command = ("admin", "key", "create", "ci", "--scope", "database:read")
        text = (await asyncio.to_thread(done, *command)).strip()
        actor = await caller(service, text)
        assert actor.scopes == ("database:read",)
        listed = await asyncio.to_thread(done, "admin", "key", "list")
        assert str(actor.key) in listed
        assert text.split("_", 2)[2] not in listed
        await asyncio.to_thread(done, "admin", "key", "revoke", str(actor.key))
        clock.advance(1.9)
        with refused(Code.UNAUTHENTICATED):
            await caller(service, text)

    beside_a_gateway(tmp_path, test)


def test_rotating_with_another_secret_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done("admin", "keys", "rotate")
    monkeypatch.setenv("BAAS_SERVER__SECRET", "p4-Wq8_zX1cV6bN3mL0kJ9hG5fD2sA7eR")
    assert "another secret" in failed("admin", "keys", "rotate")
    assert "another secret" not in done("admin", "keys", "rotate", "--drop-old")


def test_a_password_can_be_set_and_an_account_deleted(tmp_path: Path) -> None:
    create("ann")
    done("user", "password", "ann", "--password-stdin", given="another horse\n")

    async def test(service: AuthService, clock: ManualClock) -> None:
        with refused(Code.INVALID_CREDENTIALS):
            await sign_in(service, "ann")

    beside_a_gateway(tmp_path, test)
    assert baas("user", "delete", "ann", given="n\n").exit_code == 1
    assert "ann" in done("user", "list")
    done("user", "delete", "ann", "--yes")
    assert "ann" not in done("user", "list")
