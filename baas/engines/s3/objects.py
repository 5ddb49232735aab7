"""The steps at the store: synchronous, each run in a thread by `store`.

Multipart uploads are made by the SDK's own methods, whose names begin with an underscore: the
public ones pull from a stream, and so would hold a thread for as long as a client takes to send.
"""

from __future__ import annotations

import hashlib
import mmap
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from baas.engines.s3.client import unavailable
from baas.ports.blobs import CHUNK_BYTES, BlobMissing, Digest, Listed, Part

if TYPE_CHECKING:
    from minio import Minio

#: What is held of a large object before it is sent. S3 takes 10,000 parts.
PART_BYTES: Final = 8 * 1024**2
#: The least that S3 takes as a part, but for the last one.
LEAST_PART_BYTES: Final = 5 * 1024**2
MAX_OBJECT_BYTES: Final = PART_BYTES * 10_000
_TYPE: Final = "application/octet-stream"


class Hashing:
    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def update(self, data: bytes) -> None:
        self._sha256.update(data)
        self._md5.update(data)
        self.size += len(data)

    def digest(self) -> Digest:
        return Digest(self.size, self._sha256.hexdigest(), self._md5.hexdigest())


class Bucket:
    """One bucket, and in it the objects below `prefix`."""

    def __init__(self, client: Minio, name: str, prefix: str) -> None:
        self.client: Final = client
        self.name: Final = name
        self._prefix: Final = prefix

    def blob(self, key: str) -> str:
        return f"{self._prefix}blobs/{key}"

    def part(self, upload: str, number: int) -> str:
        """Five digits, so that the order of names is that of parts."""
        return f"{self._prefix}parts/{upload}/{number:05d}"

    # -- one object -------------------------------------------------------------------------------

    def size_of(self, name: str) -> int:
        return self.client.stat_object(self.name, name).size or 0

    def open(self, name: str, start: int, length: int | None) -> Any:
        """The answer, its body still to be read; None where the object ends before `start`.
        `length` is not 0; None is all."""
        from minio.error import S3Error

        try:
            return self.client.get_object(self.name, name, offset=start, length=length or 0)
        except S3Error as fault:
            if fault.code == "InvalidRange":
                return None
            raise

    def remove(self, name: str) -> None:
        self.client.remove_object(self.name, name)

    def reach(self) -> None:
        """One request that needs the bucket and leave to list it."""
        next(iter(self._names("blobs/", 1)), None)

    # -- lists ------------------------------------------------------------------------------------

    def _names(self, below: str, fetch: int | None = None) -> Iterator[tuple[str, int, int]]:
        """(name without the prefix, size, ms when written) of every object."""
        prefix = f"{self._prefix}{below}"
        most: Any = None if fetch is None else {"max-keys": str(fetch)}
        found = self.client.list_objects(self.name, prefix, recursive=True, extra_query_params=most)
        for one in found:
            if one.object_name and not one.is_dir:
                modified = _milliseconds(one.last_modified)
                yield one.object_name.removeprefix(prefix), one.size or 0, modified

    def blobs(self) -> Iterator[Listed]:
        for key, _, modified in self._names("blobs/"):
            yield Listed(key, modified)

    def parts(self, upload: str) -> list[Part]:
        return [
            Part(int(number), size)
            for number, size, _ in self._names(f"parts/{upload}/")
            if number.isdigit()
        ]

    def uploads(self) -> Iterator[Listed]:
        """Names come in order, so an upload's parts come one behind the other."""
        current, last = "", 0
        for name, _, modified in self._names("parts/"):
            upload = name.partition("/")[0]
            if current and upload != current:
                yield Listed(current, last)
                last = 0
            current, last = upload, max(last, modified)
        if current:
            yield Listed(current, last)

    def remove_parts(self, upload: str) -> None:
        for name, _, _ in self._names(f"parts/{upload}/"):
            self.remove(f"{self._prefix}parts/{upload}/{name}")

    # -- putting parts together -------------------------------------------------------------------

    def join(self, upload: str, key: str) -> None:
        """BlobMissing where there is no part, or none any more."""
        parts = self.parts(upload)
        if not parts:
            raise BlobMissing(upload)
        names = [self.part(upload, part.number) for part in parts]
        if all(part.size >= LEAST_PART_BYTES for part in parts[:-1]):
            self._compose(names, self.blob(key))
        else:
            self._copy(names, self.blob(key))

    def _compose(self, names: list[str], target: str) -> None:
        """Within the store; no byte comes here."""
        from minio.commonconfig import ComposeSource

        sources = [ComposeSource(self.name, name) for name in names]
        self.client.compose_object(self.name, target, sources)

    def _copy(self, names: list[str], target: str) -> None:
        """Through this process: some part is smaller than S3 would take."""
        sending = Sending(self, target)
        try:
            for name in names:
                for piece in self._pieces(name):
                    sending.write(piece)
            sending.finish()
        except BaseException:
            sending.drop()
            raise

    def _pieces(self, name: str) -> Iterator[bytes]:
        answer = self.open(name, 0, None)
        try:
            while piece := answer.read(CHUNK_BYTES):
                yield piece
        finally:
            answer.close()
            answer.release_conn()

    # -- multipart uploads ------------------------------------------------------------------------

    def begin(self, name: str) -> str:
        upload: str = self.client._create_multipart_upload(self.name, name, {"Content-Type": _TYPE})
        return upload

    def send_part(self, name: str, upload: str, number: int, data: memoryview) -> str:
        body: Any = data  # bytes, says the SDK, which digests and sends any buffer
        etag: str = self.client._upload_part(self.name, name, body, None, upload, number)
        return etag

    def complete(self, name: str, upload: str, etags: list[str], size: int) -> None:
        """The answer alone does not say that it worked: a store may begin it with 200 and meet
        its fault afterwards, and a repeat finds the upload gone."""
        from minio.datatypes import Part as Sent
        from minio.error import S3Error

        parts = [Sent(number, etag) for number, etag in enumerate(etags, 1)]
        try:
            self.client._complete_multipart_upload(self.name, name, upload, parts)
        except S3Error as fault:
            if fault.code != "NoSuchUpload":
                raise
        if self.size_of(name) != size:
            raise unavailable()

    def abort(self, name: str, upload: str) -> None:
        self.client._abort_multipart_upload(self.name, name, upload)

    def abort_older(self, before_ms: int) -> int:
        """Ends multipart uploads that began before; how many."""
        found = [one for one in self._unfinished() if one[2] < before_ms]
        for name, upload, _ in found:
            self.abort(name, upload)
        return len(found)

    def _unfinished(self) -> Iterator[tuple[str, str, int]]:
        """Those of the whole bucket are asked for: MinIO takes a prefix for a whole name."""
        key_marker: str | None = None
        upload_marker: str | None = None
        while True:
            page = self.client._list_multipart_uploads(
                self.name, key_marker=key_marker, upload_id_marker=upload_marker
            )
            for one in page.uploads:
                if one.object_name.startswith(self._prefix):
                    yield one.object_name, one.upload_id or "", _milliseconds(one.initiated_time)
            if not page.is_truncated:
                return
            key_marker, upload_marker = page.next_key_marker, page.next_upload_id_marker


