"""The service's reads as of one moment, for callers that ask several times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from typing import Any, cast

from baas.database.context import Context
from baas.ports.documents import DocumentReader, DocumentStore, Find, MaybeAwaitable
from baas.query.ast import ALWAYS, Filter


class _Moment:
    """A reader where the service looks for its store. It has no way to write."""

    def __init__(self, reader: DocumentReader) -> None:
        self._reader = reader

    def get(
        self, collection: str, id: str, filter: Filter = ALWAYS
    ) -> MaybeAwaitable[bytes | None]:
        return self._reader.get(collection, id, filter)

    def find(self, query: Find) -> MaybeAwaitable[list[bytes]]:
        return self._reader.find(query)

    def count(self, collection: str, filter: Filter = ALWAYS) -> MaybeAwaitable[int]:
        return self._reader.count(collection, filter)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[DocumentReader]:
        yield self._reader


def at_moment(context: Context, reader: DocumentReader) -> Context:
    """The same parts, reading from `reader`."""
    moved: Any = copy(context)
    moved.store = cast("DocumentStore", _Moment(reader))
    return cast("Context", moved)
