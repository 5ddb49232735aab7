"""Shapes as Python types: expressions, and the TypedDicts that they need names for."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Literal, TypeAlias

import msgspec

from baas_sdkgen.names import free, pascal
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
)
from baas_sdkgen.texts import lines_of, quoted

#: What a type is for: a value as it is read, as it is written, what an update makes of it, or what
#: a filter asks of it.
Use: TypeAlias = Literal["read", "write", "becomes", "is"]

_BASIC: Final = {
    "string": "str",
    "number": "float",
    "integer": "int",
    "boolean": "bool",
    "null": "None",
    "date": "datetime",
    "geo": "Geometry",
}
_SUFFIXES: Final = {"read": "", "write": "Create", "becomes": "Changes", "is": "Where"}
#: Members that the server keeps; not in what is created or changed.
_STORED: Final = ("_id", "_openid", "_createTime", "_updateTime")
_BASES: Final = {
    "Stored": {
        "_id": "str",
        "_openid": "NotRequired[str]",
        "_createTime": "datetime",
        "_updateTime": "datetime",
    },
    "StoredIs": {
        "_id": "Is[str]",
        "_openid": "Is[str]",
        "_createTime": "IsDate",
        "_updateTime": "IsDate",
    },
    "Named": {"_id": "NotRequired[str]"},
}
#: Paths into a document: so deep, and so many, or none is checked.
_MOST_DEEP: Final = 5
_MOST_PATHS: Final = 300
_LINE: Final = 100


class Member(msgspec.Struct, frozen=True):
    name: str
    type: str
    required: bool = True
    description: str = ""


class Types:
    """Definitions, in the order in which they were asked for; equal shapes share one."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self._taken = set(reserved)
        self._known: dict[tuple[str, str, str], str] = {}
        self.definitions: list[str] = []
        self.names: list[str] = []

    def name(self, wanted: str) -> str:
        """A name that nothing else has."""
        found = free(wanted, self._taken)
        self._taken.add(found)
        self.names.append(found)
        return found

    # -- values

    def of(self, shape: Shape, use: Use, wanted: str) -> str:
        """A type expression. `wanted`: what it would be called, had it a name."""
        match shape:
            case Anything():
                return "Any"
            case Never():
                return "Never"
            case Basic(kind):
                return "Moment" if kind == "date" and use != "read" else _BASIC[kind]
            case Constant(value):
                return "float" if isinstance(value, float) else f"Literal[{literal(value)}]"
            case Array(items):
                return f"list[{self.of(items, _inside(use), wanted)}]"
            case Union(shapes):
                return _joined([self.of(one, use, wanted) for one in shapes])
            case Reference(name):
                return name
            case Object():
                return self._object(shape, use, wanted)

    def document(self, shape: Object, use: Use, wanted: str) -> str:
        """A whole document, with the members that the server keeps."""
        base = {"read": "Stored", "write": "Named", "is": "StoredIs"}.get(use, "")
        return self._object(shape, use, f"{wanted}{_SUFFIXES[use]}", base)

    def schema(self, shape: Object, name: str) -> str:
        """The definition of one that has a name of its own."""
        return _typed_dict(name, list(self._members(shape, "read", name)), "", False)

    def _object(self, shape: Object, use: Use, wanted: str, base: str = "") -> str:
        if not shape.fields and shape.others is not None:
            inside = self.of(shape.others, _inside(use), wanted)
            return f"dict[str, {inside}]" if use == "read" else f"Mapping[str, {inside}]"
        own = self._named(shape, use, wanted, base)
        # Named members beside any others cannot be said: what is read has its names, and what is
        # written is taken as it comes.
        return f"{own} | Mapping[str, Any]" if is_open(shape) and use != "read" else own

    def _named(self, shape: Object, use: Use, wanted: str, base: str) -> str:
        key = (repr(shape), use, base)
        if key not in self._known:
            self._known[key] = name = self.name(wanted)
            members = list(self._members(shape, use, name))
            # After those that it refers to, for who reads it from the top.
            self.definitions.append(_typed_dict(name, members, base, use in ("becomes", "is")))
        return self._known[key]

    def _members(self, shape: Object, use: Use, name: str) -> Iterator[Member]:
        if use in ("read", "write"):
            for field in shape.fields:
                if field.name not in _STORED:
                    kind = self.of(field.shape, use, f"{name}{pascal(field.name)}")
                    yield Member(field.name, kind, field.required, field.description)
            return
        for path, field in islice(paths_of(shape, lists=use == "is"), _MOST_PATHS):
            if path not in _STORED:
                wanted = f"{name}{pascal(path)}"
                said = self._asked(field, wanted) if use == "is" else self._becomes(field, wanted)
                yield Member(path, said)

    def _becomes(self, field: Field, wanted: str) -> str:
        return f"Becomes[{self.of(field.shape, 'becomes', wanted)}]"

    def _asked(self, field: Field, wanted: str) -> str:
        shape = field.shape
        if isinstance(shape, Basic) and shape.kind in ("string", "date", "geo"):
            return {"string": "IsText", "date": "IsDate", "geo": "IsPlace"}[shape.kind]
        kinds = [self.of(shape, "is", wanted)]
        if isinstance(shape, Array):
            kinds.append(self.of(shape.items, "write", wanted))
        return f"Is[{_joined(kinds)}]"

    # -- paths

    def fields(self, shape: Object, wanted: str) -> str:
        """The dotted paths of a document."""
        if is_open(shape):
            return "str"
        found = [path for path, _ in paths_of(shape) if path not in _STORED]
        items = "".join(f"    {literal(path)},\n" for path in (*_STORED, *found))
        key = (items, "fields", "")
        if key not in self._known:
            self._known[key] = name = self.name(f"{wanted}Fields")
            self.definitions.append(f"{name}: TypeAlias = Literal[\n{items}]\n")
        return self._known[key]


