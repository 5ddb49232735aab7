"""Field masks for one caller: what is taken out of answers, and what may not be used or written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from baas.errors import Problem, denied
from baas.query import expr as e
from baas.query.ast import Filter
from baas.query.conditions import Compiled, Env, LookupsLike, compile
from baas.query.fields import overlap
from baas.query.implies import implies
from baas.rules.model import FieldMask
from baas.rules.residual import Known, reduce, to_filter
from baas.schema.values import Document, Path


class NoMasks:
    """Everything may be read and written: for trusted callers and collections without masks."""

    hides_nothing: Final = True

    def readable(self, document: Document, lookups: LookupsLike) -> Document:
        return document

    def touches(self, paths: frozenset[Path]) -> bool:
        return False

    def check_used(self, paths: frozenset[Path], known: Filter) -> None:
        return None

    def check_read(self, paths: frozenset[Path], document: Document, lookups: LookupsLike) -> None:
        return None

    def check_written(
        self, paths: frozenset[Path], document: Document, lookups: LookupsLike
    ) -> None:
        return None

    def unreadable(self, document: Document, lookups: LookupsLike) -> frozenset[Path]:
        return frozenset()


NO_MASKS: Final = NoMasks()


class _Mask:
    """One side of one mask, reduced for the caller; never true for every document."""

    __slots__ = ("check", "filter", "path")

    def __init__(self, path: Path, expr: e.Expr) -> None:
        self.path = path
        self.filter = to_filter(expr)
        self.check: Compiled = compile(expr)

    def allows(self, document: Document, lookups: LookupsLike) -> bool:
        return self.check(Env(document, None, None, lookups)) is True


class CallerMasks:
    """`guard.Masks` for one caller."""

    def __init__(self, read: list[_Mask], write: list[_Mask]) -> None:
        self._read = read
        self._write = write
        self._read_names = frozenset(mask.path[0] for mask in read)
        self.hides_nothing = not read

    def readable(self, document: Document, lookups: LookupsLike) -> Document:
        for path in self._hidden(document, lookups):
            document = without(document, path)
        return document

    def unreadable(self, document: Document, lookups: LookupsLike) -> frozenset[Path]:
        return frozenset(self._hidden(document, lookups))

    def _hidden(self, document: Document, lookups: LookupsLike) -> list[Path]:
        return [mask.path for mask in self._read if not mask.allows(document, lookups)]

    def touches(self, paths: frozenset[Path]) -> bool:
        return any(overlap(used, mask.path) for mask in self._read for used in paths)

    def check_used(self, paths: frozenset[Path], known: Filter) -> None:
        for mask, used in _meetings(self._read, paths):
            if not implies(known, mask.filter):
                raise _refused(mask.path, used, "read")

    def check_read(self, paths: frozenset[Path], document: Document, lookups: LookupsLike) -> None:
        for mask, used in _meetings(self._read, paths):
            if not mask.allows(document, lookups):
                raise _refused(mask.path, used, "read")

    def check_written(
        self, paths: frozenset[Path], document: Document, lookups: LookupsLike
    ) -> None:
        for mask, used in _meetings(self._write, paths):
            if not mask.allows(document, lookups):
                raise _refused(mask.path, used, "write")


def masks_for(masks: tuple[FieldMask, ...], known: Known) -> CallerMasks | NoMasks:
    """The masks of a collection, reduced with what is known of the caller."""
    read = [_Mask(mask.path, rest) for mask, rest in _reduced(masks, "read", known)]
    write = [_Mask(mask.path, rest) for mask, rest in _reduced(masks, "write", known)]
    return CallerMasks(read, write) if read or write else NO_MASKS


def _reduced(
    masks: tuple[FieldMask, ...], side: str, known: Known
) -> Iterable[tuple[FieldMask, e.Expr]]:
    for mask in masks:
        rule = getattr(mask, side)
        if rule is None:
            continue
        rest = reduce(rule.expr, known)
        if rest != e.TRUE:
            yield mask, rest


def _meetings(masks: list[_Mask], paths: frozenset[Path]) -> Iterable[tuple[_Mask, Path]]:
    return ((mask, used) for mask in masks for used in sorted(paths) if overlap(used, mask.path))


def _refused(masked: Path, used: Path, what: str) -> Problem:
    name = ".".join(masked)
    if used == masked:
        return denied(f"You may not {what} the field '{name}'.")
    return denied(f"You may not {what} the field '{name}', which '{'.'.join(used)}' reaches.")


def without(value: Any, path: Path) -> Any:
    """`value` without what lies at `path`, arrays entered; shares what it did not change."""
    if type(value) is list:
        items = [without(item, path) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else items
    if type(value) is not dict or path[0] not in value:
        return value
    name, below = path[0], path[1:]
    if not below:
        return {key: item for key, item in value.items() if key != name}
    inner = without(value[name], below)
    return value if inner is value[name] else {**value, name: inner}
