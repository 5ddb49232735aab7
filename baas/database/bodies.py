"""Bodies and answers of the database verbs, and how a body becomes a Struct.

One typed decoder per verb: a name that is not of the verb is refused by name, a value of the wrong
type by path. What is inside `filter`, `update` and the like is JSON here and is read by
`baas.query`. The answers are Structs for the API's description alone; answers are made by joining
stored bytes.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from baas.errors import Code, FieldError, Problem, invalid
from baas.schema.values import MAX_INTEGER

Json = dict[str, Any]
Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
T = TypeVar("T")


class _Body(Struct, forbid_unknown_fields=True, kw_only=True):
    """A verb's body: nothing but these names."""


class FindBody(_Body, kw_only=True):
    """`limit` defaults to `limits.find_default`. `after` is the `next` of the page before, and
    excludes `skip`. `fields`: all 1 or all 0. `count` adds `total`."""

    filter: Json = {}
    sort: Json | list[Any] | None = None
    limit: Count | None = None
    skip: Count = 0
    after: str | None = None
    fields: Json | None = None
    count: bool = False


class GetBody(_Body, kw_only=True):
    id: str
    fields: Json | None = None


class CountBody(_Body, kw_only=True):
    filter: Json = {}


class InsertBody(_Body, kw_only=True):
    """Either `document` or `documents`, all or nothing."""

    document: Json | UnsetType = UNSET
    documents: list[Json] | UnsetType = UNSET
    return_: bool = field(default=False, name="return")


class UpdateBody(_Body, kw_only=True):
    """Either `id` or `filter`. `multi` goes with `filter`; `upsert` never with `multi`."""

    update: Json
    id: str | UnsetType = UNSET
    filter: Json | UnsetType = UNSET
    multi: bool = False
    upsert: bool = False
    return_: bool = field(default=False, name="return")


class ReplaceBody(_Body, kw_only=True):
    id: str
    document: Json
    upsert: bool = False
    return_: bool = field(default=False, name="return")


class DeleteBody(_Body, kw_only=True):
    """Either `id` or `filter`. `multi` goes with `filter`."""

    id: str | UnsetType = UNSET
    filter: Json | UnsetType = UNSET
    multi: bool = False
    return_: bool = field(default=False, name="return")


class AggregateBody(_Body, kw_only=True):
    pipeline: list[Json]


# -- transactions ---------------------------------------------------------------------------------


class FindOperation(FindBody, tag_field="verb", tag="find", kw_only=True):
    collection: str


class GetOperation(GetBody, tag_field="verb", tag="get", kw_only=True):
    collection: str


class InsertOperation(InsertBody, tag_field="verb", tag="insert", kw_only=True):
    collection: str


class UpdateOperation(UpdateBody, tag_field="verb", tag="update", kw_only=True):
    collection: str


class ReplaceOperation(ReplaceBody, tag_field="verb", tag="replace", kw_only=True):
    collection: str


class DeleteOperation(DeleteBody, tag_field="verb", tag="delete", kw_only=True):
    collection: str


Operation = (
    FindOperation
    | GetOperation
    | InsertOperation
    | UpdateOperation
    | ReplaceOperation
    | DeleteOperation
)


class Expectation(_Body, kw_only=True):
    """`etag` as `get` gave it; null: there is no such document."""

    collection: str
    id: str
    etag: str | None


class TransactionBody(_Body, kw_only=True):
    operations: list[Operation]
    expect: list[Expectation] = []


# -- answers --------------------------------------------------------------------------------------


class FindAnswer(Struct):
    documents: list[Json]
    next: str | None
    total: int | UnsetType = UNSET


class CountAnswer(Struct):
    total: int


class InsertAnswer(Struct):
    ids: list[str]
    documents: list[Json] | UnsetType = UNSET


class UpdateAnswer(Struct, rename={"upserted_id": "upsertedId"}):
    matched: int
    modified: int
    upserted_id: str | None
    documents: list[Json] | UnsetType = UNSET


class DeleteAnswer(Struct):
    deleted: int
    documents: list[Json] | UnsetType = UNSET


class AggregateAnswer(Struct):
    documents: list[Json]


class TransactionAnswer(Struct):
    """One answer per operation, as the verb by itself would give it."""

    results: list[Json]


# -- decoding -------------------------------------------------------------------------------------

_AT: Final = re.compile(r"(?P<message>.*?)(?: - at `(?P<path>[^`]*)`)?", re.DOTALL)
_NAMED: Final = re.compile(
    r"Object (?P<fault>contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL
)
_MAX_SHOWN: Final = 64
#: Values of one body, containers and names counted: what is done with each of them is done on the
#: event loop, a microsecond or two in all. Texts may be as long as the body.
MAX_VALUES: Final = 1_000_000
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


class BodyDecoder(Generic[T]):
    """Bytes to one verb's Struct; every fault a Problem that names the field."""

    def __init__(self, body_type: type[T]) -> None:
        self.decode: Final = msgspec.json.Decoder(body_type).decode

    def __call__(self, body: bytes) -> T:
        try:
            decoded = self.decode(body)
        except msgspec.ValidationError as fault:
            raise _problem(str(fault)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            if not body:
                raise invalid("", "The body is empty; send a JSON object, {} at least.") from None
            raise invalid("", f"The body is not well-formed JSON: {_reason(fault)}") from None
        except RecursionError:
            raise Problem(Code.LIMIT_EXCEEDED, "The body is nested too deeply.") from None
        if len(body) > MAX_VALUES:
            _check_values(body)
        return decoded


def _check_values(body: bytes) -> None:
    """LIMIT_EXCEEDED where there are more than MAX_VALUES: before each but the first there is a
    comma or the opening of a container. `body` is known to be JSON: in what is none, the pattern
    of a string could take quadratic time."""
    if _openings(body) > MAX_VALUES and _openings(_STRING.sub(b"", body)) > MAX_VALUES:
        raise Problem(Code.LIMIT_EXCEEDED, f"The body holds more than {MAX_VALUES} values.")


def _openings(text: bytes) -> int:
    return sum(map(text.count, (b",", b"[", b"{")))


def _reason(fault: Exception) -> str:
    return str(fault).removeprefix("JSON is malformed: ")


def _problem(text: str) -> Problem:
    problem = explained(text)
    problem.operation = _operation_of(problem.errors[0].path)
    return problem


def explained(text: str) -> Problem:
    """msgspec's text of a fault in our words, with a path like `operations.0.limit`."""
    match = _AT.fullmatch(text)
    assert match is not None
    message, path = match["message"], _dotted(match["path"] or "")
    if named := _NAMED.fullmatch(message):
        name = named["name"]
        name = name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}..."
        path = f"{path}.{name}" if path else name
        message = "is required" if named["fault"].startswith("missing") else "is not a known field"
    return invalid(path, message)


def _dotted(path: str) -> str:
    """`$.operations[0].limit` as `operations.0.limit`; any member of a mapping is `*`."""
    steps = path.removeprefix("$").replace("[...]", ".*")
    return steps.replace("[", ".").replace("]", "").strip(".")


def _operation_of(path: str) -> int | None:
    parts = path.split(".")
    is_operation = len(parts) > 1 and parts[0] == "operations" and parts[1].isdecimal()
    return int(parts[1]) if is_operation else None


def one_of(*names: str) -> Problem:
    """INVALID_ARGUMENT: exactly one of these fields is needed."""
    message = f"exactly one of {' and '.join(names)} is needed"
    faults = tuple(FieldError(name, message) for name in names)
    return Problem(Code.INVALID_ARGUMENT, f"{message[0].upper()}{message[1:]}.", errors=faults)
