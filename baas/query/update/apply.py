"""What an update makes of a document: MongoDB's meaning, on the kit's values.

Paths, as in the section "Update Operators" of MongoDB's manual:

- A missing parent becomes an object; a numeric component names a place in an array, and the gap
  up to it is filled with null. `$unset`, `$pop`, `$pull`, `$pullAll` and `$rename` make nothing.
- A path through a scalar is refused; `$unset` of one does nothing.
- Operations run in the order sent, which shows in the order of new fields alone.

Integers never leave +-(2^53-1) and floats stay finite: such an update is refused, not rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from baas.errors import Code, Problem, invalid
from baas.query import numbers
from baas.query.update import arrays
from baas.query.update.draft import Blocked, Draft
from baas.query.update.model import (
    AddToSet,
    Assign,
    AssignOnInsert,
    Bitwise,
    CurrentDate,
    Greatest,
    Increment,
    Least,
    Multiply,
    Operation,
    Pop,
    Pull,
    PullAll,
    PullEqual,
    Push,
    Remove,
    Rename,
    Update,
)
from baas.schema.values import MISSING, Document, Kind, Value, compare, date_from_ms, kind_of


class _Refused(Exception):
    """The operator does not take what it found; the message says what it needs."""


def apply_update(
    update: Update, document: Document, *, now_ms: int, inserting: bool = False
) -> Document:
    """The document after `update`. The given one is untouched, but may share parts with it.

    `inserting`: `document` is the seed of an upsert, so `$setOnInsert` counts. Pure. Problem
    INVALID_ARGUMENT names the operator and the path where the stored value does not allow the
    operation; LIMIT_EXCEEDED where the result is nested too deep or the work too much.
    """
    draft = Draft(document)
    for operation in update.operations:
        if inserting or type(operation) is not AssignOnInsert:
            _run(operation, draft, now_ms)
    if any(type(operation) is Rename for operation in update.operations):
        _check_depth(draft.root, update.max_depth)
    return draft.root


def _run(operation: Operation, draft: Draft, now_ms: int) -> None:
    try:
        if type(operation) is CurrentDate:
            draft.write(operation.path, date_from_ms(now_ms))
        else:
            _RUN[type(operation)](operation, draft)
    except (Blocked, _Refused, numbers.OutOfRange) as fault:
        where = f"update.{operation.operator}.{'.'.join(operation.path)}"
        raise invalid(where, str(fault)) from None


def _check_depth(root: Document, max_depth: int) -> None:
    """Only `$rename` can deepen what parsing has seen; it moves what is stored."""
    level: list[Value] = [root]
    for _ in range(max_depth):
        level = [child for node in level for child in _containers(node)]
        if not level:
            return
    raise Problem(Code.LIMIT_EXCEEDED, f"The document would be nested deeper than {max_depth}.")


def _containers(node: Value) -> list[Value]:
    children = node.values() if type(node) is dict else node
    return [child for child in children if kind_of(child) in (Kind.OBJECT, Kind.ARRAY)]


# -- fields ---------------------------------------------------------------------------------------


def _assign(operation: Assign | AssignOnInsert, draft: Draft) -> None:
    draft.write(operation.path, operation.value)


def _remove(operation: Remove, draft: Draft) -> None:
    draft.remove(operation.path)


def _rename(operation: Rename, draft: Draft) -> None:
    value = draft.read(operation.path)
    if value is MISSING:
        return
    if draft.through_array(operation.path) or draft.through_array(operation.target):
        raise _Refused("neither name of a $rename may lie in an array")
    draft.remove(operation.path)
    draft.write(operation.target, value)


def _number_at(operation: Operation, draft: Draft) -> Any:
    found = draft.read(operation.path)
    if found is not MISSING and not numbers.is_number(found):
        raise _Refused("the stored value is not a number")
    return found


def _increment(operation: Increment, draft: Draft) -> None:
    found = _number_at(operation, draft)
    old = 0 if found is MISSING else found
    draft.write(operation.path, numbers.add(old, operation.amount))


def _multiply(operation: Multiply, draft: Draft) -> None:
    found = _number_at(operation, draft)
    result = 0 if found is MISSING else numbers.multiply(found, operation.factor)
    draft.write(operation.path, result)


def _bitwise(operation: Bitwise, draft: Draft) -> None:
    found = draft.read(operation.path)
    result = 0 if found is MISSING else found
    if not numbers.is_integer(result):
        raise _Refused("the stored value is not an integer")
    for name, operand in operation.steps:
        result = _BITS[name](result, operand)
    draft.write(operation.path, numbers.held(result))


_BITS: Final[dict[str, Callable[[int, int], int]]] = {
    "and": int.__and__,
    "or": int.__or__,
    "xor": int.__xor__,
}


def _least(operation: Least, draft: Draft) -> None:
    found = draft.read(operation.path)
    if found is MISSING or compare(operation.value, found) < 0:
        draft.write(operation.path, operation.value)


def _greatest(operation: Greatest, draft: Draft) -> None:
    found = draft.read(operation.path)
    if found is MISSING or compare(operation.value, found) > 0:
        draft.write(operation.path, operation.value)


# -- arrays ---------------------------------------------------------------------------------------


def _array_at(operation: Operation, draft: Draft) -> Any:
    found = draft.read(operation.path)
    if found is not MISSING and type(found) is not list:
        raise _Refused("the stored value is not an array")
    return found


def _push(operation: Push, draft: Draft) -> None:
    found = _array_at(operation, draft)
    draft.write(operation.path, arrays.push([] if found is MISSING else found, operation))


def _add_to_set(operation: AddToSet, draft: Draft) -> None:
    found = _array_at(operation, draft)
    array = [] if found is MISSING else found
    draft.write(operation.path, arrays.add_to_set(array, operation.values))


def _pop(operation: Pop, draft: Draft) -> None:
    found = _array_at(operation, draft)
    if found is not MISSING:
        draft.write(operation.path, found[1:] if operation.first else found[:-1])


def _pull_all(operation: PullAll, draft: Draft) -> None:
    found = _array_at(operation, draft)
    if found is not MISSING:
        draft.write(operation.path, arrays.pull_all(found, operation.values))


def _pull(operation: Pull, draft: Draft) -> None:
    found = _array_at(operation, draft)
    if found is not MISSING:
        draft.write(operation.path, arrays.pull(found, operation))


_Runner: TypeAlias = Callable[[Any, Draft], None]

_RUN: Final[dict[type[Operation], _Runner]] = {
    Assign: _assign,
    AssignOnInsert: _assign,
    Remove: _remove,
    Rename: _rename,
    Increment: _increment,
    Multiply: _multiply,
    Bitwise: _bitwise,
    Least: _least,
    Greatest: _greatest,
    Push: _push,
    AddToSet: _add_to_set,
    Pop: _pop,
    PullAll: _pull_all,
    PullEqual: _pull_all,
    Pull: _pull,
}
