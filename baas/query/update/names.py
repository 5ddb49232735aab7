"""Paths of an update: dotted names, none of them an operator or the document's key."""

from __future__ import annotations

from baas.errors import invalid
from baas.query.limits import MAX_PATH_LENGTH, exceeded
from baas.schema.admit import name_fault
from baas.schema.values import Path


def parse_path(text: str, where: str, max_depth: int) -> Path:
    """The path that `text` names; INVALID_ARGUMENT at `where` for what no update may name."""
    if len(text) > MAX_PATH_LENGTH:
        raise exceeded(where, f"a path has at most {MAX_PATH_LENGTH} characters")
    components = tuple(text.split("."))
    if len(components) > max_depth:
        raise exceeded(where, f"a path has at most {max_depth} names")
    for component in components:
        if component == "$" or component.startswith("$["):
            raise invalid(where, "positional operators ($, $[], $[x]) are not in this dialect")
        if fault := name_fault(component):
            raise invalid(where, fault)
    if components[0] == "_id":
        raise invalid(where, "'_id' never changes")
    return components
