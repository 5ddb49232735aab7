"""One app as TypeScript types, for the runtime's `createCloud`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from baas_sdkgen.documents import documents_of, schema_names
from baas_sdkgen.manifest import Manifest
from baas_sdkgen.names import distinct, pascal
from baas_sdkgen.shapes import (
    Anything,
    Array,
    Basic,
    Constant,
    Field,
    Never,
    Object,
    Reference,
    Shape,
    Union,
    shape_of,
)
from baas_sdkgen.texts import lines_of, quoted

_BASIC: Final = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "null": "null",
    "date": "Date",
    "geo": "Geometry",
}
_OWN: Final = frozenset(("App", "Functions", "Channels"))
_PLAIN: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_CAPTURE: Final = re.compile(r"\{[^{}]*\}")
_HEAD: Final = """\
// Made by `baas sdk generate` from the rules and functions of {app}. What is changed here is lost.

import type {{ AppShape, Geometry, Stored }} from './runtime/index.js'

export type {{ Geometry }}
"""


def typescript(manifest: Manifest, reserved: frozenset[str] = frozenset()) -> str:
    """The generated file: one interface per audience, `User` the default of `App`. `reserved` are
    names that stand beside these."""
    return "\n".join((_HEAD.format(app=manifest.app), *_Writer(manifest, reserved).parts()))


class _Writer:
    def __init__(self, manifest: Manifest, reserved: frozenset[str]) -> None:
        self._manifest = manifest
        audiences = {audience: pascal(audience) for audience in manifest.audiences}
        self._names = distinct(audiences, reserved | _OWN, "roles")
        taken = reserved | _OWN | frozenset(self._names.values())
        self._names |= schema_names(manifest, taken)

    def parts(self) -> Iterator[str]:
        for name, schema in self._manifest.schemas.items():
            yield self._named(self._names[f"#/schemas/{name}"], schema)
        yield self._functions()
        yield self._channels()
        for audience in self._manifest.audiences:
            yield self._audience(audience)
        yield f"export type App = {self._names['user']}\n"

    def _named(self, name: str, schema: object) -> str:
        shape = shape_of(schema, names=self._names, open=False)
        description = schema.get("description", "") if isinstance(schema, dict) else ""
        text = f"export type {name} = {type_of(shape, 0)}\n"
        return comment(description, 0) + text

    def _functions(self) -> str:
        lines = ["export type Functions = {"]
        for name, function in self._manifest.functions.items():
            event, result = self._type(function.event), self._type(function.result)
            lines.append(
                f"{comment(function.summary, 1)}  {key(name)}:"
                f" {{ event: {event}; result: {result} }}"
            )
        return "\n".join((*lines, "}", ""))

    def _type(self, schema: object) -> str:
        if schema is None:
            return "any"
        return type_of(shape_of(schema, names=self._names, open=False), 1)

    def _channels(self) -> str:
        patterns = [_pattern(one.channel) for one in self._manifest.channels]
        names = " | ".join(f"`{pattern}`" for pattern in patterns) or "never"
        return f"export type Channels = {names}\n"

    def _audience(self, audience: str) -> str:
        lines = [
            comment(f"What {_who(audience)} may use.", 0).rstrip(),
            f"export interface {self._names[audience]} extends AppShape {{",
            "  collections: {",
        ]
        for name, collection in self._manifest.collections.items():
            found = documents_of(collection, collection.access[audience])
            lines += [
                f"    {key(name)}: {{",
                f"      document: {_stored(found.read)}",
                f"      create: {_created(found.create)}",
                f"      update: {type_of(found.update, 3)}",
                "    }",
            ]
        return "\n".join((*lines, "  }", "  functions: Functions", "  channels: Channels", "}", ""))


def _pattern(channel: str) -> str:
    """As it stands in a template: nothing in it but the captures begins or ends anything."""
    words = (_escaped(word) for word in _CAPTURE.split(channel))
    return "${string}".join(words)


def _escaped(text: str) -> str:
    inside = quoted(text)[1:-1].replace('\\"', '"')
    return inside.replace("`", "\\`").replace("${", "\\${")


def _who(audience: str) -> str:
    if audience == "nobody":
        return "callers who are not signed in"
    if audience == "user":
        return "callers who are signed in"
    return f"callers with the role {audience!r}"


def _stored(shape: Shape) -> str:
    if isinstance(shape, (Never, Anything)):
        return type_of(shape, 3)
    return f"Stored & {type_of(shape, 3)}"


def _created(shape: Shape) -> str:
    if isinstance(shape, (Never, Anything)):
        return type_of(shape, 3)
    return f"{{ _id?: string }} & {type_of(shape, 3)}"


# -- types ----------------------------------------------------------------------------------------


def type_of(shape: Shape, depth: int) -> str:
    """A TypeScript type. `depth` is that of the line it stands in, in steps of two blanks."""
    match shape:
        case Anything():
            return "any"
        case Never():
            return "never"
        case Basic(kind):
            return _BASIC[kind]
        case Constant(value):
            return quoted(value) if isinstance(value, str) else json.dumps(value)
        case Array(items):
            inner = type_of(items, depth)
            return f"({inner})[]" if isinstance(items, Union) else f"{inner}[]"
        case Union(shapes):
            return " | ".join(type_of(one, depth) for one in shapes)
        case Reference(name):
            return name
        case Object():
            return _object(shape, depth)


def _object(shape: Object, depth: int) -> str:
    lines = [_field(field, depth + 1) for field in shape.fields]
    if shape.others is not None:
        # Named members must fit it too, whatever they are.
        other = "any" if shape.fields else type_of(shape.others, depth + 1)
        lines.append(f"{'  ' * (depth + 1)}[name: string]: {other}")
    if not lines:
        return "Record<string, never>"
    return "\n".join(("{", *lines, "  " * depth + "}"))


def _field(field: Field, depth: int) -> str:
    mark = "" if field.required else "?"
    text = f"{key(field.name)}{mark}: {type_of(field.shape, depth)}"
    return f"{comment(field.description, depth)}{'  ' * depth}{text}"


def key(name: str) -> str:
    """A member's name, quoted where it must be."""
    return name if _PLAIN.fullmatch(name) else quoted(name)


def comment(text: str, depth: int) -> str:
    """A doc comment and its line's end; nothing for no text."""
    lines = lines_of(text.replace("*/", "* /"))
    margin = "  " * depth
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{margin}/** {lines[0]} */\n"
    body = "\n".join(f"{margin} * {line}".rstrip() for line in lines)
    return f"{margin}/**\n{body}\n{margin} */\n"
