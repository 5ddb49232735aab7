"""The pool in which passwords are hashed."""

from __future__ import annotations

import asyncio
import threading

from baas.auth.passwords import Passwords
from baas.auth.pool import BoundedPool
from baas.errors import Code
from tests.support.auth import cheap_passwords, refused


def test_hashes_are_argon2id_salted_and_verifiable() -> None:
    async def test() -> None:
        passwords = cheap_passwords()
        one, other = (
            await passwords.hash("p\u00e4ss w\u00f6rd"),
            await passwords.hash("p\u00e4ss w\u00f6rd"),
        )
        assert one.startswith("$argon2id$v=19$m=64,t=1,p=1$")
        assert one != other
        assert await passwords.verify("p\u00e4ss w\u00f6rd", one)
        assert not await passwords.verify("p\u00e4ss word", one)
        assert not await passwords.verify("p\u00e4ss w\u00f6rd", None)
        passwords.close()

    asyncio.run(test())


def test_the_parameters_in_force_are_owasp_s() -> None:
    async def test() -> None:
        passwords = Passwords(1)
        assert (await passwords.hash("x")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        passwords.close()

    asyncio.run(test())


def test_a_full_queue_is_unavailable_and_empties_again() -> None:
    async def test() -> None:
        pool, gate = BoundedPool("test", workers=1, queue=2), threading.Event()
        held = [asyncio.ensure_future(pool.run(gate.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        with refused(Code.UNAVAILABLE) as fault:
            await pool.run(gate.wait)
        assert fault.problem.retry_after
        gate.set()
        await asyncio.gather(*held)
        assert await pool.run(lambda: 7) == 7
        pool.close()
        with refused(Code.UNAVAILABLE):
            await pool.run(lambda: 7)

    asyncio.run(test())


def test_a_caller_that_goes_away_keeps_its_place_until_the_work_is_done() -> None:
    async def test() -> None:
        pool, gate = BoundedPool("test", workers=1, queue=0), threading.Event()
        gone = asyncio.ensure_future(pool.run(gate.wait))
        await asyncio.sleep(0)
        gone.cancel()
        with refused(Code.UNAVAILABLE):
            await pool.run(gate.wait)
        gate.set()
        pool.close()

    asyncio.run(test())
