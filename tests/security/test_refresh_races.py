"""Prevents: a stolen refresh token living beside the real one; a lost answer ending a session."""

from __future__ import annotations

import asyncio

import pytest

from baas.auth import bodies
from baas.auth.collections import SESSIONS
from baas.auth.service import AuthService
from baas.errors import Code, Problem
from baas.schema.actor import NOBODY
from tests.support.auth import CLIENT, Bench, refused, scenario

DAY = 86_400


@scenario()
async def test_fifty_at_once_get_the_one_successor(auth: Bench) -> None:
    first = (await auth.sign_up()).refresh_token
    answers = await asyncio.gather(*(auth.refresh(first) for _ in range(50)))
    assert len({answer.refresh_token for answer in answers}) == 1
    assert answers[0].refresh_token != first
    await auth.refresh(answers[0].refresh_token)


@scenario()
async def test_fifty_at_once_over_two_processes_get_the_one_successor(auth: Bench) -> None:
    first = (await auth.sign_up()).refresh_token
    services: list[AuthService] = [auth.service, await auth.another_process()]
    body = bodies.Refresh(refresh_token=first)
    calls = [services[i % 2].refresh(body, NOBODY, CLIENT) for i in range(50)]
    answers = await asyncio.gather(*calls)
    assert len({answer.refresh_token for answer in answers}) == 1


@scenario()
async def test_a_lost_answer_is_given_again_until_the_successor_is_used(auth: Bench) -> None:
    first = (await auth.sign_up()).refresh_token
    second = (await auth.refresh(first)).refresh_token
    auth.clock.advance(20 * DAY)
    assert (await auth.refresh(first)).refresh_token == second
    third = (await auth.refresh(second)).refresh_token
    assert (await auth.refresh(second)).refresh_token == third
    assert len({first, second, third}) == 3


@scenario()
async def test_an_older_token_ends_the_session_for_thief_and_owner(auth: Bench) -> None:
    session = await auth.sign_up()
    second = await auth.refresh(session.refresh_token)
    third = await auth.refresh(second.refresh_token)
    await auth.actor(third)  # remembered
    with refused(Code.SESSION_REVOKED):
        await auth.refresh(session.refresh_token)
    for token in (session, second, third):
        with refused(Code.SESSION_REVOKED):
            await auth.refresh(token.refresh_token)
    with refused(Code.UNAUTHENTICATED):
        await auth.actor(third)
    assert await auth.documents(SESSIONS) == []


@scenario()
async def test_reuse_ends_that_session_alone(auth: Bench) -> None:
    session, other = await auth.sign_up(), await auth.sign_in()
    token = session.refresh_token
    for _ in range(2):
        token = (await auth.refresh(token)).refresh_token
    with refused(Code.SESSION_REVOKED):
        await auth.refresh(session.refresh_token)
    assert (await auth.actor(other)).uid
    await auth.refresh(other.refresh_token)


@scenario()
async def test_old_and_new_at_once_leave_either_a_live_session_or_none(auth: Bench) -> None:
    """Whatever the order, nobody holds a token that works beside another one that works."""
    first = (await auth.sign_up()).refresh_token
    second = (await auth.refresh(first)).refresh_token
    outcomes = await asyncio.gather(
        *(auth.refresh(token) for token in [second, first] * 10), return_exceptions=True
    )
    codes = {o.code for o in outcomes if isinstance(o, Problem)}
    assert codes == {Code.SESSION_REVOKED}
    assert await auth.documents(SESSIONS) == []


@pytest.mark.parametrize(("days", "alive"), [(29.9, True), (30, False)])
@scenario()
async def test_a_session_lives_thirty_days_since_its_last_use(
    auth: Bench, days: float, alive: bool
) -> None:
    token = (await auth.sign_up()).refresh_token
    auth.clock.advance(29 * DAY)
    token = (await auth.refresh(token)).refresh_token
    auth.clock.advance(days * DAY)
    if alive:
        await auth.refresh(token)
    else:
        with refused(Code.SESSION_REVOKED):
            await auth.refresh(token)


@scenario()
async def test_an_anonymous_session_lives_a_year(auth: Bench) -> None:
    token = (await auth.anonymous()).refresh_token
    auth.clock.advance(364 * DAY)
    token = (await auth.refresh(token)).refresh_token
    auth.clock.advance(365 * DAY)
    with refused(Code.SESSION_REVOKED):
        await auth.refresh(token)


@scenario()
async def test_forged_refresh_tokens_end_nobody_s_session(auth: Bench) -> None:
    token = (await auth.sign_up()).refresh_token
    for _ in range(3):
        token = (await auth.refresh(token)).refresh_token
    head, generation, mac = token.rsplit(".", 2)
    flipped = mac[:-1] + ("A" if mac[-1] != "A" else "B")
    for forged in (
        f"{head}.0.{mac}",
        f"{head}.99.{mac}",
        f"{head}.03.{mac}",
        f"{head}.\u0663.{mac}",
        f"{head}.{generation}.{flipped}",
        f"{head}.{generation}.{mac}=",
        f"{head}.{generation}.{mac}\n",
        f"{head}.{generation}.",
        "",
        "brt_",
    ):
        with refused(Code.UNAUTHENTICATED):
            await auth.refresh(forged)
    await auth.refresh(token)


@scenario()
async def test_a_disabled_user_cannot_refresh(auth: Bench) -> None:
    session = await auth.sign_up()
    await auth.service.users.set_disabled(session.user.uid, True)
    with refused(Code.SESSION_REVOKED):
        await auth.refresh(session.refresh_token)
