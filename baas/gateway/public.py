"""The app's `public/` folder at `/`: pages and files for browsers.

Only what lies in the folder: no dot files, no path that leaves it, by `..`, by symbolic link or by
another spelling. Answers carry an entity tag and honour one range.
"""

from __future__ import annotations

import asyncio
import os
import stat
from io import BufferedReader
from mimetypes import MimeTypes
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from baas.errors import Code, Problem, not_found
from baas.gateway.exchange import Exchange, Header, Send, matches_etag
from baas.gateway.ranges import byte_range

CHUNK_BYTES: Final = 256 * 1024
INDEX: Final = "index.html"
MAX_PATH: Final = 2048

_TEXT: Final = ("text/", "application/javascript", "application/json", "image/svg+xml")
# Only the library's own table: what a type means must not depend on the host's files.
_types: Final = MimeTypes()
_types.add_type("text/javascript", ".js")
_types.add_type("text/javascript", ".mjs")
_types.add_type("font/woff2", ".woff2")
_types.add_type("image/webp", ".webp")
_types.add_type("application/wasm", ".wasm")
_types.add_type("application/manifest+json", ".webmanifest")


class _File(msgspec.Struct, frozen=True):
    """An open file, its size and its entity tag."""

    handle: BufferedReader
    size: int
    etag: str
    content_type: str
    is_index: bool


class PublicFiles:
    """Serves one folder; NOT_FOUND for all where there is none."""

    def __init__(self, folder: Path | None) -> None:
        self._root = folder.resolve() if folder is not None and folder.is_dir() else None

    async def serve(self, exchange: Exchange, send: Send) -> None:
        """GET and HEAD; METHOD_NOT_ALLOWED for the rest."""
        if exchange.method not in ("GET", "HEAD"):
            raise Problem(Code.METHOD_NOT_ALLOWED, "Files can be read with GET.")
        file = await asyncio.to_thread(self._open, exchange.path)
        if file.is_index and not exchange.path.endswith(("/", INDEX)):
            # Links in the page are relative to the folder, so the address must end in its slash.
            file.handle.close()
            return await _redirect(exchange.path + "/", send)
        try:
            await _answer(exchange, file, send)
        finally:
            file.handle.close()

    def _open(self, path: str) -> _File:
        target = self._resolve(path)
        try:
            # O_NONBLOCK: a named pipe must not hold a thread for ever.
            descriptor = os.open(target, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError:
            raise _nothing() from None
        handle = os.fdopen(descriptor, "rb")
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            handle.close()
            raise _nothing()
        etag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
        return _File(
            handle, found.st_size, etag, content_type_of(target.name), target.name == INDEX
        )

    def _resolve(self, path: str) -> Path:
        """The file for a request's (decoded) path, surely inside the folder; NOT_FOUND."""
        if self._root is None or len(path) > MAX_PATH or not is_clean(path):
            raise _nothing()
        try:
            target = (self._root / path.lstrip("/")).resolve(strict=True)
            if target.is_dir():
                target = (target / INDEX).resolve(strict=True)
            elif path.endswith("/"):
                raise _nothing()
        except (OSError, ValueError, RuntimeError):
            raise _nothing() from None
        inside = target.is_relative_to(self._root)
        if not inside or any(part.startswith(".") for part in target.relative_to(self._root).parts):
            raise _nothing()
        return target


def is_clean(path: str) -> bool:
    """Whether a decoded path has only plain segments: none empty but the last, none that starts
    with a dot (`..` and dot files alike), no backslash, colon or control character."""
    if not path.startswith("/") or not path.isprintable() or "\\" in path or ":" in path:
        return False
    *segments, last = path[1:].split("/")
    return all(part and not part.startswith(".") for part in segments) and not last.startswith(".")


def content_type_of(name: str) -> str:
    guessed, encoding = _types.guess_type(name)
    if guessed is None or encoding is not None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith(_TEXT) else guessed


async def _redirect(path: str, send: Send) -> None:
    headers = [(b"location", quote(path).encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _answer(exchange: Exchange, file: _File, send: Send) -> None:
    common: list[Header] = [
        (b"etag", file.etag.encode()),
        (b"cache-control", b"no-cache"),
        (b"accept-ranges", b"bytes"),
    ]
    wanted = exchange.text(b"if-none-match")
    if wanted is not None and matches_etag(wanted, file.etag):
        await send({"type": "http.response.start", "status": 304, "headers": common})
        await send({"type": "http.response.body", "body": b""})
        return
    start, end, status = byte_range(exchange, file.size, file.etag)
    headers = [
        *common,
        (b"content-type", file.content_type.encode("latin-1")),
        (b"content-length", b"%d" % (end - start)),
    ]
    if status == 206:
        headers.append((b"content-range", f"bytes {start}-{end - 1}/{file.size}".encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await _send_part(exchange, file.handle, start, end, send)


async def _send_part(
    exchange: Exchange, handle: BufferedReader, start: int, end: int, send: Send
) -> None:
    left = 0 if exchange.method == "HEAD" else end - start
    if left:
        handle.seek(start)
    while left:
        chunk = await asyncio.to_thread(handle.read, min(CHUNK_BYTES, left))
        if not chunk:
            raise ConnectionError("the file became shorter while it was sent")
        left -= len(chunk)
        await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
    if exchange.method == "HEAD" or end == start:
        await send({"type": "http.response.body", "body": b""})


def _nothing() -> Problem:
    return not_found("There is no such file.")
