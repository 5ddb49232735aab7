"""Functions on a real store: files to releases, calls through the one invoker."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from baas.clock import SystemClock
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Problem
from baas.functions.bundle import write_bundle
from baas.functions.filehost import Files
from baas.functions.load import load_release
from baas.functions.model import Call, Release, TriggerInfo
from baas.functions.records import FAILURES, INVOCATIONS, RECORD_COLLECTIONS
from baas.functions.registry import LIVE, Alias, Weighted
from baas.functions.service import FunctionService
from baas.schema.actor import NOBODY, Actor
from baas.settings import LimitSettings, Settings
from baas.storage.rows import STORAGE_COLLECTIONS
from tests.support.database import POSTS, Bench, book_of
from tests.support.files import storage_of
from tests.support.functions import HEAD, as_files, bundle_of

__all__ = ["HEAD", "Shop", "shop", "until"]


async def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Waits for what another process or thread does."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  nobody there sets an event for us
            await asyncio.sleep(0.002)


class FixedSecrets:
    """Secrets that tests set."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def current(self) -> dict[str, str]:
        return self.values

    def set(self, **values: str) -> None:
        self.values = values


class Shop(Bench):
    """A database bench with functions beside it."""

    def __init__(self, store: SqliteStore, folder: Path) -> None:
        clock = SystemClock()
        super().__init__(store, clock, Settings(limits=LimitSettings()))  # type: ignore[arg-type]
        self.folder = folder
        self.secrets = FixedSecrets()
        self.functions = FunctionService(store, self.service, clock, secrets=self.secrets)
        self.storage = storage_of(store, folder, clock)
        self.functions.files = Files(self.storage, "https://files.example/")

    async def load(self, rules: dict[str, str]) -> None:
        book = book_of(rules)
        specs = {name: one.spec for name, one in book.collections.items()}
        await self.store.declare({**specs, **RECORD_COLLECTIONS, **STORAGE_COLLECTIONS})
        self.guard.book = book

    def deploy(self, files: dict[str, str] | str, manifest: str = "") -> Release:
        """Puts these files in force. One text is `main.py` below `HEAD`."""
        bundle = bundle_of(as_files(files), manifest)
        release = load_release(bundle, write_bundle(bundle, self.folder))
        alias = Alias((Weighted(release.hash),))
        self.functions.registry.install({LIVE: alias}, {release.hash: release})
        return release

    async def call(
        self, name: str, event: Any = None, actor: Actor = NOBODY, kind: str = "event", **more: Any
    ) -> Any:
        call = Call(function=name, event=event, actor=actor, trigger=TriggerInfo(kind=kind), **more)
        return await self.functions.invoke(call)

    async def problem(self, name: str, event: Any = None, **more: Any) -> Problem:
        """The Problem that a call ends with."""
        try:
            result = await self.call(name, event, **more)
        except Problem as problem:
            return problem
        raise AssertionError(f"it answered {result!r}")

    async def records(self) -> list[Any]:
        """Invocations, oldest first."""
        await self.functions.records.flush()
        return list((await self.stored(INVOCATIONS)).values())

    async def failures(self) -> list[Any]:
        await self.functions.records.flush()
        return list((await self.stored(FAILURES)).values())


def shop(
    source: str = "", rules: dict[str, str] | None = None, manifest: str = ""
) -> Callable[[Callable[..., Awaitable[None]]], Any]:
    """Makes a test of an async function whose first argument is a started `Shop` with this source
    in force."""

    def decorate(test: Callable[..., Awaitable[None]]) -> Any:
        def run(**arguments: Any) -> None:
            asyncio.run(_play(test, source, rules, manifest, arguments))

        signature = inspect.signature(test)
        run.__name__, run.__doc__ = test.__name__, test.__doc__
        run.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=list(signature.parameters.values())[1:]
        )
        run.pytestmark = getattr(test, "pytestmark", [])  # type: ignore[attr-defined]
        return run

    return decorate


async def _play(
    test: Callable[..., Awaitable[None]],
    source: str,
    rules: dict[str, str] | None,
    manifest: str,
    arguments: dict[str, Any],
) -> None:
    store = SqliteStore.memory(clock=SystemClock())
    await store.open()
    with TemporaryDirectory() as folder:
        bench = Shop(store, Path(folder))
        try:
            await bench.load({"posts": POSTS} if rules is None else rules)
            await bench.storage.start()
            await bench.functions.start()
            if source:
                bench.deploy(source, manifest)
            await test(bench, **arguments)
        finally:
            await bench.functions.stop()
            await bench.storage.stop()
            await store.close()
