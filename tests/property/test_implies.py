"""What `implies` says is true: where it says yes, no document matches the one and not the other."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from baas.query import ast
from baas.query import expr as e
from baas.query.evaluate import matches
from baas.query.implies import implies
from baas.rules.check import check_rule
from baas.rules.residual import Known, reduce, to_filter
from tests.support.rules import READ_SCOPE

DATE = {"$date": "2027-01-15T08:00:00.000Z"}
scalars = st.sampled_from([None, True, False, 0, 1, 2, 5, "", "a", "b", DATE])
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    st.fixed_dictionaries({}, optional={"b": scalars}),
    st.lists(st.fixed_dictionaries({}, optional={"b": scalars}), max_size=2),
    st.lists(st.lists(scalars, max_size=2), max_size=2),
)
documents = st.fixed_dictionaries({}, optional={"a": values, "_openid": scalars, "c": values})
paths = st.sampled_from([("a",), ("a", "b"), ("_openid",), ("c",), ("a", "0")])
tests = st.one_of(
    values.map(ast.Eq),
    st.builds(ast.Range, st.sampled_from(["gt", "gte", "lt", "lte"]), scalars),
    st.lists(scalars, max_size=3).map(lambda items: ast.In(tuple(items))),
    st.just(ast.Exists()),
    st.sampled_from(["number", "string", "null", "array", "bool"]).map(lambda n: ast.Type((n,))),
    st.integers(0, 2).map(ast.Size),
)
fields = st.builds(ast.Field, paths, tests)
wheres = st.sampled_from(
    [
        "doc._openid == 'a'",
        "doc._openid == null",
        "doc.a == 1",
        "doc.a != 1",
        "doc.a == null",
        "doc.a != null",
        "doc.a > 1",
        "doc.a >= 1",
        "doc.a < 2",
        "!(doc.a < 2)",
        "!(doc.a == 1)",
        "doc.a in [1, 2]",
        "doc.a in [null, 1]",
        "1 in doc.a",
        "'a' in doc.a.b",
        "doc.a.b == 'a'",
        "doc.a.b == null",
        "doc.a.b > 0",
        "doc.a == true || doc._openid == 'b'",
        "doc.a > 0 && doc.c == 'a'",
        "doc.a ? doc.c == 1 : doc._openid == 'a'",
        "has(doc.a)",
        "doc.a == doc.c",
        "size(doc.a) > 1",
        "doc.a == [1]",
    ]
).map(lambda text: to_filter(reduce(check_rule(text, READ_SCOPE)[0], Known({}))))
filters = st.recursive(
    st.one_of(fields, wheres, wheres, st.just(ast.ALWAYS), st.just(ast.NEVER)),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda items: ast.And(tuple(items))),
        st.lists(inner, min_size=1, max_size=2).map(lambda items: ast.Or(tuple(items))),
        inner.map(ast.Not),
    ),
    max_leaves=4,
)


@given(filters, filters, st.lists(documents, min_size=8, max_size=20))
@settings(max_examples=400, deadline=None)
@example(
    ast.Field(("a",), ast.Eq(1)),
    ast.Where(e.Binary("==", e.DocField("doc", ("a",)), e.Literal(1))),
    [{"a": [1]}],
)
def test_what_is_implied_holds(known: Any, wanted: Any, population: list[dict[str, Any]]) -> None:
    if implies(known, wanted):
        for document in population:
            assert not matches(known, document) or matches(wanted, document), document
