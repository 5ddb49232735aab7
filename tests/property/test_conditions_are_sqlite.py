"""A rule's condition over the document means the same in SQLite as in `query.conditions`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baas.query import expr as e
from baas.query.ast import Filter, Not, Where
from baas.query.conditions import Env, satisfied
from baas.query.instants import Instant
from baas.schema.values import Document
from tests.support.sqlite import Table
from tests.support.strategies import NAMES, NOW_MS, scalars, stored_documents, values

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
INDEXES = st.lists(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(tuple), max_size=6, unique=True
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    table = Table(tmp_path_factory.mktemp("sqlite"))
    yield table
    table.close()


def fields() -> st.SearchStrategy[e.Expr]:
    paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(tuple)
    whole = paths.map(lambda path: e.DocField("doc", path))
    by_member = paths.map(lambda path: e.Member(e.DocField("doc", path[:1]), path[-1]))
    return st.one_of(whole, whole, by_member, st.just(e.DocField("doc", ("_id",))))


def literals() -> st.SearchStrategy[e.Expr]:
    instants = st.integers(-2, 2).map(lambda ms: Instant(NOW_MS + ms))
    return st.one_of(scalars(), values(3), instants, st.just("d1")).map(e.Literal)


def lists() -> st.SearchStrategy[e.Expr]:
    return st.one_of(
        st.lists(scalars(), max_size=3).map(e.Literal),
        st.lists(literals(), max_size=3).map(lambda items: e.ListOf(tuple(items))),
    )


def operands() -> st.SearchStrategy[e.Expr]:
    calls = st.builds(
        lambda name, arg: e.Call(name, (arg,)), st.sampled_from(("size", "lower", "int")), fields()
    )
    sums = st.builds(e.Binary, st.sampled_from(("+", "-")), fields(), literals())
    return st.one_of(
        fields(), fields(), literals(), literals(), calls, sums, st.just(e.Undefined())
    )


def leaves() -> st.SearchStrategy[e.Expr]:
    comparison = st.sampled_from(("==", "!=", "<", "<=", ">", ">="))
    return st.one_of(
        st.builds(e.Binary, comparison, operands(), operands()),
        st.builds(e.Binary, comparison, fields(), literals()),
        st.builds(lambda left, right: e.Binary("in", left, right), fields(), lists()),
        st.builds(lambda left, right: e.Binary("in", left, right), literals(), fields()),
        st.builds(lambda field: e.Call("has", (field,)), fields()),
        st.booleans().map(e.Literal),
        operands(),
    )


def conditions() -> st.SearchStrategy[e.Expr]:
    def combined(inner: st.SearchStrategy[e.Expr]) -> st.SearchStrategy[e.Expr]:
        items = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return st.one_of(
            st.builds(e.Logic, st.sampled_from(("&&", "||")), items),
            inner.map(lambda item: e.Unary("!", item)),
            st.builds(e.Conditional, inner, inner, inner),
        )

    return st.recursive(leaves(), combined, max_leaves=5)


def wanted(documents: list[Document], expr: e.Expr) -> list[str]:
    return [row["_id"] for row in documents if satisfied(expr, Env(doc=row))]


@SHARED
@given(documents=stored_documents(), expr=conditions(), index=INDEXES)
def test_a_condition_holds_where_the_reference_says_so(
    table: Table, documents: list[Document], expr: e.Expr, index
) -> None:
    table.fill(documents, index)
    expected = wanted(documents, expr)
    assert table.find(Where(expr)) == expected
    negated: Filter = Not(Where(expr))
    assert table.find(negated) == [row["_id"] for row in documents if row["_id"] not in expected]


@SHARED
@given(documents=stored_documents(), expr=conditions())
def test_a_negated_condition_passes_undefined_on(
    table: Table, documents: list[Document], expr: e.Expr
) -> None:
    table.fill(documents)
    negated = e.Unary("!", expr)
    assert table.find(Where(negated)) == wanted(documents, negated)
