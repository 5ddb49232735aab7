"""Questions that many ask at once, put to the server as one.

A trip to the server costs this process ten times what the answer's use does, so what is asked for
in one turn of the loop travels together. Nobody is answered from before the question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Latest(Generic[V]):
    """`await ask()`: what `fetch` gives when it is begun after the question."""

    def __init__(self, fetch: Callable[[], Awaitable[V]]) -> None:
        self._fetch = fetch
        self._running: asyncio.Task[V] | None = None
        self._next: asyncio.Task[V] | None = None

    async def ask(self) -> V:
        # One that is under way may have looked before this question.
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._after(self._running))
        return await asyncio.shield(self._next)

    async def _after(self, before: asyncio.Task[V] | None) -> V:
        if before is not None:
            await asyncio.wait((before,))
        self._running, self._next = self._next, None
        return await self._fetch()


class Loader(Generic[K, V]):
    """`await get(key)`: the value, or None where `fetch`, given all keys asked for, has none."""

    def __init__(self, fetch: Callable[[list[K]], Awaitable[dict[K, V]]]) -> None:
        self._fetch = fetch
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, key: K) -> asyncio.Future[V | None]:
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._send)
        future: asyncio.Future[V | None] = loop.create_future()
        self._waiting.setdefault(key, []).append(future)
        return future

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, {}
        task = asyncio.get_running_loop().create_task(self._load(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, waiting: dict[K, list[asyncio.Future[V | None]]]) -> None:
        found: dict[K, V] = {}
        fault: Exception | None = None
        try:
            found = await self._fetch(list(waiting))
        except Exception as error:
            fault = error
        for key, futures in waiting.items():
            for future in futures:
                if future.done():
                    continue  # whoever asked is gone
                if fault is None:
                    future.set_result(found.get(key))
                else:
                    future.set_exception(fault)
