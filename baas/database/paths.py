"""Paths as masks ask for them: what a new document sets, and what a replacement changes."""

from __future__ import annotations

from collections.abc import Iterator

from baas.schema.values import MISSING, Document, Path, Value, is_date


def paths_of(document: Document) -> frozenset[Path]:
    """Every path that ends in a value: through objects, and through the objects in arrays."""
    return frozenset(_leaves(document, ()))


def _leaves(value: Value, path: Path) -> Iterator[Path]:
    if type(value) is dict and value and not is_date(value):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif type(value) is list and any(type(item) in (dict, list) for item in value):
        for item in value:
            yield from _leaves(item, path)
    else:
        yield path


def paths_changed(before: Document, after: Document) -> frozenset[Path]:
    """Every path at which the two differ; an array, and a value of another kind, as a whole."""
    return frozenset(_differences(before, after, ()))


def _differences(before: Value, after: Value, path: Path) -> Iterator[Path]:
    if _is_object(before) and _is_object(after):
        for name in {**before, **after}:
            one, other = before.get(name, MISSING), after.get(name, MISSING)
            yield from _differences(one, other, (*path, name))
    elif before is MISSING:
        yield from _leaves(after, path)
    elif after is MISSING and _is_object(before):
        yield from _leaves(before, path)
    elif not is_same(before, after):
        yield path


def is_same(before: Value, after: Value) -> bool:
    """Equal as JSON, numbers of equal value included; true is not 1."""
    if type(before) is list and type(after) is list:
        pairs = zip(before, after, strict=False)
        return len(before) == len(after) and all(is_same(one, other) for one, other in pairs)
    if _is_object(before) and _is_object(after):
        return before.keys() == after.keys() and all(is_same(before[k], after[k]) for k in before)
    if type(before) is bool or type(after) is bool:
        return before is after
    return bool(before == after)


def _is_object(value: Value) -> bool:
    return type(value) is dict and not is_date(value)


def lies_within(path: Path, upper: Path) -> bool:
    """Whether `path` is `upper` or below it; positions in arrays may stand between names."""
    names = tuple(part for part in path if not part.isdecimal())
    return path[: len(upper)] == upper or names[: len(upper)] == upper
