"""A document as a row of the server: its canonical JSON beside the same thing as BSON.

`j` is the truth: the bytes that a reader is sent. `d` is what the server's own matcher and indexes
look at. `u` holds what indexes are over that is in no field: keys of unique ones, words. So a
client's field can never meet one of the engine's, and no read has to turn BSON into JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from baas.engines.mongo.driver import Binary, DatetimeMS, Row, size_of
from baas.errors import Code, Problem
from baas.schema.values import (
    DATE,
    MAX_INTEGER,
    MISSING,
    Document,
    Path,
    Value,
    canonical_number,
    date_to_ms,
    encode,
    is_date,
    value_at,
)

JSON: Final = "j"
BSON: Final = "d"
DERIVED: Final = "u"
ID: Final = "_id"
_INT64: Final = 2**63 - 1
#: The server's limit is 16 MiB for a row. One of the feed holds a document before and after; one of
#: a collection holds it as JSON and as BSON, which for a list of digits is six times as long.
MOST_BYTES: Final = 7 * 1024**2
_MOST_ROW_BYTES: Final = 16 * 1024**2 - 16 * 1024
#: What is no longer is held in any case, six times as long and filed under fifty thousand words.
_SURE_BYTES: Final = 2 * 1024**2
_KEY_BYTES: Final = 16
#: The server takes a hundred levels, those of the row and of the command around it included.
DEEPEST: Final = 90


def row_of(id: str, document: Document, body: bytes, derived: Row) -> Row:
    row: Row = {ID: id, JSON: Binary(body), BSON: to_bson(document)}
    if derived:
        row[DERIVED] = derived
    return row


def check_size(document: Document, body: bytes, derive: Callable[[], Row]) -> None:
    """LIMIT_EXCEEDED for a document that the server cannot hold; `derive`: what goes with it."""
    if body.count(b"{") + body.count(b"[") > DEEPEST and _depth(document) > DEEPEST:
        message = f"A document of more than {DEEPEST} levels is too deep for this store."
        raise Problem(Code.LIMIT_EXCEEDED, message)
    if len(body) <= _SURE_BYTES:
        return
    if len(body) > MOST_BYTES or size_of(row_of("", document, body, derive())) > _MOST_ROW_BYTES:
        message = f"A document of {len(body)} bytes is too large for this store."
        raise Problem(Code.LIMIT_EXCEEDED, message)


def _depth(value: Value) -> int:
    if type(value) is dict:
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if type(value) is list else 0


def to_bson(value: Value) -> Any:
    """As the server compares it: dates as dates, numbers as 64-bit integers or doubles."""
    kind = type(value)
    if kind is dict:
        if is_date(value):
            return DatetimeMS(date_to_ms(value))
        return {field_name(name): to_bson(item) for name, item in value.items()}
    if kind is list:
        return [to_bson(item) for item in value]
    if kind is int and not -_INT64 <= value <= _INT64:
        return float(value)
    return value


@lru_cache(maxsize=4096)
def field_name(name: str) -> str:
    """A name that the server's paths can speak of.

    Clients cannot send a `.`, a NUL or a leading `$`; what the kit itself stores may have them,
    and nothing filters by such a name.
    """
    if name.startswith("$"):
        name = "\uff04" + name[1:]
    return name.replace(".", "\uff0e").replace("\0", "\u2400")


@lru_cache(maxsize=4096)
def server_path(path: Path, root: str = BSON) -> str:
    """The path in a row; `_id` is the row's own."""
    if root == BSON and path == (ID,):
        return ID
    names = [field_name(name) for name in path]
    return ".".join([root, *names] if root else names)


def array_paths(document: Document) -> set[Path]:
    """Where a document has arrays, by names alone; what lies inside an array is not looked at."""
    found: set[Path] = set()
    _collect(document, (), found)
    return found


def _collect(value: Document, path: Path, found: set[Path]) -> None:
    for name, item in value.items():
        kind = type(item)
        if kind is list:
            found.add((*path, name))
        elif kind is dict and DATE not in item:
            _collect(item, (*path, name), found)


def unique_key(document: Document, paths: Iterable[Path]) -> Binary | None:
    """The key of a unique index; None where the document lacks one of its fields."""
    values = [value_at(document, path) for path in paths]
    if any(value is MISSING for value in values):
        return None
    text = encode([_canonical(value) for value in values])
    return Binary(hashlib.blake2b(text, digest_size=_KEY_BYTES).digest())


def _canonical(value: Value) -> Value:
    """Equal values have equal JSON: numbers in one form."""
    kind = type(value)
    if kind is float:
        return canonical_number(value)
    if kind is int and not -MAX_INTEGER <= value <= MAX_INTEGER:
        return float(value)
    if kind is list:
        return [_canonical(item) for item in value]
    if kind is dict:
        return {name: _canonical(item) for name, item in value.items()}
    return value
