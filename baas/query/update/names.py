"""Paths of an update: dotted names, none of them an operator or the document's key."""

from __future__ import annotations

from typing import Final

from baas.errors import Code, Problem, invalid
from baas.schema.values import Path

#: Longest field name, in characters (architecture.md, "Documents and values").
MAX_NAME: Final = 128


def parse_path(text: str, where: str, max_depth: int) -> Path:
    """The path that `text` names; INVALID_ARGUMENT at `where` for what no update may name."""
    components = tuple(text.split("."))
    if len(components) > max_depth:
        raise Problem(Code.LIMIT_EXCEEDED, f"{where}: a path has at most {max_depth} names.")
    for component in components:
        _check_component(component, where)
    if components[0] == "_id":
        raise invalid(where, "'_id' never changes")
    return components


def _check_component(name: str, where: str) -> None:
    if name == "$" or name.startswith("$["):
        raise invalid(where, "positional operators ($, $[], $[x]) are not part of this dialect")
    if name.startswith("$"):
        raise invalid(where, "a field name does not begin with '$'")
    if not name or len(name) > MAX_NAME:
        raise invalid(where, f"a field name has 1 to {MAX_NAME} characters")
    if "\x00" in name or any("\ud800" <= character <= "\udfff" for character in name):
        raise invalid(where, "a field name holds no U+0000 and no lone surrogate")
