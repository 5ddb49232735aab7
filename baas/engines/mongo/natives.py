"""Conditions of the server and how they are put together; see `compile` for what they promise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from baas.engines.mongo.driver import Row


class Native(NamedTuple):
    """`filter` holds wherever what was compiled does; where `exact`, nowhere else."""

    filter: Row
    exact: bool = True


ALL: Final = Native({})
NOTHING: Final = Native({"_id": {"$in": []}})
#: Holds everywhere, since nothing better is known: every row is to be asked.
INEXACT: Final = Native({}, False)


def all_of(items: Iterable[Native]) -> Native:
    kept: list[Row] = []
    exact = True
    for item in items:
        if item == NOTHING:
            return NOTHING
        exact = exact and item.exact
        if item.filter and item.filter not in kept:
            kept.append(item.filter)
    return Native(_joined("$and", kept), exact)


def any_of(items: Iterable[Native]) -> Native:
    kept: list[Row] = []
    exact = True
    for item in items:
        if item == NOTHING:
            continue
        if item == ALL:
            return ALL
        exact = exact and item.exact
        if not item.filter:
            return INEXACT
        if item.filter not in kept:
            kept.append(item.filter)
    return Native(_joined("$or", kept), exact) if kept else NOTHING


def _joined(word: str, kept: Sequence[Row]) -> Row:
    if not kept:
        return {}
    return kept[0] if len(kept) == 1 else {word: list(kept)}


def negation(item: Native) -> Native:
    """Of a condition that only holds wherever the filter does, nothing is known where it does."""
    if not item.exact:
        return INEXACT
    if item == ALL:
        return NOTHING
    return ALL if item == NOTHING else Native({"$nor": [item.filter]})


def on(path: str, **operators: Any) -> Native:
    return Native({path: {f"${name.rstrip('_')}": value for name, value in operators.items()}})
