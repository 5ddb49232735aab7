"""What the store knows of its collections: their indexes, and where their documents have arrays.

It changes inside the transactions that write documents, each time with a new version in the turn's
row. So a writer always has the current one, and a reader can tell whether the one it used was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from baas.engines.mongo.driver import Driver, Row, Session
from baas.engines.mongo.names import COLLECTIONS
from baas.engines.mongo.places import cells_of
from baas.engines.mongo.values import DERIVED, server_path, unique_key
from baas.errors import invalid
from baas.ids import COLLECTION_PATTERN
from baas.query.ast import Sort
from baas.query.evaluate import texts_of
from baas.query.text import tokens
from baas.schema.model import CollectionSpec, IndexKey, IndexSpec
from baas.schema.values import Document, Path

#: More places with arrays than this, and every sort of the collection is done by the reader.
_MOST_PATHS: Final = 500


class IndexInfo(msgspec.Struct, frozen=True):
    """`physical`: its name on the server, a digest, so that any change makes another index.
    `single`: it is built on its first key alone, for documents have arrays on several. `ready`:
    every row has what is derived for it; until then writers keep it, and readers do without."""

    physical: str
    spec: IndexSpec
    single: bool = False
    ready: bool = True

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(key.path for key in self.spec.keys)

    @property
    def is_derived(self) -> bool:
        """Whether it is over what rows hold for it, and not over the document's fields."""
        return self.spec.unique or self.spec.kind != "plain"

    @property
    def field(self) -> str:
        """Where a row has that."""
        return f"{DERIVED}.{self.physical}"

    def derive(self, document: Document) -> Any:
        """What a row has for this document; None for nothing."""
        if self.spec.kind == "text":
            return sorted(tokens(texts_of(document, self.paths))) or None
        if self.spec.kind == "geo":
            return cells_of(document, self.paths[0]) or None
        return unique_key(document, self.paths)

    def keys(self) -> list[tuple[str, int]]:
        """As the server takes them; completed by `_id`, so that pages can follow the index."""
        if self.is_derived:
            return [(self.field, 1)]
        keys = self.spec.keys[:1] if self.single else self.spec.keys
        found = {server_path(key.path): -1 if key.descending else 1 for key in keys}
        return list({**found, **({} if "_id" in found else {"_id": 1})}.items())


class CollectionInfo(msgspec.Struct, frozen=True):
    name: str
    arrays: frozenset[Path] = frozenset()
    indexes: tuple[IndexInfo, ...] = ()

    @property
    def derived(self) -> tuple[IndexInfo, ...]:
        return tuple(index for index in self.indexes if index.is_derived)

    @property
    def unique(self) -> tuple[IndexInfo, ...]:
        return tuple(index for index in self.indexes if index.spec.unique)

    def filed(self, kind: str) -> dict[tuple[Path, ...], str]:
        """Where rows have the words, or the cells of places, of these fields together."""
        return {
            index.paths: index.field
            for index in self.indexes
            if index.spec.kind == kind and index.ready
        }

    def is_plain(self, path: Path) -> bool:
        """Whether no document has an array on the path, its end included."""
        if len(self.arrays) > _MOST_PATHS:
            return path == ("_id",)
        return not any(path[: end + 1] in self.arrays for end in range(len(path)))

    def sorts(self, sort: Sort) -> bool:
        """Whether the server's order is the kit's."""
        return all(self.is_plain(key.path) and key.near is None for key in sort)

    def with_arrays(self, paths: Iterable[Path]) -> CollectionInfo:
        if len(self.arrays) > _MOST_PATHS:
            return self
        return msgspec.structs.replace(self, arrays=self.arrays.union(paths))

    def with_indexes(self, indexes: Iterable[IndexInfo]) -> CollectionInfo:
        return msgspec.structs.replace(self, indexes=tuple(indexes))

    def with_single(self, physical: str) -> CollectionInfo:
        return self.with_indexes(
            msgspec.structs.replace(index, single=True) if index.physical == physical else index
            for index in self.indexes
        )

    def row(self) -> Row:
        return {
            "_id": self.name,
            "arrays": sorted(list(path) for path in self.arrays),
            "indexes": [msgspec.to_builtins(index) for index in self.indexes],
        }


def _info(row: Row) -> CollectionInfo:
    return CollectionInfo(
        name=row["_id"],
        arrays=frozenset(tuple(path) for path in row["arrays"]),
        indexes=tuple(msgspec.convert(row["indexes"], list[IndexInfo])),
    )


class Catalogue:
    """Every collection, as of one version."""

    def __init__(self, version: int, collections: Mapping[str, CollectionInfo]) -> None:
        self.version = version
        self.collections = dict(collections)

    def get(self, name: str) -> CollectionInfo | None:
        return self.collections.get(name)

    def spelled_otherwise(self, name: str) -> str | None:
        """The name of an existing collection that differs from `name` in case alone."""
        folded = name.lower()
        return next(
            (one for one in self.collections if one != name and one.lower() == folded), None
        )

    def copy(self) -> Catalogue:
        return Catalogue(self.version, self.collections)


async def load(driver: Driver, version: int, session: Session = None) -> Catalogue:
    rows = await driver.find(COLLECTIONS, {}, session=session)
    return Catalogue(version, {row["_id"]: _info(row) for row in rows})


def is_name(name: str) -> bool:
    """Whether it can name a collection. Reserved names can."""
    return COLLECTION_PATTERN.fullmatch(name.removeprefix("_")) is not None


def check_name(name: str, catalogue: Catalogue) -> None:
    """INVALID_ARGUMENT for what is no name, or differs from another's by case alone."""
    if not is_name(name):
        raise invalid("collection", "not a collection's name")
    if (other := catalogue.spelled_otherwise(name)) is not None:
        raise invalid("collection", f"{other} exists, and names differ by more than their case")


def wanted_indexes(spec: CollectionSpec) -> dict[str, IndexInfo]:
    """What the declaration asks for, by physical name."""
    specs = list(spec.indexes)
    if spec.ttl and not any(index.keys[0].path == spec.ttl for index in specs):
        specs.append(IndexSpec(name="ttl", keys=(IndexKey(spec.ttl),)))
    found = [IndexInfo(_physical(spec.name, index), index) for index in specs]
    return {index.physical: index for index in found}


def _physical(collection: str, spec: IndexSpec) -> str:
    text = collection.encode() + b"\0" + msgspec.json.encode(spec)
    return "i" + hashlib.blake2b(text, digest_size=12).hexdigest()
