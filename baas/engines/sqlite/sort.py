"""Sorts as ORDER BY, and the place behind a cursor (keyset paging) as a condition."""

from __future__ import annotations

from typing import Final

import apsw

from baas.engines.sqlite.compile import Compiler
from baas.engines.sqlite.keys import Key, encode_key, key_sql, quote
from baas.engines.sqlite.schema import array_test
from baas.query.ast import Sort, SortKey
from baas.query.order import sort_value
from baas.schema.values import Value, decode, encode

#: SQL function: `baas_sort(json, path, descending)`, the key of a sort value through arrays.
SORT: Final = "baas_sort"
#: SQL function: `baas_distance(json, sort key)`, the metres that a key with `near` orders by.
DISTANCE: Final = "baas_distance"


def sort_key(text: str, path: str, descending: int) -> Key:
    """SQL function: the key of a document's sort value; `path` is a JSON list of names."""
    return encode_key(sort_value(decode(text), SortKey(tuple(decode(path)), bool(descending))))


def distance(text: str, key: SortKey) -> Key:
    return encode_key(sort_value(decode(text), key))


def order_by(to: Compiler, sort: Sort) -> str:
    return ",".join([key_term(to, key) + (" DESC" if key.descending else "") for key in sort])


def key_term(to: Compiler, key: SortKey) -> str:
    """The SQL value that orders by this key."""
    path = key.path
    if key.near is not None:
        return f"{DISTANCE}(doc,{to.bind(apsw.pyobject(key))})"
    if path == ("_id",):
        return "id"
    if path in to.collection.plain:
        return key_sql(path)
    call = f"{SORT}(doc,{quote(encode(path).decode())},{int(key.descending)})"
    return f"CASE WHEN {array_test(path)} THEN {call} ELSE {key_sql(path)} END"


def behind(to: Compiler, sort: Sort, after: tuple[Value, ...]) -> str:
    """The documents strictly behind the one with these sort values."""
    if len(sort) != len(after):
        raise ValueError("a cursor has one value per key of its sort")
    return _behind(to, sort, [encode_key(value) for value in after])


def behind_in_halves(to: Compiler, sort: Sort, after: tuple[Value, ...]) -> tuple[str, str] | None:
    """`behind` as two conditions, one after the other in the order, that an index can start from.

    Only where the first key descends from a value: the nulls come behind all values then, and no
    one range of an index holds both. None elsewhere.
    """
    first = sort[0]
    if not first.descending or after[0] is None or first.path == ("_id",) or len(sort) == 1:
        return None
    term, value = key_term(to, first), to.bind(encode_key(after[0]))
    rest = _behind(to, sort[1:], [encode_key(each) for each in after[1:]])
    return f"({term} <= {value} AND ({term} < {value} OR {rest}))", f"{term} IS NULL"


def _behind(to: Compiler, sort: Sort, after: list[Key]) -> str:
    term, descending = key_term(to, sort[0]), sort[0].descending
    if len(sort) == 1:
        return _strictly(to, term, descending, after[0])
    rest = _behind(to, sort[1:], after[1:])
    if after[0] is None:
        # Nulls come first ascending, last descending.
        return f"({term} IS NULL AND {rest})" if descending else f"({term} IS NOT NULL OR {rest})"
    value = to.bind(after[0])
    if descending:
        return f"({term} < {value} OR {term} IS NULL OR ({term} IS {value} AND {rest}))"
    # The first bound is implied, and is the one that an index can start from.
    return f"({term} >= {value} AND ({term} > {value} OR {rest}))"


def _strictly(to: Compiler, term: str, descending: bool, value: Key) -> str:
    if value is None:
        return "0" if descending else f"{term} IS NOT NULL"
    name = to.bind(value)
    if not descending:
        return f"{term} > {name}"
    return f"{term} < {name}" if term == "id" else f"({term} < {name} OR {term} IS NULL)"
