"""The evaluator against mongomock, an independent reading of MongoDB, wherever that is right.

mongomock 4.3 errs, against the server's own matcher and its tests, in these ways; the generators
below keep out of them and nothing else:

- `true` equals 1 and `false` 0; the order of an object's fields does not matter; `{}` equals a
  missing field (Python's `==` and truth): no booleans, objects of at most one field as operands.
- `null` and `$not` under a dotted path fail where the path ends early at a scalar; `$gte` and
  `$lte` with null, and `$all: [null]`, fail on a missing field: no null and no `$not` under dotted
  paths, no null in ranges or `$all`.
- A numeric component descends into an array found by position, takes `00` for 0, and reaches
  nothing where the server reaches MISSING: no numeric components.
- Elements of nested arrays are opened by `$elemMatch` and missed by `$ne` and ranges: no arrays
  in arrays, no arrays as operands but of `$eq`.
- `$exists: false` on a path through an array holds when one element lacks the field.
- `$elemMatch` with a condition that a missing field meets holds for elements that are no objects.
- `$size` counts strings and objects, `$all: []` holds, a regex object in `$in` or `$all` is taken
  for a value, `$type: null`, lists of types, `$mod` and
  `$not` around `$options` are not there.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from mongomock.filtering import filter_applies

from baas.query.evaluate import matches
from baas.schema.values import DATE, date_to_ms
from tests.support.strategies import DATES, NUMBERS, STRINGS, parsed

_EPOCH = dt.datetime(1970, 1, 1)
_NAMES = st.sampled_from(("a", "b", "c"))
_SOME = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(STRINGS),
    st.sampled_from((0, 1, 2)),
    st.sampled_from(DATES),
)
_ANY = st.one_of(st.none(), _SOME, _SOME)
_OBJECTS = st.dictionaries(_NAMES, _ANY, max_size=2)
_VALUES = st.one_of(
    _ANY,
    _OBJECTS,
    st.dictionaries(_NAMES, st.one_of(_ANY, _OBJECTS, st.lists(_ANY, max_size=3)), max_size=2),
    st.lists(st.one_of(_ANY, _OBJECTS), max_size=3),
)
_DOCUMENTS = st.dictionaries(_NAMES, _VALUES, max_size=3)
_DOTTED = st.lists(_NAMES, min_size=2, max_size=3).map(".".join)
_PATTERNS = st.sampled_from(("a", "^a", "b$", "^$", "A", "."))


def _operators() -> st.SearchStrategy[dict[str, Any]]:
    """Conditions that are right under any path."""
    comparisons = st.builds(
        lambda op, value: {op: value},
        st.sampled_from(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")),
        _SOME,
    )
    members = st.builds(
        lambda op, values: {op: values},
        st.sampled_from(("$in", "$nin")),
        st.lists(_SOME, max_size=3),
    )
    regexes = _PATTERNS.map(lambda pattern: {"$regex": pattern})
    types = st.sampled_from(("string", "date", "object")).map(lambda name: {"$type": name})
    every = st.lists(_SOME, min_size=1, max_size=2).map(lambda values: {"$all": values})
    there = st.just({"$exists": True})
    return st.one_of(comparisons, comparisons, members, regexes, types, every, there)


def _conditions() -> st.SearchStrategy[dict[str, Any]]:
    operators = _operators()
    positive = st.builds(
        lambda op, value: {op: value}, st.sampled_from(("$eq", "$gt", "$gte", "$lt", "$lte")), _SOME
    )
    fields = st.builds(lambda name, test: {name: test}, _NAMES, positive)
    elements = st.one_of(positive, fields).map(lambda inner: {"$elemMatch": inner})
    return st.one_of(operators, operators, elements)


def _leaves() -> st.SearchStrategy[dict[str, Any]]:
    plain = st.one_of(
        _ANY,
        st.lists(_SOME, min_size=1, max_size=2),
        st.dictionaries(_NAMES, _SOME, min_size=1, max_size=1),
        _conditions(),
        _conditions().map(lambda inner: {"$not": inner}),
        st.just({"$exists": False}),
        st.just({"$ne": None}),
    )
    top = st.builds(lambda path, test: {path: test}, _NAMES, plain)
    dotted = st.builds(lambda path, test: {path: test}, _DOTTED, st.one_of(_SOME, _conditions()))
    return st.one_of(top, dotted)


def _combined(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda op, items: {op: items},
        st.sampled_from(("$and", "$or", "$nor")),
        st.lists(inner, min_size=1, max_size=3),
    )


def _with_datetimes(value: Any) -> Any:
    if type(value) is list:
        return [_with_datetimes(item) for item in value]
    if type(value) is not dict:
        return value
    if DATE in value:
        return _EPOCH + dt.timedelta(milliseconds=date_to_ms(value))
    return {name: _with_datetimes(item) for name, item in value.items()}


@settings(max_examples=300)
@given(_DOCUMENTS, st.recursive(_leaves(), _combined, max_leaves=4))
def test_the_evaluator_agrees_with_mongomock(document: Any, raw: Any) -> None:
    expected = bool(filter_applies(_with_datetimes(raw), _with_datetimes(document)))
    assert matches(parsed(raw), document) is expected
