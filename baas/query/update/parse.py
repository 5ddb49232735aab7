"""From a client's `update` object to an `Update`: an allow-list of operators, names and limits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final, TypeAlias

import msgspec

from baas.errors import invalid
from baas.query import numbers
from baas.query.ast import Sort, SortKey
from baas.query.hint import unknown
from baas.query.limits import MAX_SORT_KEYS, QueryLimits, exceeded
from baas.query.parse import parse_filter
from baas.query.update.model import (
    ELEMENT,
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
from baas.query.update.names import parse_update_path
from baas.schema.admit import admit_value
from baas.schema.values import DATE, Path, Value

#: Whole conditions of `$pull` may begin with these; any other operator tests the element itself.
_JUNCTIONS: Final = frozenset({"$and", "$or", "$nor"})


class _Scope(msgspec.Struct, frozen=True):
    """What parsing one operation needs to know beside its operand. `where` names it in errors."""

    limits: QueryLimits
    now_ms: int
    where: str

    def value(self, raw: Any, part: str = "") -> Value:
        where = f"{self.where}.{part}" if part else self.where
        return admit_value(raw, self.limits, now_ms=self.now_ms, path=where)

    def values(self, raw: Any, part: str = "") -> tuple[Value, ...]:
        if type(raw) is not list:
            raise invalid(self.where, f"{part or 'the operand'} must be an array")
        if len(raw) > self.limits.list_items:
            raise exceeded(self.where, f"at most {self.limits.list_items} items")
        return tuple(self.value(raw))

    def number(self, raw: Any) -> int | float:
        if not numbers.is_number(raw):
            raise invalid(self.where, "the operand must be a number")
        admitted: int | float = self.value(raw)
        return admitted

    def integer(self, raw: Any, part: str) -> int:
        admitted = self.number(raw)
        if type(admitted) is not int:
            raise invalid(self.where, f"{part} must be an integer")
        return admitted


_Parser: TypeAlias = Callable[[Path, Any, _Scope], Operation]


def parse_update(raw: Any, limits: QueryLimits, *, now_ms: int) -> Update:
    """An `update` body, checked. Dates are made canonical, `offset` dates from `now_ms`.

    INVALID_ARGUMENT naming the operator and path for anything that is not in the language:
    unknown operators, positional ones (`$`, `$[]`, `$[x]`), a document without operators, `_id`
    (nobody may write it), two paths of which one lies within the other. LIMIT_EXCEEDED for too
    many paths, items or levels. The input is not modified. Which other fields a caller may write
    (`_openid` and the server's dates among them) is the service's to decide, by `paths_written`.
    """
    if type(raw) is not dict or not raw:
        raise invalid("update", 'must be an object of operators, such as {"$set": {"a": 1}}')
    operations = [
        operation for name in raw for operation in _parse_operator(name, raw, limits, now_ms)
    ]
    if len(operations) > limits.list_items:
        raise exceeded("update", f"at most {limits.list_items} paths in one update")
    _check_conflicts(operations)
    return Update(tuple(operations), limits.document_depth)


def _parse_operator(
    name: str, raw: dict[str, Any], limits: QueryLimits, now_ms: int
) -> list[Operation]:
    if not name.startswith("$"):
        raise invalid("update", "holds a field beside operators; use replace to send a document")
    if name not in _PARSERS:
        raise invalid("update", unknown("operator", name, _PARSERS))
    operands = raw[name]
    where = f"update.{name}"
    if type(operands) is not dict:
        raise invalid(where, "must be an object of paths and operands")
    return [
        _parse_operation(name, text, operand, limits, now_ms) for text, operand in operands.items()
    ]


def _parse_operation(
    name: str, text: str, operand: Any, limits: QueryLimits, now_ms: int
) -> Operation:
    path = parse_update_path(text, f"update.{name}", limits.document_depth)
    return _PARSERS[name](path, operand, _Scope(limits, now_ms, f"update.{name}.{text}"))


def _check_conflicts(operations: list[Operation]) -> None:
    paths = [operation.path for operation in operations]
    paths += [operation.target for operation in operations if isinstance(operation, Rename)]
    # Sorted, a path stands directly before the paths that lie within it.
    for one, other in pairwise(sorted(paths)):
        if other[: len(one)] == one:
            spots = f"'{'.'.join(one)}' and '{'.'.join(other)}'"
            raise invalid("update", f"{spots} conflict: a path may be written once, with its parts")


# -- one operator each ----------------------------------------------------------------------------


def _assign(path: Path, raw: Any, scope: _Scope) -> Operation:
    return Assign(path, _placed(path, scope.value(raw), scope))


def _assign_on_insert(path: Path, raw: Any, scope: _Scope) -> Operation:
    return AssignOnInsert(path, _placed(path, scope.value(raw), scope))


def _remove(path: Path, raw: Any, scope: _Scope) -> Operation:
    return Remove(path)


def _increment(path: Path, raw: Any, scope: _Scope) -> Operation:
    return Increment(path, scope.number(raw))


def _multiply(path: Path, raw: Any, scope: _Scope) -> Operation:
    return Multiply(path, scope.number(raw))


def _least(path: Path, raw: Any, scope: _Scope) -> Operation:
    return Least(path, _placed(path, scope.value(raw), scope))


def _greatest(path: Path, raw: Any, scope: _Scope) -> Operation:
    return Greatest(path, _placed(path, scope.value(raw), scope))


def _bitwise(path: Path, raw: Any, scope: _Scope) -> Operation:
    if type(raw) is not dict or not raw or not raw.keys() <= {"and", "or", "xor"}:
        raise invalid(scope.where, "must be an object of 'and', 'or', 'xor' and integers")
    return Bitwise(path, tuple((name, scope.integer(raw[name], name)) for name in raw))


def _rename(path: Path, raw: Any, scope: _Scope) -> Operation:
    if type(raw) is not str:
        raise invalid(scope.where, "must be the new path, a string")
    return Rename(path, parse_update_path(raw, scope.where, scope.limits.document_depth))


def _current_date(path: Path, raw: Any, scope: _Scope) -> Operation:
    if raw is not True and raw != {"$type": "date"}:
        raise invalid(scope.where, 'must be true or {"$type": "date"}')
    return CurrentDate(path)


def _push(path: Path, raw: Any, scope: _Scope) -> Operation:
    if type(raw) is not dict or not any(name.startswith("$") and name != DATE for name in raw):
        return Push(path, _in_array(path, (scope.value(raw),), scope))
    _check_modifiers(raw, {"$each", "$position", "$slice", "$sort"}, scope)
    return Push(
        path,
        _in_array(path, scope.values(raw["$each"], "$each"), scope),
        position=_optional_integer(raw, "$position", scope),
        slice=_optional_integer(raw, "$slice", scope),
        order=_element_order(raw["$sort"], scope) if "$sort" in raw else (),
    )


def _add_to_set(path: Path, raw: Any, scope: _Scope) -> Operation:
    if type(raw) is not dict or "$each" not in raw:
        return AddToSet(path, _in_array(path, (scope.value(raw),), scope))
    _check_modifiers(raw, {"$each"}, scope)
    return AddToSet(path, _in_array(path, scope.values(raw["$each"], "$each"), scope))


def _pop(path: Path, raw: Any, scope: _Scope) -> Operation:
    if type(raw) not in (int, float) or raw not in (1, -1):
        raise invalid(scope.where, "must be 1 (the last element) or -1 (the first)")
    return Pop(path, first=raw == -1)


def _pull_all(path: Path, raw: Any, scope: _Scope) -> Operation:
    return PullAll(path, scope.values(raw))


def _pull(path: Path, raw: Any, scope: _Scope) -> Operation:
    if type(raw) is not dict or raw.keys() == {DATE}:
        return PullEqual(path, (scope.value(raw),))
    first = next(iter(raw), "")
    whole = not first.startswith("$") or first in _JUNCTIONS
    condition = raw if whole else {ELEMENT: raw}
    parsed = parse_filter(condition, scope.limits, now_ms=scope.now_ms, path=scope.where)
    return Pull(path, parsed, whole, _weight(raw))


def _weight(raw: Any) -> int:
    """How many names and values a condition holds: a bound on what one test of it costs."""
    if type(raw) is dict:
        return 1 + sum(_weight(part) for part in raw.values())
    if type(raw) is list:
        return 1 + sum(_weight(part) for part in raw)
    return 1


def _check_modifiers(raw: dict[str, Any], known: set[str], scope: _Scope) -> None:
    for name in raw:
        if name not in known:
            raise invalid(scope.where, unknown("modifier", name, known))
    if "$each" not in raw:
        raise invalid(scope.where, "modifiers need $each")


def _optional_integer(raw: dict[str, Any], name: str, scope: _Scope) -> int | None:
    return scope.integer(raw[name], name) if name in raw else None


def _element_order(raw: Any, scope: _Scope) -> Sort:
    """`1`, `-1`, or an object of dotted paths and 1 or -1."""
    if type(raw) is not dict:
        return (SortKey((), _descending(raw, scope)),)
    if not 1 <= len(raw) <= MAX_SORT_KEYS:
        raise invalid(scope.where, f"$sort names 1 to {MAX_SORT_KEYS} paths")
    where = f"{scope.where}.$sort"
    depth = scope.limits.document_depth
    return tuple(
        SortKey(parse_update_path(text, where, depth), _descending(direction, scope))
        for text, direction in raw.items()
    )


def _descending(raw: Any, scope: _Scope) -> bool:
    if type(raw) not in (int, float) or raw not in (1, -1):
        raise invalid(scope.where, "$sort takes 1 or -1")
    return bool(raw == -1)


def _in_array(path: Path, values: tuple[Value, ...], scope: _Scope) -> tuple[Value, ...]:
    for value in values:
        _placed((*path, "0"), value, scope)
    return values


def _placed(path: Path, value: Value, scope: _Scope) -> Value:
    """Refuses a value that, where `path` puts it, nests deeper than a document may."""
    if len(path) + _depth(value) > scope.limits.document_depth:
        raise exceeded(scope.where, "the document would be nested too deep")
    return value


def _depth(value: Value) -> int:
    if type(value) is dict and DATE not in value:
        return 1 + max(map(_depth, value.values()), default=0)
    if type(value) is list:
        return 1 + max(map(_depth, value), default=0)
    return 0


_PARSERS: Final[dict[str, _Parser]] = {
    "$set": _assign,
    "$setOnInsert": _assign_on_insert,
    "$unset": _remove,
    "$inc": _increment,
    "$mul": _multiply,
    "$min": _least,
    "$max": _greatest,
    "$bit": _bitwise,
    "$rename": _rename,
    "$currentDate": _current_date,
    "$push": _push,
    "$addToSet": _add_to_set,
    "$pop": _pop,
    "$pull": _pull,
    "$pullAll": _pull_all,
}
