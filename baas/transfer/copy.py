"""Moving all that a place holds, and measuring it. Every step can be done again after a fault."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import sha256
from typing import Final, Protocol, TypeVar

import msgspec

from baas import __version__
from baas.clock import Clock
from baas.errors import ConfigurationError
from baas.ports.blobs import BlobMissing
from baas.ports.jobs import Job
from baas.schema.model import CollectionSpec
from baas.schema.values import date_from_ms, decode
from baas.storage.rows import FILES
from baas.transfer.contents import Blob, Contents, Count, FileTally, Source, line_of
from baas.transfer.folder import FORMAT, About, Folder
from baas.transfer.place import Place

T = TypeVar("T")
#: Documents, or jobs, that are written together.
GROUP: Final = 500
#: Fewer, where they are large.
GROUP_BYTES: Final = 4 * 1024 * 1024


class Progress(Protocol):
    """Who is told how far it is."""

    def begin(self, what: str, total: int | None = None) -> None: ...

    def add(self, number: int) -> None: ...

    def end(self) -> None: ...


async def move(
    source: Source, target: Place, specs: Mapping[str, CollectionSpec], progress: Progress
) -> None:
    """Everything of `source` into `target`, whose collections are made to fit `specs` first.

    What the target holds already stays if it is the same. ConfigurationError for documents that
    are not, and for bytes that are missing or damaged; what was moved before that is kept.
    """
    await target.declare(specs)
    await _move_blobs(source, target, progress)
    for name in await source.collections():
        progress.begin(name, await source.size(name))
        async for group in _groups(source.documents(name), len):
            await target.put_documents(name, group)
            progress.add(len(group))
        progress.end()
    progress.begin("jobs")
    async for jobs in _groups(source.jobs(), _job_bytes):
        await target.put_jobs(jobs)
        progress.add(len(jobs))
    progress.end()
    for timer, time_ms in (await source.ticks()).items():
        await target.put_tick(timer, time_ms)


async def _move_blobs(source: Source, target: Place, progress: Progress) -> None:
    known = await target.known_blobs()
    blobs = await blobs_of(source)
    progress.begin("files", len(blobs))
    for blob in blobs:
        if blob.key not in known:
            await target.put_blob(blob, _present(source, blob))
        progress.add(1)
    progress.end()


async def export(source: Place, folder: Folder, app: str, clock: Clock, progress: Progress) -> None:
    """Everything of `source` into a folder, which counts as whole once this is done."""
    folder.begin()
    for name in await source.collections():
        if not folder.has_collection(name):
            await _export_collection(source, name, folder, progress)
    await _export_jobs(source, folder, progress)
    folder.put_ticks(await source.ticks())
    blobs = await blobs_of(folder)
    progress.begin("files", len(blobs))
    for blob in blobs:
        if not folder.has_blob(blob.key):
            await folder.put_blob(blob.key, _present(source, blob))
        progress.add(1)
    progress.end()
    contents = await measure(folder, progress)
    time = date_from_ms(clock.now_ms())
    folder.finish(About(format=FORMAT, version=__version__, app=app, time=time, contents=contents))


async def _export_collection(source: Place, name: str, folder: Folder, progress: Progress) -> None:
    progress.begin(name, await source.size(name))
    with folder.collection(name) as file:
        async for group in _groups(source.documents(name), len):
            file.write(b"".join(body + b"\n" for body in group))
            progress.add(len(group))
    progress.end()


async def _export_jobs(source: Place, folder: Folder, progress: Progress) -> None:
    progress.begin("jobs")
    with folder.job_lines() as file:
        async for jobs in _groups(source.jobs(), _job_bytes):
            file.write(b"".join(line_of(job) + b"\n" for job in jobs))
            progress.add(len(jobs))
    progress.end()


async def measure(side: Source, progress: Progress) -> Contents:
    """What one side holds, every byte of its files read. ConfigurationError for files whose bytes
    are missing or not what their row says."""
    progress.begin("digests")
    rows = await measure_rows(side, progress)
    files = await _measure_files(side, progress)
    progress.end()
    return msgspec.structs.replace(rows, files=files)


async def measure_rows(side: Source, progress: Progress) -> Contents:
    """The same without the bytes of files, which count as none."""
    collections = {}
    for name in await side.collections():
        count = Count()
        async for group in _groups(side.documents(name), len):
            count.add(group)
            progress.add(len(group))
        if count.tally.count:
            collections[name] = count.tally
    jobs = Count()
    async for some in _groups(side.jobs(), _job_bytes):
        jobs.add(line_of(job) for job in some)
    none = FileTally(0, Count().tally.sha256, 0)
    return Contents(collections, jobs.tally, none, await side.ticks())


async def _measure_files(side: Source, progress: Progress) -> FileTally:
    count, size = Count(), 0
    for blob in await blobs_of(side):
        digest = sha256()
        async for piece in _present(side, blob):
            digest.update(piece)
            size += len(piece)
        if digest.hexdigest() != blob.sha256:
            raise ConfigurationError(f"the bytes of blob {blob.key} are not what its row says")
        count.add((f"{blob.key} {blob.sha256}".encode(),))
        progress.add(1)
    return FileTally(count.tally.count, count.tally.sha256, size)


async def blobs_of(side: Source) -> list[Blob]:
    """The blobs that rows of files name, each once, by key."""
    if FILES not in await side.collections():
        return []
    found: dict[str, Blob] = {}
    async for body in side.documents(FILES):
        row = decode(body)
        found[row["blob"]] = Blob(row["blob"], row["size"], row["hash"])
    return sorted(found.values(), key=lambda blob: blob.key)


async def _present(side: Source, blob: Blob) -> AsyncIterator[bytes]:
    try:
        async for piece in side.read(blob.key):
            yield piece
    except BlobMissing:
        raise ConfigurationError(f"the bytes of blob {blob.key} are not there") from None


def _job_bytes(job: Job) -> int:
    return len(job.payload) + len(job.result or b"")


async def _groups(items: AsyncIterator[T], weigh: Callable[[T], int]) -> AsyncIterator[list[T]]:
    group: list[T] = []
    weight = 0
    async for item in items:
        group.append(item)
        weight += weigh(item)
        if len(group) == GROUP or weight >= GROUP_BYTES:
            yield group
            group, weight = [], 0
    if group:
        yield group
