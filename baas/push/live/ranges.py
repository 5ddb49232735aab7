"""Ranges over one path: which of them a value, or some of several values, can lie in.

Kept in blocks by their lower ends, each block with the highest of its upper ends, so that looking
one up passes over those that end before it or begin behind it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Hashable
from typing import Any, Final, Generic, TypeVar

Q = TypeVar("Q", bound=Hashable)

#: A block that has more is divided.
MOST: Final = 64


class _Block(Generic[Q]):
    """Entries are (low, number); `highs` gives a number's upper end, None for an open one."""

    __slots__ = ("entries", "high", "highs")

    def __init__(self, entries: list[tuple[Any, int]], highs: dict[int, Any]) -> None:
        self.entries = entries
        self.highs = highs
        self.high: Any = None
        self.look()

    def look(self) -> None:
        """Finds the highest upper end anew."""
        ends = [self.highs[number] for _, number in self.entries]
        self.high = None if None in ends or not ends else max(ends)


class Ranges(Generic[Q]):
    """`low` and `high` are order keys, ends included; None: open."""

    def __init__(self) -> None:
        #: Those without a lower end, by their upper one.
        self._below: list[tuple[Any, int]] = []
        self._blocks: list[_Block[Q]] = []
        self._highs: dict[int, Any] = {}
        self._queries: dict[int, Q] = {}
        self._numbers: dict[Q, tuple[int, Any, Any]] = {}
        self._next = 0

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def add(self, query: Q, low: Any, high: Any) -> None:
        self._next += 1
        number = self._next
        self._queries[number] = query
        self._numbers[query] = (number, low, high)
        if low is None:
            insort(self._below, (high, number))
            return
        self._highs[number] = high
        if not self._blocks:
            self._blocks.append(_Block([(low, number)], self._highs))
            return
        at = self._block_of((low, number))
        block = self._blocks[at]
        insort(block.entries, (low, number))
        if len(block.entries) > MOST:
            half = len(block.entries) // 2
            self._blocks.insert(at + 1, _Block(block.entries[half:], self._highs))
            block.entries = block.entries[:half]
        block.look()

    def remove(self, query: Q) -> None:
        number, low, high = self._numbers.pop(query)
        del self._queries[number]
        if low is None:
            del self._below[bisect_left(self._below, (high, number))]
            return
        at = self._block_of((low, number))
        block = self._blocks[at]
        del block.entries[bisect_left(block.entries, (low, number))]
        del self._highs[number]
        if block.entries:
            block.look()
        else:
            del self._blocks[at]

    def _block_of(self, entry: tuple[Any, int]) -> int:
        return max(0, bisect_right(self._blocks, entry, key=lambda block: block.entries[0]) - 1)

    def all(self) -> set[Q]:
        return set(self._numbers)

    def holding(self, least: Any, greatest: Any) -> set[Q]:
        """Those that begin at or before `greatest` and end at or behind `least`: where there are
        several values, each end may be met by another."""
        at = bisect_left(self._below, (least,))
        found = {self._queries[number] for _, number in self._below[at:]}
        for block in self._blocks:
            if block.entries[0][0] > greatest:
                break
            if block.high is None or not block.high < least:
                found.update(self._within(block, least, greatest))
        return found

    def _within(self, block: _Block[Q], least: Any, greatest: Any) -> list[Q]:
        found = []
        for low, number in block.entries:
            if low > greatest:
                break
            high = self._highs[number]
            if high is None or not high < least:
                found.append(self._queries[number])
        return found
