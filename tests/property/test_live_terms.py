"""What the index of live queries skips for a change never matters to them."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from baas.errors import Problem
from baas.push.live import ranges as module
from baas.push.live.query import predicate
from baas.push.live.ranges import Ranges
from baas.push.live.terms import TermIndex, term_of
from baas.query import ast
from baas.query import expr as e
from baas.query.ast import Filter
from baas.query.parse import parse_filter
from tests.support.places import nears, places, regions
from tests.support.strategies import (
    LIMITS,
    documents,
    filters,
    names,
    parsed,
    paths,
    scalars,
    values,
)


def equalities() -> st.SearchStrategy[Filter]:
    """What rules mostly come to: a field beside a value; and what looks like it."""
    fields = st.builds(
        lambda path: e.DocField("doc", tuple(path.split("."))), st.one_of(names(), paths())
    )
    literals = st.builds(e.Literal, st.one_of(scalars(), values(3)))
    operators = st.sampled_from(["==", "!=", "<", ">=", "in"])
    compared = st.builds(e.Binary, operators, fields, literals)
    turned = st.builds(e.Binary, st.just("=="), literals, fields)
    return st.builds(ast.Where, st.one_of(compared, turned))


def queries() -> st.SearchStrategy[Filter]:
    one = st.one_of(filters(), equalities())
    both = st.builds(lambda items: ast.And(tuple(items)), st.lists(one, min_size=2, max_size=3))
    either = st.builds(lambda items: ast.Or(tuple(items)), st.lists(one, min_size=2, max_size=3))
    return st.one_of(one, both, either)


@given(st.lists(queries(), min_size=1, max_size=6), st.lists(documents(), max_size=6))
def test_a_document_finds_every_query_that_it_belongs_to(
    asked: list[Filter], found: list[Any]
) -> None:
    index: TermIndex[int] = TermIndex()
    for number, filter in enumerate(asked):
        index.add(number, filter)
    for document in found:
        touched = index.touched(document)
        for number, filter in enumerate(asked):
            if predicate(filter)(document):
                assert number in touched, (term_of(filter), document)


@given(st.lists(queries(), min_size=1, max_size=6), st.data())
def test_queries_that_have_gone_are_found_no_more_and_the_others_are(
    asked: list[Filter], data: st.DataObject
) -> None:
    index: TermIndex[int] = TermIndex()
    for number, filter in enumerate(asked):
        index.add(number, filter)
    gone = data.draw(st.sets(st.sampled_from(range(len(asked)))))
    for number in gone:
        index.remove(number)
    assert len(index) == len(asked) - len(gone)
    document = data.draw(documents())
    touched = index.touched(document)
    assert not touched & gone
    for number, filter in enumerate(asked):
        if number not in gone and predicate(filter)(document):
            assert number in touched
    for number in set(range(len(asked))) - gone:
        index.remove(number)
    assert (len(index), index.touched(document)) == (0, set())
    assert index._equal == index._ranges == {}


GEO = st.builds(
    lambda path, region, more: {path: region, **more},
    st.sampled_from(["at", "list.at", "at.0"]),
    st.one_of(nears, regions),
    st.sampled_from([{}, {"b": True}, {"n": 1}]),
)


@given(
    st.lists(GEO, min_size=1, max_size=5),
    st.one_of(
        st.builds(lambda at: {"at": at}, places),
        st.builds(lambda at: {"list": [{"at": at}, 5]}, places),
    ),
    st.booleans(),
)
def test_a_place_finds_every_query_that_it_belongs_to(
    asked: list[Any], document: Any, yes: bool
) -> None:
    document = {"_id": "a", "b": yes, "n": 1, **document}
    index: TermIndex[int] = TermIndex()
    kept = {}
    for number, raw in enumerate(asked):
        try:
            kept[number] = parse_filter(raw, LIMITS, now_ms=0, whole=True)
        except Problem:
            continue  # a polygon that is none on a sphere
        index.add(number, kept[number])
    touched = index.touched(document)
    for number, filter in kept.items():
        if predicate(filter)(document):
            assert number in touched, (term_of(filter), document)
        index.remove(number)
    assert (len(index), index.touched(document)) == (0, set())
    assert index._places == {}


def test_a_move_elsewhere_touches_nobody_here() -> None:
    index: TermIndex[int] = TermIndex()
    for number in range(100):
        center = {"type": "Point", "coordinates": [number, 0]}
        near = {"at": {"$near": {"$geometry": center, "$maxDistance": 50_000}}, "b": True}
        index.add(number, parse_filter(near, LIMITS, now_ms=0, whole=True))
    here = {"_id": "a", "b": True, "at": {"type": "Point", "coordinates": [7.1, 0.1]}}
    assert index.touched(here) == {7}
    assert index.touched({**here, "at": [here["at"], None, 5]}) == {7}
    assert index.touched({**here, "at": None}) == set()
    assert len(index.touched({**here, "at": {"type": "LineString"}})) == 100


@given(st.integers(0, 100), st.integers(0, 100))
def test_an_equality_skips_every_other_value(mine: int, other: int) -> None:
    index: TermIndex[str] = TermIndex()
    index.add("query", ast.Field(("n",), ast.Eq(mine)))
    assert index.touched({"_id": "a", "n": other}) == ({"query"} if mine == other else set())


ENDS = st.none() | st.integers(0, 60)


@given(
    st.lists(st.tuples(ENDS, ENDS).filter(lambda ends: ends != (None, None)), max_size=200),
    st.sets(st.integers(0, 199)),
    st.integers(-5, 65),
    st.integers(0, 3),
)
def test_ranges_are_found_as_by_looking_at_each(
    ranges: list[tuple[int | None, int | None]], gone: set[int], least: int, more: int
) -> None:
    index: Ranges[int] = Ranges()
    with patch.object(module, "MOST", 4):
        for number, (low, high) in enumerate(ranges):
            index.add(number, low, high)
    for number in gone & set(range(len(ranges))):
        index.remove(number)
    expected = {
        number
        for number, (low, high) in enumerate(ranges)
        if number not in gone
        and (low is None or low <= least + more)
        and (high is None or high >= least)
    }
    assert index.holding(least, least + more) == expected
    assert bool(index) == bool(set(range(len(ranges))) - gone)


def test_slices_of_time_are_told_apart() -> None:
    index: TermIndex[int] = TermIndex()
    for number in range(5000):
        both = {"at": {"$gte": number * 10, "$lt": number * 10 + 10}}
        index.add(number, parsed(both))
    assert len(index.touched({"_id": "a", "at": 49_995})) <= 2
    assert len(index.touched({"_id": "a", "at": [49_995, 5]})) == 5000
