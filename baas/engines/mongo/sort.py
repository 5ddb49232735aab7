"""Orders and cursors as the server's, on paths where no document has an array.

There the server's order is the kit's: null and missing alike, then numbers, strings, objects,
booleans and dates. With arrays it is not (an empty one sorts before null there), so such a sort is
done by the reader.
"""

from __future__ import annotations

from typing import Any, Final

from baas.engines.mongo.natives import INEXACT, NOTHING, Native, all_of, any_of, on
from baas.engines.mongo.values import server_path, to_bson
from baas.query.ast import Sort, SortKey
from baas.schema.values import Kind, Value, kind_of

#: What the server calls the kinds, in the kit's order. Arrays are not met here.
_NAMES: Final = {
    Kind.NUMBER: "number",
    Kind.STRING: "string",
    Kind.OBJECT: "object",
    Kind.BOOLEAN: "bool",
    Kind.DATE: "date",
}
_COMPARED: Final = frozenset({Kind.NUMBER, Kind.STRING, Kind.BOOLEAN, Kind.DATE})


def order_of(sort: Sort) -> list[tuple[str, int]]:
    """As the server takes it; a path is named once, since a second time says nothing."""
    order: dict[str, int] = {}
    for key in sort:
        order.setdefault(server_path(key.path), -1 if key.descending else 1)
    return list(order.items())


def behind(sort: Sort, after: tuple[Value, ...]) -> Native:
    """What sorts strictly behind these sort values."""
    branches = []
    ties: list[Native] = []
    for key, value in zip(sort, after, strict=True):
        branches.append(all_of([*ties, _beyond(key, value)]))
        ties.append(_tied(key, value))
    return any_of(branches)


def _tied(key: SortKey, value: Value) -> Native:
    return Native({server_path(key.path): {"$eq": to_bson(value)}})


def _beyond(key: SortKey, value: Value) -> Native:
    path, kind = server_path(key.path), kind_of(value)
    if kind is Kind.ARRAY or (type(value) is int and not -(2**63) < value < 2**63):
        return INEXACT
    if kind is Kind.NULL:
        return NOTHING if key.descending else Native({path: {"$ne": None}})
    others = [
        name for other, name in _NAMES.items() if (other < kind if key.descending else other > kind)
    ]
    parts = [on(path, type=others)] if others else []
    parts.append(_within(path, kind, value, key.descending))
    if key.descending:
        parts.append(on(path, eq=None))
    return any_of(parts)


def _within(path: str, kind: Kind, value: Any, descending: bool) -> Native:
    """Further on among values of the same kind."""
    if kind not in _COMPARED:
        return Native({path: {"$type": _NAMES[kind]}}, False)
    return Native({path: {"$lt" if descending else "$gt": to_bson(value)}})
