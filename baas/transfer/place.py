"""The engines of an app as a place that things are moved from and to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from baas.errors import ConfigurationError, Problem, invalid
from baas.ports.blobs import BlobStore
from baas.ports.changes import ChangeFeed
from baas.ports.documents import (
    KEEP,
    Change,
    DocumentStore,
    DuplicateKey,
    Insert,
    Lookups,
    Outcome,
    Step,
    WriteInfo,
    resolve,
)
from baas.ports.jobs import Job, JobQueue
from baas.schema.model import CollectionSpec
from baas.schema.values import Document, decode, encode
from baas.transfer.contents import LEFT_BEHIND, Blob

_NOBODY = WriteInfo()


class Engine(DocumentStore, Protocol):
    """A store with the parts that go with it."""

    @property
    def jobs(self) -> JobQueue: ...

    @property
    def feed(self) -> ChangeFeed: ...


class Place:
    """A Source and a target. The engines are open; whoever opened them closes them."""

    def __init__(self, store: Engine, blobs: BlobStore) -> None:
        self.store = store
        self._blobs = blobs

    # -- reading -----------------------------------------------------------------------------------

    async def collections(self) -> list[str]:
        return sorted(set(await resolve(self.store.names())) - LEFT_BEHIND)

    async def size(self, collection: str) -> int | None:
        return await resolve(self.store.count(collection))

    def documents(self, collection: str) -> AsyncIterator[bytes]:
        return self.store.scan(collection)

    def jobs(self) -> AsyncIterator[Job]:
        return self.store.jobs.scan()

    async def ticks(self) -> dict[str, int]:
        return await resolve(self.store.jobs.ticks())

    async def read(self, key: str) -> AsyncIterator[bytes]:
        reader = await self._blobs.open(key)
        try:
            while piece := await reader.read():
                yield piece
        finally:
            await reader.close()

    # -- writing -----------------------------------------------------------------------------------

    async def declare(self, specs: Mapping[str, CollectionSpec]) -> None:
        """Tables and indexes, before the first document."""
        await self.store.declare(specs)

    async def put_documents(self, collection: str, bodies: Sequence[bytes]) -> None:
        """All or none. Documents that are there already, and the same, stay; ConfigurationError
        for one that is another."""
        documents = [decode(body) for body in bodies]
        pairs = zip(documents, bodies, strict=True)
        try:
            await self._write([_insert(collection, *pair) for pair in pairs])
        except DuplicateKey:
            await self._once_more(collection, documents)

    async def _once_more(self, collection: str, documents: list[Document]) -> None:
        try:
            await self._write([_keep_or_insert(collection, document) for document in documents])
        except DuplicateKey as fault:
            raise _twice(collection, fault) from None
        except Problem as problem:
            raise ConfigurationError(problem.detail) from None

    async def _write(self, steps: list[Step]) -> None:
        await self.store.write(tuple(steps), _NOBODY)

    async def put_jobs(self, jobs: Sequence[Job]) -> None:
        await self.store.jobs.restore(jobs)

    async def put_tick(self, timer: str, time_ms: int) -> None:
        await self.store.jobs.tick(timer, time_ms, None)

    async def known_blobs(self) -> set[str]:
        """Keys that need not be sent again: a blob is whole or not there."""
        return {listed.key async for listed in self._blobs.listing()}

    async def put_blob(self, blob: Blob, data: AsyncIterator[bytes]) -> None:
        """ConfigurationError where the bytes are not those of the row."""
        digest = await self._blobs.put(blob.key, data)
        if digest.sha256 != blob.sha256:
            await self._blobs.delete(blob.key)
            raise ConfigurationError(f"the bytes of blob {blob.key} are not what its row says")


def _insert(collection: str, document: Document, body: bytes) -> Step:
    return Insert(collection=collection, id=document["_id"], document=document, body=body)


def _keep_or_insert(collection: str, document: Document) -> Step:
    body = encode(document)

    def apply(stored: Document | None, _lookups: Lookups) -> Outcome:
        if stored is None:
            return document
        if encode(stored) != body:
            raise invalid("_id", f"{collection} holds another document {document['_id']!r} already")
        return KEEP

    return Change(collection=collection, id=document["_id"], apply=apply)


def _twice(collection: str, fault: DuplicateKey) -> ConfigurationError:
    what = f"a document with the same {fault.index}" if fault.index else "a document of that id"
    return ConfigurationError(f"collection {collection}: there is {what} already")
