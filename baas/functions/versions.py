"""Versions and aliases as the store keeps them: what every gateway on one store agrees on.

- `_functions` (id: the version's hash): the list of its files, its settings, when and whence.
- `_function_files` (id: digest of the content): each content once, however many versions share it.
- `_function_aliases` (id: the alias): which versions it names, with what weights, and before that.

Versions never change. The newest KEEP_VERSIONS are kept, and those that an alias names.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from baas.clock import Clock
from baas.errors import not_found
from baas.functions.bundle import Bundle, make_bundle
from baas.functions.registry import LIVE, Alias, Weighted
from baas.ports.documents import (
    DELETE,
    KEEP,
    Change,
    DocumentStore,
    Find,
    Lookups,
    Outcome,
    Step,
    WriteInfo,
    resolve,
)
from baas.query.ast import SortKey
from baas.schema.model import CollectionSpec
from baas.schema.values import Document, date_from_ms, decode

VERSIONS: Final = "_functions"
FILES: Final = "_function_files"
ALIASES: Final = "_function_aliases"
VERSION_COLLECTIONS: Final[dict[str, CollectionSpec]] = {
    name: CollectionSpec(name=name) for name in (VERSIONS, FILES, ALIASES)
}
KEEP_VERSIONS: Final = 50
KEEP_HISTORY: Final = 20
#: Bytes of files in one write.
_BATCH_BYTES: Final = 4 * 1024**2
_INFO: Final = WriteInfo()


class VersionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A stored version, without its files. `source` is `folder` or `deploy`, `by` who deployed."""

    hash: str
    source: str
    createTime: Any
    files: int
    bytes: int
    by: str | None = None
    functions: tuple[str, ...] = ()


class StoredAlias(msgspec.Struct, frozen=True, kw_only=True):
    """An alias with its past: `history` are the versions it named before, newest last; `folder`
    the last version that came from a local folder."""

    versions: tuple[Weighted, ...]
    history: tuple[tuple[Weighted, ...], ...] = ()
    folder: str = ""

    @property
    def alias(self) -> Alias:
        return Alias(self.versions)


