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
from baas.query.near import default_sort, with_text_index
from baas.query.order import sort_values
from baas.query.parse import parse_filter, parse_projection, parse_sort
from baas.query.project import project
from baas.schema.admit import admit_document
from baas.schema.values import decode, encode
from tests.support.strategies import NOW_MS, documents, scalars

REFUSALS = {Code.INVALID_ARGUMENT, Code.LIMIT_EXCEEDED}
OPERATORS = (
    *("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$type", "$size"),
    *("$mod", "$regex", "$options", "$not", "$all", "$elemMatch", "$and", "$or", "$nor", "$text"),
    *("$near", "$nearSphere", "$geoWithin", "$geoIntersects", "$where", "$date", "offset", "$"),
    *("$geometry", "$maxDistance", "$minDistance", "$centerSphere", "$box", "$search", "$x"),
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
POINT = {"type": "Point", "coordinates": [0, 0]}
NUMBERS = st.one_of(
    st.integers(-181, 181),
    st.sampled_from((0.0, 90, 180, -180, 1e300, 10**400, -(10**400), 5e-324, True)),
    st.floats(allow_nan=False),
)
COORDINATES = st.recursive(
    st.one_of(st.lists(NUMBERS, min_size=2, max_size=2), NUMBERS, st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, min_size=3, max_size=4).map(lambda ring: [*ring, ring[0]]),
    ),
    max_leaves=12,
)
GEOMETRIES = st.recursive(
    st.builds(
        lambda kind, coordinates: {"type": kind, "coordinates": coordinates},
        st.sampled_from(
            ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon")
        ),
        COORDINATES,
    ),
    lambda inner: st.builds(
        lambda items: {"type": "GeometryCollection", "geometries": items}, st.lists(inner)
    ),
    max_leaves=3,
)
PLACED = st.one_of(
    st.builds(
        lambda operator, member, operand, more: {operator: {member: operand, **more}},
        st.sampled_from(("$near", "$nearSphere", "$geoWithin", "$geoIntersects")),
        st.sampled_from(("$geometry", "$geometry", "$centerSphere", "$box")),
        st.one_of(GEOMETRIES, COORDINATES),
        st.dictionaries(st.sampled_from(("$maxDistance", "$minDistance")), NUMBERS),
    )
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


@given(ANY_JSON, documents(), st.sampled_from((None, "u1")), st.booleans())
@example({"a": {"$elemMatch": {"$not": {"$all": [{"$elemMatch": {}}]}}}}, {"_id": "1"}, None, True)
@example({"a": {"$in": [{"$regex": "a"}, "{uid}"]}}, {"_id": "1"}, None, False)
def test_a_filter(raw: Any, document: Any, uid: str | None, whole: bool) -> None:
    condition = accepted(lambda: parse_filter(raw, LIMITS, now_ms=NOW_MS, uid=uid, whole=whole))
    if condition is not None:
        assert matches(condition, document) in (True, False)
        paths_in_filter(condition)


@given(PLACED, GEOMETRIES)
@example({"$near": {"$geometry": POINT, "$maxDistance": 10**400}}, POINT)
def test_a_place(condition: Any, place: Any) -> None:
    """The stored value need not have been admitted: whatever was there before is passed over."""
    filter = accepted(lambda: parse_filter({"a": condition}, LIMITS, now_ms=NOW_MS, whole=True))
    if filter is not None:
        document = {"_id": "1", "a": place}
        assert matches(filter, document) in (True, False)
        encode(sort_values(document, default_sort(filter)))


@given(st.one_of(st.text(), st.text(alphabet=' "-a中')))
def test_a_search(words: str) -> None:
    filter = accepted(
        lambda: parse_filter({"$text": {"$search": words}}, LIMITS, now_ms=NOW_MS, whole=True)
    )
    if filter is not None:
        filter = with_text_index(filter, (("a",),))
        assert matches(filter, {"_id": "1", "a": words}) in (True, False)


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
