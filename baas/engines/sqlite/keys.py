"""One key expression per path: where the kit's order becomes SQLite's own.

SQLite orders storage classes NULL < numbers < text < blobs; the kit orders null, numbers, strings,
objects, arrays, booleans, dates. So a value's key is itself where SQLite has such a class, and
else a blob whose first byte is its kind:

    null, missing   NULL
    number, string  itself
    object, array   04..., 05... and an order-preserving encoding of the whole
    boolean         06 00, 06 01
    date            07 and the canonical text

Equality is `key IS ?`, a range is two bounds within one kind, and ORDER BY the key is the kit's
order, with the same expression in every index. `encode_key` is the Python side of the same
function; a property test holds the two together.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from baas.schema.values import DATE, Kind, Path, Value, decode, encode, kind_of

#: What SQLite stores of a value for comparison.
Key: TypeAlias = int | float | str | bytes | None

#: The name under which every connection registers `container_key`.
CONTAINER_KEY: Final = "baas_key"

_END: Final = b"\x00"
_TAGS: Final = {kind: bytes([kind + 1]) for kind in Kind}
_TRUE: Final = _TAGS[Kind.BOOLEAN] + b"\x01"
_FALSE: Final = _TAGS[Kind.BOOLEAN] + b"\x00"
_DATE: Final = _TAGS[Kind.DATE]
#: The largest integer that SQLite keeps as one; beyond it numbers are doubles there.
_INT64: Final = 2**63 - 1


def encode_key(value: Value) -> Key:
    """The key of a value; a missing one has the key of null."""
    kind = type(value)
    if kind is str or kind is float:
        return value  # type: ignore[no-any-return]
    if kind is int:
        return value if -_INT64 <= value <= _INT64 else float(value)
    if kind is bool:
        return _TRUE if value else _FALSE
    if kind is dict or kind is list:
        return _container_key(value)
    return None


def _container_key(value: Value) -> bytes:
    kind = kind_of(value)
    if kind is Kind.DATE:
        return _DATE + _text(value[DATE])
    return _TAGS[kind] + _PAYLOADS[kind](value)


def container_key(text: str | None) -> bytes | None:
    """SQL function: the key of an object or array given as JSON text."""
    return None if text is None else _container_key(decode(text))


def kind_bounds(kind: Kind) -> tuple[str | None, str]:
    """SQL literals between which all keys of a kind lie: from the first, below the second.

    None: nothing lies below (numbers are above NULL alone, and NULL is in no range).
    """
    if kind is Kind.NUMBER:
        return None, "''"
    if kind is Kind.STRING:
        return "''", "x''"
    tag = kind + 1
    return f"x'{tag:02x}'", f"x'{tag + 1:02x}'"


# -- the inside of objects and arrays --------------------------------------------------------------


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _number_payload(value: float) -> bytes:
    bits: int = struct.unpack(">Q", struct.pack(">d", float(value) + 0.0))[0]
    # Two's complement trick for IEEE 754: as unsigned integers, these sort as the doubles do.
    return struct.pack(">Q", bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 1 << 63))


def _string_payload(value: str) -> bytes:
    return _text(value) + _END


def _array_payload(value: list[Value]) -> bytes:
    return b"".join([_TAGS[kind_of(item)] + _payload(item) for item in value]) + _END


def _object_payload(value: dict[str, Value]) -> bytes:
    fields = [
        _TAGS[kind_of(item)] + _string_payload(name) + _payload(item)
        for name, item in value.items()
    ]
    return b"".join(fields) + _END


def _payload(value: Value) -> bytes:
    return _PAYLOADS[kind_of(value)](value)


_PAYLOADS: Final[dict[Kind, Callable[[Any], bytes]]] = {
    Kind.NULL: lambda value: b"",
    Kind.NUMBER: _number_payload,
    Kind.STRING: _string_payload,
    Kind.OBJECT: _object_payload,
    Kind.ARRAY: _array_payload,
    Kind.BOOLEAN: lambda value: b"\x01" if value else b"\x00",
    Kind.DATE: lambda value: _string_payload(value[DATE]),
}


# -- SQL -------------------------------------------------------------------------------------------


def quote(text: str) -> str:
    """An SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


@lru_cache(maxsize=4096)
def json_path(path: Path) -> str:
    """The SQL literal of a JSON path: `$."a"."b"`, each name in JSON's own escapes.

    SQLite unescapes both sides, so any name is safe, whatever is in it.
    """
    return quote("$" + "".join("." + encode(name).decode() for name in path))


@lru_cache(maxsize=4096)
def key_sql(path: Path, json: str = "doc") -> str:
    """The key of `path` in the JSON text column `json`, where no array lies on the path above the
    value. An array above it yields NULL."""
    here, date = json_path(path), json_path((*path, DATE))
    value = f"json_extract({json},{here})"
    return (
        f"CASE json_type({json},{here}) WHEN 'true' THEN x'{_TRUE.hex()}' WHEN 'false' THEN "
        f"x'{_FALSE.hex()}' WHEN 'object' THEN ifnull(CAST(char({_DATE[0]})||"
        f"json_extract({json},{date}) AS BLOB),{CONTAINER_KEY}({value})) "
        f"WHEN 'array' THEN {CONTAINER_KEY}({value}) ELSE {value} END"
    )


def row_key_sql(row: str) -> str:
    """The key of one row of `json_each`, known by the alias `row`."""
    value = f"{row}.value"
    return (
        f"CASE {row}.type WHEN 'true' THEN x'{_TRUE.hex()}' WHEN 'false' THEN x'{_FALSE.hex()}' "
        f"WHEN 'object' THEN {CONTAINER_KEY}({value}) WHEN 'array' THEN {CONTAINER_KEY}({value}) "
        f"ELSE {row}.atom END"
    )
