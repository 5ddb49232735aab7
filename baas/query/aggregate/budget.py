"""What a run has used: time, memory and documents. Every loop of a pipeline spends from here.

A pipeline is a program that a stranger wrote. Three things keep it small:

- `spend` counts steps and looks at the clock now and then, so a run ends on time;
- `made` adds up the memory of every new string and container, never giving any back;
- `check` measures a value as the tree that it would be written out as. Values share parts, so a
  few kilobytes may stand for a tree of terabytes, which nothing must ever walk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from baas.errors import Code, Problem
from baas.query.aggregate.limits import (
    MAX_MADE,
    MAX_VALUE_DEPTH,
    MAX_VALUE_SIZE,
    STEPS_PER_CHECK,
)
from baas.schema.values import DATE, Value

#: Bytes of an empty container and of one entry, as CPython keeps them, roughly.
_CONTAINER = 64
_ENTRY = 48

#: Bytes of a sort key for each unit of its value's tree.
_KEY_FACTOR = 10

#: What a container and a scalar count for in the size of a tree.
_TREE_NODE = 16
_TREE_LEAF = 8


class Budget:
    """`expired` says whether the time is over; `most_documents` may be held at once."""

    __slots__ = ("_expired", "_made", "_steps", "most_documents")

    def __init__(self, expired: Callable[[], bool], most_documents: int) -> None:
        self._expired = expired
        self._steps = STEPS_PER_CHECK
        self._made = 0
        self.most_documents = most_documents

    def spend(self, steps: int = 1) -> None:
        """Problem(QUERY_TIMEOUT) once the time is over."""
        self._steps -= steps
        if self._steps <= 0:
            self._steps = STEPS_PER_CHECK
            if self._expired():
                raise Problem(Code.QUERY_TIMEOUT, "The pipeline took too long.")

    def made_text(self, length: int) -> None:
        """Before a string of `length` characters is made."""
        if length > MAX_VALUE_SIZE:
            too_large()
        self.spend(1 + length // 1024)
        self._take(_CONTAINER + length)

    def made_entries(self, count: int) -> None:
        """Before, or just after, a container of `count` entries is made."""
        self._take(_CONTAINER + _ENTRY * count)

    def _take(self, amount: int) -> None:
        self._made += amount
        if self._made > MAX_MADE:
            raise Problem(Code.LIMIT_EXCEEDED, "The pipeline makes too much data on its way.")

    def documents(self, count: int) -> None:
        """LIMIT_EXCEEDED where a stage holds more than the setting `aggregate_input`."""
        if count > self.most_documents:
            message = f"A pipeline holds at most {self.most_documents} documents at once."
            raise Problem(Code.LIMIT_EXCEEDED, f"{message} Narrow it with $match first.")

    def made_key(self, value: Value) -> None:
        """Before a key to sort by is made of `value`."""
        size = self.size(value)
        self._take(_KEY_FACTOR * size)
        self.spend(size // _TREE_LEAF)

    def size(self, value: Value) -> int:
        """The tree size of a value within the limits; LIMIT_EXCEEDED for one beyond them."""
        size = tree_size(value, MAX_VALUE_SIZE)
        self.spend(size // 64)
        return size

    def check(self, value: Value) -> Value:
        """The value, if its tree is within the limits."""
        if type(value) is dict or type(value) is list:
            self.size(value)
        return value


def too_large() -> NoReturn:
    raise Problem(Code.LIMIT_EXCEEDED, "A value of the pipeline grows too large.")


def tree_size(value: Value, most: int) -> int:
    """About the bytes of JSON that `value` is written as; LIMIT_EXCEEDED beyond `most`, found
    without walking further, or where it is nested deeper than MAX_VALUE_DEPTH."""
    size = 0
    level = [value]
    for _ in range(MAX_VALUE_DEPTH + 1):
        below: list[Value] = []
        for node in level:
            size += _node_size(node, below)
            if size > most:
                too_large()
        if not below:
            return size
        level = below
    raise Problem(Code.LIMIT_EXCEEDED, "A value of the pipeline is nested too deep.")


def _node_size(node: Value, below: list[Value]) -> int:
    """The size of a node, of its scalars, and of its containers as if empty. Those are added to
    `below`: counted before they are visited, so that the list of them stays within the limit."""
    if type(node) is dict and DATE not in node:
        return sum(map(len, node)) + sum(_leaf_size(child, below) for child in node.values())
    if type(node) is list:
        return sum(_leaf_size(child, below) for child in node)
    return len(node) if type(node) is str else _TREE_LEAF


def _leaf_size(child: Value, below: list[Value]) -> int:
    if type(child) is str:
        return _TREE_LEAF + len(child)
    if type(child) is dict or type(child) is list:
        below.append(child)
        return _TREE_NODE
    return _TREE_LEAF
