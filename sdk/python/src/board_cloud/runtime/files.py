"""Files on their way: forms as the gateway takes them, sources, targets, names."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias, TypedDict
from urllib.parse import quote

from .errors import BaasError
from .ids import random_text
from .options import CallOptions, Progress, TransferOptions
from .policy import TRANSFER_SECONDS

#: Bytes, a path, or a file that is open for reading bytes, from where it stands to its end.
Source: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO

PIECE_BYTES: Final = 64 * 1024
_TYPE: Final = "application/octet-stream"
_SCHEME: Final = "cloud://"


class ImageOptions(TypedDict, total=False):
    """A variant of a picture: width, height, `fit`, format, quality."""

    w: int
    h: int
    fit: str
    format: str
    q: int


@dataclass(frozen=True, slots=True)
class Form:
    """A form with one file, fields first: what comes before the file and after it."""

    boundary: str
    head: bytes
    tail: bytes

    def headers(self, size: int) -> dict[str, str]:
        """`size`: that of the file, in bytes."""
        return {
            "Content-Type": f"multipart/form-data; boundary={self.boundary}",
            "Content-Length": str(len(self.head) + size + len(self.tail)),
        }


def form_of(fields: Mapping[str, str], name: str, content_type: str | None) -> Form:
    boundary = f"baas-{random_text(32)}"
    part = f"--{boundary}\r\nContent-Disposition: form-data; name="
    head = "".join(f'{part}"{_quoted(key)}"\r\n\r\n{text}\r\n' for key, text in fields.items())
    head += f'{part}"file"; filename="{_quoted(name)}"\r\n'
    head += f"Content-Type: {_line(content_type or _TYPE)}\r\n\r\n"
    return Form(boundary, head.encode(), f"\r\n--{boundary}--\r\n".encode())


def _quoted(text: str) -> str:
    """As browsers write names of fields and files (HTML, multipart/form-data)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _line(text: str) -> str:
    if "\r" in text or "\n" in text:
        raise ValueError("content_type has more than one line")
    return text


# -- where bytes come from and go to ---------------------------------------------------------------


@contextmanager
def opened(source: Source) -> Iterator[tuple[BinaryIO, int]]:
    """The file and the bytes that are left in it. One that was given open stays open."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        yield io.BytesIO(data), len(data)
    elif isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    else:
        here = source.tell()
        end = source.seek(0, os.SEEK_END)
        source.seek(here)
        yield source, end - here


class Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, size: int, tell: Callable[[Progress], None] | None) -> None:
        self._file = file
        self._left = self._size = size
        self._tell = tell

    def read(self) -> bytes:
        """The next piece: no more than was promised, even where the file has grown meanwhile."""
        piece = self._file.read(min(PIECE_BYTES, self._left))
        self._left -= len(piece)
        return piece

    def report(self) -> None:
        if self._tell is not None:
            self._tell(Progress(self._size - self._left, self._size))


@contextmanager
def landing(to: str | os.PathLike[str] | None) -> Iterator[BinaryIO]:
    """Memory, or a draft beside `to`, which it becomes where all went well."""
    if to is None:
        yield io.BytesIO()
        return
    target = Path(to)
    draft = target.with_name(f".{target.name}.{random_text(8)}")
    try:
        with draft.open("x+b") as file:
            yield file
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def content_of(file: BinaryIO) -> bytes:
    """What landed in memory."""
    return file.getvalue() if isinstance(file, io.BytesIO) else b""


def length_of(headers: Mapping[str, str]) -> int | None:
    """Of a body as it will be read, in bytes; None where that is not said."""
    text = headers.get("content-length")
    return int(text) if text and "content-encoding" not in headers else None


# -- names -----------------------------------------------------------------------------------------


def naming(name: str) -> dict[str, str]:
    """As bodies name a file: by its path or its `file_id`."""
    return {"fileId": name} if name.startswith(_SCHEME) else {"path": name}


def address_of(name: str, options: Mapping[str, Any]) -> str:
    """The path and query of a stored file."""
    path = name.removeprefix(_SCHEME).partition("/")[2] if name.startswith(_SCHEME) else name
    inside = "/".join(_segment(part) for part in path.split("/"))
    query = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in options.items())
    return f"/v1/storage/files/{inside}{'?' if query else ''}{query}"


def _segment(text: str) -> str:
    """`..` would be another address than a file's, however it is spelled."""
    if text in (".", ".."):
        raise BaasError("INVALID_ARGUMENT", "A file is named by its whole path.")
    return quote(text, safe="")


def calling(options: TransferOptions) -> CallOptions:
    """Those that are about the call."""
    found: CallOptions = {"timeout": TRANSFER_SECONDS}
    if options.get("timeout") is not None:
        found["timeout"] = options["timeout"]
    if "retries" in options:
        found["retries"] = options["retries"]
    return found
