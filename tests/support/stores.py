"""Short ways to say what a store is asked to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from baas.ports.documents import (
    DELETE,
    BatchResult,
    Change,
    ChangeMany,
    Find,
    Insert,
    Lookups,
    Outcome,
    Step,
    WriteInfo,
    resolve,
)
from baas.query.ast import ALWAYS, Eq, Field, Filter
from baas.schema.model import CollectionSpec, IndexKey, IndexSpec
from baas.schema.values import Document, decode, encode

INFO = WriteInfo(actor="u1")


def insert(collection: str, document: Document, check: Any = None) -> Insert:
    return Insert(
        collection=collection,
        id=document["_id"],
        document=document,
        body=encode(document),
        check=check,
    )


def change(collection: str, id: str, work: Callable[[Document], Outcome]) -> Change:
    """`work` on a document that must be there."""

    def apply(document: Document | None, lookups: Lookups) -> Outcome:
        assert document is not None
        return work(document)

    return Change(collection=collection, id=id, apply=apply)


def setting(**fields: Any) -> Callable[[Document], Outcome]:
    return lambda document: {**document, **fields}


def delete(collection: str, id: str) -> Change:
    return Change(
        collection=collection,
        id=id,
        apply=lambda document, lookups: DELETE,
    )


def change_many(
    collection: str, filter: Filter, work: Callable[[Document], Outcome], **more: Any
) -> ChangeMany:
    return ChangeMany(
        collection=collection,
        filter=filter,
        apply=lambda document, lookups: work(document or {}),
        **more,
    )


async def write(store: Any, *steps: Step, once: Any = None) -> BatchResult:
    result: BatchResult = await store.write(steps, INFO, once)
    return result


async def put(store: Any, collection: str, *documents: Document) -> None:
    await write(store, *(insert(collection, document) for document in documents))


async def find(store: Any, collection: str, filter: Filter = ALWAYS, **more: Any) -> list[Document]:
    query = Find(collection=collection, filter=filter, **more)
    return [decode(body) for body in await resolve(store.find(query))]


async def ids(store: Any, collection: str, filter: Filter = ALWAYS, **more: Any) -> list[str]:
    return [document["_id"] for document in await find(store, collection, filter, **more)]


async def get(store: Any, collection: str, id: str, filter: Filter = ALWAYS) -> Document | None:
    body = await resolve(store.get(collection, id, filter))
    return None if body is None else decode(body)


def eq(path: str, value: Any) -> Field:
    return Field(tuple(path.split(".")), Eq(value))


def index(*fields: str, name: str = "", unique: bool = False) -> IndexSpec:
    """Fields as rule files write them: `-a.b` descends."""
    keys = tuple(
        IndexKey(tuple(field.lstrip("-").split(".")), field.startswith("-")) for field in fields
    )
    return IndexSpec(name=name or "_".join(fields), keys=keys, unique=unique)


def declared(name: str, *indexes: IndexSpec, **more: Any) -> dict[str, CollectionSpec]:
    return {name: CollectionSpec(name=name, indexes=indexes, **more)}
