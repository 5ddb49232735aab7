"""A filter means the same on MongoDB as in the evaluator, which defines it.

Twice over: what the reader answers, and what the server alone finds, which is at least that, and
nothing else where the compiler calls it exact.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.query import expr as e
from baas.query.ast import ALWAYS, And, Eq, Field, Filter, Not, Or, Sort, Where
from baas.query.evaluate import matches
from baas.query.order import compare_sort_values, sort_documents, sort_values
from baas.schema.values import Document, encode
from tests.property.test_conditions_are_sqlite import conditions
from tests.property.test_evaluator_is_sqlite import SHARED
from tests.support.hard_cases import HARD_DOCUMENTS, HARD_FILTERS
from tests.support.mongo import Crashed, Rows, understood
from tests.support.strategies import filters, parsed, sorts, stored_documents, values


@pytest.fixture(scope="module")
def rows() -> Iterator[Rows]:
    rows = Rows()
    yield rows
    rows.close()


def check(rows: Rows, documents: list[Document], filter: Filter) -> None:
    wanted = sorted(row["_id"] for row in documents if matches(filter, row))
    try:
        found, exact = rows.native(filter)
    except Crashed:
        return
    assert set(found) >= set(wanted)
    assert not exact or found == wanted
    if not exact:
        assert rows.find(filter) == wanted


HARD_ROWS = understood({"_id": f"d{n:03d}", **row} for n, row in enumerate(HARD_DOCUMENTS))


def test_hard_filters_mean_the_same(rows: Rows) -> None:
    rows.fill(HARD_ROWS)
    for raw in HARD_FILTERS:
        filter = parsed(raw)
        try:
            check(rows, HARD_ROWS, filter)
            check(rows, HARD_ROWS, Not(filter))
        except AssertionError as fault:
            raise AssertionError(encode(raw).decode()) from fault


@SHARED
@given(documents=stored_documents(), filter=filters())
def test_a_filter_finds_what_the_evaluator_finds(
    rows: Rows, documents: list[Document], filter: Filter
) -> None:
    documents = understood(documents)
    rows.fill(documents)
    check(rows, documents, filter)
    check(rows, documents, Not(filter))


@SHARED
@given(documents=stored_documents(), one=filters(), other=filters())
def test_filters_put_together_find_what_the_evaluator_finds(
    rows: Rows, documents: list[Document], one: Filter, other: Filter
) -> None:
    documents = understood(documents)
    rows.fill(documents)
    check(rows, documents, And((one, Not(other))))
    check(rows, documents, Or((one, Not(other))))


@SHARED
@given(documents=stored_documents(), expr=conditions())
def test_a_condition_of_a_rule_holds_where_the_reference_says_so(
    rows: Rows, documents: list[Document], expr: e.Expr
) -> None:
    documents = understood(documents)
    rows.fill(documents)
    check(rows, documents, Where(expr))
    check(rows, documents, Not(Where(expr)))
    check(rows, documents, Where(e.Unary("!", expr)))


@SHARED
@given(documents=stored_documents(), sort=sorts(), data=st.data())
def test_pages_follow_the_order_of_the_reference(
    rows: Rows, documents: list[Document], sort: Sort, data: st.DataObject
) -> None:
    rows.fill(documents)
    ordered = sort_documents(documents, sort)
    expected = [row["_id"] for row in ordered]
    assert rows.find(ALWAYS, sort) == expected
    assert rows.find(ALWAYS, sort, limit=2, skip=1) == expected[1:3]
    any_value = tuple(
        data.draw(st.sampled_from(("d1", "d3", "a", "")))
        if key.path == ("_id",)
        else data.draw(values(3))
        for key in sort
    )
    cursors = [sort_values(row, sort) for row in documents] + [any_value]
    after = data.draw(st.sampled_from(cursors))
    behind = [
        row["_id"]
        for row in ordered
        if compare_sort_values(sort_values(row, sort), after, sort) > 0
    ]
    assert rows.find(ALWAYS, sort, after=after) == behind


NAMES = ("$", "a$b", "$a", "%s", "[0]", "#", "é", "😀", " ", '"', "\\", "__proto__", "d", "j", "u")


def test_any_field_name_names_that_field_alone(rows: Rows) -> None:
    documents = [{"_id": f"d{n:02d}", name: n} for n, name in enumerate(NAMES)]
    documents += [{"_id": f"e{n:02d}", "a": {name: n}} for n, name in enumerate(NAMES)]
    rows.fill(documents)
    for place, name in enumerate(NAMES):
        for path, letter in (((name,), "d"), (("a", name), "e")):
            assert rows.find(Field(path, Eq(place))) == [f"{letter}{place:02d}"]
