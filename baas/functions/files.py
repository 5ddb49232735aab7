"""`ctx.storage`: files as functions use them.

Arguments and answers are those of the protocol, with datetimes for dates; a file is named by its
path or its fileId. Bytes go in pieces both ways, so that a large file never lies in memory whole
unless `get` is asked for it. Methods give awaitables in async functions and results in plain ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from baas.errors import Code, Problem
from baas.functions.values import from_wire, to_wire
from baas.schema.filepath import is_file_id
from baas.schema.values import decode, encode

if TYPE_CHECKING:
    from baas.functions.context import Host

Settle: TypeAlias = Callable[[Awaitable[Any]], Any]
#: One use of the kit's storage: verb, argument, the stream that it is about.
_Use: TypeAlias = Callable[..., Awaitable[bytes]]

#: Bytes that go at once.
PIECE_BYTES: Final = 256 * 1024
#: What `get` reads unless it is told otherwise.
MAX_GET_BYTES: Final = 16 * 1024**2


class Storage:
    """With server rights, or the caller's (`ctx.as_caller().storage`). Raises Problem as the
    protocol says: NOT_FOUND, PERMISSION_DENIED, PAYLOAD_TOO_LARGE and so on."""

    __slots__ = ("_as_caller", "_host", "_settle")

    def __init__(self, host: Host, as_caller: bool, settle: Settle | None) -> None:
        self._host = host
        self._as_caller = as_caller
        self._settle = settle

    # -- bytes ------------------------------------------------------------------------------------

    def put(
        self,
        path: str,
        data: Any,
        *,
        contentType: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        openid: str | None = None,
        replaces: str | None = None,
    ) -> Any:
        """Makes the file, or replaces it in one step; the file.

        `data` is bytes, text (as UTF-8), an open binary file, or an iterable of bytes, an async one
        in an async function. With server rights a new file is nobody's, or `openid`'s. With
        `replaces`, the hash of a file, it is TRANSACTION_CONFLICT unless that one is there.
        """
        given = {"contentType": contentType, "metadata": metadata, "openid": openid}
        wanted = _named(path, **given, replaces=replaces)
        whole = _whole(data)
        if whole is not None:
            wanted["size"] = len(whole)
            data = _split(whole)
        if self._settle is None:
            return _put(self._use, wanted, data)
        return self._put_from_thread(wanted, data)

    def _put_from_thread(self, wanted: dict[str, Any], data: Any) -> Any:
        """Here, not on the loop: what `data` does to make its pieces may take its time."""
        assert self._settle is not None
        stream = decode(self._settle(self._use("create", encode(wanted))))["stream"]
        try:
            for piece in _pieces(data):
                self._settle(self._use("write", piece, stream))
            return _answer(self._settle(self._use("commit", b"", stream)))
        except BaseException:
            self._settle(self._use("close", b"", stream))
            raise

    def get(self, path: str, *, most: int = MAX_GET_BYTES) -> Any:
        """The bytes of a file of up to `most` bytes, else LIMIT_EXCEEDED: `open` reads any."""
        return self._run(_get(self.open(path), most))

    def open(self, path: str, *, start: int = 0, end: int | None = None) -> FileStream:
        """`async with ctx.storage.open(path) as file:` (`with` in a plain function): bytes `start`
        up to `end`, exclusive, in pieces."""
        wanted = _named(path, start=start or None, end=end)
        return FileStream(self._use, wanted, self._settle)

    # -- files ------------------------------------------------------------------------------------

    def stat(self, path: str) -> Any:
        """The file: `{fileId, path, size, contentType, hash, openid, metadata, createTime,
        updateTime}`."""
        return self._do("stat", _named(path))

    def list(self, prefix: str = "", *, limit: int | None = None, after: str | None = None) -> Any:
        """`{"files": [...], "next": cursor or None}`, in order of path; a page may be short."""
        return self._do("list", _given(prefix=prefix, limit=limit, after=after))

    def copy(self, source: str, target: str) -> Any:
        """The new file. The bytes are not copied."""
        return self._do("copy", {"from": source, "to": target})

    def move(self, source: str, target: str) -> Any:
        """The new file."""
        return self._do("move", {"from": source, "to": target})

    def delete(self, path: str | Iterable[str]) -> Any:
        """`{"path", "fileId"}`; of several, `{"files": [...]}` with `code` and `detail` for each
        that could not be deleted."""
        return self._each("delete", path)

    def sign(
        self,
        path: str | Iterable[str],
        *,
        expires: int | None = None,
        operation: str | None = None,
        size: int | None = None,
        contentType: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        """`{"path", "fileId", "url", "expiresAt"}`, `expires` seconds from now; of several,
        `{"files": [...]}`. To `upload`, `size` is needed and `uploadId` is among the answer."""
        return self._each(
            "sign",
            path,
            expires=expires,
            operation=operation,
            size=size,
            contentType=contentType,
            metadata=metadata,
        )

    # -- within -----------------------------------------------------------------------------------

    def _each(self, verb: str, path: str | Iterable[str], **more: Any) -> Any:
        if isinstance(path, str):
            return self._run(_first(self._use(verb, encode({"files": [_named(path, **more)]}))))
        return self._do(verb, {"files": [_named(one, **more) for one in path]})

    def _do(self, verb: str, body: Any) -> Any:
        return self._run(_answered(self._use(verb, encode(body))))

    def _use(self, verb: str, argument: bytes, stream: str | None = None) -> Awaitable[bytes]:
        return self._host.storage(verb, argument, self._as_caller, stream)

    def _run(self, running: Awaitable[Any]) -> Any:
        return running if self._settle is None else self._settle(running)


class FileStream:
    """A file being read, once: `file.info` is the file, `async for piece in file` its bytes (`for`
    in a plain function), `await file.read(n)` at most so many of them, b"" at the end.

    A file that is replaced or deleted meanwhile is read to its end.
    """

    __slots__ = ("_rest", "_settle", "_stream", "_use", "_wanted", "info")

    def __init__(self, use: _Use, wanted: dict[str, Any], settle: Settle | None) -> None:
        self._use = use
        self._wanted = wanted
        self._settle = settle
        self._stream: str | None = None
        self._rest = b""
        self.info: dict[str, Any] = {}

    async def __aenter__(self) -> FileStream:
        opened = from_wire(decode(await self._use("open", encode(self._wanted))))
        self._stream, self.info = opened["stream"], opened["file"]
        return self

    async def __aexit__(self, *raised: object) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await self._use("close", b"", stream)

    def __enter__(self) -> FileStream:
        entered: FileStream = self._wait(self.__aenter__())
        return entered

    def __exit__(self, *raised: object) -> None:
        self._wait(self.__aexit__())

    def read(self, size: int = PIECE_BYTES) -> Any:
        """Up to `size` bytes; b"" at the end."""
        if size < 1:
            raise ValueError("read at least one byte at a time")
        running = self._read(size)
        return running if self._settle is None else self._settle(running)

    async def _read(self, size: int) -> bytes:
        piece = self._rest or await self._next()
        self._rest = piece[size:]
        return piece[:size]

    async def _next(self) -> bytes:
        if self._stream is None:
            raise RuntimeError("a file is read within its block: async with ... as file")
        return await self._use("read", b"", self._stream)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._read(PIECE_BYTES):
            yield piece

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._wait(self._read(PIECE_BYTES)):
            yield piece

    def _wait(self, running: Awaitable[Any]) -> Any:
        if self._settle is None:
            if asyncio.iscoroutine(running):
                running.close()
            raise TypeError("in an async function: async with, async for")
        return self._settle(running)


# -- bodies and answers ---------------------------------------------------------------------------


def _given(**given: Any) -> dict[str, Any]:
    return {name: to_wire(value) for name, value in given.items() if value is not None}


def _named(path: str, **given: Any) -> dict[str, Any]:
    return {"fileId" if is_file_id(path) else "path": path, **_given(**given)}


def _answer(body: bytes) -> Any:
    return from_wire(decode(body))


async def _answered(running: Awaitable[bytes]) -> Any:
    return _answer(await running)


async def _first(running: Awaitable[bytes]) -> Any:
    """Of one file: what was refused is raised."""
    (result,) = _answer(await running)["files"]
    if "code" in result:
        raise Problem(Code[result["code"]], result["detail"])
    return result


async def _get(stream: FileStream, most: int) -> bytes:
    async with stream:
        if stream.info["size"] > most:
            detail = f"The file has {stream.info['size']} bytes; read it by open."
            raise Problem(Code.LIMIT_EXCEEDED, detail)
        return b"".join([piece async for piece in stream])


# -- what is put ----------------------------------------------------------------------------------


def _whole(data: Any) -> bytes | None:
    """The bytes, where they are all there."""
    if isinstance(data, str):
        return data.encode()
    return bytes(data) if isinstance(data, (bytes, bytearray, memoryview)) else None


def _split(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]


def _pieces(data: Any) -> Iterator[bytes]:
    """The bytes of a file or an iterable, none of them large."""
    if callable(getattr(data, "read", None)):
        while piece := data.read(PIECE_BYTES):
            yield _checked(piece)
        return
    if not hasattr(data, "__iter__"):
        kind = type(data).__name__
        raise TypeError(f"a file's data are bytes, text, a file or an iterable, not {kind}")
    for piece in data:
        yield from _split(_checked(piece))


def _checked(piece: Any) -> bytes:
    if not isinstance(piece, (bytes, bytearray, memoryview)):
        raise TypeError(f"a file's data are bytes, not {type(piece).__name__}")
    return bytes(piece)


async def _async_pieces(data: Any) -> AsyncIterator[bytes]:
    if hasattr(data, "__aiter__"):
        async for given in data:
            for piece in _split(_checked(given)):
                yield piece
        return
    pieces = _pieces(data)
    # A file's reads, or whatever makes the pieces, would hold up the loop.
    while (following := await asyncio.to_thread(next, pieces, None)) is not None:
        yield following


async def _put(use: _Use, wanted: dict[str, Any], data: Any) -> Any:
    stream = decode(await use("create", encode(wanted)))["stream"]
    try:
        async for piece in _sized(wanted, data):
            await use("write", piece, stream)
        return _answer(await use("commit", b"", stream))
    except BaseException:
        await use("close", b"", stream)
        raise


async def _sized(wanted: dict[str, Any], data: Any) -> AsyncIterator[bytes]:
    """What was whole needs no thread to be read."""
    if "size" in wanted:
        for piece in data:
            yield piece
    else:
        async for piece in _async_pieces(data):
            yield piece
