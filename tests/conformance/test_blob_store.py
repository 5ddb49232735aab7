"""The contract of BlobStore, held by every engine."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from baas.engines.local.store import LocalBlobs
from baas.engines.s3.store import S3Blobs
from baas.ports.blobs import BlobMissing, BlobStore, new_key, new_upload
from tests.support.s3 import Server, server_names

pytestmark = pytest.mark.anyio

#: The local engine, and the S3 engine on each of the servers there are.
ENGINES = ("local", *server_names())


@pytest.fixture(params=ENGINES)
async def blobs(
    request: pytest.FixtureRequest, tmp_path: Path, s3_servers: Callable[[str], Server]
) -> AsyncIterator[Any]:
    store: BlobStore
    if request.param == "local":
        store = LocalBlobs(tmp_path / "storage")
    else:
        store = S3Blobs(s3_servers(request.param).settings(s3_prefix="some/where"))
    await store.start()
    yield store
    await store.close()
    await store.close()


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


async def whole(blobs: Any, key: str, start: int = 0, end: int | None = None) -> bytes:
    reader = await blobs.open(key, start, end)
    try:
        found = b""
        while piece := await reader.read():
            found += piece
        return found
    finally:
        await reader.close()


async def keys(blobs: Any) -> set[str]:
    return {listed.key async for listed in blobs.listing()}


async def test_what_is_put_can_be_read_and_is_digested(blobs: Any) -> None:
    key = new_key()

    digest = await blobs.put(key, pieces(b"hello ", b"", b"world"))

    assert (digest.size, digest.sha256) == (11, hashlib.sha256(b"hello world").hexdigest())
    assert digest.md5 == hashlib.md5(b"hello world").hexdigest()
    assert await whole(blobs, key) == b"hello world"
    assert await keys(blobs) == {key}


async def test_an_empty_blob_is_one(blobs: Any) -> None:
    key = new_key()
    assert (await blobs.put(key, pieces())).size == 0
    assert await whole(blobs, key) == b""


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 3, b"012"), (3, None, b"3456789"), (9, 10, b"9"), (4, 4, b""), (10, None, b"")],
)
async def test_a_range_is_read(blobs: Any, start: int, end: int | None, expected: bytes) -> None:
    key = new_key()
    await blobs.put(key, pieces(b"0123456789"))
    assert await whole(blobs, key, start, end) == expected


async def test_a_source_that_breaks_leaves_nothing(blobs: Any) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"x" * 1_000_000
        raise ConnectionError("gone")

    key = new_key()
    with pytest.raises(ConnectionError):
        await blobs.put(key, breaking())

    assert await keys(blobs) == set()
    with pytest.raises(BlobMissing):
        await blobs.open(key)
    assert await blobs.sweep(2**60) == 0  # nothing half written is left either


async def test_a_deleted_blob_is_gone_but_read_to_its_end_by_who_has_it_open(blobs: Any) -> None:
    key = new_key()
    await blobs.put(key, pieces(b"a" * 1_000_000))
    reader = await blobs.open(key)
    await blobs.delete(key)
    await blobs.delete(key)

    with pytest.raises(BlobMissing):
        await blobs.open(key)
    size = 0
    while piece := await reader.read():
        size += len(piece)
    await reader.close()
    await reader.close()
    assert size == 1_000_000


async def test_parts_are_joined_in_order_of_number(blobs: Any) -> None:
    upload, key = new_upload(), new_key()
    for number, data in ((10, b"c"), (2, b"b"), (1, b"old"), (1, b"a")):
        await blobs.put_part(upload, number, pieces(data))

    assert [(part.number, part.size) for part in await blobs.parts(upload)] == [
        (1, 1),
        (2, 1),
        (10, 1),
    ]
    digest = await blobs.join(upload, key)

    assert digest.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert await whole(blobs, key) == b"abc"
    assert [listed.key async for listed in blobs.uploads()] == [upload]
    await blobs.abort(upload)
    await blobs.abort(upload)
    assert await blobs.parts(upload) == []
    assert [listed.key async for listed in blobs.uploads()] == []
    assert await whole(blobs, key) == b"abc"


async def test_an_upload_without_parts_cannot_be_joined(blobs: Any) -> None:
    with pytest.raises(BlobMissing):
        await blobs.join(new_upload(), new_key())


@pytest.mark.parametrize("key", ["", "..", "../x", "a/b", "A" * 40, "a" * 39, "a" * 40 + "\n"])
async def test_nothing_but_a_made_key_names_a_blob(blobs: Any, key: str) -> None:
    for attempt in (blobs.put(key, pieces(b"x")), blobs.open(key), blobs.delete(key)):
        with pytest.raises(ValueError, match="key"):
            await attempt
    with pytest.raises(ValueError, match="upload"):
        await blobs.put_part(key, 1, pieces(b"x"))


async def test_memory_does_not_grow_with_the_blob(blobs: Any) -> None:
    async def large() -> AsyncIterator[bytes]:
        for _ in range(512):
            yield bytes(64 * 1024)

    key = new_key()
    tracemalloc.start()
    try:
        await blobs.put(key, large())
        reader = await blobs.open(key)
        size = 0
        while piece := await reader.read():
            size += len(piece)
        await reader.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert size == 32 * 1024**2
    assert peak < 12 * 1024**2  # one part of an S3 upload is 8 MiB
