"""The shapes of one collection for one audience: as read, as created, as changed."""

from __future__ import annotations

import msgspec

from baas_sdkgen.manifest import Access, Collection, Manifest
from baas_sdkgen.names import distinct, pascal
from baas_sdkgen.shapes import ANYTHING, Field, Never, Object, Shape, shape_of


class Documents(msgspec.Struct, frozen=True, kw_only=True):
    """`Never` where this audience can do no such thing. Members that the server keeps
    (`_id`, `_openid`, `_createTime`, `_updateTime`) are each language's own business."""

    read: Shape
    create: Shape
    update: Shape


def documents_of(collection: Collection, access: Access) -> Documents:
    whole = ANYTHING if collection.schema is None else shape_of(collection.schema)
    can = access.operations
    readable = _without(whole, access.unreadable)
    writable = _without(whole, access.unwritable)
    return Documents(
        read=Never() if can["read"] == "never" else _as_read(readable, access.masked),
        create=Never() if can["create"] == "never" else _as_created(writable),
        update=Never() if can["update"] == "never" else writable,
    )


def schema_names(manifest: Manifest, reserved: frozenset[str]) -> dict[str, str]:
    """What the types of functions are called, by their `$ref`."""
    names = distinct({name: pascal(name) for name in manifest.schemas}, reserved, "types")
    return {f"#/schemas/{name}": own for name, own in names.items()}


def _without(shape: Shape, paths: tuple[str, ...]) -> Shape:
    """Without what lies at and below each dotted path."""
    for path in paths:
        shape = _cut(shape, path.split("."))
    return shape


def _cut(shape: Shape, path: list[str]) -> Shape:
    if not isinstance(shape, Object):
        return shape
    name, *rest = path
    fields = []
    for field in shape.fields:
        if field.name != name:
            fields.append(field)
        elif rest:
            fields.append(msgspec.structs.replace(field, shape=_cut(field.shape, rest)))
    return msgspec.structs.replace(shape, fields=tuple(fields))


def _as_read(shape: Shape, masked: tuple[str, ...]) -> Shape:
    """What the server fills in is there; what a mask may hide may be missing."""
    if not isinstance(shape, Object):
        return shape
    hidden = {path.split(".")[0] for path in masked}

    def seen(field: Field) -> Field:
        there = (field.required or field.filled) and field.name not in hidden
        return msgspec.structs.replace(field, required=there, shape=_as_read(field.shape, ()))

    return msgspec.structs.replace(shape, fields=tuple(seen(field) for field in shape.fields))


def _as_created(shape: Shape) -> Shape:
    """What the server fills in may be left out."""
    if not isinstance(shape, Object):
        return shape

    def given(field: Field) -> Field:
        needed = field.required and not field.filled
        return msgspec.structs.replace(field, required=needed, shape=_as_created(field.shape))

    return msgspec.structs.replace(shape, fields=tuple(given(field) for field in shape.fields))
