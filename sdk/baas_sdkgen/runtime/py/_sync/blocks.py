"""What the face stands on: threads. The module of the same name in `_async` stands on asyncio."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias, TypeVar

from httpx import Client

from ..files import Counted

__all__ = ["Call", "Client", "Lock", "Run", "pause", "pieces", "within"]

T = TypeVar("T")
A = TypeVar("A")

Lock = threading.Lock
#: Something that takes a time limit in seconds and answers.
Call: TypeAlias = Callable[[float], T]
#: Something of the app's that takes an `A` and answers.
Run: TypeAlias = Callable[[A], T]

pause = time.sleep


def within(seconds: float) -> AbstractContextManager[None]:
    """A thread cannot be stopped from outside: the limits of the socket have to do."""
    return nullcontext()


def pieces(head: bytes, file: Counted, tail: bytes) -> Iterator[bytes]:
    """The file between its head and its tail."""
    yield head
    while piece := file.read():
        file.report()
        yield piece
    yield tail