def is_open(shape: Object) -> bool:
    """Whether members that are not named are allowed, or there are more paths than can be said."""
    return shape.others is not None or _is_vast(shape)


def _is_vast(shape: Object) -> bool:
    return sum(1 for _ in islice(paths_of(shape), _MOST_PATHS + 1)) > _MOST_PATHS


def paths_of(
    shape: Object, prefix: str = "", depth: int = 1, *, lists: bool = True
) -> Iterator[tuple[str, Field]]:
    """Dotted paths through objects; with `lists` through the objects in them too, as filters go."""
    for field in shape.fields:
        path = f"{prefix}{field.name}"
        yield path, field
        below = field.shape
        if lists and isinstance(below, Array):
            below = below.items
        if isinstance(below, Object) and depth < _MOST_DEEP:
            yield from paths_of(below, f"{path}.", depth + 1, lists=lists)


def literal(value: object) -> str:
    """A Python literal: text never leaves its quotes."""
    return quoted(value) if isinstance(value, str) else repr(value)


def comment(text: str, indent: str = "") -> str:
    """Lines of a comment with their ends; nothing for no text."""
    return "".join(f"{indent}# {line}".rstrip() + "\n" for line in lines_of(text))


def _inside(use: Use) -> Use:
    """What stands in lists and maps is written whole."""
    return "read" if use == "read" else "write"


def _joined(types: Sequence[str]) -> str:
    """One type for any of them, literals together, none twice."""
    literals = [one[8:-1] for one in types if _is_literal(one)]
    found = [f"Literal[{', '.join(literals)}]"] if literals else []
    for one in types:
        plain = "None" if one == "Literal[None]" else one
        if not _is_literal(one) and plain not in found:
            found.append(plain)
    return " | ".join(found)


def _is_literal(expression: str) -> bool:
    """One, and not several types beginning with one."""
    whole = expression.startswith("Literal[") and " | " not in expression
    return whole and expression != "Literal[None]"


def _typed_dict(name: str, members: list[Member], base: str, partial: bool) -> str:
    if all(_is_plain(member.name) for member in members):
        return _class(name, members, base, partial)
    inherited = [Member(one, kind) for one, kind in _BASES.get(base, {}).items()]
    indent = " " * 8
    lines = [
        f"{comment(one.description, indent)}{indent}{literal(one.name)}: {literal(_said(one))},\n"
        for one in (*inherited, *members)
    ]
    end = "    total=False,\n" if partial else ""
    return f"{name} = TypedDict(\n    {literal(name)},\n    {{\n{''.join(lines)}    }},\n{end})\n"


def _class(name: str, members: list[Member], base: str, partial: bool) -> str:
    head = f"class {name}({base or 'TypedDict'}{', total=False' if partial else ''}):\n"
    lines = [f"{comment(one.description, '    ')}    {one.name}: {_said(one)}\n" for one in members]
    return head + ("".join(lines) or "    pass\n")


def _said(member: Member) -> str:
    return member.type if member.required else f"NotRequired[{member.type}]"


def _is_plain(name: str) -> bool:
    """Whether it can stand as a name in a class; two underscores in front would be changed there.
    Python compares identifiers as NFKC, members of a document are compared as they are."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None
    return plain and not keyword.iskeyword(name) and not name.startswith("__")
