"""A bare table beside the compiler: documents in, ids out, with no store around it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from baas.engines.sqlite.catalogue import Catalogue, CollectionInfo, IndexInfo, has_array
from baas.engines.sqlite.connection import Database
from baas.engines.sqlite.queries import select
from baas.ports.documents import Find
from baas.query.ast import BY_ID, Filter, Sort
from baas.schema.model import IndexKey, IndexSpec
from baas.schema.values import Document, decode, encode
from baas.schema.values import Path as FieldPath


class Table:
    """One collection, filled anew for every example.

    `index` names paths that count as indexed: they are compiled in the short form unless a
    document has an array there, as a real collection's multikey flags would have it.
    """

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder, "normal", lambda: Catalogue(0, {}))
        self.database.raw.execute(
            "CREATE TABLE IF NOT EXISTS c1_1(id TEXT PRIMARY KEY NOT NULL, doc TEXT NOT NULL)"
        )
        self.info = CollectionInfo(1, "c", 1, frozenset(), ())

    def fill(self, documents: Iterable[Document], index: Iterable[FieldPath] = ()) -> None:
        rows = list(documents)
        execute = self.database.raw.execute
        execute("DELETE FROM c1_1")
        for document in rows:
            execute(self.info.insert_sql, (document["_id"], encode(document).decode()))
        paths = list(index)
        multikey = frozenset(p for p in paths if any(has_array(row, p) for row in rows))
        spec = IndexSpec(name="i", keys=tuple(IndexKey(path) for path in paths))
        self.info = CollectionInfo(1, "c", 1, multikey, (IndexInfo("i1", spec),))

    def find(self, filter: Filter, sort: Sort = BY_ID, **more: Any) -> list[str]:
        query = Find(collection="c", filter=filter, sort=sort, **more)
        sql, params = select(self.info, query)
        return [decode(body)["_id"] for body in self.database.rows(sql, params)]

    def close(self) -> None:
        self.database.close()
