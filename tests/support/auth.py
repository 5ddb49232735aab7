"""An auth service on a store of its own, with a clock moved by hand and cheap password hashes."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from baas.auth import bodies
from baas.auth.bodies import ClientFacts
from baas.auth.collections import AUTH_COLLECTIONS
from baas.auth.passwords import Passwords
from baas.auth.service import AuthService
from baas.clock import ManualClock
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Code, Problem
from baas.ports.documents import DocumentStore, resolve
from baas.schema.actor import NOBODY, Actor
from baas.schema.values import decode
from baas.secret import MasterSecret
from baas.settings import AuthSettings, Settings

SECRET = MasterSecret(b"0xT5rMuZ4m2kQ9vJ7wYb1LhN8sDcEfGa")
CLIENT = ClientFacts(ip="192.0.2.7", user_agent="tests/1")
PASSWORD = "correct horse"


def cheap_passwords(workers: int = 1, queue: int = 64) -> Passwords:
    return Passwords(workers, memory_kib=64, rounds=1, queue=queue)


class Bench:
    """`service` is one process; `another_process()` is a second one on the same store."""

    def __init__(self, store: DocumentStore, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.clock = ManualClock()
        self.service = AuthService(store, settings, self.clock, SECRET, passwords=cheap_passwords())
        self._others: list[AuthService] = []

    async def another_process(self) -> AuthService:
        other = AuthService(
            self.store, self.settings, self.clock, SECRET, passwords=cheap_passwords()
        )
        self._others.append(other)
        await other.start()
        return other

    async def close(self) -> None:
        for service in (self.service, *self._others):
            await service.close()

    async def sign_up(self, name: str = "ann", password: str = PASSWORD) -> bodies.Session:
        body = bodies.SignUp(username=name, password=password)
        return await self.service.sign_up(body, NOBODY, CLIENT)

    async def sign_in(self, name: str = "ann", password: str = PASSWORD) -> bodies.Session:
        body = bodies.PasswordSignIn(username=name, password=password)
        return await self.service.sign_in_password(body, NOBODY, CLIENT)

    async def anonymous(self) -> bodies.Session:
        return await self.service.sign_in_anonymous(bodies.Empty(), NOBODY, CLIENT)

    async def refresh(self, token: str) -> bodies.Session:
        body = bodies.Refresh(refresh_token=token)
        return await self.service.refresh(body, NOBODY, CLIENT)

    async def actor(self, session: bodies.Session) -> Actor:
        return await self.caller(f"Bearer {session.access_token}")

    async def caller(self, header: str | None) -> Actor:
        return await resolve(self.service.authenticate(header))

    async def call(self, route: Callable[..., Awaitable[Any]], body: Any, actor: Actor) -> Any:
        return await route(body, actor, CLIENT)

    async def documents(self, collection: str) -> list[Any]:
        return [decode(body) async for body in self.store.scan(collection)]


def play_scenario(
    test: Callable[..., Awaitable[None]],
    arguments: dict[str, Any] | None = None,
    **auth_settings: Any,
) -> None:
    """Runs `test(bench, **arguments)` on a fresh bench."""

    async def play() -> None:
        store = SqliteStore.memory()
        await store.open()
        bench = Bench(store, Settings(auth=AuthSettings(**auth_settings)))
        try:
            await store.declare(AUTH_COLLECTIONS)
            await bench.service.start()
            await test(bench, **arguments or {})
        finally:
            await bench.close()
            await store.close()

    asyncio.run(play())


def scenario(**auth_settings: Any) -> Callable[[Callable[..., Awaitable[None]]], Any]:
    """Makes a test of an async function whose first argument is a fresh `Bench`."""

    def decorate(test: Callable[..., Awaitable[None]]) -> Any:
        def run(**arguments: Any) -> None:
            play_scenario(test, arguments, **auth_settings)

        signature = inspect.signature(test)
        rest = list(signature.parameters.values())[1:]
        run.__name__, run.__doc__ = test.__name__, test.__doc__
        run.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
        run.pytestmark = getattr(test, "pytestmark", [])  # type: ignore[attr-defined]
        return run

    return decorate


class refused:  # reads as a statement: with refused(Code.CONFLICT): ...
    """Asserts that a Problem of this code is raised; `problem` is it."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self._raises = pytest.raises(Problem)

    def __enter__(self) -> refused:
        self._info = self._raises.__enter__()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        handled = self._raises.__exit__(*error)
        assert self._info.value.code is self.code, self._info.value
        return handled

    @property
    def problem(self) -> Problem:
        return self._info.value
