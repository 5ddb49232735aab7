"""The value model that every part of the kit shares.

A document in memory is what its JSON says: dict, list, str, int, float, bool, None. A date is
the object `{"$date": "2026-11-20T08:00:00.000Z"}`, always in that canonical form (UTC,
milliseconds, years 1 to 9999), so text order is time order and what is stored is what is sent.
No field name starts with `$`, so nothing else looks like a date.

Numbers are canonical too: an integral float within +-(2^53-1) is kept as an int, and -0.0 as 0;
so equal numbers have equal JSON. `baas.schema.admit` brings client JSON into this form.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum
from typing import Any, Final, TypeAlias, TypeGuard

import msgspec

# Any, because a recursive alias costs more in casts than it finds in faults.
Value: TypeAlias = Any
Document: TypeAlias = dict[str, Any]
#: A dotted path, split. A component of digits alone may also be a position in an array.
Path: TypeAlias = tuple[str, ...]

DATE: Final = "$date"
MAX_INTEGER: Final = 2**53 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH: Final = datetime(1970, 1, 1)
MIN_DATE_MS: Final = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
MAX_DATE_MS: Final = (
    datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC) - _EPOCH
) // timedelta(milliseconds=1)


class _Missing(Enum):
    MISSING = "missing"

    def __bool__(self) -> bool:
        return False


#: What a path yields where a document has no such field. Not a value: never stored.
MISSING: Final = _Missing.MISSING


class Kind(IntEnum):
    """Types in the order in which they sort; within MongoDB's, for the types JSON has."""

    NULL = 0
    NUMBER = 1
    STRING = 2
    OBJECT = 3
    ARRAY = 4
    BOOLEAN = 5
    DATE = 6


_KINDS: Final[dict[type, Kind]] = {
    type(None): Kind.NULL,
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    str: Kind.STRING,
    list: Kind.ARRAY,
    bool: Kind.BOOLEAN,
}


def is_date(value: Value) -> TypeGuard[dict[str, str]]:
    return type(value) is dict and len(value) == 1 and DATE in value


def kind_of(value: Value) -> Kind:
    """The kind of a value; a missing one counts as null."""
    if type(value) is dict:
        return Kind.DATE if is_date(value) else Kind.OBJECT
    return _KINDS.get(type(value), Kind.NULL)


def date_from_ms(ms: int) -> dict[str, str]:
    """The date value of `ms` milliseconds since 1970; ValueError outside years 1 to 9999."""
    if not MIN_DATE_MS <= ms <= MAX_DATE_MS:
        raise ValueError("a date lies in the years 1 to 9999")
    # Without a zone, isoformat ends at the milliseconds; it pads the year to four digits.
    moment = _NAIVE_EPOCH + timedelta(milliseconds=ms)
    return {DATE: f"{moment.isoformat(timespec='milliseconds')}Z"}


def date_to_ms(value: dict[str, str]) -> int:
    """Milliseconds since 1970 of a canonical date value."""
    moment = datetime.fromisoformat(value[DATE])
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def canonical_number(value: int | float) -> int | float:
    if type(value) is float and value.is_integer() and -MAX_INTEGER <= value <= MAX_INTEGER:
        return int(value)
    return value


def value_at(document: Document, path: Path) -> Any:
    """The value at a path of names, or MISSING; arrays are not looked into."""
    value: Any = document
    for name in path:
        if type(value) is not dict or is_date(value) or name not in value:
            return MISSING
        value = value[name]
    return value


def compare(left: Value, right: Value) -> int:
    """-1, 0 or 1 in the kit's total order (MongoDB's, over JSON's types).

    Kinds first. Strings by code point. Arrays element by element, then by length. Objects field
    by field in stored order: kind of the value, then name, then value; then by length.
    A missing value equals null. An array is compared as a whole: its least and greatest element
    matter to sorting alone (`baas.query.order`).
    """
    left_kind, right_kind = kind_of(left), kind_of(right)
    if left_kind is not right_kind:
        return -1 if left_kind < right_kind else 1
    if left_kind is Kind.NULL:
        return 0
    if left_kind is Kind.OBJECT:
        return _compare_objects(left, right)
    if left_kind is Kind.ARRAY:
        return _compare_arrays(left, right)
    if left_kind is Kind.DATE:
        left, right = left[DATE], right[DATE]
    verdict: int = (left > right) - (left < right)
    return verdict


def _compare_arrays(left: list[Value], right: list[Value]) -> int:
    for one, other in zip(left, right, strict=False):
        if verdict := compare(one, other):
            return verdict
    return (len(left) > len(right)) - (len(left) < len(right))


def _compare_objects(left: Document, right: Document) -> int:
    for (name, one), (other_name, other) in zip(left.items(), right.items(), strict=False):
        kinds = kind_of(one) - kind_of(other)
        if kinds:
            return -1 if kinds < 0 else 1
        if name != other_name:
            return -1 if name < other_name else 1
        if verdict := compare(one, other):
            return verdict
    return (len(left) > len(right)) - (len(left) < len(right))


def equal(left: Value, right: Value) -> bool:
    """Exact equality: 1 equals 1.0, true does not equal 1, field order matters."""
    return compare(left, right) == 0


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder()


def encode(value: Value) -> bytes:
    """Canonical JSON bytes: what the engines store and what clients are sent."""
    return _encoder.encode(value)


def decode(data: bytes | str) -> Any:
    return _decoder.decode(data)
