"""A filter means the same in SQLite as in the evaluator, which defines it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baas.engines.sqlite.keys import encode_key, key_sql
from baas.query.ast import ALWAYS, And, Field, Filter, Not, Sort
from baas.query.evaluate import matches
from baas.query.order import compare_sort_values, sort_documents, sort_values
from baas.schema.values import Document, compare, encode
from tests.support.hard_cases import HARD_DOCUMENTS, HARD_FILTERS
from tests.support.sqlite import Table
from tests.support.strategies import NAMES, filters, parsed, sorts, stored_documents, values

#: The table is emptied by every example, so sharing it between them is fine.
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

INDEXES = st.lists(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(tuple), max_size=6, unique=True
)
HARD_INDEXES = (("a",), ("b",), ("a", "b"), ("a", "b", "c"), ("a", "0"), ("__proto__",))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    table = Table(tmp_path_factory.mktemp("sqlite"))
    yield table
    table.close()


def wanted(documents: list[Document], filter: Filter) -> list[str]:
    return sorted(row["_id"] for row in documents if matches(filter, row))


@pytest.mark.parametrize("raw", HARD_FILTERS, ids=lambda raw: encode(raw).decode())
def test_hard_filters_mean_the_same_with_and_without_indexes(table: Table, raw) -> None:
    filter = parsed(raw)
    everything = [{"_id": f"d{n:03d}", **row} for n, row in enumerate(HARD_DOCUMENTS)]
    for index in ((), HARD_INDEXES):
        table.fill(everything, index)
        assert table.find(filter) == wanted(everything, filter)
        assert table.find(Not(filter)) == wanted(everything, Not(filter))


@pytest.mark.parametrize("raw", HARD_FILTERS, ids=lambda raw: encode(raw).decode())
def test_hard_filters_mean_the_same_over_documents_without_arrays(table: Table, raw) -> None:
    filter = parsed(raw)
    rows = [{"_id": f"d{n:03d}", **row} for n, row in enumerate(HARD_DOCUMENTS)]
    plain = [row for row in rows if "[" not in encode(row).decode()]
    table.fill(plain, HARD_INDEXES)
    assert table.info.multikey == frozenset()
    assert table.find(filter) == wanted(plain, filter)
    assert table.find(Not(filter)) == wanted(plain, Not(filter))


@SHARED
@given(documents=stored_documents(), filter=filters(), index=INDEXES)
def test_a_filter_finds_what_the_evaluator_finds(
    table: Table, documents: list[Document], filter: Filter, index
) -> None:
    table.fill(documents, index)
    assert table.find(filter) == wanted(documents, filter)


@SHARED
@given(documents=stored_documents(), one=filters(), other=filters(), index=INDEXES)
def test_and_of_two_filters_finds_what_both_find(
    table: Table, documents: list[Document], one: Filter, other: Filter, index
) -> None:
    table.fill(documents, index)
    both = And((one, Not(other)))
    assert table.find(both) == wanted(documents, both)


@SHARED
@given(documents=stored_documents(), sort=sorts(), index=INDEXES)
def test_a_sort_orders_as_the_reference_does(
    table: Table, documents: list[Document], sort: Sort, index
) -> None:
    table.fill(documents, index)
    expected = [row["_id"] for row in sort_documents(documents, sort)]
    assert table.find(ALWAYS, sort) == expected
    assert table.find(ALWAYS, sort, limit=2, skip=1) == expected[1:3]


@SHARED
@given(documents=stored_documents(), sort=sorts(), index=INDEXES, data=st.data())
def test_behind_a_cursor_is_what_sorts_strictly_after_it(
    table: Table, documents: list[Document], sort: Sort, index, data: st.DataObject
) -> None:
    table.fill(documents, index)
    paths = [key.path for key in sort]
    any_value = tuple(
        data.draw(st.sampled_from(("d1", "d3", "a", "")))
        if path == ("_id",)
        else data.draw(values(3))
        for path in paths
    )
    cursors = [sort_values(row, sort) for row in documents] + [any_value]
    after = data.draw(st.sampled_from(cursors))
    ordered = sort_documents(documents, sort)
    expected = [
        row["_id"]
        for row in ordered
        if compare_sort_values(sort_values(row, sort), after, sort) > 0
    ]
    assert table.find(ALWAYS, sort, after=after) == expected


@SHARED
@given(one=values(), other=values())
def test_keys_order_as_values_do(table: Table, one, other) -> None:
    keys = (encode_key(one), encode_key(other))
    less, same = table.database.raw.execute("SELECT ?1 < ?2, ?1 IS ?2", keys).fetchall()[0]
    order = compare(one, other)
    assert bool(same) is (order == 0)
    if None not in keys:
        assert bool(less) is (order < 0)


@SHARED
@given(value=values())
def test_the_key_in_sql_is_the_key_in_python(table: Table, value) -> None:
    text = encode({"a": {"b": value}}).decode()
    sql = f"SELECT {key_sql(('a', 'b'), '?1')}"
    assert table.database.raw.execute(sql, (text,)).get == encode_key(value)


HOSTILE = (
    *('"', "'", "\\", '\\"', 'a"b', "x' OR 1=1 --", "\n", "\x01", "[0]", "#", "?1", "é", "😀", " "),
    *("__proto__", "$", "a$b", "%s", "{}", "\u2028", "\\u0041", "NULL", "\x7f"),
)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("indexed", [False, True])
def test_any_field_name_names_that_field_alone(table: Table, name: str, indexed: bool) -> None:
    rows = [{"_id": f"d{n:02d}", other: n} for n, other in enumerate(HOSTILE)]
    rows += [{"_id": f"e{n:02d}", "a": {other: n}} for n, other in enumerate(HOSTILE)]
    table.fill(rows, [(name,), ("a", name)] if indexed else [])
    place = HOSTILE.index(name)
    for path in ((name,), ("a", name)):
        filter = Field(path, parsed({"x": place}).test)
        assert table.find(filter) == [f"{'d' if len(path) == 1 else 'e'}{place:02d}"]
