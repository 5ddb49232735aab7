"""Client JSON that says how results are sent: sorts and projections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from baas.errors import invalid
from baas.query import ast
from baas.query.limits import MAX_PROJECTION_PATHS, MAX_SORT_KEYS, exceeded
from baas.query.paths import parse_path
from baas.schema.admit import shown
from baas.schema.values import Path

_ID: Final[Path] = ("_id",)


def parse_sort(raw: object, path: str = "sort") -> ast.Sort:
    """`{"a": 1, "b": -1}` or `[["a", 1], ...]`; None is by `_id`.

    The result always ends with `_id`, ascending unless it was named; keys behind it decide
    nothing and are dropped.
    """
    if raw is None:
        return ast.BY_ID
    keys: dict[Path, ast.SortKey] = {}
    for name, direction, where in _sort_pairs(raw, path):
        if len(keys) >= MAX_SORT_KEYS:
            raise exceeded(path, f"a sort has at most {MAX_SORT_KEYS} keys")
        parsed = parse_path(name, where)
        if parsed in keys:
            raise invalid(where, f"{shown(name)} is named twice")
        if type(direction) is bool or direction not in (1, -1):
            raise invalid(where, f"{shown(name)}: a direction is 1 or -1")
        keys[parsed] = ast.SortKey(parsed, direction == -1)
    keys.setdefault(_ID, ast.SortKey(_ID))
    last = list(keys).index(_ID)
    return tuple(keys.values())[: last + 1]


def _sort_pairs(raw: object, path: str) -> Iterator[tuple[object, object, str]]:
    if type(raw) is dict:
        for name, direction in raw.items():
            yield name, direction, path
    elif type(raw) is list:
        for position, item in enumerate(raw):
            where = f"{path}.{position}"
            if type(item) is not list or len(item) != 2:
                raise invalid(where, 'must be a pair ["field", 1]')
            yield item[0], item[1], where
    else:
        raise invalid(path, 'must be {"field": 1, ...} or [["field", 1], ...]')


def parse_projection(raw: object, path: str = "fields") -> ast.Projection | None:
    """`{"a": 1, "b.c": 1}` or all 0; `_id` as it says, else included. None: every field.

    A path and another below it cannot both be named.
    """
    if raw is None:
        return None
    if type(raw) is not dict:
        raise invalid(path, 'must be an object such as {"title": 1}')
    if len(raw) > MAX_PROJECTION_PATHS:
        raise exceeded(path, f"at most {MAX_PROJECTION_PATHS} fields can be named")
    chosen = {parse_path(name, path): _chosen(value, name, path) for name, value in raw.items()}
    if not chosen:
        return None
    with_id = chosen.pop(_ID, None)
    if len(set(chosen.values())) > 1:
        raise invalid(path, "fields are all 1 or all 0; only _id may differ")
    paths = tuple(chosen)
    _check_apart(paths, path)
    include = chosen[paths[0]] if paths else with_id is True
    return ast.Projection(paths, include, with_id is not False)


def _chosen(value: object, name: object, where: str) -> bool:
    if value in (0, 1) and type(value) in (int, bool, float):
        return bool(value)
    raise invalid(where, f"{shown(name)}: must be 1 or 0")


def _check_apart(paths: tuple[Path, ...], where: str) -> None:
    known = {*paths, _ID}
    for path in paths:
        for length in range(1, len(path)):
            if path[:length] in known:
                upper, lower = ".".join(path[:length]), ".".join(path)
                raise invalid(where, f"{shown(lower)} lies below {shown(upper)}")
