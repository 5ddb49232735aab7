"""Uploads as forms (RFC 7578), read as they come: fields first, one file last.

Nothing of the file is held: its bytes go from the socket to whoever asks for them. Because all
fields are known by then, and the length of the body too, the file's size is known before its bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from time import monotonic
from typing import Any, Final

from multipart import (
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from baas.errors import Code, Problem, invalid
from baas.gateway.body import BODY_SECONDS, ClientGone
from baas.gateway.exchange import Exchange, Receive

#: Everything before the file's bytes.
MAX_HEAD_BYTES: Final = 64 * 1024
#: Bytes a second that a body has to bring on the whole, after a minute: less is no network but
#: somebody who holds connections.
LEAST_RATE: Final = 1024
#: The longest that one body is waited for; half of the age from which what has no row is swept
#: (`storage.sweep.GRACE_MS`: a store may date an object by when its upload began).
MOST_SECONDS: Final = 3600.0
FILE: Final = "file"


async def body_pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes. INVALID_ARGUMENT where nothing has come for a minute, where on the
    whole it comes more slowly than `LEAST_RATE`, or after `MOST_SECONDS`: only the time counts
    in which the client was waited for."""
    more, size, waited = True, 0, 0.0
    while more:
        patience = min(BODY_SECONDS + size / LEAST_RATE, MOST_SECONDS) - waited
        if patience <= 0:
            raise _late()
        started = monotonic()
        try:
            async with asyncio.timeout(min(BODY_SECONDS, patience)):
                message = await receive()
        except TimeoutError:
            raise _late() from None
        waited += monotonic() - started
        if message["type"] != "http.request":
            raise ClientGone
        more = message.get("more_body", False)
        if piece := message.get("body", b""):
            size += len(piece)
            yield piece


def _late() -> Problem:
    return Problem(Code.INVALID_ARGUMENT, "The body did not arrive in time.")


def is_form(exchange: Exchange) -> bool:
    return (exchange.text(b"content-type") or "").lower().startswith("multipart/form-data")


class UploadForm:
    """`await head()` reads up to the file: then `fields`, `file` and `sizes` are known (those that
    the file may have: the last line break of a form is optional), and `data()` gives its bytes."""

    def __init__(self, exchange: Exchange, receive: Receive, fields: tuple[str, ...]) -> None:
        self._pieces = body_pieces(receive)
        self._known = fields
        self._length = _length_of(exchange)
        self._boundary = _boundary_of(exchange)
        self._parser = PushMultipartParser(self._boundary, max_segment_count=len(fields) + 2)
        self._rest = b""
        self._fed = 0
        self._name = ""
        self._value: list[bytes] = []
        self.fields: dict[str, str] = {}
        self.sizes: tuple[int, ...] = ()
        self.file: MultipartSegment | None = None

    async def head(self) -> None:
        """INVALID_ARGUMENT, naming the field, for a form that is not as it has to be."""
        async for piece in self._pieces:
            # Line by line, so that the parser has never seen more than the line that ends a head.
            start = 0
            while start < len(piece):
                end = piece.find(b"\n", start) + 1 or len(piece)
                self._feed(piece[start:end])
                start = end
                if self.file is not None:
                    self._rest = piece[start:]
                    self.sizes = self._sizes()
                    return
        raise invalid(FILE, "is required")

    def _feed(self, line: bytes) -> None:
        self._fed += len(line)
        if self._fed > MAX_HEAD_BYTES:
            raise invalid("", f"the fields before the file have at most {MAX_HEAD_BYTES} bytes")
        for event in self._events(line):
            if isinstance(event, MultipartSegment):
                self._begin(event)
            elif event is None:
                self.fields[self._name] = _text(b"".join(self._value), self._name)
            else:
                self._value.append(event)

    def _begin(self, segment: MultipartSegment) -> None:
        name = segment.name or ""
        if name == FILE:
            self.file = segment
            return
        if name not in self._known:
            raise invalid(name[:64], "is not a known field")
        if name in self.fields:
            raise invalid(name, "is there twice")
        self._name, self._value = name, []

    def _sizes(self) -> tuple[int, ...]:
        end = len(b"\r\n--") + len(self._boundary) + len(b"--")
        most = self._length - self._fed - end
        sizes = tuple(size for size in (most - len(b"\r\n"), most) if size >= 0)
        if not sizes:
            raise _broken()
        return sizes

    async def data(self) -> AsyncIterator[bytes]:
        """The file's bytes. INVALID_ARGUMENT where anything but the form's end follows."""
        for piece in self._file_pieces(self._rest):
            yield piece
        async for received in self._pieces:
            for piece in self._file_pieces(received):
                yield piece
        if not self._is_complete():
            raise _broken()

    def _file_pieces(self, received: bytes) -> Iterator[bytes]:
        for event in self._events(received) if received else ():
            if isinstance(event, MultipartSegment):
                raise invalid(event.name or "", "stands behind the file, which comes last")
            if event is not None:
                yield bytes(event)

    def _is_complete(self) -> bool:
        try:
            self._parser.close()
        except MultipartError:
            return False
        return True

    def _events(self, piece: bytes) -> Iterator[Any]:
        try:
            yield from self._parser.parse(piece)
        except MultipartError:
            raise _broken() from None


def _broken() -> Problem:
    return invalid("", "the body is no well-formed multipart/form-data")


def _length_of(exchange: Exchange) -> int:
    given = exchange.text(b"content-length") or ""
    if not (given.isascii() and given.isdigit() and len(given) <= 15):
        raise invalid("Content-Length", "is needed to upload a file")
    return int(given)


def _boundary_of(exchange: Exchange) -> bytes:
    """UNSUPPORTED_MEDIA_TYPE for what is no form."""
    media, options = parse_options_header(exchange.text(b"content-type") or "")
    boundary = str(options.get("boundary", ""))
    if media != "multipart/form-data" or not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "Send a file as multipart/form-data.")
    if exchange.text(b"content-encoding") not in (None, "identity"):
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "Compressed bodies are not accepted.")
    return boundary.encode()


def _text(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise invalid(name, "is not UTF-8") from None
