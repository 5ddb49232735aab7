"""Updates: laws that hold for every document, and mongomock as an independent reading.

mongomock 4.3 errs, against the server, in these ways; the generators for the comparison keep out
of them and nothing else:

- `$mul` and `$bit` are not there, nor `$rename` with a dotted path.
- Where the field is missing, `$pop` fails and `$pullAll` makes its parents: the fields that hold
  arrays are always there.
- `$addToSet` adds an item that its `$each` repeats as often as it is there: none is repeated.
- `$min` and `$max` fail where the kinds differ or the value is null: numbers alone.
- A position at or beyond the end of an array fails: positions that are there.
- Python's `==` decides equality, so true is 1: no booleans; and an object's fields have no order:
  objects of one field, results compared without order.
"""

from __future__ import annotations

import copy
from typing import Any

import mongomock
from hypothesis import given
from hypothesis import strategies as st

from baas.errors import Code, Problem
from baas.query.limits import QueryLimits
from baas.query.update import apply_update, parse_update, paths_written
from baas.schema.admit import admit_document
from baas.schema.values import MISSING, encode
from tests.support import strategies as some

LIMITS = QueryLimits()
NOW_MS = some.NOW_MS


# -- any update on any document -------------------------------------------------------------------


def _operators() -> st.SearchStrategy[dict[str, Any]]:
    numbers = st.sampled_from(some.NUMBERS)
    lists = st.lists(some.values(4), max_size=3)
    pushes = st.one_of(
        some.values(4),
        st.fixed_dictionaries(
            {"$each": lists},
            optional={
                "$position": st.integers(-3, 3),
                "$slice": st.integers(-3, 3),
                "$sort": st.sampled_from((1, -1, {"a": 1, "b.c": -1})),
            },
        ),
    )
    operands: dict[str, st.SearchStrategy[Any]] = {
        "$set": some.values(4),
        "$setOnInsert": some.values(4),
        "$unset": st.just(""),
        "$inc": numbers,
        "$mul": numbers,
        "$min": some.values(4),
        "$max": some.values(4),
        "$bit": st.dictionaries(
            st.sampled_from(("and", "or", "xor")), st.integers(-9, 9), min_size=1
        ),
        "$rename": some.paths(),
        "$currentDate": st.just(True),
        "$push": pushes,
        "$addToSet": st.one_of(some.values(4), st.builds(lambda each: {"$each": each}, lists)),
        "$pop": st.sampled_from((1, -1)),
        "$pull": st.one_of(some.values(4), st.builds(lambda v: {"$gte": v}, some.scalars())),
        "$pullAll": lists,
    }
    one = st.sampled_from(sorted(operands)).flatmap(
        lambda name: st.builds(
            lambda path, operand: {name: {path: operand}}, some.paths(), operands[name]
        )
    )
    return st.lists(one, min_size=1, max_size=3).map(_joined)


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for part in parts:
        for name, fields in part.items():
            joined.setdefault(name, {}).update(fields)
    return joined


def _applied(raw: Any, document: dict[str, Any]) -> dict[str, Any] | None:
    """The result, or None where the update is refused, as it may be."""
    try:
        update = parse_update(raw, LIMITS, now_ms=NOW_MS)
        return apply_update(update, document, now_ms=NOW_MS)
    except Problem as problem:
        if problem.code not in (Code.INVALID_ARGUMENT, Code.LIMIT_EXCEEDED):
            raise
        return None


@given(_operators(), some.documents())
def test_a_result_is_a_document_and_the_input_is_untouched(raw: Any, document: Any) -> None:
    before = copy.deepcopy(document)
    after = _applied(raw, document)
    assert document == before
    if after is not None:
        assert encode(admit_document(after, LIMITS, now_ms=NOW_MS)) == encode(after)
        assert after["_id"] == document["_id"]


@given(_operators(), some.documents())
def test_only_what_is_reported_as_written_changes(raw: Any, document: Any) -> None:
    after = _applied(raw, document)
    if after is None:
        return
    written = {path[0] for path in paths_written(parse_update(raw, LIMITS, now_ms=NOW_MS))}
    for name in document.keys() | after.keys():
        if name not in written:
            assert encode(document[name]) == encode(after[name])


@given(_operators(), some.documents())
def test_the_order_of_operators_decides_the_order_of_new_fields_alone(
    raw: Any, document: Any
) -> None:
    turned = {name: dict(reversed(fields.items())) for name, fields in reversed(raw.items())}
    assert _sorted(_applied(raw, document)) == _sorted(_applied(turned, document))


def _sorted(value: Any) -> Any:
    """With the fields of every object in one order."""
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@given(some.documents(), some.values(), st.lists(some.names(), min_size=1, max_size=3))
def test_what_is_set_is_there_and_what_is_unset_is_not(
    document: Any, value: Any, path: list[str]
) -> None:
    dotted = ".".join(path)
    after = _applied({"$set": {dotted: value}}, document)
    if after is not None:
        assert encode(_at(after, path)) == encode(value)
        gone = _applied({"$unset": {dotted: ""}}, after)
        assert gone is not None
        assert _at(gone, path) in (MISSING, None)


def _at(node: Any, path: list[str]) -> Any:
    for name in path:
        if isinstance(node, list):
            node = node[int(name)] if int(name) < len(node) else MISSING
        else:
            node = node.get(name, MISSING)
        if node is MISSING:
            return MISSING
    return node


