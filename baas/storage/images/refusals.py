"""Pictures that could not be decoded, remembered: each try costs a process its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from baas.errors import Problem

#: How many are remembered, the oldest forgotten first, and how long, in seconds: what met a limit
#: on time may have met a busy moment of the machine.
MOST: Final = 4096
SECONDS: Final = 300.0


class Refusals:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._known: dict[str, tuple[Problem, float]] = {}

    def check(self, *names: str) -> None:
        """Raises the Problem that one of them met lately."""
        for name in names:
            found = self._known.get(name)
            if found is not None and found[1] > self._monotonic():
                raise Problem(found[0].code, found[0].detail)

    def add(self, name: str, problem: Problem) -> None:
        self._known.pop(name, None)
        self._known[name] = (problem, self._monotonic() + SECONDS)
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]
