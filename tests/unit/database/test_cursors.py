"""Cursors: what they carry, and what they are bound to. Tampering: tests/security."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.database.cursors import Cursors, binding_of
from baas.query.ast import BY_ID, SortKey
from baas.schema.actor import Actor
from baas.schema.values import date_from_ms
from tests.support.database import ANN, SECRET

CURSORS = Cursors(SECRET)
values = st.lists(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=("Cs",))),
        st.just(date_from_ms(0)),
        st.dictionaries(st.sampled_from("ab"), st.integers(0, 3)),
    ),
    min_size=1,
    max_size=4,
).map(tuple)


@given(values=values)
def test_a_cursor_gives_back_what_was_sealed(values: tuple[object, ...]) -> None:
    text = CURSORS.seal(values, b"binding")
    assert CURSORS.open(text, b"binding", keys=len(values)) == values
    assert text.isascii()
    assert not set(text) & set("+/= ")


@given(values=values)
def test_equal_pages_have_equal_cursors(values: tuple[object, ...]) -> None:
    assert CURSORS.seal(values, b"b") == Cursors(SECRET).seal(values, b"b")
    assert CURSORS.seal(values, b"b")[:16] != CURSORS.seal(values, b"c")[:16]


@pytest.mark.parametrize(
    "other",
    [
        binding_of(Actor(uid="bob"), "posts", "r", {"a": 1, "b": 2}, BY_ID),
        binding_of(Actor(uid=None), "posts", "r", {"a": 1, "b": 2}, BY_ID),
        binding_of(Actor(uid="ann", trusted=True), "posts", "r", {"a": 1, "b": 2}, BY_ID),
        binding_of(ANN, "post", "r", {"a": 1, "b": 2}, BY_ID),
        binding_of(ANN, "posts", "s", {"a": 1, "b": 2}, BY_ID),
        binding_of(ANN, "posts", "r", {"a": 1, "b": 3}, BY_ID),
        binding_of(ANN, "posts", "r", {"a": True, "b": 2}, BY_ID),
        binding_of(ANN, "posts", "r", {"a": 1, "b": 2}, (SortKey(("_id",), True),)),
        binding_of(ANN, "posts", "r", {"a": 1, "b": 2}, (SortKey(("a",)), SortKey(("_id",)))),
    ],
)
def test_each_part_of_the_binding_counts(other: bytes) -> None:
    assert binding_of(ANN, "posts", "r", {"a": 1, "b": 2}, BY_ID) != other


def test_the_order_of_names_in_a_filter_does_not_count() -> None:
    one = binding_of(ANN, "posts", "r", {"a": 1, "b": 2}, BY_ID)
    assert one == binding_of(ANN, "posts", "r", {"b": 2, "a": 1}, BY_ID)


def test_a_path_with_dots_is_not_its_neighbour() -> None:
    one = binding_of(ANN, "posts", "r", {}, (SortKey(("a", "b")), SortKey(("_id",))))
    other = binding_of(ANN, "posts", "r", {}, (SortKey(("a",)), SortKey(("b", "_id"))))
    assert one != other