class Sending:
    """An object being written: `finish` makes it the real one, `drop` forgets it.

    What waits to be sent lies in a file without a name once it is more than a piece, so that a
    thousand slow uploads cost no more memory than one.
    """

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._name = name
        self._hashing = Hashing()
        self._waiting = tempfile.SpooledTemporaryFile(CHUNK_BYTES)  # noqa: SIM115
        self._held = 0
        self._upload = ""
        self._etags: list[str] = []
        # A step that nobody waits for any more may still run when `drop` is called.
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        with self._lock:
            self._hashing.update(data)
            self._waiting.write(data)
            self._held += len(data)
            if self._held >= PART_BYTES:
                self._send_part()

    def finish(self) -> Digest:
        with self._lock:
            if self._upload:
                if self._held:
                    self._send_part()
                size = self._hashing.size
                self._bucket.complete(self._name, self._upload, self._etags, size)
                self._upload = ""
            else:
                self._put_whole()
            self._waiting.close()
            return self._hashing.digest()

    def drop(self) -> None:
        with self._lock:
            with suppress(OSError):  # a full disk, that does not take the last bytes either
                self._waiting.close()
            if self._upload:
                with suppress(Exception):  # the sweep aborts it otherwise
                    self._bucket.abort(self._name, self._upload)

    def _send_part(self) -> None:
        if not self._upload:
            self._upload = self._bucket.begin(self._name)
        number = len(self._etags) + 1
        with self._mapped() as data:
            self._etags.append(self._bucket.send_part(self._name, self._upload, number, data))
        self._forget()

    def _put_whole(self) -> None:
        from io import BytesIO

        self._waiting.seek(0)
        data = self._waiting.read()
        self._bucket.client.put_object(self._bucket.name, self._name, BytesIO(data), len(data))

    @contextmanager
    def _mapped(self) -> Iterator[memoryview]:
        """What waits, as a view of its file: memory that was read into would stay with each of
        the threads."""
        self._waiting.rollover()
        self._waiting.flush()
        pages = mmap.mmap(self._waiting.fileno(), self._held, access=mmap.ACCESS_READ)
        try:
            with memoryview(pages) as view:
                yield view
        finally:
            with suppress(BufferError):  # a fault on its way still holds a view of it
                pages.close()

    def _forget(self) -> None:
        self._waiting.seek(0)
        self._waiting.truncate()
        self._held = 0


def _milliseconds(time: datetime | None) -> int:
    return 0 if time is None else int(time.timestamp() * 1000)
