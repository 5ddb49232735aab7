"""Turns on the event loop: long work in pieces, so that other requests go on beside it."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

#: How long one piece may hold the loop, in seconds; the last part of it is finished first.
TURN_SECONDS: Final = 0.005


class Turns:
    """Made where the work begins; `give` is asked after each part of it."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = perf_counter()

    async def give(self) -> None:
        """Lets others go on, if this has held the loop for its time."""
        if perf_counter() - self._since >= TURN_SECONDS:
            await asyncio.sleep(0)
            self._since = perf_counter()