@given(some.documents(), st.lists(some.values(4), max_size=3))
def test_adding_to_a_set_twice_adds_nothing_and_pulling_takes_it_away(
    document: Any, values: list[Any]
) -> None:
    once = _applied({"$addToSet": {"a": {"$each": values}}}, document)
    if once is None:
        return
    assert _applied({"$addToSet": {"a": {"$each": values}}}, once) == once
    without = _applied({"$pullAll": {"a": values}}, once)
    assert without is not None
    assert not {encode(item) for item in without["a"]} & {encode(item) for item in values}


# -- against mongomock ----------------------------------------------------------------------------

_NAMES = st.sampled_from(("a", "b", "c"))
_NUMBERS = st.sampled_from((0, 1, 2, -1, 0.5, 10))
_TEXTS = st.sampled_from(("", "x", "y"))
_PLAIN = st.one_of(_NUMBERS, _TEXTS, st.none())
_ELEMENTS = st.one_of(_PLAIN, st.dictionaries(_NAMES, _PLAIN, max_size=1))
_LISTS = st.lists(_ELEMENTS, max_size=4)

#: A document of known shape, so that most operators find what they take.
_DOCUMENTS = st.fixed_dictionaries(
    {"_id": st.just("d"), "list": _LISTS, "o": st.fixed_dictionaries({"list": _LISTS})},
    optional={
        "n": _NUMBERS,
        "m": _NUMBERS,
        "t": _TEXTS,
        "numbers": st.lists(_NUMBERS, max_size=4),
        "rows": st.lists(
            st.fixed_dictionaries({"k": _NUMBERS, "t": _TEXTS}), min_size=2, max_size=3
        ),
        "p": st.fixed_dictionaries({}, optional={"n": _NUMBERS, "t": _TEXTS}),
    },
)
_FIELD = st.sampled_from(("n", "t", "new", "p.n", "p.t", "p.new", "q.r", "rows.0.k", "rows.1.z"))
_NUMBER_FIELD = st.sampled_from(("n", "m", "p.n", "new", "p.new", "rows.0.k"))
_LIST_FIELD = st.sampled_from(("list", "o.list"))
_EACH = st.builds(lambda items: {"$each": items}, _LISTS)
_DISTINCT = st.builds(
    lambda items: {"$each": items}, st.lists(_ELEMENTS, max_size=4, unique_by=repr)
)
_SLICED = st.builds(
    lambda items, most: {"$each": items, "$slice": most}, _LISTS, st.integers(-3, 3)
)
_PLACED = st.builds(lambda items, at: {"$each": items, "$position": at}, _LISTS, st.integers(0, 3))
_SORTED = st.builds(
    lambda items, way, most: {"$each": items, "$sort": way, "$slice": most},
    st.lists(_NUMBERS, max_size=3),
    st.sampled_from((1, -1)),
    st.integers(-3, 3),
)
_CONDITIONS = st.one_of(
    st.builds(lambda op, n: {op: n}, st.sampled_from(("$gt", "$gte", "$lt", "$lte")), _NUMBERS),
    st.builds(lambda items: {"$in": items}, st.lists(_NUMBERS, max_size=2)),
)
_ROW_CONDITIONS = st.fixed_dictionaries(
    {}, optional={"k": st.one_of(_NUMBERS, _CONDITIONS), "t": _TEXTS}
)
_UPDATES = st.one_of(
    st.builds(lambda path, value: {"$set": {path: value}}, _FIELD, _ELEMENTS),
    st.builds(lambda path: {"$unset": {path: ""}}, _FIELD),
    st.builds(lambda path, n: {"$inc": {path: n}}, _NUMBER_FIELD, _NUMBERS),
    st.builds(lambda path, n: {"$min": {path: n}}, _NUMBER_FIELD, _NUMBERS),
    st.builds(lambda path, n: {"$max": {path: n}}, _NUMBER_FIELD, _NUMBERS),
    st.builds(lambda old, new: {"$rename": {old: new}}, st.sampled_from("nmt"), st.just("z")),
    st.builds(
        lambda path, operand: {"$push": {path: operand}},
        _LIST_FIELD,
        st.one_of(_ELEMENTS, _EACH, _SLICED, _PLACED),
    ),
    st.builds(lambda operand: {"$push": {"numbers": operand}}, _SORTED),
    st.builds(
        lambda path, operand: {"$addToSet": {path: operand}},
        _LIST_FIELD,
        st.one_of(_ELEMENTS, _DISTINCT),
    ),
    st.builds(lambda path, end: {"$pop": {path: end}}, _LIST_FIELD, st.sampled_from((1, -1))),
    st.builds(lambda path, value: {"$pull": {path: value}}, _LIST_FIELD, _PLAIN),
    st.builds(lambda condition: {"$pull": {"numbers": condition}}, _CONDITIONS),
    st.builds(lambda condition: {"$pull": {"rows": condition}}, _ROW_CONDITIONS),
    st.builds(lambda path, items: {"$pullAll": {path: items}}, _LIST_FIELD, _LISTS),
)


@given(_UPDATES, _DOCUMENTS)
def test_mongomock_reads_the_update_alike(raw: Any, document: dict[str, Any]) -> None:
    ours = _applied(raw, document)
    collection = mongomock.MongoClient().db.documents
    collection.insert_one(copy.deepcopy(document))
    collection.update_one({"_id": "d"}, copy.deepcopy(raw))
    assert ours is not None
    assert _sorted(ours) == _sorted(collection.find_one({"_id": "d"}))
