"""The nearest documents through an index of places: in circles that grow until they hold enough.

An index finds what lies in a region, not what lies nearest. So a query that orders by distance and
wants few is asked of a small circle first; what lies outside is further away than all in it, so
once a circle holds as many as are wanted, they are the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from baas.query import ast
from baas.query.geo import Near
from baas.schema.values import Value

#: Metres of the first circle, and how much wider each is than the one before. Twelve go round the
#: globe; an empty one costs a tenth of a millisecond, and one that is too wide a look at each
#: document in it.
_FIRST: Final = 100.0
_WIDER: Final = 3.0
_LAST: Final = 20_000_000.0


def circles(
    filter: ast.Filter, near: Near, after: tuple[Value, ...] | None
) -> Iterator[ast.Filter]:
    """Narrower filters to be asked before this one, for documents behind the sort values `after`,
    the first of which is a distance."""
    beyond = max(near.least, _metres(after))
    most = _LAST if near.most is None else min(near.most, _LAST)
    radius = _FIRST
    while radius < most:
        if radius > beyond:
            yield _narrowed(filter, near, radius)
        radius *= _WIDER


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