class Versions:
    """`clock` stamps what is saved."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    # -- versions ---------------------------------------------------------------------------------

    async def save(
        self, bundle: Bundle, functions: tuple[str, ...], *, source: str, by: str | None = None
    ) -> None:
        """Keeps a bundle; once it is there, saving it again changes nothing."""
        contents = {path: _digest(data) for path, data in bundle.files.items()}
        for steps in _in_batches(bundle, contents):
            await self._store.write(steps, _INFO)
        document = {
            "_id": bundle.hash,
            "files": [
                {"path": path, "content": contents[path], "size": len(bundle.files[path])}
                for path in sorted(bundle.files)
            ],
            # As text: its keys may hold what names of fields may not.
            "config": msgspec.json.encode(bundle.config).decode(),
            "functions": sorted(functions),
            "source": source,
            "by": by,
            "createTime": date_from_ms(self._clock.now_ms()),
        }
        await self._store.write((_once(VERSIONS, document),), _INFO)
        await self._prune()

    async def bundle(self, version: str) -> Bundle:
        """NOT_FOUND for a version that is not kept."""
        document = await self._get(VERSIONS, version)
        if document is None:
            raise not_found(f"There is no version '{version}'.")
        files: dict[str, bytes] = {}
        for entry in document["files"]:
            content = await self._get(FILES, entry["content"])
            if content is None:
                raise not_found(f"The version '{version}' is not whole.")
            files[entry["path"]] = b64decode(content["data"])
        return make_bundle(files, msgspec.json.decode(document["config"]))

    async def has(self, version: str) -> bool:
        return await self._get(VERSIONS, version) is not None

    async def newest(self) -> list[VersionInfo]:
        """Newest first."""
        return [_info_of(document) for document in await self._all()]

    async def _all(self) -> list[Document]:
        newest = (SortKey(("createTime",), descending=True), SortKey(("_id",), descending=True))
        found = await resolve(self._store.find(Find(collection=VERSIONS, sort=newest)))
        return [decode(body) for body in found]

    async def _prune(self) -> None:
        """Drops the oldest versions that nothing names, and the contents only they had."""
        documents = await self._all()
        named = {one.version for alias in (await self.aliases()).values() for one in alias.versions}
        kept = documents[:KEEP_VERSIONS]
        gone = [d for d in documents[KEEP_VERSIONS:] if d["_id"] not in named]
        if not gone:
            return
        kept += [d for d in documents[KEEP_VERSIONS:] if d["_id"] in named]
        used = {entry["content"] for d in kept for entry in d["files"]}
        unused = {entry["content"] for d in gone for entry in d["files"]} - used
        steps = [_drop(VERSIONS, d["_id"]) for d in gone]
        steps += [_drop(FILES, content) for content in sorted(unused)]
        await self._store.write(tuple(steps), _INFO)

    # -- aliases ----------------------------------------------------------------------------------

    async def aliases(self) -> dict[str, StoredAlias]:
        found = await resolve(self._store.find(Find(collection=ALIASES)))
        documents = [decode(body) for body in found]
        return {d["_id"]: msgspec.convert(d, StoredAlias) for d in documents}

    async def alias(self, name: str = LIVE) -> StoredAlias | None:
        document = await self._get(ALIASES, name)
        return None if document is None else msgspec.convert(document, StoredAlias)

    async def point(
        self, name: str, versions: tuple[Weighted, ...], *, folder: str | None = None
    ) -> StoredAlias:
        """Points an alias at versions, in one step with the record of what it named before.
        `folder` is noted where a local folder asks for it."""
        result: list[StoredAlias] = []

        def apply(before: Document | None, lookups: Lookups) -> Outcome:
            old = None if before is None else msgspec.convert(before, StoredAlias)
            result[:] = [_moved(old, versions, folder)]
            if old == result[0]:
                return KEEP
            return {"_id": name, **msgspec.to_builtins(result[0])}

        await self._store.write((Change(collection=ALIASES, id=name, apply=apply),), _INFO)
        return result[0]

    async def _get(self, collection: str, id: str) -> Document | None:
        body = await resolve(self._store.get(collection, id))
        return None if body is None else decode(body)


def _moved(
    old: StoredAlias | None, versions: tuple[Weighted, ...], folder: str | None
) -> StoredAlias:
    if old is None:
        return StoredAlias(versions=versions, folder=folder or "")
    history = old.history
    if old.versions != versions:
        history = (*history, old.versions)[-KEEP_HISTORY:]
    noted = old.folder if folder is None else folder
    return StoredAlias(versions=versions, history=history, folder=noted)


def _in_batches(bundle: Bundle, contents: dict[str, str]) -> Iterator[tuple[Step, ...]]:
    steps: list[Step] = []
    size = 0
    for path, data in bundle.files.items():
        document = {"_id": contents[path], "data": b64encode(data).decode(), "size": len(data)}
        steps.append(_once(FILES, document))
        size += len(data)
        if size > _BATCH_BYTES:
            yield tuple(steps)
            steps, size = [], 0
    if steps:
        yield tuple(steps)


def _once(collection: str, document: Document) -> Change:
    """Writes a document that never changes, unless it is there."""

    def apply(before: Document | None, lookups: Lookups) -> Outcome:
        return document if before is None else KEEP

    return Change(collection=collection, id=document["_id"], apply=apply)


def _drop(collection: str, id: str) -> Change:
    def apply(before: Document | None, lookups: Lookups) -> Outcome:
        return KEEP if before is None else DELETE

    return Change(collection=collection, id=id, apply=apply)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _info_of(document: Document) -> VersionInfo:
    return VersionInfo(
        hash=document["_id"],
        source=document["source"],
        createTime=document["createTime"],
        files=len(document["files"]),
        bytes=sum(entry["size"] for entry in document["files"]),
        by=document.get("by"),
        functions=tuple(document.get("functions", ())),
    )
