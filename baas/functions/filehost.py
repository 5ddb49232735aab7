"""The storage service as calls of functions use it, in the gateway.

Files are read and written as streams that a call holds open: whatever it leaves open is let go of
when it ends, and what it did not commit is as if it had never been sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from enum import Enum
from functools import partial
from itertools import count
from typing import Any, Final, TypeAlias

import msgspec

from baas.database.bodies import BodyDecoder
from baas.errors import Code, Problem, invalid
from baas.functions.limits import Slots
from baas.ports.blobs import BlobReader
from baas.ports.documents import WriteInfo
from baas.schema.actor import Actor
from baas.schema.values import Document
from baas.storage.attributes import Checksums
from baas.storage.bodies import (
    DeleteFilesBody,
    File,
    FileName,
    ListBody,
    SignBody,
    TransferBody,
)
from baas.storage.parts import Caller
from baas.storage.rows import file_of
from baas.storage.service import StorageService
from baas.storage.writing import Wanted

#: Files that functions have open at once, all calls of this process together; more wait.
MAX_STREAMS: Final = 64
#: Files that one call may have open.
MAX_STREAMS_PER_CALL: Final = 16
#: Pieces of a file being written that wait for the disk.
_AHEAD: Final = 2
#: A file that is replaced just as it is opened is opened anew, so often.
_ATTEMPTS: Final = 5
_MAX_OPENID: Final = 128

_encode: Final = msgspec.json.Encoder().encode


class OpenBody(FileName, frozen=True, kw_only=True):
    """A file to be read: bytes `start` up to `end`, exclusive."""

    start: int = 0
    end: int | None = None


class CreateBody(FileName, frozen=True, kw_only=True):
    """A file to be written. `size` where it is known before the bytes come; `replaces` the hash
    of the file that it has to replace."""

    size: int | None = None
    content_type: str | None = None
    metadata: dict[str, Any] | None = None
    openid: str | None = None
    replaces: str | None = None


class Opened(msgspec.Struct, frozen=True):
    """`file` of one that is read."""

    stream: str
    file: File | msgspec.UnsetType = msgspec.UNSET


_NAME: Final = BodyDecoder(FileName)
_LIST: Final = BodyDecoder(ListBody)
_SIGN: Final = BodyDecoder(SignBody)
_DELETE: Final = BodyDecoder(DeleteFilesBody)
_TRANSFER: Final = BodyDecoder(TransferBody)
_OPEN: Final = BodyDecoder(OpenBody)
_CREATE: Final = BodyDecoder(CreateBody)


class Files:
    """One per gateway process. `base` begins the links that `sign` gives."""

    def __init__(self, service: StorageService, base: str = "") -> None:
        self.service: Final = service
        self.slots: Final = Slots(MAX_STREAMS)
        self._base = base.rstrip("/")
        self._verbs: Final[dict[str, Callable[[bytes, Caller], Awaitable[bytes]]]] = {
            "stat": self._stat,
            "list": self._list,
            "sign": self._sign,
            "delete": self._delete,
            "copy": self._copy,
            "move": self._move,
        }

    def of_call(self, ip: str, origin: WriteInfo, deadline: float) -> CallFiles:
        """`origin` is who is behind the call; `deadline` in seconds of `time.monotonic`."""
        return CallFiles(self, ip, origin, deadline)

    async def perform(self, verb: str, body: bytes, caller: Caller) -> bytes:
        if verb not in self._verbs:
            raise Problem(Code.NOT_SUPPORTED, f"ctx.storage has no {verb!r}.")
        return await self._verbs[verb](body, caller)

    async def _stat(self, body: bytes, caller: Caller) -> bytes:
        name = _NAME(body)
        path = self.service.parts.path_named(name.path, name.file_id)
        return _encode(await self.service.reading.stat(path, caller))

    async def _list(self, body: bytes, caller: Caller) -> bytes:
        return _encode(await self.service.reading.page(_LIST(body), caller))

    async def _sign(self, body: bytes, caller: Caller) -> bytes:
        return _encode(await self.service.sign(_SIGN(body), caller, self._base))

    async def _delete(self, body: bytes, caller: Caller) -> bytes:
        return await self.service.delete(_DELETE(body), caller)

    async def _copy(self, body: bytes, caller: Caller) -> bytes:
        return await self.service.transfer(_TRANSFER(body), caller, move=False)

    async def _move(self, body: bytes, caller: Caller) -> bytes:
        return await self.service.transfer(_TRANSFER(body), caller, move=True)

    # -- streams ----------------------------------------------------------------------------------

    async def read(self, body: bytes, caller: Caller) -> tuple[File, BlobReader]:
        """A file and its bytes, open."""
        wanted = _OPEN(body)
        path = self.service.parts.path_named(wanted.path, wanted.file_id)
        for _ in range(_ATTEMPTS):
            row = await self.service.reading.row(path, caller)
            start, end = _range(row, wanted)
            reader = await self.service.reading.open(row, start, end)
            if reader is not None:
                return file_of(self.service.parts.app, row), reader
        raise Problem(Code.UNAVAILABLE, "The file keeps changing.", retry_after=1)

    async def write(self, body: bytes, caller: Caller) -> tuple[msgspec.UnsetType, Upload]:
        """A file to be, its bytes to come."""
        given, writing = _CREATE(body), self.service.writing
        wanted = self._wanted(given, caller)
        if given.size is not None:
            await writing.admit(wanted, (given.size,), caller)
        upload = Upload(lambda pieces: writing.upload(wanted, pieces, Checksums(), caller))
        return msgspec.UNSET, upload

    def _wanted(self, body: CreateBody, caller: Caller) -> Wanted:
        path = self.service.parts.path_named(body.path, body.file_id)
        wanted = self.service.wanted(path, body.content_type, body.metadata, caller)
        wanted = msgspec.structs.replace(wanted, replaces=body.replaces)
        if body.openid is None:
            return wanted
        if not caller.actor.trusted:
            raise invalid("openid", "is for the server's rights: a caller's files are its own")
        if not 1 <= len(body.openid) <= _MAX_OPENID:
            raise invalid("openid", f"is a user's id, 1 to {_MAX_OPENID} characters")
        return msgspec.structs.replace(wanted, openid=body.openid)


def _range(row: Document, wanted: OpenBody) -> tuple[int, int]:
    size: int = row["size"]
    if wanted.start < 0 or (wanted.end is not None and wanted.end < wanted.start):
        raise invalid("start", "is 0 or more, and not beyond end")
    end = size if wanted.end is None else min(wanted.end, size)
    return min(wanted.start, end), end


class _Mark(Enum):
    END = "that was all"
    GIVEN_UP = "nobody wants it any more"


class _GivenUp(Exception):
    """Raised by an upload's data, so that nothing is stored."""


