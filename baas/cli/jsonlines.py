"""Documents as JSON Lines: one document per line, as it is stored, in UTF-8."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import IO, Final

import msgspec

from baas.clock import SystemClock
from baas.errors import ConfigurationError, Problem, invalid
from baas.ids import is_id, new_id
from baas.ports.documents import (
    Change,
    DocumentStore,
    DuplicateKey,
    Insert,
    Lookups,
    Outcome,
    Step,
    WriteInfo,
)
from baas.schema.admit import admit_document
from baas.schema.model import CollectionSpec
from baas.schema.validate import SchemaValidator
from baas.schema.values import Document, date_from_ms, decode, encode, is_date
from baas.settings import LimitSettings

#: Documents of one write: a bad line undoes those of its group.
GROUP: Final = 500
#: Fewer, where they are large: a write has a bound (`database.read_bytes`).
GROUP_BYTES: Final = 4 * 1024**2
_TELL_SECONDS: Final = 1.0
_TIMES: Final = ("_createTime", "_updateTime")


class Progress:
    """Counts on standard error: now and then on a terminal, and at the end."""

    def __init__(self, collection: str, done: str, stream: IO[str] | None = None) -> None:
        self.count = 0
        self._text = f"{collection}: {{:,}} documents {done}"
        self._stream = stream or sys.stderr
        self._next = time.monotonic() + _TELL_SECONDS

    def add(self, number: int) -> None:
        self.count += number
        if self._stream.isatty() and time.monotonic() >= self._next:
            self._next = time.monotonic() + _TELL_SECONDS
            print(f"\r{self._text.format(self.count)} ...", end="", file=self._stream, flush=True)

    def end(self) -> None:
        start = "\r" if self._stream.isatty() else ""
        print(f"{start}{self._text.format(self.count)}    ".rstrip(), file=self._stream)


async def export_collection(
    store: DocumentStore, collection: str, stream: IO[bytes], progress: Progress
) -> None:
    """Every document, in the order of `_id`, as of one moment."""
    async for body in store.scan(collection):
        stream.write(body + b"\n")
        progress.add(1)
    progress.end()


class Lines:
    """Reads lines as documents that may be stored in one collection."""

    def __init__(self, file: str, spec: CollectionSpec, limits: LimitSettings) -> None:
        """`file` is its name in messages."""
        self._file = file
        self._limits = limits
        self._validator = SchemaValidator(spec.schema)
        self._now_ms = SystemClock().now_ms()

    def fault(self, number: int, message: str) -> ConfigurationError:
        return ConfigurationError(message, file=self._file, line=number)

    def read(self, stream: IO[bytes]) -> Iterator[tuple[int, Document]]:
        """Line numbers (from 1) and documents; empty lines are passed over."""
        limit = self._limits.document_bytes
        number = 0
        while line := stream.readline(limit + 2):
            number += 1
            if len(line) > limit + 1:
                raise self.fault(number, f"longer than a document may be ({limit} bytes)")
            if line.strip():
                yield number, self._document(number, line)

    def _document(self, number: int, line: bytes) -> Document:
        try:
            document = admit_document(decode(line), self._limits, now_ms=self._now_ms)
            document = self._validator.with_defaults(document, now_ms=self._now_ms)
            self._validator.check(document)
            return self._stamped(document)
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            raise self.fault(number, f"not JSON: {fault}") from None
        except Problem as fault:
            raise self.fault(number, fault.detail) from None

    def _stamped(self, document: Document) -> Document:
        """Server fields are kept as they are, and made where they are missing (but the owner)."""
        if not is_id(document.get("_id", "-")):
            raise invalid("document._id", "an _id has 1 to 64 of A-Z a-z 0-9 _ -")
        if type(document.get("_openid", "")) is not str:
            raise invalid("document._openid", "must be a uid")
        for name in _TIMES:
            if not is_date(document.setdefault(name, date_from_ms(self._now_ms))):
                raise invalid(f"document.{name}", "must be a date")
        return {"_id": document.pop("_id", None) or new_id(), **document}


async def import_lines(
    store: DocumentStore,
    collection: str,
    lines: Lines,
    stream: IO[bytes],
    progress: Progress,
    *,
    replace: bool = False,
) -> None:
    """Writes the lines in groups, each wholly or not at all, in order.

    ConfigurationError with file and line for the first that is refused; groups before its own are
    kept, and the message says up to which line.
    """
    step = _replace if replace else _insert
    read = lines.read(stream)
    kept = 0
    try:
        while group := _group(read):
            steps = tuple(step(collection, document) for _, document in group)
            await _write(store, steps, [number for number, _ in group], lines)
            kept = group[-1][0]
            progress.add(len(group))
    except ConfigurationError as fault:
        reason = f"{fault.message} ({_kept(kept)})"
        raise ConfigurationError(reason, file=fault.file, line=fault.line) from None
    progress.end()


def _group(lines: Iterator[tuple[int, Document]]) -> list[tuple[int, Document]]:
    group, size = [], 0
    for number, document in lines:
        group.append((number, document))
        size += len(encode(document))
        if len(group) == GROUP or size >= GROUP_BYTES:
            break
    return group


def _kept(line: int) -> str:
    return f"lines 1 to {line} are imported" if line else "nothing is imported"


async def _write(
    store: DocumentStore, steps: tuple[Step, ...], numbers: list[int], lines: Lines
) -> None:
    try:
        await store.write(steps, WriteInfo())
    except DuplicateKey as fault:
        what = f"unique index {fault.index}" if fault.index else "_id"
        message = f"another document has the same {what}"
        if not fault.index:
            message += "; --replace replaces it"
        raise lines.fault(numbers[fault.step or 0], message) from None


def _insert(collection: str, document: Document) -> Step:
    return Insert(
        collection=collection, id=document["_id"], document=document, body=encode(document)
    )


def _replace(collection: str, document: Document) -> Step:
    def apply(_stored: Document | None, _lookups: Lookups) -> Outcome:
        return document

    return Change(collection=collection, id=document["_id"], apply=apply)
