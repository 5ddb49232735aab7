"""What rows are filed under for places and words narrows a search down, and loses nothing of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from baas.query.near import default_sort
from baas.query.order import sort_documents
from baas.schema.values import Document
from tests.property.test_evaluator_is_mongo import SHARED, check, matches, rows
from tests.property.test_places_and_texts import INDEXES, numbered, parsed, placed, written
from tests.support.mongo import Rows
from tests.support.places import nears, regions, searches

__all__ = ["rows"]


@SHARED
@given(placed, regions)
def test_regions(rows: Rows, bodies: list[Document], region: Any) -> None:
    documents = numbered(bodies)
    rows.fill(documents, *INDEXES)
    check(rows, documents, parsed({"at": region}))


@SHARED
@given(placed, nears)
def test_near(rows: Rows, bodies: list[Document], near: Any) -> None:
    filter = parsed({"at": near})
    order = default_sort(filter)
    documents = numbered(bodies)
    rows.fill(documents, *INDEXES)
    check(rows, documents, filter)
    found = [one for one in documents if matches(filter, one)]
    wanted = [one["_id"] for one in sort_documents(found, order)]
    for size in (1, 2, 5):
        assert rows.find(filter, order, limit=size) == wanted[:size]
    assert rows.find(filter, order, limit=2, skip=1) == wanted[1:3]


@SHARED
@given(written, searches)
def test_searches(rows: Rows, bodies: list[Document], search: str) -> None:
    documents = numbered(bodies)
    rows.fill(documents, *INDEXES)
    check(rows, documents, parsed({"$text": {"$search": search}}))
