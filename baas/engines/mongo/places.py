"""Places as cells that an index can find.

The unit cube around the globe is cut into cells, coarse and fine ones. A row is filed under those
that the boxes around its geometries meet, at each size; at sizes where these would be too many,
under `*`. A region is looked for in its cells of the finest size of which it needs few. Both only
narrow down: each candidate is asked again by the evaluator.

The server's own index of places is not used: it refuses documents whose geometry it does not like,
and means other things by some (docs/decisions/geo-and-text.md).
"""

from __future__ import annotations

from itertools import product
from math import floor
from typing import Final

from baas.query import shapes
from baas.query.evaluate import candidates
from baas.query.geo import Region, search_box
from baas.query.sphere import Box
from baas.schema.values import Document, Path

#: Halvings of the cube: cells of 3,200 km, 400, 50, 6, 800 m, 100 and 12.
_LEVELS: Final = (2, 5, 8, 11, 14, 17, 20)
#: Cells of one size that a geometry is filed under, and all those of a document together; and that
#: a region is looked for in.
_MOST_FILED: Final = 27
_MOST_TOGETHER: Final = 64
_MOST_ASKED: Final = 125
_EVERYWHERE: Final = "*"


def cells_of(document: Document, path: Path) -> list[str]:
    """What a row is filed under; nothing where there is no geometry to be found."""
    found = (shapes.shape_of(value) for value in candidates(document, path))
    boxes = [box for shape in found if shape is not None and (box := shapes.box_of(shape))]
    cells: list[str] = []
    for level in _LEVELS if boxes else ():
        cells += _filed(boxes, level) or [_cell(level, _EVERYWHERE)]
    return cells


def _filed(boxes: list[Box], level: int) -> list[str]:
    """The cells of a size that any of the boxes meets; none where there are too many."""
    found: set[str] = set()
    for box in boxes:
        cells = _cells(box, level, _MOST_FILED)
        found.update(cells)
        if not cells or len(found) > _MOST_TOGETHER:
            return []
    return sorted(found)


def cells_for(region: Region) -> list[str] | None:
    """Of which every row has one whose geometry the region holds of; None: no bound."""
    box = search_box(region)
    if box is None:
        return None
    for level in reversed(_LEVELS):
        if cells := _cells(box, level, _MOST_ASKED):
            return [*cells, _cell(level, _EVERYWHERE)]
    return None


def _cells(box: Box, level: int, most: int) -> list[str]:
    """The cells of a size that the box meets; none where there are more."""
    scale = 2.0**level / 2
    spans = [
        range(floor((box[low] + 1) * scale), floor((box[low + 1] + 1) * scale) + 1)
        for low in range(0, len(box), 2)
    ]
    count = len(spans[0]) * len(spans[1]) * len(spans[2])
    if count > most:
        return []
    return [_cell(level, f"{x}.{y}.{z}") for x, y, z in product(*spans)]


def _cell(level: int, place: str) -> str:
    return f"{level}:{place}"
