"""Pipelines: laws that hold for every one of them, and mongomock as an independent reading.

mongomock 4.3 errs, against the server, in these ways; the generators for the comparison keep out
of them and nothing else:

- An operand alone in an array (`{"$abs": ["$n"]}`) is taken for an array: operands stand bare.
- `$sum`, `$avg` and their kind over an array of one document are 0 or null: left out.
- `$cmp`, `$strLenCP`, `$substrCP`, `$reverseArray`, `$setDifference`, `$setIntersection`,
  `$reduce`, `$mergeObjects`, `$isoWeek` and `$sortByCount` are not there; `$toBool` fails on
  numbers; of accumulators `$stdDevPop` is not there and `$addToSet` makes null of some zeros.
- `$count` of nothing is 0: there is always a document.
- An object's fields have no order, and groups another one: compared without order.
"""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

import mongomock
from hypothesis import given
from hypothesis import strategies as st

from baas.errors import Code, Problem
from baas.query.aggregate import parse_pipeline, run
from baas.query.evaluate import matches
from baas.query.limits import QueryLimits
from baas.query.order import sort_documents
from baas.schema.admit import admit_value
from baas.schema.values import DATE, canonical_number, compare, date_to_ms, encode
from tests.support import strategies as some
from tests.support.pipelines import LIMITS, NOW_MS, aggregate, serve

_EPOCH = dt.datetime(1970, 1, 1)

# -- pipelines of every kind ----------------------------------------------------------------------

_REFERENCES = st.one_of(some.paths(2).map(lambda path: f"${path}"), st.just("$$ROOT"))
_LEAVES = st.one_of(_REFERENCES, _REFERENCES, some.scalars().map(lambda value: {"$literal": value}))
_ONE = ("$abs", "$floor", "$round", "$not", "$size", "$isArray", "$type", "$toString", "$toInt",
        "$toBool", "$toUpper", "$strLenCP", "$first", "$last", "$reverseArray", "$year", "$sum",
        "$max", "$objectToArray", "$toDate", "$mergeObjects")  # fmt: skip
_TWO = ("$add", "$subtract", "$multiply", "$divide", "$mod", "$eq", "$lt", "$gte", "$cmp", "$in",
        "$concat", "$concatArrays", "$setUnion", "$setDifference", "$ifNull", "$and", "$or",
        "$arrayElemAt", "$min", "$split", "$mergeObjects")  # fmt: skip


def _wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda name, one: {name: one}, st.sampled_from(_ONE), inner),
        st.builds(lambda name, a, b: {name: [a, b]}, st.sampled_from(_TWO), inner, inner),
        st.builds(lambda a, b, c: {"$cond": [a, b, c]}, inner, inner, inner),
        st.builds(lambda a, b: {"$map": {"input": a, "in": {"v": "$$this", "w": b}}}, inner, inner),
        st.builds(lambda a: {"$filter": {"input": a, "cond": {"$gt": ["$$this", 1]}}}, inner),
        st.dictionaries(some.names(), inner, max_size=2),
        st.lists(inner, max_size=2),
    )


EXPRESSIONS = st.recursive(_LEAVES, _wider, max_leaves=5)
_ACCUMULATORS = st.builds(
    lambda name, operand: {name: operand},
    st.sampled_from(("$sum", "$avg", "$min", "$max", "$first", "$last", "$push", "$addToSet")),
    EXPRESSIONS,
)
_PLAIN_STAGES = st.one_of(
    some.raw_filters().map(lambda raw: {"$match": raw}),
    st.builds(lambda path, e: {"$addFields": {path: e}}, some.paths(2), EXPRESSIONS),
    st.builds(lambda name, e: {"$project": {name: e, "c": 1}}, st.sampled_from("ab"), EXPRESSIONS),
    some.paths(2).map(lambda path: {"$project": {path: 1}}),
    some.paths(2).map(lambda path: {"$unset": path}),
    st.builds(lambda key, a: {"$group": {"_id": key, "x": a}}, EXPRESSIONS, _ACCUMULATORS),
    some.paths(2).map(lambda path: {"$unwind": f"${path}"}),
    st.builds(lambda path, way: {"$sort": {path: way}}, some.paths(2), st.sampled_from((1, -1))),
    st.integers(1, 4).map(lambda count: {"$limit": count}),
    st.integers(0, 2).map(lambda count: {"$skip": count}),
    EXPRESSIONS.map(lambda e: {"$sortByCount": e}),
    EXPRESSIONS.map(lambda e: {"$replaceWith": {"a": e}}),
    st.builds(
        lambda a, b: {"$lookup": {"from": "o", "localField": a, "foreignField": b, "as": "x"}},
        some.paths(2),
        some.paths(2),
    ),
    st.just({"$count": "n"}),
)
_STAGES = st.one_of(
    _PLAIN_STAGES,
    _PLAIN_STAGES,
    _PLAIN_STAGES,
    st.lists(_PLAIN_STAGES, max_size=2).map(lambda inner: {"$facet": {"f": inner, "g": []}}),
    st.lists(_PLAIN_STAGES, max_size=2).map(
        lambda inner: {"$lookup": {"from": "o", "as": "y", "pipeline": inner}}
    ),
)
_PIPELINES = st.lists(_STAGES, max_size=4)
_OTHERS = [{"_id": "o1", "a": 1, "b": ["x", {"c": 1}]}, {"_id": "o2", "c": None}]
#: Documents of an answer may be nested deeper than stored ones.
_DEEP = QueryLimits(document_depth=200)


