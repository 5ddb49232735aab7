"""What the face stands on: asyncio. The module of the same name in `_sync` stands on threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias, TypeVar

from httpx import AsyncClient

from ..files import Counted

__all__ = ["AsyncClient", "AsyncLock", "Call", "Run", "pause", "pieces", "within"]

T = TypeVar("T")
A = TypeVar("A")

AsyncLock = asyncio.Lock
#: Something that takes a time limit in seconds and answers later.
Call: TypeAlias = Callable[[float], Awaitable[T]]
#: Something of the app's that takes an `A` and answers later.
Run: TypeAlias = Callable[[A], Awaitable[T]]

pause = asyncio.sleep
#: TimeoutError after that many seconds.
within = asyncio.timeout


async def pieces(head: bytes, file: Counted, tail: bytes) -> AsyncIterator[bytes]:
    """The file between its head and its tail; disks may be slow, so they are read in a thread."""
    yield head
    while piece := await asyncio.to_thread(file.read):
        file.report()
        yield piece
    yield tail
