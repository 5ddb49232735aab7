"""Passwords: Argon2id (RFC 9106) off the event loop, the same work for known and unknown names."""

from __future__ import annotations

import base64
import secrets
from functools import cached_property
from typing import Any, Final

from baas.auth.pool import BoundedPool
from baas.errors import invalid

# OWASP's first recommendation for Argon2id: 19 MiB, two passes, one lane; 20 to 40 ms of a core.
MEMORY_KIB: Final = 19 * 1024
ROUNDS: Final = 2
LANES: Final = 1
#: Hashes that may wait for a worker: about a second and a half of work for two.
QUEUE: Final = 64
_SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 32


class Passwords:
    """Makes and checks password hashes in a pool of `workers` threads.

    Full queue: Problem(UNAVAILABLE). The cost parameters are arguments so that tests can be quick.
    """

    def __init__(
        self,
        workers: int = 2,
        *,
        memory_kib: int = MEMORY_KIB,
        rounds: int = ROUNDS,
        queue: int = QUEUE,
    ) -> None:
        self._pool = BoundedPool("passwords", workers, queue)
        self._memory_kib = memory_kib
        self._rounds = rounds
        # A well-formed hash that no password has: checking against it costs what a real one does.
        salt, digest = (_b64(secrets.token_bytes(size)) for size in (_SALT_BYTES, _DIGEST_BYTES))
        costs = f"m={memory_kib},t={rounds},p={LANES}"
        self._nobodys = f"$argon2id$v=19${costs}${salt}${digest}"

    @cached_property
    def _scheme(self) -> Any:
        from passlib.hash import argon2  # 25 ms that a gateway's start need not wait for

        return argon2.using(
            type="ID",
            memory_cost=self._memory_kib,
            rounds=self._rounds,
            parallelism=LANES,
            salt_size=_SALT_BYTES,
            digest_size=_DIGEST_BYTES,
        )

    async def hash(self, password: str) -> str:
        """The text to store: algorithm, parameters, salt and digest in one."""
        made: str = await self._pool.run(lambda: self._scheme.hash(password))
        return made

    async def verify(self, password: str, stored: str | None) -> bool:
        """False for a wrong password, and as slowly where there is none to compare with."""
        against = self._nobodys if stored is None else stored
        right: bool = await self._pool.run(lambda: self._scheme.verify(password, against))
        return right and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether it was made with other parameters than those in force."""
        return bool(self._scheme.needs_update(stored))

    def close(self) -> None:
        self._pool.close()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).rstrip(b"=").decode()


def check_new_password(password: str, username_key: str, minimum: int, path: str) -> None:
    """INVALID_ARGUMENT for one that is too short or is the name itself.

    Length is what NIST SP 800-63B asks for; rules on kinds of characters are what it advises
    against.
    """
    if len(password) < minimum:
        raise invalid(path, f"must have at least {minimum} characters")
    if password.casefold() == username_key:
        raise invalid(path, "must not be the user name")
