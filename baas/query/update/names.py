"""Paths of an update: dotted names, none of them positional or the document's key."""

from __future__ import annotations

from baas.errors import invalid
from baas.query.limits import exceeded
from baas.query.parse import parse_path
from baas.schema.values import Path


def parse_update_path(text: str, where: str, max_depth: int) -> Path:
    """The path that `text` names; INVALID_ARGUMENT at `where` for what no update may name."""
    if ".$" in text or text.startswith("$"):
        message = "no name starts with '$': positional operators ($, $[], $[x]) do not exist here"
        raise invalid(where, message)
    path = parse_path(text, where)
    if len(path) > max_depth:
        raise exceeded(where, f"a path has at most {max_depth} components")
    if path[0] == "_id":
        raise invalid(where, "'_id' never changes")
    return path
