"""Small helpers for writes to the reserved collections."""

from __future__ import annotations

from typing import Final

from baas.errors import Problem
from baas.ports.documents import (
    DELETE,
    KEEP,
    BatchResult,
    Change,
    ChangeMany,
    DocumentStore,
    Insert,
    Lookups,
    Outcome,
    Step,
    WriteInfo,
)
from baas.query.ast import Eq, Field
from baas.schema.values import Document, encode

#: More documents of one user than this in one reserved collection is a fault, not a use.
_MANY: Final = 1_000_000


def insert(collection: str, document: Document) -> Insert:
    return Insert(
        collection=collection, id=document["_id"], document=document, body=encode(document)
    )


def remove(collection: str, id: str) -> Change:
    """Gone after this, whether or not it was there."""
    return Change(collection=collection, id=id, apply=_gone)


def remove_owned(
    collection: str,
    uid: str,
    *,
    keep: str | None = None,
    field: str | None = None,
    value: str | None = None,
) -> ChangeMany:
    """Every document with this `uid`, but the one whose id is `keep`; with `field`, only those
    that have `value` there."""

    def apply(document: Document | None, _: Lookups) -> Outcome:
        if document is None or document["_id"] == keep:
            return KEEP
        return DELETE if field is None or document[field] == value else KEEP

    owned = Field(("uid",), Eq(uid))
    return ChangeMany(collection=collection, filter=owned, apply=apply, multi=True, limit=_MANY)


async def write(store: DocumentStore, *steps: Step, actor: str | None = None) -> BatchResult:
    """All steps or none. A Problem loses its `operation`: callers of auth know of no batch."""
    try:
        return await store.write(steps, WriteInfo(actor=actor))
    except Problem as problem:
        problem.operation = None
        raise


def _gone(document: Document | None, _: Lookups) -> Outcome:
    return KEEP if document is None else DELETE
