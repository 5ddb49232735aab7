"""Prevents: telling from outside which user names exist."""

from __future__ import annotations

import time

import pytest

from baas.auth import bodies
from baas.auth.passwords import Passwords
from baas.errors import Code
from baas.schema.actor import NOBODY
from tests.support.auth import CLIENT, Bench, refused, scenario

WRONG = "wrong horse"


async def attempt(auth: Bench, name: str, password: str = WRONG) -> tuple[object, ...]:
    body = bodies.PasswordSignIn(username=name, password=password)
    with refused(Code.INVALID_CREDENTIALS) as fault:
        await auth.service.sign_in_password(body, NOBODY, CLIENT)
    problem = fault.problem
    return problem.detail, problem.errors, problem.extra, problem.operation, problem.retry_after


@pytest.mark.parametrize("name", ["nobody", "", " ", "a\nb", "x" * 1000, "\u202eann"])
@scenario()
async def test_unknown_and_impossible_names_answer_as_a_wrong_password_does(
    auth: Bench, name: str
) -> None:
    await auth.sign_up("ann")
    assert await attempt(auth, name) == await attempt(auth, "ann")


@scenario()
async def test_an_account_without_password_answers_alike(auth: Bench) -> None:
    await auth.sign_up("ann")
    anonymous = await auth.anonymous()
    assert await attempt(auth, anonymous.user.uid) == await attempt(auth, "ann")


@scenario()
async def test_a_disabled_account_shows_only_to_who_knows_its_password(auth: Bench) -> None:
    session = await auth.sign_up("ann")
    before = await attempt(auth, "ann")
    await auth.service.users.set_disabled(session.user.uid, True)
    assert await attempt(auth, "ann") == before
    with refused(Code.PERMISSION_DENIED):
        await auth.sign_in("ann")


@scenario()
async def test_every_attempt_costs_one_hash(auth: Bench) -> None:
    await auth.sign_up("ann")
    counted: list[str | None] = []
    passwords = auth.service._passwords
    verify = passwords.verify

    async def counting(password: str, stored: str | None) -> bool:
        counted.append(stored)
        return await verify(password, stored)

    passwords.verify = counting  # type: ignore[method-assign]
    for name in ("ann", "nobody", "", "a b"):
        await attempt(auth, name)
    assert len(counted) == 4


@scenario()
async def test_a_hash_of_nobody_takes_as_long_as_a_real_one(auth: Bench) -> None:
    """With real cost parameters; medians, and a wide margin for a busy machine."""
    passwords = Passwords(1)
    stored = await passwords.hash("right horse")

    async def once(against: str | None) -> float:
        start = time.perf_counter()
        assert not await passwords.verify(WRONG, against)
        return time.perf_counter() - start

    real, nobody = [], []
    for _ in range(5):  # turn about, so that a busy moment touches both
        real.append(await once(stored))
        nobody.append(await once(None))
    passwords.close()
    assert 0.4 < sorted(nobody)[2] / sorted(real)[2] < 2.5


@scenario()
async def test_no_password_opens_the_account_of_nobody(auth: Bench) -> None:
    for password in ("", "a" * 300, "\x00"):
        await attempt(auth, "nobody", password)