def _answer(pipeline: Any, documents: list[Any]) -> list[Any] | None:
    """None where the pipeline is refused, as it may be."""
    try:
        return aggregate(pipeline, documents, others={"o": _OTHERS})
    except Problem as problem:
        if problem.code not in (Code.INVALID_ARGUMENT, Code.LIMIT_EXCEEDED):
            raise
        return None


@given(_PIPELINES, some.stored_documents())
def test_any_pipeline_is_refused_or_answers_values_of_the_kit(
    pipeline: Any, documents: list[Any]
) -> None:
    before = copy.deepcopy(documents)
    answer = _answer(pipeline, documents)
    assert documents == before
    if answer is not None:
        assert encode(admit_value(answer, _DEEP, now_ms=NOW_MS, path="")) == encode(answer)


@given(st.lists(_PLAIN_STAGES, max_size=5), some.stored_documents())
def test_what_an_engine_runs_first_and_the_rest_make_the_same_answer(
    pipeline: Any, documents: list[Any]
) -> None:
    expected = _answer(pipeline, documents)
    if expected is None:
        return
    leading = parse_pipeline(pipeline, LIMITS, now_ms=NOW_MS).leading()
    found = sort_documents([one for one in documents if matches(leading.filter, one)], leading.sort)
    found = found[leading.skip :][: leading.limit]
    running = run(leading.rest, found, LIMITS, now_ms=NOW_MS, expired=lambda: False)
    assert encode(_finished(running)) == encode(expected)


def _finished(running: Any) -> Any:
    try:
        request = next(running)
        while True:
            request = running.send(serve(request, {"o": _OTHERS}))
    except StopIteration as end:
        return end.value


@given(EXPRESSIONS, some.documents())
def test_a_comparison_agrees_with_the_order_of_sorting(expression: Any, document: Any) -> None:
    pair = {"l": expression, "r": "$a"}
    raw = [{"$replaceWith": {"cmp": {"$cmp": ["$l", "$r"]}, "l": "$l", "r": "$r"}}]
    both = _answer([{"$replaceWith": pair}], [document])
    if both:
        answer = aggregate(raw, both)[0]
        if "l" in answer and "r" in answer:
            assert answer["cmp"] == compare(answer["l"], answer["r"])


# -- against mongomock ----------------------------------------------------------------------------

_NUMBERS = st.sampled_from((0, 1, 2, 3, -1, 0.5, 2.5))
_TEXTS = st.sampled_from(("", "x", "y", "ab", "x-y"))
_DATES = st.sampled_from((some.DATES[0], {"$date": "2024-02-29T23:59:59.500Z"}))
_ROWS = st.fixed_dictionaries(
    {
        "n": _NUMBERS,
        "m": _NUMBERS,
        "t": _TEXTS,
        "d": _DATES,
        "o": st.fixed_dictionaries({"k": _NUMBERS}),
    },
    optional={"maybe": _NUMBERS, "l": st.lists(_NUMBERS, max_size=3)},
)
_COLLECTIONS = st.lists(_ROWS, min_size=1, max_size=4).map(
    lambda rows: [{"_id": f"d{n}", **row} for n, row in enumerate(rows)]
)
_NUMBER = st.one_of(st.sampled_from(("$n", "$m", "$o.k")), _NUMBERS)
_TEXT = st.one_of(st.just("$t"), _TEXTS)
_LIST_EXPRESSION = st.just({"$ifNull": ["$l", []]})
_LIST = st.one_of(_LIST_EXPRESSION, st.lists(_NUMBERS, max_size=3))


