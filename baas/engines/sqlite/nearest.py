"""The nearest documents through a geo index: in circles that grow until they hold enough.

An R*Tree finds what lies in a box, not what lies nearest. So a query that orders by distance and
wants few is asked of a small circle first; what lies outside is further away than all in it, so
once a circle holds as many as are wanted, they are the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from baas.engines.sqlite.catalogue import CollectionInfo
from baas.ports.documents import Find
from baas.query import ast
from baas.query.geo import Near
from baas.schema.values import Value

#: Metres of the first circle, and how much wider each is than the one before. Twelve go round the
#: globe; an empty one costs a tenth of a millisecond, and one that is too wide a look at each
#: document in it.
_FIRST: Final = 100.0
_WIDER: Final = 3.0
_LAST: Final = 20_000_000.0


def circles(info: CollectionInfo, query: Find) -> Iterator[Find]:
    """Narrower queries to be asked before this one; none where they would be of no use."""
    near = query.sort[0].near
    if near is None or query.limit is None or not _is_indexed(info, query):
        return
    beyond = max(near.least, _metres(query.after))
    most = _LAST if near.most is None else min(near.most, _LAST)
    radius = _FIRST
    while radius < most:
        if radius > beyond:
            filter = _narrowed(query.filter, near, radius)
            yield msgspec.structs.replace(query, filter=filter)
        radius *= _WIDER


def _is_indexed(info: CollectionInfo, query: Find) -> bool:
    paths = (query.sort[0].path,)
    return any(index.spec.kind == "geo" and index.paths == paths for index in info.indexes)


def _metres(after: tuple[Value, ...] | None) -> float:
    first = after[0] if after else None
    return float(first) if isinstance(first, int | float) else 0.0


def _narrowed(filter: ast.Filter, near: Near, radius: float) -> ast.Filter:
    """The filter with the `$near` among its conjuncts ending at `radius`."""
    if isinstance(filter, ast.And):
        return ast.And(tuple(_narrowed(item, near, radius) for item in filter.items))
    if isinstance(filter, ast.Field) and filter.test == ast.Geo(near):
        return ast.Field(filter.path, ast.Geo(msgspec.structs.replace(near, most=radius)))
    return filter
