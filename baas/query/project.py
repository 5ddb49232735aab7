"""Projection: which fields of a document are sent."""

from __future__ import annotations

from typing import Any, TypeAlias

from baas.query.ast import Projection
from baas.schema.values import DATE, Document, Value

#: The paths of a projection as nested names; None ends a path.
_Tree: TypeAlias = dict[str, Any]


def project(document: Document, projection: Projection) -> Document:
    """A new document, in the stored order of fields, that may share parts with the given one.

    Paths go through arrays: `a.b` speaks of `b` in every object in `a`, nested arrays included. An
    array's elements that are no objects have no `b`: left out when including, kept when
    excluding. Components are always names, never positions.
    """
    tree = _tree(projection)
    if projection.include:
        return _included(document, tree)
    return _excluded(document, tree)


def _tree(projection: Projection) -> _Tree:
    tree: _Tree = {}
    for path in projection.paths:
        node = tree
        for component in path[:-1]:
            node = node.setdefault(component, {})
        node[path[-1]] = None
    if projection.with_id is projection.include:
        tree["_id"] = None
    return tree


def _included(document: Document, tree: _Tree) -> Document:
    out: Document = {}
    for name, value in document.items():
        if name not in tree:
            continue
        below = tree[name]
        if below is None:
            out[name] = value
        elif type(value) is list:
            out[name] = _included_elements(value, below)
        elif _is_object(value):
            out[name] = _included(value, below)
    return out


def _included_elements(array: list[Value], tree: _Tree) -> list[Value]:
    out: list[Value] = []
    for element in array:
        if type(element) is list:
            out.append(_included_elements(element, tree))
        elif _is_object(element):
            out.append(_included(element, tree))
    return out


def _excluded(document: Document, tree: _Tree) -> Document:
    out: Document = {}
    for name, value in document.items():
        if name not in tree:
            out[name] = value
        elif (below := tree[name]) is not None:
            out[name] = _excluded_from(value, below)
    return out


def _excluded_from(value: Value, tree: _Tree) -> Value:
    if type(value) is list:
        return [_excluded_from(element, tree) for element in value]
    return _excluded(value, tree) if _is_object(value) else value


def _is_object(value: Value) -> bool:
    return type(value) is dict and DATE not in value
