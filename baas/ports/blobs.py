"""BlobStore: bytes under keys that the server makes up.

Nothing of a client ever names a blob: keys are `new_key()`, ids of uploads the storage service's
own. What a file is called, whose it is and who may read it are rows of the document store; a blob
without a row is nobody's and is swept. So a blob is written whole, once, and never changed: a file
that is replaced gets a new one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Awaitable
from typing import Final, Protocol

import msgspec

#: 40 hexadecimal digits: 160 random bits, the same on file systems that fold case.
KEY_PATTERN: Final = re.compile(r"[0-9a-f]{40}", re.ASCII)
#: Of unfinished uploads, likewise made by the server.
UPLOAD_PATTERN: Final = re.compile(r"[0-9a-f]{48}", re.ASCII)
MAX_PARTS: Final = 10_000
#: What engines read, write and hand over at a time: worth a thread's time, and little memory.
CHUNK_BYTES: Final = 256 * 1024


def new_key() -> str:
    return secrets.token_hex(20)


def new_upload() -> str:
    """Unguessable: whoever knows it may go on with an upload that nobody owns."""
    return secrets.token_hex(24)


class BlobMissing(Exception):
    """There is no blob of this key (any more), or no such upload."""


class Digest(msgspec.Struct, frozen=True):
    """What was written: bytes, and their digests in hexadecimal."""

    size: int
    sha256: str
    md5: str


class Part(msgspec.Struct, frozen=True):
    """A part of an unfinished upload."""

    number: int
    size: int


class Listed(msgspec.Struct, frozen=True):
    """A blob, or an unfinished upload, and when it was last written to, in ms since 1970."""

    key: str
    modified_ms: int


class UploadForm(msgspec.Struct, frozen=True):
    """Leave to send the bytes of an upload straight to the store: a multipart form to `url`, with
    these `fields` first and the bytes as `file` last."""

    url: str
    fields: dict[str, str]


async def gathered(data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """In pieces of `CHUNK_BYTES` or a little more."""
    waiting: list[bytes] = []
    size = 0
    async for piece in data:
        waiting.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if size:
        yield b"".join(waiting)


class BlobReader(Protocol):
    """An open blob, or a range of one. A blob that is deleted meanwhile is read to its end."""

    async def read(self) -> bytes:
        """The next piece, of a size that suits the engine; empty at the end."""
        ...

    async def close(self) -> None:
        """Safe twice."""
        ...


class BlobStore(Protocol):
    """The whole port. Memory is bounded whatever the size; nothing blocks the event loop."""

    def start(self) -> Awaitable[None]:
        """ConfigurationError, naming the setting, where blobs could not be kept."""
        ...

    def close(self) -> Awaitable[None]:
        """Lets go of what it holds; safe twice, and without a start."""
        ...

    def check(self) -> Awaitable[None]:
        """Problem(UNAVAILABLE) unless blobs can be reached now. For /readyz; cheap."""
        ...

    def put(self, key: str, data: AsyncIterator[bytes]) -> Awaitable[Digest]:
        """Stores `data` whole under a new key; done means durable. What `data` raises passes
        through, and then nothing is stored."""
        ...

    def open(self, key: str, start: int = 0, end: int | None = None) -> Awaitable[BlobReader]:
        """Bytes `start` up to `end` (exclusive; None: all). BlobMissing."""
        ...

    def delete(self, key: str) -> Awaitable[None]:
        """Fine where there is none."""
        ...

    def listing(self) -> AsyncIterator[Listed]:
        """Every blob, in no order; those that come or go meanwhile may be in it or not."""
        ...

    # -- uploads in parts -------------------------------------------------------------------------

    def put_part(self, upload: str, number: int, data: AsyncIterator[bytes]) -> Awaitable[Digest]:
        """Stores part `number` (from 1), replacing the one that was there. As `put`."""
        ...

    def parts(self, upload: str) -> Awaitable[list[Part]]:
        """Those that are there, by number; none for an upload that has not begun."""
        ...

    def join(self, upload: str, key: str) -> Awaitable[Digest]:
        """Stores the parts in order as the blob `key`, and keeps them: `abort` takes them away.
        BlobMissing where there is no part."""
        ...

    def abort(self, upload: str) -> Awaitable[None]:
        """Takes the parts away. Fine where there are none."""
        ...

    def uploads(self) -> AsyncIterator[Listed]:
        """Every upload that has parts."""
        ...

    def sweep(self, before_ms: int) -> Awaitable[int]:
        """Removes what writers that died left half written, untouched since `before_ms`; how
        many there were."""
        ...

    # -- links straight to the store --------------------------------------------------------------

    def link_to_read(
        self, key: str, *, seconds: int, content_type: str, disposition: str
    ) -> str | None:
        """A URL that reads the blob for so long, sent with that type and Content-Disposition;
        None where the engine has no address of its own. Whether there is such a blob is not
        looked at. No request is made."""
        ...

    def form_to_send(
        self, upload: str, *, size: int, content_type: str, seconds: int
    ) -> UploadForm | None:
        """A form that stores part 1 of the upload: that type, exactly `size` bytes. None where
        the engine takes no such form, or none so large. No request is made."""
        ...
