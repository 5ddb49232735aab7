"""Documents as they were at an earlier moment, from what the change feed still remembers.

The feed keeps each document as it was before each write. So the state of a moment is, of every
document written since then, what was there before the first of those writes.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from baas.engines.sqlite.connection import Database
from baas.engines.sqlite.readers import Readers
from baas.engines.sqlite.writer import Writer
from baas.errors import ConfigurationError
from baas.ports.documents import DELETE, KEEP, Change, Lookups, Outcome, Step, WriteInfo
from baas.schema.values import Document, date_from_ms, decode

#: Documents of one transaction.
GROUP: Final = 200
_ENDS: Final = "SELECT min(seq),(SELECT time FROM baas_feed ORDER BY seq LIMIT 1) FROM baas_feed"
#: Clocks may step back: from the first write after the moment on, all of them are undone.
_FIRST: Final = "SELECT min(seq) FROM baas_feed WHERE time>?"
_TOUCHED: Final = "SELECT min(seq) FROM baas_feed WHERE seq>=? GROUP BY collection,id ORDER BY 1"
_IMAGES: Final = (
    "SELECT collection,id,before FROM baas_feed"
    " WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
)


async def rewind(readers: Readers, writer: Writer, at_ms: int) -> int:
    """See `SqliteStore.rewind`."""
    touched = await readers.in_thread(lambda database: _touched(database, at_ms))
    groups = [touched[start : start + GROUP] for start in range(0, len(touched), GROUP)]
    # Unique values may have changed hands since: all of them are freed before any is taken again.
    for restore in (False, True):
        for group in groups:
            rows = await readers.in_thread(partial(_images, group))
            await writer.write(tuple(_step(restore, *row) for row in rows), WriteInfo(), None)
    return len(touched)


def _touched(database: Database, at_ms: int) -> list[int]:
    """The first event of each document since then."""
    ends: Any = database.raw.execute(_ENDS).fetchone()
    oldest, reaches = ends
    if oldest is not None and oldest > 1 and at_ms < reaches:
        since = date_from_ms(reaches)["$date"]
        raise ConfigurationError(f"its change feed reaches back to {since} only")
    first = database.raw.execute(_FIRST, (at_ms,)).get
    if first is None:
        return []
    return [seq for (seq,) in database.raw.execute(_TOUCHED, (first,))]


def _images(group: list[int], database: Database) -> list[Any]:
    return database.raw.execute(_IMAGES, (str(group),)).fetchall()


def _step(restore: bool, collection: str, id: str, before: bytes | None) -> Step:
    def apply(stored: Document | None, _lookups: Lookups) -> Outcome:
        if restore and before is not None:
            document: Document = decode(before)
            return document
        return KEEP if stored is None else DELETE

    return Change(collection=collection, id=id, apply=apply)
