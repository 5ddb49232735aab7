"""Queries by where on the globe they look: which of them a document's places could belong to."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from baas.query import sphere
from baas.query.shapes import point_of
from baas.query.sphere import Box
from baas.schema.values import Value

Q = TypeVar("Q", bound=Hashable)


class Places(Generic[Q]):
    """The queries about one path. Each looks at places that meet a box in space."""

    def __init__(self) -> None:
        self._boxes: dict[Q, Box] = {}

    def __bool__(self) -> bool:
        return bool(self._boxes)

    def add(self, query: Q, box: Box) -> None:
        self._boxes[query] = box

    def remove(self, query: Q) -> None:
        del self._boxes[query]

    def all(self) -> set[Q]:
        return set(self._boxes)

    def holding(self, values: Iterable[Value]) -> set[Q]:
        """Those that one of these values could belong to. Of lines and areas that is not asked:
        making their boxes may take longer than asking each query."""
        points = []
        for value in values:
            if type(value) is not dict:
                continue
            if (point := point_of(value)) is not None:
                points.append(point)
            elif value.get("type") != "Point":
                return set(self._boxes)
        if not points:
            return set()
        box = sphere.points_box(points)
        return {query for query, own in self._boxes.items() if sphere.overlap(own, box)}
