"""`$project`, `$addFields` and `$unset` from client JSON to a Shape."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

from baas.errors import invalid
from baas.query.aggregate.expression import Expression
from baas.query.aggregate.model import Shape
from baas.query.aggregate.parse_expression import ExpressionParser, Names
from baas.query.limits import MAX_PATH_DEPTH, MAX_PROJECTION_PATHS, exceeded
from baas.query.parse import parse_path
from baas.schema.values import DATE, Path

_ID = ("_id",)


class _Tree(msgspec.Struct):
    """A Shape under construction. A leaf is True (taken), False (left out) or an expression."""

    leaves: dict[str, bool | Expression]
    children: dict[str, _Tree]


def parse_projection(raw: Any, where: str, parser: ExpressionParser, names: Names) -> Shape:
    """`$project`: either what to take and compute, or what to leave out; `_id` stands apart."""
    leaves = _leaves(raw, where, parser, names, project=True)
    kinds = {path: leaf for path, leaf in leaves.items() if path != _ID}
    leaves_out = any(leaf is False for leaf in kinds.values())
    if leaves_out and any(leaf is not False for leaf in kinds.values()):
        raise invalid(where, "either takes fields or leaves them out, apart from _id")
    if not kinds:
        leaves_out = leaves.get(_ID) is False
    if not leaves_out:
        leaves.setdefault(_ID, True)
        if leaves[_ID] is False:
            del leaves[_ID]
    elif leaves.get(_ID) is True:
        del leaves[_ID]
    elif leaves.get(_ID, False) is not False:
        raise invalid(where, "either computes fields or leaves them out")
    return _shape(_tree(leaves), keep=leaves_out)


def parse_new_fields(raw: Any, where: str, parser: ExpressionParser, names: Names) -> Shape:
    """`$addFields` and `$set`: the rest of the document stays."""
    return _shape(_tree(_leaves(raw, where, parser, names, project=False)), keep=True)


def parse_unset(raw: Any, where: str) -> Shape:
    """`$unset`: a path, or an array of them."""
    texts = raw if type(raw) is list else [raw]
    if not texts:
        raise invalid(where, "must be a path or an array of paths")
    leaves: dict[Path, bool | Expression] = {parse_path(text, where): False for text in texts}
    _check_apart(leaves, where)
    return _shape(_tree(leaves), keep=True)


def _leaves(
    raw: Any, where: str, parser: ExpressionParser, names: Names, *, project: bool
) -> dict[Path, bool | Expression]:
    if type(raw) is not dict or not raw:
        raise invalid(where, "must be an object of fields")
    leaves: dict[Path, bool | Expression] = {}
    for path, operand, place in _flat(raw, where, ()):
        if path in leaves:
            raise invalid(place, "is named twice")
        if len(path) > MAX_PATH_DEPTH:
            raise exceeded(place, f"a path has at most {MAX_PATH_DEPTH} components")
        if project and type(operand) in (bool, int, float):
            leaves[path] = bool(operand)
        else:
            leaves[path] = parser.parse(operand, place, names)
        if len(leaves) > MAX_PROJECTION_PATHS:
            raise exceeded(where, f"at most {MAX_PROJECTION_PATHS} fields")
    _check_apart(leaves, where)
    return leaves


def _flat(raw: dict[str, Any], where: str, above: Path) -> Iterator[tuple[Path, Any, str]]:
    """Fields with their operands: `{a: {b: 1}}` is `{"a.b": 1}`."""
    if len(above) > MAX_PATH_DEPTH:
        raise exceeded(where, f"a path has at most {MAX_PATH_DEPTH} components")
    for name, operand in raw.items():
        path = above + parse_path(name, where)
        place = f"{where}.{name}"
        if _is_nested(operand):
            yield from _flat(operand, place, path)
        else:
            yield path, operand, place


def _is_nested(operand: Any) -> bool:
    if type(operand) is not dict or not operand or DATE in operand:
        return False
    return not any(type(name) is str and name.startswith("$") for name in operand)


def _check_apart(leaves: dict[Path, bool | Expression], where: str) -> None:
    for one, other in pairwise(sorted(leaves)):
        if other[: len(one)] == one:
            spots = f"'{'.'.join(one)}' and '{'.'.join(other)}'"
            raise invalid(where, f"{spots} conflict: one lies within the other")


def _tree(leaves: dict[Path, bool | Expression]) -> _Tree:
    root = _Tree({}, {})
    for path, leaf in leaves.items():
        node = root
        for name in path[:-1]:
            node = node.children.setdefault(name, _Tree({}, {}))
        node.leaves[path[-1]] = leaf
    return root


def _shape(tree: _Tree, *, keep: bool) -> Shape:
    children = {name: _shape(child, keep=keep) for name, child in tree.children.items()}
    computed = {name: leaf for name, leaf in tree.leaves.items() if not isinstance(leaf, bool)}
    names = frozenset(name for name, leaf in tree.leaves.items() if isinstance(leaf, bool))
    computes = bool(computed) or any(child.computes for child in children.values())
    return Shape(keep, names, children, computed, computes)
