"""The update language as frozen Structs: what `parse` makes and `apply` runs."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from baas.query.ast import Filter, Sort
from baas.schema.values import Document, Path, Value


class Operation(msgspec.Struct, frozen=True, tag=True, tag_field="operation"):
    """Base of all operations: one operator on one path. `operator` is its name on the wire."""

    operator: ClassVar[str] = ""
    path: Path


class Assign(Operation, frozen=True):
    operator: ClassVar[str] = "$set"
    value: Value


class AssignOnInsert(Operation, frozen=True):
    """As Assign, when the update makes a new document; nothing otherwise."""

    operator: ClassVar[str] = "$setOnInsert"
    value: Value


class Remove(Operation, frozen=True):
    """The field goes; an element of an array becomes null, so that the rest keep their places."""

    operator: ClassVar[str] = "$unset"


class Increment(Operation, frozen=True):
    operator: ClassVar[str] = "$inc"
    amount: int | float


class Multiply(Operation, frozen=True):
    """A missing field becomes 0."""

    operator: ClassVar[str] = "$mul"
    factor: int | float


class Least(Operation, frozen=True):
    """The lesser of field and `value` in the order across kinds; a missing field takes `value`."""

    operator: ClassVar[str] = "$min"
    value: Value


class Greatest(Operation, frozen=True):
    operator: ClassVar[str] = "$max"
    value: Value


class Bitwise(Operation, frozen=True):
    """`steps` are pairs of `and or xor` and an integer, run in order; a missing field is 0."""

    operator: ClassVar[str] = "$bit"
    steps: tuple[tuple[str, int], ...]


class Rename(Operation, frozen=True):
    """The value of `path` moves to `target`, replacing what is there. Neither lies in an array."""

    operator: ClassVar[str] = "$rename"
    target: Path


class CurrentDate(Operation, frozen=True):
    operator: ClassVar[str] = "$currentDate"


class Push(Operation, frozen=True):
    """`values` go in at `position` (None: at the end; negative: counted from there), then the
    array is ordered by `order`, then cut to the first (`slice` > 0) or last (< 0) elements.

    `order` keys with an empty path compare whole elements.
    """

    operator: ClassVar[str] = "$push"
    values: tuple[Value, ...]
    position: int | None = None
    slice: int | None = None
    order: Sort = ()


class AddToSet(Operation, frozen=True):
    operator: ClassVar[str] = "$addToSet"
    values: tuple[Value, ...]


class Pop(Operation, frozen=True):
    operator: ClassVar[str] = "$pop"
    first: bool


class PullAll(Operation, frozen=True):
    """Elements equal to one of `values` go."""

    operator: ClassVar[str] = "$pullAll"
    values: tuple[Value, ...]


class PullEqual(PullAll, frozen=True):
    """`$pull` of a plain value, which is the one in `values`."""

    operator: ClassVar[str] = "$pull"


class Pull(Operation, frozen=True):
    """Elements that match go: `whole` elements as the documents of `filter`, else each as the
    field `ELEMENT` of one. `cost` is the number of conditions, for the limit on work."""

    operator: ClassVar[str] = "$pull"
    filter: Filter
    whole: bool
    cost: int = 1


#: The field under which `Pull` shows an element that is not matched as a whole.
ELEMENT = "element"


class Update(msgspec.Struct, frozen=True):
    """Operations in the order sent; no path is, or lies within, the path of another.

    `max_depth` is the document's limit, held again on the result.
    """

    operations: tuple[Operation, ...]
    max_depth: int


Paths: TypeAlias = frozenset[Path]


def paths_written(update: Update) -> Paths:
    """Every path that the update may change, both ends of `$rename` included.

    A path names what it assigns, so a write of `a` also writes all below `a`.
    """
    found = {operation.path for operation in update.operations}
    found.update(one.target for one in update.operations if isinstance(one, Rename))
    return frozenset(found)


def paths_read(update: Update) -> Paths:
    """Paths whose stored value shows in the result or decides whether the update succeeds.

    All but those of `$set`, `$setOnInsert` and `$unset`: rules.md lets a caller who may write but
    not read a field do no more. The target of a `$rename` is written without being read.
    """
    blind = (Assign, AssignOnInsert, Remove)
    return frozenset(one.path for one in update.operations if not isinstance(one, blind))


def paths_entered(update: Update) -> Paths:
    """Proper parents of paths that values are put under: whether they hold an object, an array
    or a scalar decides whether the update succeeds. `$unset` alone passes over any parent."""
    ends = [one.path for one in update.operations if not isinstance(one, Remove)]
    ends += [one.target for one in update.operations if isinstance(one, Rename)]
    return frozenset(path[:length] for path in ends for length in range(1, len(path)))


def set_object(update: Update) -> Document:
    """The `$set` object as sent, values admitted: `request.data` of a rule on update.

    Dotted paths stay keys (`{"a.b": 1}`), since what they do depends on the stored document; a
    rule that means the outcome asks `newDoc`. Empty where the update has no `$set`.
    """
    return {".".join(one.path): one.value for one in update.operations if isinstance(one, Assign)}
