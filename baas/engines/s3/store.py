"""S3Blobs: the BlobStore in one bucket.

    {prefix}blobs/3f9a...       a blob
    {prefix}parts/{id}/00001    a part of an unfinished upload

The SDK is synchronous. Its requests run in a bounded pool of threads, one step at a time: no thread
waits for a client, however slowly that sends or reads (docs/decisions/s3.md).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from time import monotonic
from typing import Any, Final, ParamSpec, TypeVar

from baas.engines.s3 import client
from baas.engines.s3.credentials import provider_for
from baas.engines.s3.links import PresignedLinks
from baas.engines.s3.objects import MAX_OBJECT_BYTES, Bucket, Hashing, Sending
from baas.errors import ConfigurationError
from baas.ports.blobs import (
    CHUNK_BYTES,
    KEY_PATTERN,
    MAX_PARTS,
    UPLOAD_PATTERN,
    BlobMissing,
    Digest,
    Listed,
    Part,
    UploadForm,
    gathered,
)
from baas.settings import StorageSettings

P = ParamSpec("P")
T = TypeVar("T")
_LISTED_AT_ONCE: Final = 500
_REOPENED: Final = 3
#: How long one answer of `check` stands for the next ones.
_CHECK_SECONDS: Final = 1.0


class S3Blobs:
    """`settings` name the store; its first request is made by `start`."""

    def __init__(self, settings: StorageSettings) -> None:
        client.check_settings(settings)
        if settings.file_bytes > MAX_OBJECT_BYTES:
            raise ConfigurationError(
                f"storage.file_bytes: with engine s3 at most {MAX_OBJECT_BYTES} bytes"
            )
        self._settings = settings
        self._address = client.address_of(settings.s3_endpoint, "storage.s3_endpoint")
        self._public = (
            client.address_of(settings.s3_public_endpoint, "storage.s3_public_endpoint")
            if settings.s3_public_endpoint
            else self._address
        )
        self._threads = ThreadPoolExecutor(settings.s3_connections, "baas-s3")
        self._bucket: Bucket | None = None
        self._links: PresignedLinks | None = None
        self._check: asyncio.Future[None] | None = None
        self._checked = float("-inf")

    async def start(self) -> None:
        """ConfigurationError, naming the setting, where the bucket cannot be used."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._connect)

    def _connect(self) -> None:
        settings = self._settings
        prefix = settings.s3_prefix.strip("/")
        keys = provider_for(settings)
        made = client.make_client(settings, self._address, settings.s3_region or None, keys)
        bucket = Bucket(made, settings.s3_bucket, f"{prefix}/" if prefix else "")
        try:
            bucket.reach()
            region = settings.s3_region or made._get_region(settings.s3_bucket)
        except Exception as fault:
            raise client.as_configuration(fault, settings) from fault
        if settings.s3_links == "direct":
            public = client.make_client(settings, self._public, region, keys)
            self._links = PresignedLinks(public, settings.s3_bucket, keys)
        self._bucket = bucket

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self) -> None:
        """One request at a time, however many ask: a store that hangs must not take the threads
        of those who want files."""
        if monotonic() - self._checked < _CHECK_SECONDS:
            return
        if self._check is None or self._check.done():
            self._check = asyncio.ensure_future(self._run(self._store.reach))
            self._check.add_done_callback(_seen)
        await asyncio.shield(self._check)
        self._checked = monotonic()

    # -- whole blobs ------------------------------------------------------------------------------

    async def put(self, key: str, data: AsyncIterator[bytes]) -> Digest:
        return await self._write(self._store.blob(_key(key)), data)

    async def open(self, key: str, start: int = 0, end: int | None = None) -> S3Reader:
        name = self._store.blob(_key(key))
        length = None if end is None else max(0, end - start)
        reader = S3Reader(self, name, start, length)
        if length == 0:  # which S3 has no way to ask for
            await self._run(self._store.size_of, name)
        else:
            await reader.begin()
        return reader

    async def delete(self, key: str) -> None:
        await self._run(self._store.remove, self._store.blob(_key(key)))

    async def listing(self) -> AsyncIterator[Listed]:
        async for listed in self._in_threads(self._store.blobs()):
            if KEY_PATTERN.fullmatch(listed.key):
                yield listed

    # -- parts ------------------------------------------------------------------------------------

    async def put_part(self, upload: str, number: int, data: AsyncIterator[bytes]) -> Digest:
        if not 1 <= number <= MAX_PARTS:
            raise ValueError("a part's number")
        return await self._write(self._store.part(_upload(upload), number), data)

    async def parts(self, upload: str) -> list[Part]:
        return await self._run(self._store.parts, _upload(upload))

    async def join(self, upload: str, key: str) -> Digest:
        """Put together within the store, then read once: nothing else gives the SHA-256 of the
        whole, and what is digested is what is kept."""
        await self._run(self._store.join, _upload(upload), _key(key))
        hashing = Hashing()
        reader = await self.open(key)
        try:
            while await reader.pass_to(hashing.update):
                pass
        finally:
            await reader.close()
        return hashing.digest()

    async def abort(self, upload: str) -> None:
        await self._run(self._store.remove_parts, _upload(upload))

    async def uploads(self) -> AsyncIterator[Listed]:
        async for listed in self._in_threads(self._store.uploads()):
            if UPLOAD_PATTERN.fullmatch(listed.key):
                yield listed

    async def sweep(self, before_ms: int) -> int:
        return await self._run(self._store.abort_older, before_ms)

    # -- links ------------------------------------------------------------------------------------

    def link_to_read(
        self, key: str, *, seconds: int, content_type: str, disposition: str
    ) -> str | None:
        if self._links is None:
            return None
        return self._links.read(self._store.blob(_key(key)), seconds, content_type, disposition)

    def form_to_send(
        self, upload: str, *, size: int, content_type: str, seconds: int
    ) -> UploadForm | None:
        if self._links is None:
            return None
        return self._links.form(self._store.part(_upload(upload), 1), size, content_type, seconds)

    # -- within -----------------------------------------------------------------------------------

    @property
    def _store(self) -> Bucket:
        assert self._bucket is not None, "not started"
        return self._bucket

    async def _write(self, name: str, data: AsyncIterator[bytes]) -> Digest:
        sending = Sending(self._store, name)
        try:
            async for piece in gathered(data):
                await self._run(sending.write, piece)
            return await self._run(sending.finish)
        except Exception:
            await self._run(sending.drop)
            raise
        except BaseException:  # being cancelled: nobody waits for what is left to do
            self.behind(sending.drop)
            raise

    async def _run(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def told() -> T:
            with client.told_apart():
                return step(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, told)

    def behind(self, step: Callable[[], Any]) -> None:
        """Runs it some time, in a thread, whatever comes of it."""
        try:
            self._threads.submit(step)
        except RuntimeError:  # closed: the sweep will do
            return

    async def _in_threads(self, items: Iterator[T]) -> AsyncIterator[T]:
        while some := await self._run(lambda: list(islice(items, _LISTED_AT_ONCE))):
            for item in some:
                yield item


class S3Reader:
    """A blob, `left` bytes of it from `position`, or all. A connection that breaks is opened
    anew where it broke: a blob never changes."""

    def __init__(self, blobs: S3Blobs, name: str, position: int, left: int | None) -> None:
        self._blobs = blobs
        self._name = name
        self._position = position
        self._left = left
        self._answer: Any = None
        self._lock = threading.Lock()

    async def begin(self) -> None:
        """BlobMissing. A range that begins at the end is empty."""
        self._answer = await self._blobs._run(self._open)
        if self._answer is None:
            self._left = 0

    def _open(self) -> Any:
        return self._blobs._store.open(self._name, self._position, self._left)

    async def read(self) -> bytes:
        if self._left == 0:
            return b""
        return await self._blobs._run(self._read)

    async def pass_to(self, take: Callable[[bytes], None]) -> bool:
        """The next piece given to `take`, in the thread that read it; False at the end."""

        def step() -> bool:
            piece = self._read()
            take(piece)
            return bool(piece)

        return await self._blobs._run(step)

    def _read(self) -> bytes:
        from urllib3.exceptions import HTTPError

        with self._lock:
            for attempt in range(_REOPENED + 1):
                try:
                    if self._answer is None:
                        self._answer = self._open()
                    piece: bytes = self._answer.read(CHUNK_BYTES)
                    break
                except HTTPError:
                    self._let_go()
                    if attempt == _REOPENED:
                        raise
            self._position += len(piece)
            if self._left is not None:
                self._left -= len(piece)
            return piece

    async def close(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._let_go()
            finally:
                self._lock.release()
        else:  # a read that nobody waits for any more still runs
            self._blobs.behind(self._close_later)

    def _close_later(self) -> None:
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        """What was not read to its end costs the connection, rather than the rest of the bytes."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()
            answer.release_conn()


def _seen(check: asyncio.Future[None]) -> None:
    """Whoever asked may have given up since; asyncio would complain of a fault that nobody saw."""
    if not check.cancelled():
        check.exception()


def _key(key: str) -> str:
    if not KEY_PATTERN.fullmatch(key):
        raise ValueError("not a blob's key")
    return key


def _upload(upload: str) -> str:
    if not UPLOAD_PATTERN.fullmatch(upload):
        raise ValueError("not an upload's id")
    return upload


__all__ = ["BlobMissing", "S3Blobs", "S3Reader"]
