"""Guesses at one account's password, from wherever they come.

The limit per address (`limits.rate_auth`) does not stop somebody who has many addresses, so wrong
passwords are counted per account too (`limits.rate_password`), for names that nobody has alike.
Nobody can lock an account's owner out that way: at an address where the account has a session,
that is where its password was known before, sign-in stays open, under the limit per address.

Several gateway processes tell one another (`baas.gateway.sharedrates`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from baas.auth.service import AuthService
from baas.auth.users import name_identity, username_key
from baas.errors import Code, Problem
from baas.gateway.ratelimit import RateLimit, network_of

T = TypeVar("T")


async def guarded_sign_in(
    limit: RateLimit, auth: AuthService, username: str, ip: str, attempt: Callable[[], Awaitable[T]]
) -> T:
    """`attempt`, unless too many were wrong for this name: then RATE_LIMITED, without a look at
    the password."""
    try:
        account = name_identity(username_key(username))
    except Problem:  # not a possible name, so there is nothing to guess
        return await attempt()

    async def is_familiar() -> bool:
        known = await auth.addresses_of(username)
        return network_of(ip) in {network_of(address) for address in known}

    return await guarded(limit, account, attempt, is_familiar)


async def guarded(
    limit: RateLimit,
    account: str,
    attempt: Callable[[], Awaitable[T]],
    is_familiar: Callable[[], Awaitable[bool]] | None = None,
) -> T:
    """`attempt`, counted against `account` if its password is wrong.

    It is counted beforehand and given back, so that many at once get no further than one by one.
    """
    try:
        limit.take(account)
    except Problem:
        if is_familiar is None or not await is_familiar():
            raise
        return await attempt()
    wrong = False
    try:
        return await attempt()
    except Problem as problem:
        wrong = problem.code is Code.INVALID_CREDENTIALS
        raise
    finally:
        if not wrong:
            limit.give_back(account)