def _call(name: str, *args: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(*args).map(lambda given: {name: list(given)})


def _bare(name: str, arg: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return arg.map(lambda given: {name: given})


_COMPUTED = ("$add", "$subtract", "$multiply", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte")
_PARTS = (
    *("$year", "$month", "$dayOfMonth", "$hour", "$minute", "$second"),
    *("$dayOfWeek", "$dayOfYear"),
)
_CALLS = st.one_of(
    *(_call(name, _NUMBER, _NUMBER) for name in _COMPUTED),
    *(_bare(name, _NUMBER) for name in ("$abs", "$ceil", "$floor", "$trunc", "$toString")),
    _call("$divide", _NUMBER, st.sampled_from((1, 2, 0.5))),
    _call("$mod", _NUMBER, st.sampled_from((1, 2, 3))),
    _call("$pow", _NUMBER, st.sampled_from((0, 1, 2))),
    _call("$concat", _TEXT, _TEXT),
    _bare("$toUpper", _TEXT),
    _call("$split", _TEXT, st.sampled_from(("-", "x"))),
    _bare("$size", _LIST_EXPRESSION),
    _call("$arrayElemAt", _LIST, st.integers(-2, 2)),
    _call("$concatArrays", _LIST, _LIST),
    _call("$slice", _LIST, st.integers(-2, 2)),
    _call("$in", _NUMBER, _LIST),
    _call("$setUnion", _LIST, _LIST),
    _bare("$isArray", st.one_of(_NUMBER, _LIST_EXPRESSION)),
    _call("$cond", _NUMBER, _TEXT, _NUMBER),
    _call("$ifNull", st.just("$maybe"), _NUMBER),
    _call("$and", _NUMBER, _NUMBER),
    _call("$or", _NUMBER, _NUMBER),
    _bare("$not", _NUMBER),
    _call("$max", _NUMBER, _NUMBER),
    _LIST.map(lambda given: {"$map": {"input": given, "as": "e", "in": {"$add": ["$$e", 1]}}}),
    _LIST.map(lambda given: {"$filter": {"input": given, "as": "e", "cond": {"$gt": ["$$e", 0]}}}),
    *(st.just({name: "$d"}) for name in _PARTS),
    st.just({"$dateToString": {"date": "$d", "format": "%Y-%m-%d %H:%M:%S"}}),
    st.just({"$objectToArray": "$o"}),
)
_GATHERED = ("$sum", "$avg", "$min", "$max", "$first", "$last", "$push")
_GATHER = st.builds(
    lambda name, field: {name: field},
    st.sampled_from(_GATHERED),
    st.sampled_from(("$n", "$o.k", "$maybe")),
)
_SHAPES = ({"n": 1}, {"o.k": 1, "_id": 0}, {"n": 0, "o": 0}, {"_id": 0, "x": "$o.k"})
_UNWINDS = (
    {"path": "$l"},
    {"path": "$l", "includeArrayIndex": "i"},
    {"path": "$l", "preserveNullAndEmptyArrays": True},
)
_SORTS = ({"n": 1, "_id": 1}, {"maybe": -1, "_id": 1}, {"o.k": 1, "_id": 1})
_JOINED = st.sampled_from(("n", "l", "maybe", "o.k"))
_READ_ALIKE = st.one_of(
    _CALLS.map(lambda call: {"$project": {"x": call}}),
    _CALLS.map(lambda call: {"$addFields": {"x": call}}),
    st.sampled_from(_SHAPES).map(lambda shape: {"$project": shape}),
    st.builds(
        lambda key, gather: {"$group": {"_id": key, "x": gather}},
        st.sampled_from(("$t", "$n", None, {"t": "$t"})),
        _GATHER,
    ),
    st.sampled_from(_UNWINDS).map(lambda options: {"$unwind": options}),
    st.sampled_from(_SORTS).map(lambda by: {"$sort": by}),
    st.integers(1, 3).map(lambda count: {"$limit": count}),
    st.integers(0, 2).map(lambda count: {"$skip": count}),
    st.just({"$count": "n"}),
    st.just({"$replaceRoot": {"newRoot": "$o"}}),
    st.just({"$bucket": {"groupBy": "$n", "boundaries": [-2, 0, 2, 4]}}),
    st.builds(
        lambda local, foreign: {
            "$lookup": {"from": "others", "localField": local, "foreignField": foreign, "as": "x"}
        },
        _JOINED,
        _JOINED,
    ),
    st.just({"$facet": {"a": [{"$count": "n"}], "b": [{"$limit": 1}]}}),
    _NUMBERS.map(lambda number: {"$match": {"n": {"$gte": number}}}),
)


def _to_mongo(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {DATE}:
        return _EPOCH + dt.timedelta(milliseconds=date_to_ms(value))
    if isinstance(value, dict):
        return {name: _to_mongo(item) for name, item in value.items()}
    return [_to_mongo(item) for item in value] if isinstance(value, list) else value


def _without_order(value: Any) -> Any:
    """Names of objects sorted; numbers canonical, rounded where algorithms may differ."""
    if isinstance(value, dict):
        return {name: _without_order(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_without_order(item) for item in value]
    return canonical_number(round(value, 9)) if isinstance(value, float) else value


@given(_READ_ALIKE, _COLLECTIONS, _COLLECTIONS)
def test_mongomock_reads_the_stage_alike(stage: Any, documents: Any, others: Any) -> None:
    ours, theirs = _both(stage, documents, others)
    assert ours == theirs


def _both(stage: Any, documents: Any, others: Any) -> tuple[Any, Any]:
    database = mongomock.MongoClient().db
    for name, rows in (("documents", documents), ("others", others)):
        if rows:
            database[name].insert_many(_to_mongo(rows))
    theirs = list(database.documents.aggregate([_to_mongo(stage)]))
    ours = aggregate([stage], documents, others={"others": others})
    answers = (_without_order(_to_mongo(ours)), _without_order(theirs))
    if "$group" in stage:
        # The order of groups is ours to choose.
        return sorted(answers[0], key=repr), sorted(answers[1], key=repr)
    return answers
