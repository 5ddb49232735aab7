"""What is moved, and the digests by which two sides are told to hold the same.

A digest is of what things mean, not of how an engine keeps them: documents as canonical JSON in the
order of `_id`, jobs in the order in which they were added, files by the digests of their bytes. So
SQLite, MongoDB and an export in a folder answer the same digest when they hold the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from hashlib import sha256
from typing import Final, Protocol

import msgspec

from baas.gateway.sharedrates import RATES
from baas.ports.jobs import Job
from baas.push.channels.rows import OWNERS, PRESENCE
from baas.storage.rows import UPLOADS

#: Of moments, not of the app: who is connected, who takes much, uploads that are half done.
LEFT_BEHIND: Final = frozenset((OWNERS, PRESENCE, RATES, UPLOADS))


class Tally(msgspec.Struct, frozen=True):
    """How many there are, and the digest of all of them in order, in hexadecimal."""

    count: int
    sha256: str


class FileTally(Tally, frozen=True):
    """Distinct blobs: copies of a file share one."""

    bytes: int


class Contents(msgspec.Struct, frozen=True):
    """What one side holds. `ticks` are the last times (ms) of timers; collections without
    documents are not named."""

    collections: dict[str, Tally]
    jobs: Tally
    files: FileTally
    ticks: dict[str, int]


class Blob(msgspec.Struct, frozen=True):
    """The bytes behind files: `sha256` is what the rows say of them."""

    key: str
    size: int
    sha256: str


class Source(Protocol):
    """Where everything can be read."""

    async def collections(self) -> list[str]:
        """Sorted, without those that are left behind."""
        ...

    async def size(self, collection: str) -> int | None:
        """How many documents there are, where that is known without reading them."""
        ...

    def documents(self, collection: str) -> AsyncIterator[bytes]:
        """Canonical JSON, in the order of `_id`."""
        ...

    def jobs(self) -> AsyncIterator[Job]:
        """In the order in which they were added."""
        ...

    async def ticks(self) -> dict[str, int]: ...

    def read(self, key: str) -> AsyncIterator[bytes]:
        """The bytes of a blob. BlobMissing."""
        ...


class Count:
    """Makes a Tally."""

    def __init__(self) -> None:
        self._digest = sha256()
        self._count = 0

    def add(self, bodies: Iterable[bytes]) -> None:
        for body in bodies:
            self._digest.update(body + b"\n")
            self._count += 1

    @property
    def tally(self) -> Tally:
        return Tally(self._count, self._digest.hexdigest())


def line_of(job: Job) -> bytes:
    """A job as it is moved: nobody holds it any more."""
    return msgspec.json.encode(msgspec.structs.replace(job, lease=None))


def job_of(line: bytes) -> Job:
    """The other way. msgspec.DecodeError."""
    return msgspec.json.decode(line, type=Job)


def differences(here: Contents, there: Contents) -> list[str]:
    """What the second side does not hold as the first does, in words; none where they agree."""
    found = [
        _difference(f"collection {name}", "documents", here.collections.get(name), other)
        for name, other in _pairs(here, there)
    ]
    found.append(_difference("jobs", "jobs", here.jobs, there.jobs))
    found.append(_difference("files", "files", here.files, there.files))
    if here.ticks != there.ticks:
        found.append("timers have fired at other times")
    return [one for one in found if one]


def _pairs(here: Contents, there: Contents) -> list[tuple[str, Tally | None]]:
    names = sorted({*here.collections, *there.collections})
    return [(name, there.collections.get(name)) for name in names]


def _difference(what: str, noun: str, here: Tally | None, there: Tally | None) -> str:
    if here == there:
        return ""
    counts = [0 if side is None else side.count for side in (here, there)]
    if counts[0] != counts[1]:
        return f"{what}: {counts[0]:,} {noun} on one side, {counts[1]:,} on the other"
    return f"{what}: as many {noun} on both sides, but not the same ones"
