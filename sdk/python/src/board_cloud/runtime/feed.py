"""From the connection to who takes it: one thing after the other, and how it ended."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from .errors import BaasError

T = TypeVar("T")


class Feed(Generic[T]):
    """For one taker, on one event loop. Who fills it keeps it short (`len`, `clear`)."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._error: BaasError | None = None
        self._ended = False
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        self._items.append(item)
        self._news.set()

    def drop_oldest(self) -> T:
        return self._items.popleft()

    def put_first(self, item: T) -> None:
        self._items.appendleft(item)

    def clear(self) -> None:
        self._items.clear()

    def end(self, error: BaasError | None = None) -> None:
        """After what is in it nothing follows; `error`: why."""
        if not self._ended:
            self._ended, self._error = True, error
            self._news.set()

    async def next(self, timeout: float | None = None) -> T:
        """StopAsyncIteration at its end, BaasError where it ended by one; TimeoutError after that
        many seconds."""
        async with asyncio.timeout(timeout):
            while not self._items:
                if self._error is not None:
                    raise self._error
                if self._ended:
                    raise StopAsyncIteration
                self._news.clear()
                await self._news.wait()
        return self._items.popleft()
