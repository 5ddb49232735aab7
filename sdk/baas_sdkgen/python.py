"""One app as Python types, and its clients: one of each face for each audience."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterator
from typing import Final

import msgspec

from baas_sdkgen.documents import documents_of, schema_names
from baas_sdkgen.manifest import Access, Collection, Manifest
from baas_sdkgen.names import distinct, pascal
from baas_sdkgen.python_types import Types, Use, comment, literal
from baas_sdkgen.shapes import Never, Object, Shape, shape_of

_OPERATIONS: Final = ("read", "update", "delete")
_FACES: Final = ("Async", "")
#: Before `Cloud` and the like they make names of the runtime, or of both roles together.
_BASES: Final = ("App", "Base", "Async")
#: What the generated file says itself.
_OWN: Final = frozenset(
    [
        "Any",
        "Callable",
        "Awaitable",
        "Literal",
        "Mapping",
        "Never",
        "NotRequired",
        "TypeAlias",
        "TypeVar",
        "TypedDict",
        "Unpack",
        "datetime",
        "overload",
        "Is",
        "IsText",
        "IsDate",
        "IsPlace",
        "Becomes",
        "Moment",
        "StoredIs",
        "Named",
        "R",
    ]
)
_HEAD: Final = '''\
"""Made by `baas sdk generate` from the rules and functions of {app}. What is changed here is lost.

