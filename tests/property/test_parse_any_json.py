"""Whatever JSON arrives: a query that can be run, or one clear refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from baas.errors import Code, Problem
from baas.query.evaluate import matches
from baas.query.fields import paths_in_filter
from baas.query.limits import QueryLimits
from baas.query.order import sort_values
from baas.query.parse import parse_filter, parse_projection, parse_sort
from baas.query.project import project
from baas.schema.admit import admit_document
from baas.schema.values import decode, encode
from tests.support.strategies import NOW_MS, documents, scalars

REFUSALS = {Code.INVALID_ARGUMENT, Code.LIMIT_EXCEEDED, Code.NOT_SUPPORTED}
OPERATORS = (
    *("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$type", "$size"),
    *("$mod", "$regex", "$options", "$not", "$all", "$elemMatch", "$and", "$or", "$nor", "$text"),
    *("$near", "$where", "$date", "offset", "$", "$x"),
)
KEYS = st.one_of(
    st.sampled_from(OPERATORS),
    st.sampled_from(("a", "b", "a.b", "a.0", "_id", "", ".", "a..b", "{uid}", "\0", "\ud800")),
    st.text(max_size=3),
)
LEAVES = st.one_of(
    scalars(),
    st.sampled_from(("{uid}", "{openid}", "\0", "\ud800", "(", "i", "string", "$gt")),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
)
ANY_JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3),
        st.builds(lambda op, item: {op: item}, st.sampled_from(OPERATORS), inner),
        st.builds(lambda op, items: {op: items}, st.sampled_from(OPERATORS), st.lists(inner)),
    ),
    max_leaves=12,
)
LIMITS = QueryLimits(filter_depth=5, filter_nodes=20, list_items=5, document_depth=5)


def accepted(read: Callable[[], Any]) -> Any:
    """What `read` gives; None where it refuses, and then as every refusal must."""
    try:
        return read()
    except Problem as fault:
        _check(fault)
        return None


def _check(fault: Problem) -> None:
    assert fault.code in REFUSALS
    assert fault.errors
    assert all(len(error.message) < 400 for error in fault.errors)
    fault.detail.encode()


@given(ANY_JSON, documents(), st.sampled_from((None, "u1")))
@example({"a": {"$elemMatch": {"$not": {"$all": [{"$elemMatch": {}}]}}}}, {"_id": "1"}, None)
@example({"a": {"$in": [{"$regex": "a"}, "{uid}"]}}, {"_id": "1"}, None)
def test_a_filter(raw: Any, document: Any, uid: str | None) -> None:
    condition = accepted(lambda: parse_filter(raw, LIMITS, now_ms=NOW_MS, uid=uid))
    if condition is not None:
        assert matches(condition, document) in (True, False)
        paths_in_filter(condition)


@given(ANY_JSON, documents())
def test_a_sort_and_a_projection(raw: Any, document: Any) -> None:
    sort = accepted(lambda: parse_sort(raw))
    if sort is not None:
        assert sort[-1].path == ("_id",)
        encode(sort_values(document, sort))
    projection = accepted(lambda: parse_projection(raw))
    if projection is not None:
        encode(project(document, projection))


@given(ANY_JSON)
def test_a_document_that_is_admitted_can_be_stored_and_admitted_again(raw: Any) -> None:
    document = accepted(lambda: admit_document(raw, LIMITS, now_ms=NOW_MS))
    if document is not None:
        stored = encode(document)
        assert admit_document(decode(stored), LIMITS, now_ms=0) == document
        assert encode(admit_document(decode(stored), LIMITS, now_ms=0)) == stored
