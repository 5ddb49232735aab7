"""A document under change: each container is copied when it is first touched, the rest shared."""

from __future__ import annotations

import re
from typing import Any, Final

from baas.schema.values import MISSING, Document, Path, Value, is_date

#: How many nulls one operation may put in front of an element set beyond an array's end.
MAX_PADDING: Final = 1000

_POSITION: Final = re.compile(r"0|[1-9][0-9]{0,6}", re.ASCII)


class Blocked(Exception):
    """The path cannot go on at `at`: what lies there is neither an object nor an array that the
    next component could name a place in. `reason` completes the sentence about the path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def position(component: str) -> int | None:
    """The array position that a path component names, or None."""
    return int(component) if _POSITION.fullmatch(component) else None


class Draft:
    """`root` starts as a shallow copy of `document`, which is never modified."""

    def __init__(self, document: Document) -> None:
        self.root: Document = dict(document)
        # By id, with the container itself as value so that no id is taken twice.
        self._owned: dict[int, Any] = {id(self.root): self.root}

    def read(self, path: Path) -> Value:
        """The value at `path` or MISSING; Blocked where the path runs into a scalar."""
        node: Value = self.root
        for depth, name in enumerate(path):
            node = _step(node, name, path, depth)
            if node is MISSING:
                return MISSING
        return node

    def write(self, path: Path, value: Value) -> None:
        """Puts `value` at `path`, making objects for parents that are missing."""
        node: Any = self.root
        for depth, name in enumerate(path[:-1]):
            child = _step(node, name, path, depth)
            node = self._adopt(node, name, {} if child is MISSING else child, path)
        _step(node, path[-1], path, len(path) - 1)
        _put(node, path[-1], value, path)

    def remove(self, path: Path) -> None:
        """Takes the field away (an array keeps a null in its place); no parents are made."""
        try:
            if self.read(path) is MISSING:
                return
        except Blocked:
            return
        node: Any = self.root
        for name in path[:-1]:
            child = node[int(name)] if type(node) is list else node[name]
            node = self._adopt(node, name, child, path)
        if type(node) is list:
            node[int(path[-1])] = None
        else:
            del node[path[-1]]

    def through_array(self, path: Path) -> bool:
        """Whether some proper parent of `path` is an array."""
        return any(type(self.read(path[:length])) is list for length in range(1, len(path)))

    def _adopt(self, parent: Any, name: str, child: Value, path: Path) -> Any:
        """`child` as a container of this draft's own, in its place under `parent`."""
        if id(child) in self._owned or type(child) not in (dict, list) or is_date(child):
            return child
        own = child.copy()
        self._owned[id(own)] = own
        _put(parent, name, own, path)
        return own


def _step(node: Value, name: str, path: Path, depth: int) -> Value:
    if type(node) is list:
        index = position(name)
        if index is None:
            raise Blocked(f"'{name}' is no position in the array at '{'.'.join(path[:depth])}'")
        return node[index] if index < len(node) else MISSING
    if type(node) is dict and not is_date(node):
        return node.get(name, MISSING)
    raise Blocked(f"'{'.'.join(path[:depth])}' is neither an object nor an array")


def _put(node: Any, name: str, value: Value, path: Path) -> None:
    if type(node) is dict:
        node[name] = value
        return
    index = int(name)
    padding = index - len(node)
    if padding > MAX_PADDING:
        spot = ".".join(path)
        raise Blocked(f"'{spot}' lies more than {MAX_PADDING} places behind the array's end")
    if padding >= 0:
        node.extend([None] * padding)
        node.append(value)
    else:
        node[index] = value
