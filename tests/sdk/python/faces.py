"""One test for both faces of the Python SDK."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from baas_sdkgen.runtime.py import AsyncCloud, Cloud

Face = Literal["async", "sync"]
FACES: tuple[Face, ...] = ("async", "sync")


async def now(found: Any) -> Any:
    """What a call answers: the synchronous face's is there already."""
    return await found if inspect.isawaitable(found) else found


async def together(*calls: Callable[[], Any]) -> list[Any]:
    """What they answer or raise, all at once: in tasks, or in threads."""

    async def one(call: Callable[[], Any]) -> Any:
        return await now(await asyncio.to_thread(call))

    async def started(call: Callable[[], Any]) -> Any:
        return await call()

    is_async = inspect.iscoroutinefunction(getattr(calls[0], "__func__", calls[0]))
    work = [started(call) if is_async else one(call) for call in calls]
    return await asyncio.gather(*work, return_exceptions=True)


def using(face: Face, url: str, use: Callable[[Any], Awaitable[Any]], **options: Any) -> Any:
    """What `use(cloud)` returns; the client is closed behind it."""

    async def run() -> Any:
        options.setdefault("trust_env", False)
        if face == "async":
            async with AsyncCloud(url, **options) as cloud:
                return await use(cloud)
        with Cloud(url, **options) as cloud:
            return await use(cloud)

    return asyncio.run(run())