class Upload:
    """Bytes on their way into a file. The store takes them as they come, and no faster than it
    takes them are more accepted."""

    def __init__(self, run: Callable[[AsyncIterator[bytes]], Awaitable[bytes]]) -> None:
        self._pieces: asyncio.Queue[bytes | _Mark] = asyncio.Queue(_AHEAD)
        self._task = asyncio.ensure_future(run(self._taken()))
        # Whoever waits for it may be gone by then.
        self._task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _taken(self) -> AsyncIterator[bytes]:
        while not isinstance(piece := await self._pieces.get(), _Mark):
            yield piece
        if piece is _Mark.GIVEN_UP:
            raise _GivenUp

    async def write(self, piece: bytes) -> None:
        """Raises what the store has refused them for."""
        await self._give(piece)

    async def commit(self) -> bytes:
        """The file, once it is there."""
        await self._give(_Mark.END)
        return await asyncio.shield(self._task)

    async def _give(self, piece: bytes | _Mark) -> None:
        giving = asyncio.ensure_future(self._pieces.put(piece))
        try:
            await asyncio.wait((giving, self._task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            giving.cancel()
        if self._task.done():
            self._task.result()

    async def close(self) -> None:
        """Nothing is left of it, unless it was committed. The store is told by its data rather
        than cancelled, so that it ends at a point of its own choosing."""
        while not self._pieces.empty():
            self._pieces.get_nowait()
        self._pieces.put_nowait(_Mark.GIVEN_UP)
        with suppress(Exception):
            await asyncio.shield(self._task)


Stream: TypeAlias = BlobReader | Upload
Begun: TypeAlias = tuple[File | msgspec.UnsetType, Stream]


class CallFiles:
    """What one call does with files. `close` lets go of what it left open."""

    def __init__(self, files: Files, ip: str, origin: WriteInfo, deadline: float) -> None:
        self._files = files
        self._ip = ip
        self._origin = origin
        self._deadline = deadline
        self._numbers = count(1)
        self._open: dict[str, Stream] = {}
        self._taken = 0
        self._ended = False

    @property
    def is_open(self) -> bool:
        return self._taken > 0

    async def use(self, verb: str, argument: bytes, actor: Actor, stream: str | None) -> bytes:
        """One use of `ctx.storage`; see `context.Host.storage`."""
        caller = Caller(actor, self._ip, origin=self._origin)
        match verb:
            case "open":
                return await self._begin(partial(self._files.read, argument, caller))
            case "create":
                return await self._begin(partial(self._files.write, argument, caller))
            case "read":
                return await self._reader(stream).read()
            case "write":
                await self._upload(stream).write(argument)
                return b""
            case "commit":
                return await self._commit(stream)
            case "close":
                await self._let_go(stream)
                return b""
        return await self._files.perform(verb, argument, caller)

    async def _begin(self, begin: Callable[[], Awaitable[Begun]]) -> bytes:
        """With one of this process's places for open files; it is held until `close`."""
        if self._taken >= MAX_STREAMS_PER_CALL:
            raise Problem(
                Code.LIMIT_EXCEEDED, f"A call has at most {MAX_STREAMS_PER_CALL} files open."
            )
        self._taken += 1
        try:
            await self._files.slots.take(max(0.0, self._deadline - time.monotonic()))
            try:
                file, stream = await begin()
            except BaseException:
                self._files.slots.give()
                raise
        except BaseException:
            self._taken -= 1
            raise
        return await self._keep(file, stream)

    async def _keep(self, file: File | msgspec.UnsetType, stream: Stream) -> bytes:
        name = str(next(self._numbers))
        self._open[name] = stream
        if self._ended:
            await self._let_go(name)
            raise Problem(Code.UNAVAILABLE, "The call has ended.")
        return _encode(Opened(name, file))

    async def _commit(self, stream: str | None) -> bytes:
        try:
            return await self._upload(stream).commit()
        finally:
            await self._let_go(stream)

    async def _let_go(self, stream: str | None) -> None:
        found = self._open.pop(stream or "", None)
        if found is not None:
            self._taken -= 1
            self._files.slots.give()
            await found.close()

    async def close(self) -> None:
        self._ended = True
        for stream in list(self._open):
            await self._let_go(stream)

    def _reader(self, stream: str | None) -> BlobReader:
        found = self._open.get(stream or "")
        if found is None or isinstance(found, Upload):
            raise _closed()
        return found

    def _upload(self, stream: str | None) -> Upload:
        found = self._open.get(stream or "")
        if not isinstance(found, Upload):
            raise _closed()
        return found


def _closed() -> Problem:
    return Problem(Code.INVALID_ARGUMENT, "The file is not open any more.")
