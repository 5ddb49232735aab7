"""What an upsert takes from its filter: the fields that the filter says equal something."""

from __future__ import annotations

from collections.abc import Iterator

from baas.database.serverfields import STAMPS
from baas.errors import Problem, invalid
from baas.ids import is_id
from baas.query.ast import And, Eq, Field, Filter
from baas.schema.admit import shown
from baas.schema.values import DATE, Document, Path, Value, equal


def seed_of(filter: Filter) -> Document:
    """The new document's first fields; INVALID_ARGUMENT where equalities cannot hold together.

    Only conditions that every match must satisfy count: those at the top and under `$and`. Server
    fields are left out, for the server sets them.
    """
    seed: Document = {}
    for path, value in _equalities(filter):
        if path[0] not in STAMPS:
            _put(seed, path, value)
    if "_id" in seed and not is_id(seed["_id"]):
        raise invalid("filter._id", "an _id has 1 to 64 of A-Z a-z 0-9 _ -")
    return seed


def _equalities(filter: Filter) -> Iterator[tuple[Path, Value]]:
    if isinstance(filter, And):
        for item in filter.items:
            yield from _equalities(item)
    elif isinstance(filter, Field) and isinstance(filter.test, Eq):
        yield filter.path, filter.test.value


def _put(seed: Document, path: Path, value: Value) -> None:
    target = seed
    for name in path[:-1]:
        target = target.setdefault(name, {})
        if type(target) is not dict or DATE in target:
            raise _clash(path)
    if path[-1] in target and not equal(target[path[-1]], value):
        raise _clash(path)
    target[path[-1]] = value


def _clash(path: Path) -> Problem:
    return invalid("filter", f"{shown('.'.join(path))} is given two values; an upsert needs one")
