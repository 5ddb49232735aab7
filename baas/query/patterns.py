"""Regular expressions of queries and rules: RE2, so time is linear in the text, always."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, TypeVar

import re2

from baas.errors import Code, Problem

T = TypeVar("T")

#: Bytes that one compiled pattern may take, and how many are kept: measured, hostile patterns fill
#: some 50 MiB of this process. RE2's own 8 MiB each would be 2 GiB. `.{1000}` fits; counted
#: repetitions of large Unicode classes (`\pL{30}`) do not, and are refused.
_MAX_MEMORY: Final = 512 * 1024
_KEPT: Final = 256
FLAGS: Final = frozenset("ims")


#: Work of one search, in instructions of the program times characters of the text: two seconds
#: where RE2 can do no better (15 ns each; where its automaton fits in memory, a hundredth of that).
#: A search cannot be interrupted, so this is also how late a time limit may act.
MAX_WORK: Final = 150_000_000
SECONDS_PER_WORK: Final = 15e-9


#: Searches of less work than this (a third of a millisecond) are not worth asking the clock.
_LONG: Final = 20_000
#: Elements of an array that are looked at between two looks at the clock.
_STRETCH: Final = 100


class OutOfTime(Exception):
    """Whoever runs a query has no time left for a search."""


class Watch(threading.local):
    """`lacks(seconds)`, where set, is asked before a search that may take so long in this thread;
    true makes it raise OutOfTime. Set by those who evaluate a stranger's filter under a limit: one
    filter may hold hundreds of patterns, and a search cannot be stopped."""

    lacks: Callable[[float], bool] | None = None


WATCH: Final = Watch()


def ask_clock(seconds: float) -> None:
    """OutOfTime where whoever runs the query has no time left for work of so many seconds."""
    if WATCH.lacks is not None and WATCH.lacks(seconds):
        raise OutOfTime


def in_stretches(array: Sequence[T]) -> Iterable[T]:
    """Its elements, one after another; of a long one the clock is asked now and then."""
    return array if WATCH.lacks is None or len(array) <= _STRETCH else _asking(array)


def _asking(array: Sequence[T]) -> Iterator[T]:
    for start in range(0, len(array), _STRETCH):
        ask_clock(0.0)
        yield from array[start : start + _STRETCH]


@contextmanager
def briefly(seconds: float) -> Iterator[None]:
    """In here OutOfTime is raised rather than that long work is begun beyond `seconds`, or beyond
    what is left of another `briefly` around it. For those who judge documents on the event loop,
    and can leave what takes long to somebody else."""
    end = time.monotonic() + seconds
    around = WATCH.lacks

    def lacks(wanted: float) -> bool:
        return time.monotonic() + wanted > end or (around is not None and around(wanted))

    WATCH.lacks = lacks
    try:
        yield
    finally:
        WATCH.lacks = around


class Pattern:
    """`search(text)` says whether it is found; Problem(LIMIT_EXCEEDED) where that could take too
    long. `size` instructions; see MAX_WORK."""

    __slots__ = ("_search", "size")

    def __init__(self, compiled: Any) -> None:
        self._search = compiled.search
        self.size: int = compiled.programsize

    def fits(self, text: str) -> bool:
        return len(text) * self.size <= MAX_WORK

    def search(self, text: str) -> bool:
        work = len(text) * self.size
        if work > MAX_WORK:
            raise Problem(
                Code.LIMIT_EXCEEDED, "A regular expression is too large for a text of this length."
            )
        if work > _LONG and WATCH.lacks is not None and WATCH.lacks(work * SECONDS_PER_WORK):
            raise OutOfTime
        return self._search(text) is not None


@lru_cache(maxsize=_KEPT)
def compile_pattern(pattern: str, flags: str = "") -> Pattern:
    """The compiled pattern. ValueError if RE2 refuses.

    `flags` from `i` (ignore case, Unicode), `m` (`^ $` at lines too), `s` (dot takes newlines).
    Without `m`, `$` is the very end of the text. Every engine matches through this function.
    """
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    try:
        # The flags stand before the pattern, not around it: no ")" in it can close them.
        return Pattern(re2.compile(f"(?{flags}){pattern}" if flags else pattern, options))
    except re2.error as fault:
        reason = fault.args[0] if fault.args else "not a pattern"
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
