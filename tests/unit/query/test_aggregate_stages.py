"""What each stage makes of documents, and what an engine may do of a pipeline."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.query import ast
from baas.query.aggregate import LookupRequest, Pipeline, parse_pipeline, run
from baas.query.limits import QueryLimits
from tests.support.pipelines import LIMITS, NOW_MS, aggregate

POSTS: list[dict[str, Any]] = [
    {"_id": "a", "author": "u1", "likes": 3, "tags": ["x", "y"], "meta": {"lang": "en", "n": 1}},
    {"_id": "b", "author": "u2", "likes": 1.5, "tags": [], "meta": {"lang": "zh"}},
    {"_id": "c", "author": "u1", "likes": None, "tags": "x"},
    {"_id": "d", "likes": 3},
]


def refusal(pipeline: Any, documents: list[Any] | None = None, **options: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        aggregate(pipeline, POSTS if documents is None else documents, **options)
    return caught.value


def parsed(raw: Any) -> Pipeline:
    return parse_pipeline(raw, LIMITS, now_ms=NOW_MS)


def ids(answer: list[dict[str, Any]]) -> list[Any]:
    return [document["_id"] for document in answer]


# -- $match, $sort, $skip, $limit, $count, $sample ------------------------------------------------


def test_match_takes_filters_and_expressions() -> None:
    assert ids(aggregate([{"$match": {"likes": {"$gt": 1}}}], POSTS)) == ["a", "b", "d"]
    both = {"likes": 3, "$expr": {"$eq": ["$author", "u1"]}}
    assert ids(aggregate([{"$match": both}], POSTS)) == ["a"]


def test_match_replaces_the_caller() -> None:
    raw = [{"$match": {"author": "{openid}"}}]
    assert ids(aggregate(raw, POSTS, uid="u1")) == ["a", "c"]
    assert aggregate(raw, POSTS) == []


def test_sort_orders_across_types_and_ties_by_id() -> None:
    assert ids(aggregate([{"$sort": {"likes": -1}}], POSTS)) == ["a", "d", "b", "c"]
    assert ids(aggregate([{"$sort": {"tags": 1}}], POSTS)) == ["b", "d", "a", "c"]
    assert ids(aggregate([{"$sort": {"likes": -1, "_id": -1}}], POSTS)) == ["d", "a", "b", "c"]


def test_skip_limit_and_count() -> None:
    assert ids(aggregate([{"$skip": 1}, {"$limit": 2}], POSTS)) == ["b", "c"]
    assert aggregate([{"$skip": 9}], POSTS) == []
    assert aggregate([{"$count": "n"}], POSTS) == [{"n": 4}]
    assert aggregate([{"$count": "n"}], []) == []


def test_sample_takes_distinct_documents_and_repeats_with_its_random() -> None:
    answer = aggregate([{"$sample": {"size": 3}}], POSTS, seed=5)
    assert len(set(ids(answer))) == 3
    assert aggregate([{"$sample": {"size": 3}}], POSTS, seed=5) == answer
    assert sorted(ids(aggregate([{"$sample": {"size": 99}}], POSTS))) == ["a", "b", "c", "d"]


# -- $project, $addFields, $unset, $replaceRoot ---------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"likes": 1}, {"_id": "a", "likes": 3}),
        ({"likes": 1, "_id": 0}, {"likes": 3}),
        ({"meta.lang": 1, "_id": 0}, {"meta": {"lang": "en"}}),
        ({"meta": {"lang": True}, "_id": 0}, {"meta": {"lang": "en"}}),
        ({"o.k": 1, "_id": 0}, {"o": [{"k": 1}, {}, [{"k": 2}]]}),
        ({"tags.x": 1, "_id": 0}, {"tags": []}),
        ({"likes.x": 1, "_id": 0}, {}),
        ({"tags": 0, "meta": 0, "o": 0}, {"_id": "a", "likes": 3}),
        ({"tags": 0, "meta.n": 0, "o": 0, "_id": 0}, {"likes": 3, "meta": {"lang": "en"}}),
        ({"_id": 0, "tags": 0, "o": 0, "likes": 0}, {"meta": {"lang": "en", "n": 1}}),
        ({"_id": 0, "double": {"$multiply": ["$likes", 2]}}, {"double": 6}),
        ({"_id": "$likes", "meta.d": {"$add": ["$likes", 1]}}, {"_id": 3, "meta": {"d": 4}}),
        ({"_id": 0, "new.x": "$likes", "new.y": "$none"}, {"new": {"x": 3}}),
        ({"_id": 0, "list": ["$likes", "$none"]}, {"list": [3, None]}),
        ({"_id": 0, "text": "plain"}, {"text": "plain"}),
        ({"_id": 0, "number": {"$literal": 1}}, {"number": 1}),
        ({"_id": 0, "gone": "$$REMOVE", "likes": 1}, {"likes": 3}),
    ],
)  # fmt: skip
def test_project(shape: Any, expected: Any) -> None:
    document = {
        "_id": "a",
        "likes": 3,
        "tags": ["x"],
        "meta": {"lang": "en", "n": 1},
        "o": [{"k": 1, "l": 2}, 7, {"l": 3}, [{"k": 2}]],
    }
    assert aggregate([{"$project": shape}], [document]) == [expected]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"a": 2}, {"a": 2, "o": [{"k": 1}, 2]}),
        ({"b.c": "$a"}, {"a": 1, "o": [{"k": 1}, 2], "b": {"c": 1}}),
        ({"b": {"c": 1, "d": 2}}, {"a": 1, "o": [{"k": 1}, 2], "b": {"c": 1, "d": 2}}),
        ({"o.n": "$a"}, {"a": 1, "o": [{"k": 1, "n": 1}, {"n": 1}]}),
        ({"a.b": 3}, {"a": {"b": 3}, "o": [{"k": 1}, 2]}),
        ({"a": "$none"}, {"o": [{"k": 1}, 2]}),
        ({"a": "$$REMOVE"}, {"o": [{"k": 1}, 2]}),
    ],
)
def test_add_fields(fields: Any, expected: Any) -> None:
    document = {"a": 1, "o": [{"k": 1}, 2]}
    assert aggregate([{"$addFields": fields}], [document]) == [expected]
    assert aggregate([{"$set": fields}], [document]) == [expected]


def test_unset_takes_one_path_or_several() -> None:
    document = {"a": 1, "b": {"c": 1, "d": 2}}
    assert aggregate([{"$unset": "a"}], [document]) == [{"b": {"c": 1, "d": 2}}]
    assert aggregate([{"$unset": ["a", "b.c"]}], [document]) == [{"b": {"d": 2}}]


def test_replace_root() -> None:
    assert aggregate([{"$replaceRoot": {"newRoot": "$meta"}}], POSTS[:1]) == [
        {"lang": "en", "n": 1}
    ]
    merged = {"$mergeObjects": [{"lang": "?"}, "$meta"]}
    answer = aggregate([{"$replaceWith": merged}, {"$project": {"lang": 1}}], POSTS)
    assert [one["lang"] for one in answer] == ["en", "zh", "?", "?"]
    assert "pipeline.0.$replaceRoot" in refusal([{"$replaceRoot": {"newRoot": "$meta"}}]).detail
    assert refusal([{"$replaceWith": "$$NOW"}]).code is Code.INVALID_ARGUMENT


# -- $group and what is made of it ----------------------------------------------------------------


def test_groups_come_in_the_order_of_their_first_document() -> None:
    reverse = list(reversed(POSTS))
    answer = aggregate([{"$group": {"_id": "$author", "n": {"$sum": 1}}}], reverse)
    assert answer == [{"_id": None, "n": 1}, {"_id": "u1", "n": 2}, {"_id": "u2", "n": 1}]


@pytest.mark.parametrize(
    ("accumulator", "expected"),
    [
        ({"$sum": "$likes"}, 7.5),
        ({"$sum": 2}, 8),
        ({"$sum": "$none"}, 0),
        ({"$avg": "$likes"}, 2.5),
        ({"$avg": "$author"}, None),
        ({"$min": "$likes"}, 1.5),
        ({"$max": "$likes"}, 3),
        ({"$max": "$none"}, None),
        ({"$first": "$author"}, "u1"),
        ({"$last": "$author"}, None),
        ({"$push": "$author"}, ["u1", "u2", "u1"]),
        ({"$push": "$likes"}, [3, 1.5, None, 3]),
        ({"$addToSet": "$likes"}, [3, 1.5, None]),
        ({"$count": {}}, 4),
        ({"$stdDevPop": "$likes"}, 0.7071067811865476),
        ({"$stdDevSamp": "$likes"}, 0.8660254037844386),
        ({"$stdDevSamp": "$none"}, None),
        ({"$mergeObjects": "$meta"}, {"lang": "zh", "n": 1}),
    ],
)
def test_accumulators(accumulator: Any, expected: Any) -> None:
    answer = aggregate([{"$group": {"_id": None, "x": accumulator}}], POSTS)
    assert answer == [{"_id": None, "x": expected}]


def test_group_keys_are_equal_as_values_are() -> None:
    keys: list[Any] = [1, True, "1", None, [1], {"a": 1}, {"a": None}, {}]
    documents = [*({"k": key} for key in keys), {}, {"h": 0.5}]
    key = {"$ifNull": [{"$multiply": ["$h", 2]}, "$k"]}
    answer = aggregate([{"$group": {"_id": key, "n": {"$count": {}}}}], documents)
    assert [(one["_id"], one["n"]) for one in answer] == [
        (1, 2), (True, 1), ("1", 1), (None, 2), ([1], 1), ({"a": 1}, 1), ({"a": None}, 1), ({}, 1),
    ]  # fmt: skip


def test_sums_are_exact_and_refuse_to_round() -> None:
    group = [{"$group": {"_id": None, "x": {"$sum": "$v"}}}]
    assert aggregate(group, [{"v": 0.1}] * 10) == [{"_id": None, "x": 1}]
    assert aggregate(group, [{"v": 1e100}, {"v": 1}, {"v": -1e100}]) == [{"_id": None, "x": 1}]
    problem = refusal(group, [{"v": 2**53 - 1}, {"v": 1}])
    assert problem.errors[0].path == "pipeline.0.$group"
    assert "$sum" in problem.detail
    # Only the result counts, not what is in between.
    assert aggregate(group, [{"v": 2**53 - 1}, {"v": 1}, {"v": -1}])[0]["x"] == 2**53 - 1


def test_sort_by_count_ties_by_key() -> None:
    answer = aggregate([{"$unwind": "$tags"}, {"$sortByCount": "$tags"}], POSTS)
    assert answer == [{"_id": "x", "count": 2}, {"_id": "y", "count": 1}]


def test_buckets_hold_their_lower_boundary() -> None:
    documents = [{"v": value} for value in (0, 1, 2, 4.5, 5, "x")] + [{}]
    bucket = {"groupBy": "$v", "boundaries": [0, 2, 5], "default": "other"}
    assert aggregate([{"$bucket": bucket}], documents) == [
        {"_id": 0, "count": 2},
        {"_id": 2, "count": 2},
        {"_id": "other", "count": 3},
    ]
    del bucket["default"]
    assert refusal([{"$bucket": bucket}], documents).code is Code.INVALID_ARGUMENT
    output = {**bucket, "output": {"all": {"$push": "$v"}}}
    assert aggregate([{"$bucket": output}], documents[:2]) == [{"_id": 0, "all": [0, 1]}]


# -- $unwind, $facet ------------------------------------------------------------------------------


def test_unwind() -> None:
    plain = aggregate([{"$unwind": "$tags"}, {"$project": {"tags": 1}}], POSTS)
    assert plain == [
        {"_id": "a", "tags": "x"}, {"_id": "a", "tags": "y"}, {"_id": "c", "tags": "x"},
    ]  # fmt: skip
    options = {"path": "$tags", "includeArrayIndex": "i", "preserveNullAndEmptyArrays": True}
    kept = aggregate([{"$unwind": options}, {"$project": {"tags": 1, "i": 1}}], POSTS)
    assert kept == [
        {"_id": "a", "tags": "x", "i": 0},
        {"_id": "a", "tags": "y", "i": 1},
        {"_id": "b", "i": None},
        {"_id": "c", "tags": "x", "i": None},
        {"_id": "d", "i": None},
    ]
    nested = [{"o": {"l": [1, 2], "k": 0}}]
    assert aggregate([{"$unwind": "$o.l"}], nested) == [
        {"o": {"l": 1, "k": 0}}, {"o": {"l": 2, "k": 0}},
    ]  # fmt: skip


def test_every_facet_sees_the_same_documents() -> None:
    facets = {
        "n": [{"$count": "n"}],
        "best": [{"$sort": {"likes": -1}}, {"$limit": 1}, {"$project": {"likes": 1}}],
        "none": [{"$match": {"_id": "z"}}],
    }
    assert aggregate([{"$facet": facets}], POSTS) == [
        {"n": [{"n": 4}], "best": [{"_id": "a", "likes": 3}], "none": []}
    ]


# -- $lookup --------------------------------------------------------------------------------------

USERS: list[dict[str, Any]] = [
    {"_id": "u1", "name": "Ann", "roles": ["x"]},
    {"_id": "u2", "name": "Bob", "roles": ["y", "z"]},
    {"_id": "u3", "name": None},
]


def test_lookup_by_equality_asks_once_for_all_documents() -> None:
    stage = {"from": "users", "localField": "author", "foreignField": "_id", "as": "who"}
    requests: list[LookupRequest] = []
    answer = aggregate([{"$lookup": stage}], POSTS, others={"users": USERS}, requests=requests)
    assert [[user["_id"] for user in one["who"]] for one in answer] == [["u1"], ["u2"], ["u1"], []]
    assert [request.collection for request in requests] == ["users"]
    wanted = ast.Field(("_id",), ast.In(("u1", "u2", None)))
    assert requests[0].filter == wanted
    assert requests[0].limit > 1


def test_lookup_opens_arrays_on_both_sides_and_null_meets_missing() -> None:
    stage = {"from": "users", "localField": "tags", "foreignField": "roles", "as": "who"}
    answer = aggregate([{"$lookup": stage}], POSTS, others={"users": USERS})
    found = {one["_id"]: ids(one["who"]) for one in answer}
    assert found == {"a": ["u1", "u2"], "b": [], "c": ["u1"], "d": ["u3"]}


def test_lookup_with_many_values_asks_in_parts_and_joins_them() -> None:
    documents = [{"_id": f"{n:04}", "k": n} for n in range(1200)]
    others = [{"_id": f"{n:04}", "k": [n, 1199 - n]} for n in range(1200)]
    stage = {"from": "o", "localField": "k", "foreignField": "k", "as": "x"}
    requests: list[LookupRequest] = []
    raw = [{"$lookup": stage}, {"$match": {"k": {"$in": [0, 5]}}}]
    answer = aggregate(raw, documents, others={"o": others}, requests=requests)
    assert len(requests) == 3
    assert [ids(one["x"]) for one in answer] == [["0000", "1199"], ["0005", "1194"]]


def test_lookup_with_a_pipeline_sees_the_outer_document_through_variables() -> None:
    stage = {
        "from": "users",
        "let": {"who": "$author"},
        "pipeline": [
            {"$match": {"name": {"$exists": True}}},
            {"$match": {"$expr": {"$eq": ["$_id", "$$who"]}}},
            {"$project": {"name": 1, "_id": 0}},
        ],
        "as": "who.list",
    }
    requests: list[LookupRequest] = []
    answer = aggregate([{"$lookup": stage}], POSTS, others={"users": USERS}, requests=requests)
    names = [one["who"]["list"] for one in answer]
    assert names == [[{"name": "Ann"}], [{"name": "Bob"}], [{"name": "Ann"}], []]
    # The part of the inner pipeline that is a filter is part of the question, asked once.
    assert [request.filter for request in requests] == [ast.Field(("name",), ast.Exists())]


def test_lookup_joins_equality_and_pipeline() -> None:
    stage = {
        "from": "users",
        "localField": "author",
        "foreignField": "_id",
        "let": {"n": "$likes"},
        "pipeline": [{"$project": {"_id": 0, "x": {"$concat": ["$name", {"$toString": "$$n"}]}}}],
        "as": "x",
    }
    answer = aggregate([{"$lookup": stage}], POSTS[:2], others={"users": USERS})
    assert [one["x"] for one in answer] == [[{"x": "Ann3"}], [{"x": "Bob1.5"}]]


def test_lookups_work_inside_facets_and_inside_lookups() -> None:
    inner = {"from": "users", "localField": "author", "foreignField": "_id", "as": "who"}
    outer = {"from": "posts", "pipeline": [{"$limit": 1}, {"$lookup": inner}], "as": "posts"}
    raw = [{"$facet": {"f": [{"$limit": 1}, {"$lookup": outer}]}}]
    answer = aggregate(raw, [{"_id": "q"}], others={"users": USERS, "posts": POSTS})
    assert answer[0]["f"][0]["posts"][0]["who"] == [USERS[0]]


def test_what_a_lookup_is_sent_and_does_not_match_is_ignored() -> None:
    """So a caller whose masks hide the path may send masked documents without that filter."""
    stage = {"from": "users", "localField": "author", "foreignField": "name", "as": "who"}
    pipeline = parsed([{"$lookup": stage}])
    documents = [{"_id": "a", "author": "Ann"}, {"_id": "b", "author": None}]
    running = run(pipeline.stages, documents, LIMITS, now_ms=NOW_MS, expired=lambda: False)
    next(running)
    with pytest.raises(StopIteration) as end:
        running.send([{"_id": "u1"}, {"_id": "u2", "name": "Bob"}, {"_id": "u3", "name": None}])
    assert [ids(one["who"]) for one in end.value.value] == [[], ["u1", "u3"]]


# -- faults, limits, purity -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        ({}, "array of stages"),
        ([1], "one operator"),
        ([{}], "one operator"),
        ([{"$match": {}, "$limit": 1}], "one operator"),
        ([{"$mach": {}}], "did you mean '$match'"),
        ([{"$limit": 0}], "1 or more"),
        ([{"$limit": True}], "1 or more"),
        ([{"$skip": -1}], "0 or more"),
        ([{"$sort": {}}], "at least one"),
        ([{"$project": {}}], "object of fields"),
        ([{"$project": {"a": 1, "b": 0}}], "takes fields or leaves them out"),
        ([{"$project": {"a": 0, "b": "$x"}}], "takes fields or leaves them out"),
        ([{"$project": {"a": 1, "a.b": 1}}], "conflict"),
        ([{"$addFields": {"a": {"b": 1}, "a.b": 2}}], "twice"),
        ([{"$group": {"n": {"$sum": 1}}}], "_id"),
        ([{"$group": {"_id": 1, "n": {"$summ": 1}}}], "did you mean '$sum'"),
        ([{"$group": {"_id": 1, "n": 1}}], "one accumulator"),
        ([{"$group": {"_id": 1, "a.b": {"$sum": 1}}}], "cannot contain '.'"),
        ([{"$group": {"_id": 1, "n": {"$count": 1}}}], "takes {}"),
        ([{"$unwind": "tags"}], "'$' before it"),
        ([{"$unwind": {"path": "$tags", "index": "i"}}], "unknown member"),
        ([{"$count": "$n"}], "cannot start with '$'"),
        ([{"$sample": 3}], "size"),
        ([{"$bucket": {"groupBy": "$a", "boundaries": [1]}}], "two values"),
        ([{"$bucket": {"groupBy": "$a", "boundaries": [2, 1]}}], "ascend"),
        ([{"$bucket": {"groupBy": "$a", "boundaries": [1, "a"]}}], "one type"),
        ([{"$facet": {}}], "object of pipelines"),
        ([{"$facet": {"a": {}}}], "array of stages"),
        ([{"$lookup": {"from": "p"}}], "needs as"),
        ([{"$lookup": {"from": "p", "as": "x"}}], "localField"),
        ([{"$lookup": {"from": "p", "as": "x", "localField": "a"}}], "foreignField"),
        ([{"$lookup": {"from": "p", "as": "x", "pipeline": [], "let": {"A": 1}}}], "lower case"),
    ],
)
def test_a_malformed_pipeline_is_refused_with_its_place(pipeline: Any, words: str) -> None:
    problem = refusal(pipeline)
    assert problem.code is Code.INVALID_ARGUMENT
    assert words in problem.detail
    assert problem.errors[0].path.startswith("pipeline")


def test_a_fault_at_run_time_names_the_stage() -> None:
    raw = [{"$match": {}}, {"$facet": {"f": [{"$project": {"x": {"$divide": [1, 0]}}}]}}]
    assert refusal(raw).errors[0].path == "pipeline.1.$facet.f.0.$project"


def test_documents_held_and_documents_answered_are_limited() -> None:
    limits = QueryLimits(aggregate_input=5, aggregate_max=3)
    assert refusal([], POSTS, limits=limits).code is Code.LIMIT_EXCEEDED
    assert len(aggregate([{"$limit": 3}], POSTS, limits=limits)) == 3
    six = [{"_id": "a", "v": list(range(6))}]
    assert refusal([{"$unwind": "$v"}], six, limits=limits).code is Code.LIMIT_EXCEEDED
    facet = [{"$facet": {"x": [], "y": []}}]
    assert refusal(facet, POSTS[:2], limits=limits).code is Code.LIMIT_EXCEEDED


def test_time_that_is_over_stops_the_run() -> None:
    many = [{"_id": str(n), "v": n} for n in range(3000)]
    raw = [{"$project": {"x": {"$add": ["$v", 1]}}}]
    assert refusal(raw, many, expired=lambda: True).code is Code.QUERY_TIMEOUT


def test_documents_are_not_modified() -> None:
    before = copy.deepcopy(POSTS)
    raw = [
        {"$addFields": {"meta.lang": "fr", "o": {"l": "$tags"}}},
        {"$unwind": {"path": "$o.l", "includeArrayIndex": "meta.i"}},
        {"$sort": {"likes": 1}},
        {"$group": {"_id": "$author", "m": {"$mergeObjects": "$meta"}, "l": {"$push": "$$ROOT"}}},
        {"$unset": "l.meta"},
    ]
    aggregate(raw, POSTS)
    assert before == POSTS


# -- what an engine can run -----------------------------------------------------------------------


def test_leading_stages_become_a_find() -> None:
    raw = [
        {"$match": {"a": 1}},
        {"$match": {"b": {"$gt": 2}}},
        {"$sort": {"c": -1}},
        {"$skip": 5},
        {"$limit": 10},
        {"$match": {"d": 1}},
    ]
    pipeline = parsed(raw)
    leading = pipeline.leading()
    expected = ast.And((ast.Field(("a",), ast.Eq(1)), ast.Field(("b",), ast.Range("gt", 2))))
    assert leading.filter == expected
    assert leading.sort == (ast.SortKey(("c",), True), ast.SortKey(("_id",)))
    assert (leading.skip, leading.limit) == (5, 10)
    assert leading.rest == pipeline.stages[5:]
    assert leading.paths == {("a",), ("b",), ("c",), ("_id",)}


@pytest.mark.parametrize(
    ("raw", "led"),
    [
        ([], 0),
        ([{"$limit": 2}, {"$skip": 1}], 1),
        ([{"$limit": 2}, {"$match": {"likes": 3}}], 1),
        ([{"$skip": 1}, {"$match": {"likes": 3}}], 1),
        ([{"$skip": 1}, {"$skip": 1}], 1),
        ([{"$sort": {"likes": 1}}, {"$match": {"likes": 3}}], 1),
        ([{"$match": {"$expr": {"$eq": [1, 1]}}}, {"$limit": 1}], 0),
        ([{"$project": {"likes": 1}}, {"$match": {"likes": 3}}], 0),
    ],
)
def test_what_a_find_cannot_do_in_that_order_stays(raw: Any, led: int) -> None:
    pipeline = parsed(raw)
    assert pipeline.leading().rest == pipeline.stages[led:]


def test_a_stage_whose_paths_are_not_usable_stays_with_all_behind_it() -> None:
    pipeline = parsed([{"$match": {"a": 1}}, {"$match": {"secret.x": 1}}, {"$limit": 1}])
    leading = pipeline.leading(lambda paths: all(path[0] != "secret" for path in paths))
    assert leading.filter == ast.Field(("a",), ast.Eq(1))
    assert leading.limit is None
    assert leading.rest == pipeline.stages[1:]
