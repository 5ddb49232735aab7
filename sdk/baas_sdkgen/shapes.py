"""JSON Schemas as shapes that every language can write down.

Only what a type can say is kept: lengths, patterns and bounds stay the server's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

Primitive: TypeAlias = Literal["string", "number", "integer", "boolean", "null", "date", "geo"]
_PRIMITIVES: Final = frozenset(("string", "number", "integer", "boolean", "null", "date", "geo"))
#: Where a schema refers to itself through `$defs`, it is written out this deep, then as anything.
_MAX_DEPTH: Final = 12


class Anything(msgspec.Struct, frozen=True):
    """Of any kind."""


class Never(msgspec.Struct, frozen=True):
    """No value at all."""


class Basic(msgspec.Struct, frozen=True):
    kind: Primitive


class Constant(msgspec.Struct, frozen=True):
    """One value: text, number, boolean or null."""

    value: Any


class Array(msgspec.Struct, frozen=True):
    items: Shape


class Union(msgspec.Struct, frozen=True):
    """Any of these, in order, none twice."""

    shapes: tuple[Shape, ...]


class Reference(msgspec.Struct, frozen=True):
    """A shape that has a name of its own."""

    name: str


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """`filled`: the server puts a default there where it is left out."""

    name: str
    shape: Shape
    required: bool
    filled: bool = False
    description: str = ""


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """`others`: the shape of members that are not named; None: there are none."""

    fields: tuple[Field, ...] = ()
    others: Shape | None = None


Shape: TypeAlias = Anything | Never | Basic | Constant | Array | Union | Reference | Object

ANYTHING: Final = Anything()


def shape_of(schema: Any, *, names: Mapping[str, str] | None = None, open: bool = True) -> Shape:
    """`names`: what `$ref`s to shapes with names of their own are called, by the whole `$ref`.
    `open`: whether objects that do not say so have members beside those that are named."""
    return _Reader(schema, names or {}, open).read(schema, 0)


def union(shapes: list[Shape]) -> Shape:
    """One shape for any of them."""
    # By what they look like: True equals 1 and is another constant.
    seen: dict[str, Shape] = {}
    for shape in shapes:
        for one in shape.shapes if isinstance(shape, Union) else (shape,):
            seen.setdefault(repr(one), one)
    flat = list(seen.values())
    if any(isinstance(one, Anything) for one in flat):
        return ANYTHING
    kept = [one for one in flat if not isinstance(one, Never)]
    if len(kept) < 2:
        return kept[0] if kept else Never()
    return Union(tuple(kept))


class _Reader:
    def __init__(self, root: Any, names: Mapping[str, str], open: bool) -> None:
        self._root = root
        self._names = names
        self._open = open

    def read(self, schema: Any, depth: int) -> Shape:
        if schema is False:
            return Never()
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            return ANYTHING
        if "$ref" in schema:
            return self._reference(schema["$ref"], depth)
        if "const" in schema:
            return self._constants([schema["const"]])
        if "enum" in schema:
            return self._constants(schema["enum"])
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return union([self.read(one, depth + 1) for one in schema[word]])
        if "allOf" in schema:
            return self._all([*schema["allOf"], _without(schema, "allOf")], depth)
        return self._by_type(schema, depth)

    def _reference(self, target: Any, depth: int) -> Shape:
        if target in self._names:
            return Reference(self._names[target])
        found = self._root
        if not isinstance(target, str) or not target.startswith("#"):
            return ANYTHING
        for part in target.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return ANYTHING if found is None else self.read(found, depth + 1)

    def _constants(self, values: list[Any]) -> Shape:
        simple = [v for v in values if v is None or isinstance(v, (str, int, float, bool))]
        if len(simple) < len(values):
            return ANYTHING
        return union([Constant(value) for value in simple])

    def _all(self, schemas: list[Any], depth: int) -> Shape:
        """Objects are put together; of anything else the first that says something counts."""
        shapes = [self.read(one, depth + 1) for one in schemas]
        telling = [shape for shape in shapes if not isinstance(shape, Anything)]
        objects = [shape for shape in telling if isinstance(shape, Object)]
        if not objects or len(objects) < len(telling):
            return telling[0] if telling else ANYTHING
        fields = {field.name: field for one in objects for field in one.fields}
        closed = any(one.others is None for one in objects)
        return Object(fields=tuple(fields.values()), others=None if closed else ANYTHING)

    def _by_type(self, schema: dict[str, Any], depth: int) -> Shape:
        kind = schema.get("type")
        if isinstance(kind, list):
            return union([self._by_type({**schema, "type": one}, depth) for one in kind])
        if kind in _PRIMITIVES:
            return Basic(kind)
        if kind == "array":
            return Array(self.read(schema.get("items", True), depth + 1))
        if kind == "object" or "properties" in schema:
            return self._object(schema, depth)
        return ANYTHING

    def _object(self, schema: dict[str, Any], depth: int) -> Object:
        required = schema.get("required", ())
        fields = tuple(
            Field(
                name=name,
                shape=self.read(one, depth + 1),
                required=name in required,
                filled=isinstance(one, dict) and "default" in one,
                description=one.get("description", "") if isinstance(one, dict) else "",
            )
            for name, one in schema.get("properties", {}).items()
        )
        others = self.read(schema.get("additionalProperties", self._open), depth + 1)
        return Object(fields=fields, others=None if isinstance(others, Never) else others)


def _without(schema: dict[str, Any], word: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != word}
