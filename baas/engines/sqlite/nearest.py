"""The nearest documents through a geo index; see `baas.query.circles`."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from baas.engines.sqlite.catalogue import CollectionInfo
from baas.ports.documents import Find
from baas.query.circles import circles as narrower


def circles(info: CollectionInfo, query: Find) -> Iterator[Find]:
    """Narrower queries to be asked before this one; none where they would be of no use."""
    near = query.sort[0].near
    if near is None or query.limit is None or not _is_indexed(info, query):
        return
    for filter in narrower(query.filter, near, query.after):
        yield msgspec.structs.replace(query, filter=filter)


def _is_indexed(info: CollectionInfo, query: Find) -> bool:
    paths = (query.sort[0].path,)
    return any(index.spec.kind == "geo" and index.paths == paths for index in info.indexes)