`create_cloud` makes the client of callers who are signed in; others have classes of their own.
"""
# ruff: noqa
# fmt: off

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Literal, Never, NotRequired, TypeAlias, TypedDict, TypeVar, Unpack, overload

from .runtime import (
    AsyncBaseCloud,
    AsyncBaseDatabase,
    AsyncBaseTransaction,
    AsyncCollection,
    AsyncTransactionCollection,
    BaseCloud,
    BaseDatabase,
    BaseTransaction,
    CallOptions,
    Collection,
    FunctionAnswer,
    Geometry,
    Invocation,
    Stored,
    TransactionCollection,
)
from .runtime.types import Becomes, Is, IsDate, IsPlace, IsText, Moment, Named, StoredIs

R = TypeVar("R")
'''
_TRANSACTION: Final = """\
class {face}{name}Transaction({face}BaseTransaction):
{collections}"""
_DATABASE: Final = '''\
class {face}{name}Database({face}BaseDatabase):
{collections}
    {define} run_transaction(
        self,
        run: Callable[[{face}{name}Transaction], {result}],
        times: int = 3,
        **options: Unpack[CallOptions],
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return {wait}self._transact({face}{name}Transaction, run, times, options)
'''
_CLOUD: Final = '''\
class {face}{name}Cloud({face}AppCloud):
    """The client of {who}."""

    def database(self) -> {face}{name}Database:
        return {face}{name}Database(self._http, self._live)
'''


def python(manifest: Manifest, reserved: frozenset[str] = frozenset()) -> str:
    """The generated file. `reserved`: names that stand beside these."""
    return "\n\n".join((_HEAD.format(app=manifest.app), *_Writer(manifest, reserved).parts()))


class _Writer:
    def __init__(self, manifest: Manifest, reserved: frozenset[str]) -> None:
        self._manifest = manifest
        taken = reserved | _OWN | frozenset(keyword.kwlist) | frozenset(dir(builtins))
        audiences = {one: _audience(one) for one in manifest.audiences}
        self._audiences = distinct(audiences, _BASES, "roles")
        taken |= frozenset(_classes([*self._audiences.values(), *_BASES]))
        self._schemas = schema_names(manifest, taken)
        self._types = Types(taken | frozenset(self._schemas.values()))
        distinct({name: pascal(name) for name in manifest.collections}, (), "collections")

    def parts(self) -> Iterator[str]:
        clouds = [self._functions(face) for face in _FACES]
        schemas = [self._schema(name) for name in self._manifest.schemas]
        # Callers who are signed in come first: theirs are the plain names.
        audiences = sorted(self._audiences, key=lambda one: one != "user")
        databases = [part for one in audiences for part in self._audience(one)]
        yield self._exports()
        yield from schemas
        yield from self._types.definitions
        yield from clouds
        yield from databases

    def _exports(self) -> str:
        own = _classes(list(self._audiences.values()))
        names = sorted((*own, *self._schemas.values(), *self._types.names))
        lines = "".join(f"    {literal(name)},\n" for name in names)
        return f"__all__ = [\n{lines}]\n"

    # -- functions

    def _schema(self, name: str) -> str:
        schema = self._manifest.schemas[name]
        own = self._schemas[f"#/schemas/{name}"]
        shape = shape_of(schema, names=self._schemas, open=False)
        said = comment(schema.get("description", "")) if isinstance(schema, dict) else ""
        if isinstance(shape, Object) and shape.others is None:
            return said + self._types.schema(shape, own)
        return f"{said}{own}: TypeAlias = {literal(self._types.of(shape, 'read', own))}\n"

    def _functions(self, face: str) -> str:
        define, wait = ("async def", "await ") if face else ("def", "")
        calls, later = [], []
        for name, function in self._manifest.functions.items():
            event = self._type(function.event, f"{pascal(name)}Event", "write")
            result = self._type(function.result, f"{pascal(name)}Result", "read")
            data = "data: Any = None" if event == "Any" else f"data: {event}"
            head = f"self, name: Literal[{literal(name)}], {data}"
            calls.append(_Head(head, f"FunctionAnswer[{result}]", function.summary))
            later.append(_Head(f"{head}, delay: int = 0", "Invocation"))
        call = _Method(f"{define} call_function", f"return {wait}self._call(name, data, options)")
        hand = f"return {wait}self._call_later(name, data, delay, options)"
        over = _Method(f"{define} call_function_later", hand)
        plain = "self, name: str, data: Any = None"
        return "\n".join(
            (
                f"class {face}AppCloud({face}BaseCloud):",
                call.over(calls, _Head(plain, "FunctionAnswer[Any]", _CALL)),
                over.over(later, _Head(f"{plain}, delay: int = 0", "Invocation", _LATER)),
            )
        )

    def _type(self, schema: object, wanted: str, use: Use) -> str:
        if schema is None:
            return "Any"
        return self._types.of(shape_of(schema, names=self._schemas, open=False), use, wanted)

    # -- collections

    def _audience(self, audience: str) -> Iterator[str]:
        prefix = self._audiences[audience]
        short = "" if audience == "user" else prefix
        found = {
            name: self._collection(collection, audience, f"{short}{pascal(name)}")
            for name, collection in self._manifest.collections.items()
        }
        for face in _FACES:
            define, wait = ("async def", "await ") if face else ("def", "")
            more = {"face": face, "name": prefix, "define": define, "wait": wait}
            inside = {
                name: f"{face}TransactionCollection[{', '.join(types[:3])}]"
                for name, types in found.items()
            }
            yield _TRANSACTION.format(collections=_collections(inside), **more)
            whole = {name: f"{face}Collection[{', '.join(types)}]" for name, types in found.items()}
            result = "Awaitable[R]" if face else "R"
            yield _DATABASE.format(collections=_collections(whole), result=result, **more)
            yield _CLOUD.format(who=_who(audience), **more)

    def _collection(self, collection: Collection, audience: str, name: str) -> list[str]:
        """The types of a Collection: read, created, changed, asked for, and its paths."""
        access = collection.access[audience]
        found = documents_of(collection, access)
        return [
            self._whole(found.read, "read", name),
            self._whole(found.create, "write", name),
            self._whole(found.update, "becomes", name),
            *self._asked(found.read, access, name),
        ]

    def _whole(self, shape: Shape, use: Use, name: str) -> str:
        if isinstance(shape, Never):
            return "Never"
        if isinstance(shape, Object):
            return self._types.document(shape, use, name)
        return "dict[str, Any]" if use == "read" else "Mapping[str, Any]"

    def _asked(self, shape: Shape, access: Access, name: str) -> list[str]:
        if all(access.operations.get(one) == "never" for one in _OPERATIONS):
            return ["Never", "Never"]
        if isinstance(shape, Object):
            return [self._types.document(shape, "is", name), self._types.fields(shape, name)]
        return ["Mapping[str, Any]", "str"]


_CALL: Final = """\
A repeat after a lost answer is safe for callers who are signed in: the gateway runs it once."""
_LATER: Final = """\
Hands a call over; it runs even if this program ends. `delay` in seconds."""


class _Head(msgspec.Struct, frozen=True):
    """Parameters and result of a method, and what it does."""

    parameters: str
    result: str
    about: str = ""


class _Method(msgspec.Struct, frozen=True):
    define: str
    body: str

    def over(self, heads: list[_Head], plain: _Head) -> str:
        """With these overloads, of which type checkers want none or two at least."""
        if len(heads) == 1:
            return self._whole(heads[0])
        each = [
            f"{comment(head.about, '    ')}    @overload\n    {self._line(head)} ...\n"
            for head in heads
        ]
        return "\n".join((*each, self._whole(plain)))

    def _whole(self, head: _Head) -> str:
        return f"{comment(head.about, '    ')}    {self._line(head)}\n        {self.body}\n"

    def _line(self, head: _Head) -> str:
        more = "**options: Unpack[CallOptions]"
        return f"{self.define}({head.parameters}, {more}) -> {head.result}:"


def _collections(types: dict[str, str]) -> str:
    """`collection(name)`, by the names that there are."""
    heads = [("", f"self, name: Literal[{literal(name)}]", kind) for name, kind in types.items()]
    if not heads:
        return "    def collection(self, name: Never) -> Never:\n        raise KeyError(name)\n"
    if len(heads) == 1:
        ((_, head, kind),) = heads
        return f"    def collection({head}) -> {kind}:\n        return self._collection(name)\n"
    lines = [
        f"    @overload\n    def collection({head}) -> {kind}: ...\n" for _, head, kind in heads
    ]
    end = "    def collection(self, name: str) -> Any:\n        return self._collection(name)\n"
    return "\n".join((*lines, end))


def _classes(names: list[str]) -> list[str]:
    parts = ("Cloud", "Database", "Transaction")
    return [f"{face}{name}{part}" for face in _FACES for name in names for part in parts]


def _audience(role: str) -> str:
    """`AsyncUser` in front of `Cloud` would be a face of `User`."""
    name = pascal(role)
    return f"Role{name}" if name.startswith("Async") else name


def _who(audience: str) -> str:
    if audience == "nobody":
        return "callers who are not signed in"
    if audience == "user":
        return "callers who are signed in"
    return f"callers with the role {_docstring(audience)}"


def _docstring(text: str) -> str:
    """As it may stand between three quotes."""
    return literal(text).replace("\\", "\\\\").replace('"', "'")
