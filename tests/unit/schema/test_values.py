"""The value model: kinds, dates, numbers, equality."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.schema.values import (
    MAX_DATE_MS,
    MIN_DATE_MS,
    MISSING,
    Kind,
    canonical_number,
    compare,
    date_from_ms,
    date_to_ms,
    decode,
    encode,
    equal,
    is_date,
    kind_of,
)
from tests.support.strategies import documents

EPOCH = {"$date": "1970-01-01T00:00:00.000Z"}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, Kind.NULL),
        (MISSING, Kind.NULL),
        (1, Kind.NUMBER),
        (1.5, Kind.NUMBER),
        ("", Kind.STRING),
        ({}, Kind.OBJECT),
        ([], Kind.ARRAY),
        (False, Kind.BOOLEAN),
        (EPOCH, Kind.DATE),
        ({"$date": "x", "a": 1}, Kind.OBJECT),
    ],
)
def test_every_value_has_one_kind(value: Any, kind: Kind) -> None:
    assert kind_of(value) is kind
    assert is_date(value) is (kind is Kind.DATE)


@given(st.integers(MIN_DATE_MS, MAX_DATE_MS))
def test_dates_keep_every_millisecond_of_the_years_1_to_9999(ms: int) -> None:
    assert date_to_ms(date_from_ms(ms)) == ms


@given(st.integers(MIN_DATE_MS, MAX_DATE_MS), st.integers(MIN_DATE_MS, MAX_DATE_MS))
def test_dates_as_text_are_in_order_of_time(one: int, other: int) -> None:
    left, right = date_from_ms(one), date_from_ms(other)
    assert compare(left, right) == (one > other) - (one < other)


def test_the_ends_of_time() -> None:
    assert date_from_ms(0) == EPOCH
    assert date_from_ms(MIN_DATE_MS) == {"$date": "0001-01-01T00:00:00.000Z"}
    assert date_from_ms(MAX_DATE_MS) == {"$date": "9999-12-31T23:59:59.999Z"}
    for outside in (MIN_DATE_MS - 1, MAX_DATE_MS + 1, 10**30):
        with pytest.raises(ValueError, match="years"):
            date_from_ms(outside)


@pytest.mark.parametrize(
    ("number", "expected"), [(1.0, 1), (-0.0, 0), (1.5, 1.5), (2.0**53, 2.0**53), (7, 7)]
)
def test_an_integral_number_has_one_form(number: float, expected: float) -> None:
    result = canonical_number(number)
    assert (type(result), result) == (type(expected), expected)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (0, None, False),
        ("", None, False),
        (None, MISSING, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ([1, [2]], [1, [2]], True),
        ([1], [1, None], False),
        ({"a": None}, {}, False),
        (EPOCH, EPOCH["$date"], False),
    ],
)
def test_equality(left: Any, right: Any, same: bool) -> None:
    assert equal(left, right) is same
    assert equal(right, left) is same


@given(documents())
def test_documents_survive_json_with_their_order_of_fields(document: dict[str, Any]) -> None:
    again = decode(encode(document))
    assert again == document
    assert list(again) == list(document)
    assert encode(again) == encode(document)
