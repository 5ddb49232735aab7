"""The auth service for command line tools: beside a live gateway, or before its first start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from baas.cli.common import data_folder, load_app_settings, open_store

if TYPE_CHECKING:
    from baas.auth.service import AuthService

T = TypeVar("T")


def with_auth(data: Path | None, work: Callable[[AuthService], Awaitable[T]]) -> T:
    """What `work` makes of the auth service of the app in the current folder.

    Its signing keys are not loaded: no tool needs them, and one of them is there to replace keys
    that cannot be loaded.
    """

    async def run() -> T:
        async with _open_auth(data) as service:
            return await work(service)

    return asyncio.run(run())


@asynccontextmanager
async def _open_auth(data: Path | None) -> AsyncIterator[AuthService]:
    from baas.auth.collections import AUTH_COLLECTIONS
    from baas.auth.service import AuthService
    from baas.clock import SystemClock
    from baas.secret import MasterSecret

    settings = load_app_settings(Path.cwd(), data)
    async with open_store(settings) as store:
        await store.declare(AUTH_COLLECTIONS)
        secret = MasterSecret.load(data_folder(Path.cwd(), settings), settings.server.secret)
        service = AuthService(store, settings, SystemClock(), secret)
        try:
            yield service
        finally:
            await service.close()
