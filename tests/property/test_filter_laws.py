"""Laws that every reading of the filter language must keep, over generated documents."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.query.evaluate import candidates, matches
from baas.query.fields import paths_in_filter
from baas.query.parse import parse_path
from baas.schema.values import MISSING, equal
from tests.support.hard_cases import HARD_DOCUMENTS, HARD_FILTERS
from tests.support.strategies import documents, operands, parsed, paths, raw_filters


def holds(raw: dict[str, Any], document: dict[str, Any]) -> bool:
    return matches(parsed(raw), document)


@given(documents(), raw_filters(), raw_filters())
def test_and_or_nor_are_those_of_logic(document: Any, one: Any, other: Any) -> None:
    left, right = holds(one, document), holds(other, document)
    assert holds({"$and": [one, other]}, document) is (left and right)
    assert holds({"$or": [one, other]}, document) is (left or right)
    assert holds({"$nor": [one, other]}, document) is not (left or right)


@given(documents(), paths(), operands())
def test_negations_are_the_opposite(document: Any, path: str, value: Any) -> None:
    same = holds({path: {"$eq": value}}, document)
    assert holds({path: value}, document) is same
    assert holds({path: {"$ne": value}}, document) is not same
    assert holds({path: {"$not": {"$eq": value}}}, document) is not same
    assert holds({path: {"$in": [value]}}, document) is same
    assert holds({path: {"$nin": [value]}}, document) is not same
    assert holds({path: {"$all": [value]}}, document) is same


@given(documents(), paths(), st.lists(operands(), max_size=3))
def test_in_is_an_or_and_all_an_and(document: Any, path: str, values: list[Any]) -> None:
    each = [holds({path: value}, document) for value in values]
    assert holds({path: {"$in": values}}, document) is any(each)
    assert holds({path: {"$all": values}}, document) is (bool(each) and all(each))


@given(documents(), paths(), operands())
def test_closed_ranges_are_open_ones_or_equality(document: Any, path: str, value: Any) -> None:
    same = holds({path: value}, document)
    for closed, strict in (("$gte", "$gt"), ("$lte", "$lt")):
        expected = holds({path: {strict: value}}, document) or same
        assert holds({path: {closed: value}}, document) is expected


@given(documents(), paths(), operands())
def test_equality_is_that_of_some_candidate(document: Any, path: str, value: Any) -> None:
    found = [None if one is MISSING else one for one in candidates(document, parse_path(path, ""))]
    one_is_equal = any(equal(one, value) for one in found)
    assert holds({path: value}, document) is one_is_equal


@given(documents(), raw_filters())
def test_only_the_named_fields_decide(document: Any, raw: Any) -> None:
    tops = {path[0] for path in paths_in_filter(parsed(raw))}
    named = {name: value for name, value in document.items() if name in tops}
    assert holds(raw, document) is holds(raw, named)


@given(documents(), raw_filters())
def test_the_document_is_not_modified(document: Any, raw: Any) -> None:
    before = copy.deepcopy(document)
    holds(raw, document)
    assert document == before


@pytest.mark.parametrize("raw", HARD_FILTERS, ids=str)
def test_hard_filters_have_an_opposite(raw: dict[str, Any]) -> None:
    for document in HARD_DOCUMENTS:
        assert holds({"$nor": [raw]}, document) is not holds(raw, document)
