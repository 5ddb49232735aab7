"""`command`: conditions and updates as cloud-dev users write them.

_ = command
posts.where({"likes": _.gt(1).and_(_.lt(5)), "tags": _.in_(["a", "b"])})
posts.doc(id).update({"likes": _.inc(1), "tags": _.push("x"), "note": _.remove()})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .values import Geometry, Point, Position, RegExp, encode, is_plain, position


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A condition on a field (`_.gt(1)`), or on documents (`_.or_({...}, {...})`). `kind` `test`:
    `parts` holds the operators of one field."""

    kind: Literal["and", "or", "nor", "not", "test"]
    parts: tuple[Any, ...]

    def and_(self, *others: Any) -> Condition:
        return Condition("and", (self, *listed(others)))

    def or_(self, *others: Any) -> Condition:
        return Condition("or", (self, *listed(others)))

    def __and__(self, other: Condition) -> Condition:
        return self.and_(other)

    def __or__(self, other: Condition) -> Condition:
        return self.or_(other)

    def __invert__(self) -> Condition:
        return Condition("not", (self,))

    def eq(self, value: Any) -> Condition:
        return self.and_(test("$eq", value))

    def neq(self, value: Any) -> Condition:
        return self.and_(test("$ne", value))

    def gt(self, value: Any) -> Condition:
        return self.and_(test("$gt", value))

    def gte(self, value: Any) -> Condition:
        return self.and_(test("$gte", value))

    def lt(self, value: Any) -> Condition:
        return self.and_(test("$lt", value))

    def lte(self, value: Any) -> Condition:
        return self.and_(test("$lte", value))

    def in_(self, values: Sequence[Any]) -> Condition:
        return self.and_(test("$in", list(values)))

    def nin(self, values: Sequence[Any]) -> Condition:
        return self.and_(test("$nin", list(values)))

    def exists(self, there: bool = True) -> Condition:
        return self.and_(test("$exists", there))


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What an update does to a field."""

    operator: str
    value: Any


def listed(values: Sequence[Any]) -> list[Any]:
    """`f(a, b)` and `f([a, b])` alike."""
    if len(values) == 1 and isinstance(values[0], (list, tuple)):
        return list(values[0])
    return list(values)


def test(operator: str, value: Any) -> Condition:
    return Condition("test", ({operator: value},))


class Command:
    """The operators. Names that Python keeps for itself end in `_`."""

    # -- conditions on a field

    @staticmethod
    def eq(value: Any) -> Condition:
        return test("$eq", value)

    @staticmethod
    def neq(value: Any) -> Condition:
        return test("$ne", value)

    @staticmethod
    def gt(value: Any) -> Condition:
        return test("$gt", value)

    @staticmethod
    def gte(value: Any) -> Condition:
        return test("$gte", value)

    @staticmethod
    def lt(value: Any) -> Condition:
        return test("$lt", value)

    @staticmethod
    def lte(value: Any) -> Condition:
        return test("$lte", value)

    @staticmethod
    def in_(values: Sequence[Any]) -> Condition:
        return test("$in", list(values))

    @staticmethod
    def nin(values: Sequence[Any]) -> Condition:
        return test("$nin", list(values))

    @staticmethod
    def exists(there: bool = True) -> Condition:
        return test("$exists", there)

    @staticmethod
    def mod(divisor: int, remainder: int) -> Condition:
        return test("$mod", [divisor, remainder])

    @staticmethod
    def type(name: str) -> Condition:
        """`number string bool null object array date`."""
        return test("$type", name)

    @staticmethod
    def all(values: Sequence[Any]) -> Condition:
        return test("$all", list(values))

    @staticmethod
    def size(length: int) -> Condition:
        return test("$size", length)

    @staticmethod
    def elem_match(condition: Any) -> Condition:
        return Condition("test", ({"$elemMatch": _element(condition)},))

    @staticmethod
    def regex(source: str, options: str = "") -> Condition:
        return Condition("test", (encode(RegExp(source, options)),))

    @staticmethod
    def geo_near(
        geometry: Point, *, max_distance: float | None = None, min_distance: float | None = None
    ) -> Condition:
        """Nearest first. Distances in metres."""
        near = {"$geometry": geometry, "$maxDistance": max_distance, "$minDistance": min_distance}
        return test("$near", given(near))

    @staticmethod
    def geo_within(
        geometry: Geometry | None = None,
        *,
        center_sphere: tuple[Point | Position, float] | None = None,
        box: tuple[Point | Position, Point | Position] | None = None,
    ) -> Condition:
        """Inside polygons; or no further from a position than so many radians (metres divided by
        6,378,100); or between a south-western and a north-eastern corner, as on a flat map."""
        center = center_sphere and [position(center_sphere[0]), center_sphere[1]]
        corners = box and [position(corner) for corner in box]
        area = {"$geometry": geometry, "$centerSphere": center, "$box": corners}
        return test("$geoWithin", given(area))

    @staticmethod
    def geo_intersects(geometry: Geometry) -> Condition:
        return test("$geoIntersects", {"$geometry": geometry})

    # -- joined

    @staticmethod
    def and_(*parts: Any) -> Condition:
        return Condition("and", tuple(listed(parts)))

    @staticmethod
    def or_(*parts: Any) -> Condition:
        return Condition("or", tuple(listed(parts)))

    @staticmethod
    def nor(*parts: Any) -> Condition:
        return Condition("nor", tuple(listed(parts)))

    @staticmethod
    def not_(part: Any) -> Condition:
        return Condition("not", (part,))

    # -- updates

    @staticmethod
    def set(value: Any) -> Change:
        """Replaces an object whole, where a plain one would change the members that it names."""
        return Change("$set", value)

    @staticmethod
    def remove() -> Change:
        return Change("$unset", "")

    @staticmethod
    def inc(amount: float) -> Change:
        return Change("$inc", amount)

    @staticmethod
    def mul(factor: float) -> Change:
        return Change("$mul", factor)

    @staticmethod
    def min(value: Any) -> Change:
        return Change("$min", value)

    @staticmethod
    def max(value: Any) -> Change:
        return Change("$max", value)

    @staticmethod
    def rename(name: str) -> Change:
        return Change("$rename", name)

    @staticmethod
    def bit(*, and_: int | None = None, or_: int | None = None, xor: int | None = None) -> Change:
        return Change("$bit", given({"and": and_, "or": or_, "xor": xor}))

    @staticmethod
    def current_date() -> Change:
        return Change("$currentDate", True)

    @staticmethod
    def push(
        *values: Any,
        position: int | None = None,
        slice: int | None = None,
        sort: Literal[1, -1] | Mapping[str, Literal[1, -1]] | None = None,
    ) -> Change:
        """Appends each; a single list is taken for the values."""
        more = given({"$position": position, "$slice": slice, "$sort": sort})
        return Change("$push", {"$each": listed(values), **more})

    @staticmethod
    def unshift(*values: Any) -> Change:
        return Change("$push", {"$each": listed(values), "$position": 0})

    @staticmethod
    def pop() -> Change:
        return Change("$pop", 1)

    @staticmethod
    def shift() -> Change:
        return Change("$pop", -1)

    @staticmethod
    def pull(condition: Any) -> Change:
        """All that are equal to it, or that fit it."""
        return Change("$pull", _pulled(condition))

    @staticmethod
    def pull_all(values: Sequence[Any]) -> Change:
        return Change("$pullAll", list(values))

    @staticmethod
    def add_to_set(*values: Any) -> Change:
        """Each that is not there yet; a single list is taken for the values."""
        return Change("$addToSet", {"$each": listed(values)})


command = Command()


def given(members: Mapping[str, Any]) -> dict[str, Any]:
    """Without members that are None."""
    return {name: value for name, value in members.items() if value is not None}


def _pulled(condition: Any) -> Any:
    if isinstance(condition, Condition):
        return _field_tests(condition)
    return _element(condition) if is_plain(condition) else condition


def _element(condition: Any) -> Any:
    if isinstance(condition, Condition):
        return _field_tests(condition)
    return to_filter(condition) if is_plain(condition) else {"$eq": condition}


# -- filters ---------------------------------------------------------------------------------------


def to_filter(where: Any) -> dict[str, Any]:
    """A filter of the wire from what `where` takes: fields, nested or dotted, or a `command`."""
    if isinstance(where, Condition):
        return _of_documents(where)
    if not is_plain(where):
        raise TypeError(f"a condition on documents is a dict or a command, not {where!r}")
    return _all(_conjuncts(where, ""))


def _of_documents(condition: Condition) -> dict[str, Any]:
    if condition.kind == "test":
        raise TypeError('a condition such as _.gt(1) belongs to a field: where({"field": _.gt(1)})')
    parts = [to_filter(part) for part in condition.parts]
    return {"$nor" if condition.kind == "not" else f"${condition.kind}": parts}


def _conjuncts(where: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, value in where.items():
        if not name.startswith("$"):
            found += _on_field(f"{prefix}{name}", value)
        elif isinstance(value, (list, tuple)):
            found.append({name: [_raw(part) for part in value]})
        else:
            found.append({name: encode(value)})
    return found


def _raw(part: Any) -> Any:
    """Members of a filter written as on the wire may still hold commands."""
    return to_filter(part) if isinstance(part, Condition) or is_plain(part) else encode(part)


def _on_field(path: str, value: Any) -> list[dict[str, Any]]:
    if isinstance(value, Condition):
        return [_of_field(path, value)]
    if not is_plain(value):
        return [{path: encode(value)}]
    if not value or _is_geometry(value):
        return [{path: {"$eq": encode(value)}}]
    if next(iter(value)).startswith("$"):
        return [{path: encode(value)}]
    return _conjuncts(value, f"{path}.")


def _is_geometry(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("type"), str) and isinstance(
        value.get("coordinates"), (list, tuple)
    )


def _of_field(path: str, condition: Condition) -> dict[str, Any]:
    if condition.kind == "test":
        return {path: encode(condition.parts[0])}
    parts = [_all(_on_field(path, part)) for part in condition.parts]
    if condition.kind == "and":
        return _all(parts)
    return {"$nor" if condition.kind == "not" else f"${condition.kind}": parts}


def _all(filters: list[dict[str, Any]]) -> dict[str, Any]:
    """Conjuncts as one filter; flat where no name meets another."""
    merged: dict[str, Any] = {}
    for one in filters:
        for name, value in one.items():
            if not _merge(merged, name, value):
                return {"$and": filters}
    return merged


def _merge(into: dict[str, Any], name: str, value: Any) -> bool:
    if name not in into:
        into[name] = value
        return True
    there = into[name]
    if name.startswith("$") or not (_is_tests(there) and _is_tests(value)):
        return False
    if there.keys() & value.keys():
        return False
    into[name] = {**there, **value}
    return True


def _is_tests(value: Any) -> bool:
    return is_plain(value) and all(name.startswith("$") and name != "$date" for name in value)


def _field_tests(condition: Condition) -> dict[str, Any]:
    """The operators of one field, as `$elemMatch` and `$pull` take them."""
    found = _of_field("x", condition)
    if list(found) != ["x"]:
        raise TypeError('only conditions joined by "and" fit inside elem_match and pull')
    return found["x"] if _is_tests(found["x"]) else {"$eq": found["x"]}


# -- updates ---------------------------------------------------------------------------------------


def to_update(data: Mapping[str, Any]) -> dict[str, Any]:
    """Operators of the wire from what `update` takes. As in cloud development, a nested object
    changes the members it names; `_.set({...})` replaces it whole."""
    update: dict[str, Any] = {}
    _collect(data, "", update)
    return update


def _collect(data: Mapping[str, Any], prefix: str, update: dict[str, Any]) -> None:
    for name, value in data.items():
        path = f"{prefix}{name}"
        if name.startswith("$") and not prefix:
            update.setdefault(name, {}).update(encode(value))
        elif isinstance(value, Change):
            update.setdefault(value.operator, {})[path] = _operand(value)
        elif is_plain(value) and value and not _is_geometry(value):
            _collect(value, f"{path}.", update)
        else:
            update.setdefault("$set", {})[path] = encode(value)


def _operand(change: Change) -> Any:
    if isinstance(change.value, Condition):
        return _field_tests(change.value)
    return encode(change.value)
