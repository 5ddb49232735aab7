"""One folder of files, as a person looks at it: what lies in it, and the folders in it.

Storage itself knows paths alone. A folder is what paths below it begin with, and one with a million
files in it costs no more than one look: the search goes on behind it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from baas.ports.documents import DocumentStore, Find, resolve
from baas.query.ast import Field, Filter, Range, SortKey
from baas.schema.values import Document, decode
from baas.storage.bodies import File
from baas.storage.rows import FILES, file_of

#: Files and folders of one page, and rows looked at in one go.
MAX_ENTRIES: Final = 500
_FETCH: Final = 100
_BY_PATH: Final = (SortKey(("path",)),)
#: What follows `/` in the order of code points: no path below `a/` is behind `a0`.
_BEHIND: Final = "0"


class FolderPage(msgspec.Struct, frozen=True):
    """In order of path. `folders` end in `/`. `next` is the `after` of the next page."""

    folders: list[str]
    files: list[File]
    next: str | None


async def folder_page(
    store: DocumentStore, app: str, prefix: str, after: str | None, most: int = MAX_ENTRIES
) -> FolderPage:
    """What lies directly below `prefix` ("" or ending in `/`), whoever may list it."""
    page = FolderPage([], [], None)
    while True:
        rows = await _rows(store, prefix, after)
        for row in rows:
            path: str = row["path"]
            if not path.startswith(prefix):
                return page
            if after is not None and after.endswith("/") and path.startswith(after):
                continue
            if len(page.folders) + len(page.files) >= most:
                return msgspec.structs.replace(page, next=after)
            after = _take(page, app, prefix, row)
        if len(rows) < _FETCH:
            return page


def _take(page: FolderPage, app: str, prefix: str, row: Document) -> str:
    """Puts it where it belongs; what was seen last is the answer."""
    path: str = row["path"]
    name, slash, _ = path[len(prefix) :].partition("/")
    if not slash:
        page.files.append(file_of(app, row))
        return path
    page.folders.append(f"{prefix}{name}/")
    return page.folders[-1]


async def _rows(store: DocumentStore, prefix: str, after: str | None) -> list[Document]:
    begin = Range("gte", prefix) if after is None else _behind(after)
    filter: Filter = Field(("path",), begin)
    query = Find(collection=FILES, filter=filter, sort=_BY_PATH, limit=_FETCH)
    return [decode(body) for body in await resolve(store.find(query))]


def _behind(seen: str) -> Range:
    return Range("gte", seen[:-1] + _BEHIND) if seen.endswith("/") else Range("gt", seen)
