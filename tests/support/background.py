"""Functions with everything that runs them in the background, on a clock moved by hand.

Nothing happens by itself: `settle` does what there is to do at this moment.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from baas.auth.collections import AUTH_COLLECTIONS
from baas.clock import ManualClock
from baas.engines.sqlite.store import SqliteStore
from baas.functions.background import Background
from baas.functions.bundle import write_bundle
from baas.functions.filehost import Files
from baas.functions.load import load_release
from baas.functions.model import Call, Release
from baas.functions.outbound import Guarded
from baas.functions.records import RECORD_COLLECTIONS
from baas.functions.registry import LIVE, Alias, Weighted
from baas.functions.service import FunctionService
from baas.notation import parse_networks
from baas.ports.documents import resolve
from baas.ports.jobs import Job, JobState
from baas.schema.actor import NOBODY, Actor
from baas.settings import Settings
from baas.storage.rows import STORAGE_COLLECTIONS
from tests.support.database import Bench
from tests.support.files import storage_of
from tests.support.functions import as_files, bundle_of

LOOPBACK = parse_networks(("127.0.0.1",))
#: Functions write what they were given to `seen`, so that tests can look.
NOTE = """
async def note(ctx, **what):
    await ctx.database.collection("seen").insert(document=what)

"""


class Secrets:
    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def current(self) -> dict[str, str]:
        return self.values


class Yard(Bench):
    """One gateway's functions."""

    def __init__(self, store: SqliteStore, clock: ManualClock, folder: Path) -> None:
        super().__init__(store, clock, Settings())
        self.clock = clock
        self.folder = folder
        self.secrets = Secrets()
        self.storage = storage_of(store, folder, clock)
        self.functions = FunctionService(store, self.service, clock, secrets=self.secrets)
        self.background = Background(
            store,
            self.functions.registry,
            self.functions.invoke,
            self.secrets,
            clock,
            Settings(),
            Guarded(allowed=LOOPBACK),
        )
        self.functions.dispatch = self.background
        self.functions.files = Files(self.storage, "https://files.example")

    async def start(self) -> None:
        collections = {**AUTH_COLLECTIONS, **RECORD_COLLECTIONS, **STORAGE_COLLECTIONS}
        await self.store.declare(collections)
        await self.storage.start()
        await self.functions.start()
        await self.background.prepare()

    async def stop(self) -> None:
        await self.background.stop()
        await self.functions.stop()
        await self.storage.stop()

    def deploy(self, source: str, manifest: str = "") -> Release:
        """Puts one `main.py` with NOTE above it in force."""
        bundle = bundle_of(as_files(NOTE + inspect.cleandoc(source)), manifest)
        release = load_release(bundle, write_bundle(bundle, self.folder))
        alias = Alias((Weighted(release.hash),))
        self.functions.registry.install({LIVE: alias}, {release.hash: release})
        return release

    async def enqueue(
        self, name: str, event: Any = None, *, delay: float = 0, actor: Actor = NOBODY, **more: Any
    ) -> str:
        call = Call(function=name, event=event, actor=actor, **more)
        return await self.functions.enqueue(call, delay)

    async def settle(self, *seconds: float) -> None:
        """Does what is due; then the same after each of these waits."""
        await self.background.run_once()
        for wait in seconds:
            self.clock.advance(wait)
            await self.background.run_once()

    async def seen(self) -> list[dict[str, Any]]:
        """What functions have noted, in order, without what the server adds."""
        found = (await self.stored("seen")).values()
        return [
            {name: value for name, value in one.items() if not name.startswith("_")}
            for one in found
        ]

    async def job(self, id: str) -> Job:
        found = await resolve(self.store.jobs.get(id))
        assert found is not None
        return found

    async def dead(self) -> list[Job]:
        """The dead letters."""
        states = (JobState.FAILED, JobState.EXPIRED)
        return list(await resolve(self.store.jobs.list(states=states)))


def yard(source: str = "", manifest: str = "") -> Callable[..., Any]:
    """Makes a test of an async function whose first argument is a started `Yard` with this source
    in force."""

    def decorate(test: Callable[..., Awaitable[None]]) -> Any:
        def run(**arguments: Any) -> None:
            asyncio.run(_play(test, source, manifest, arguments))

        signature = inspect.signature(test)
        run.__name__, run.__doc__ = test.__name__, test.__doc__
        run.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=list(signature.parameters.values())[1:]
        )
        run.pytestmark = getattr(test, "pytestmark", [])  # type: ignore[attr-defined]
        return run

    return decorate


async def _play(
    test: Callable[..., Awaitable[None]], source: str, manifest: str, arguments: dict[str, Any]
) -> None:
    clock = ManualClock()
    store = SqliteStore.memory(clock=clock)
    await store.open()
    with TemporaryDirectory() as folder:
        bench = Yard(store, clock, Path(folder))
        try:
            await bench.start()
            if source:
                bench.deploy(source, manifest)
            await test(bench, **arguments)
        finally:
            await bench.stop()
            await store.close()
