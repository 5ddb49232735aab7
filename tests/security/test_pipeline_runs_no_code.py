"""A pipeline is data: it runs no code, writes nothing, and cannot be made into a bomb.

Each bomb below is small as it is sent and would be huge if it were carried out. What it must meet
is a limit, with little memory used and within the time given, not an exhausted machine.
"""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.query.aggregate import parse_pipeline
from baas.query.limits import QueryLimits
from tests.support.pipelines import LIMITS, NOW_MS, aggregate, compute

CODE = {"body": "function() { return 1 }", "args": [], "lang": "js"}
#: Seconds that a test gives a pipeline, and what it may take to notice that they are over.
#: Seconds of this thread's CPU, whatever else the machine does.
ALLOWED = 0.5
GRACE = 1.0
#: Bytes above the input that a refused pipeline may have had at once. MAX_MADE and overhead.
MEMORY = 700 * 1024**2


def refusal(pipeline: Any, documents: list[Any] | None = None, **options: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        aggregate(pipeline, documents or [{"_id": "a"}], **options)
    return caught.value


@pytest.mark.parametrize(
    "stage",
    [
        {"$out": "stolen"},
        {"$merge": {"into": "posts"}},
        {"$function": CODE},
        {"$where": "true"},
        {"$accumulator": CODE},
        {"$currentOp": {}},
        {"$collStats": {}},
        {"$indexStats": {}},
        {"$listSessions": {}},
        {"$changeStream": {}},
        {"$unionWith": "posts"},
        {"$graphLookup": {}},
        {"$eval": "1"},
        {"$match": {"$where": "true"}},
        {"$match": {"a": {"$where": "true"}}},
        {"$match": {"$and": [{"$or": [{"$function": CODE}]}]}},
        {"$match": {"$expr": {"$function": CODE}}},
        {"$match": {"$expr": {"$and": [{"$gt": [{"$function": CODE}, 1]}]}}},
        {"$project": {"a": {"$function": CODE}}},
        {"$project": {"a": {"b": {"c": {"$function": CODE}}}}},
        {"$addFields": {"a": [{"x": {"$cond": [True, {"$function": CODE}, 1]}}]}},
        {"$group": {"_id": None, "a": {"$accumulator": CODE}}},
        {"$group": {"_id": {"$function": CODE}}},
        {"$bucket": {"groupBy": {"$function": CODE}, "boundaries": [0, 1]}},
        {"$bucket": {"groupBy": "$a", "boundaries": [0, 1], "output": {"x": {"$function": CODE}}}},
        {"$replaceWith": {"$let": {"vars": {"x": {"$function": CODE}}, "in": "$$x"}}},
        {"$facet": {"a": [{"$out": "x"}]}},
        {"$facet": {"a": [{"$match": {}}, {"$project": {"a": {"$function": CODE}}}]}},
        {"$lookup": {"from": "p", "as": "x", "pipeline": [{"$out": "x"}]}},
        {"$lookup": {"from": "p", "as": "x", "pipeline": [{"$facet": {"y": [{"$merge": "x"}]}}]}},
        {"$lookup": {"from": "p", "as": "x", "let": {"v": {"$function": CODE}}, "pipeline": []}},
        {"$sortByCount": {"$function": CODE}},
        {"$sort": {"a": {"$meta": "textScore"}}},
    ],
)  # fmt: skip
def test_stages_and_operators_that_write_or_run_code_do_not_exist_at_any_depth(stage: Any) -> None:
    problem = refusal([stage])
    assert problem.code is Code.INVALID_ARGUMENT
    assert problem.errors[0].path.startswith("pipeline.0")


@pytest.mark.parametrize(
    "name", ["_users", "_sessions", "system.users", "$cmd", "", "a b", "p\x00", "ｐ", ["p"], None]
)
def test_a_lookup_names_only_collections_that_clients_may_name(name: Any) -> None:
    lookup = {"from": name, "as": "x", "localField": "a", "foreignField": "b"}
    for stage in ({"$lookup": lookup}, {"$facet": {"f": [{"$lookup": lookup}]}}):
        assert refusal([stage]).code is Code.INVALID_ARGUMENT


def test_every_collection_that_is_read_at_any_depth_is_reported() -> None:
    inner = {"$lookup": {"from": "c", "as": "x", "pipeline": []}}
    raw = [
        {"$lookup": {"from": "a", "as": "x", "pipeline": [{"$facet": {"f": [inner]}}]}},
        {"$facet": {"g": [{"$lookup": {"from": "b", "as": "x", "pipeline": []}}]}},
    ]
    assert parse_pipeline(raw, LIMITS, now_ms=NOW_MS).collections == {"a", "b", "c"}


def test_variables_that_the_server_of_mongodb_has_are_not_here() -> None:
    for name in ("$$CLUSTER_TIME", "$$USER_ROLES", "$$JS_SCOPE", "$$IS_MR", "$$SEARCH_META"):
        assert refusal([{"$project": {"a": name}}]).code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("name", ["$where", "a.b", "", "a\x00", "x" * 129, "\ud800", "_" * 200])
def test_computed_names_are_names_that_a_document_may_have(name: str) -> None:
    document = {"_id": "a", "name": name}
    pairs = {"$arrayToObject": [[{"k": "$name", "v": 1}]]}
    assert refusal([{"$project": {"a": pairs}}], [document]).code is Code.INVALID_ARGUMENT


def test_a_date_cannot_be_forged_from_parts() -> None:
    forged = {"$arrayToObject": {"$literal": [["$date", "not a date"]]}}
    assert refusal([{"$replaceWith": forged}]).code is Code.INVALID_ARGUMENT
    assert refusal([{"$project": {"a": {"$date": "not a date"}}}]).code is Code.INVALID_ARGUMENT


# -- bombs ----------------------------------------------------------------------------------------


def _doubling(times: int, body: Any, initial: Any) -> Any:
    return {"$reduce": {"input": {"$range": [0, times]}, "initialValue": initial, "in": body}}


def _nest(depth: int) -> Any:
    expression: Any = "$a"
    for _ in range(depth):
        expression = {"$abs": expression}
    return expression


_THOUSAND = {"$range": [0, 1000]}
_UNWINDS = [
    stage
    for name in "abcd"
    for stage in ({"$addFields": {name: _THOUSAND}}, {"$unwind": f"${name}"})
]
_BOMBS = {
    "a string that doubles": [
        {"$project": {"a": _doubling(60, {"$concat": ["$$value", "$$value"]}, "x")}}
    ],
    "an array that doubles": [
        {"$project": {"a": _doubling(60, {"$concatArrays": ["$$value", "$$value"]}, [1])}}
    ],
    "a tree of shared parts": [{"$project": {"a": _doubling(60, ["$$value", "$$value"], [1])}}],
    "a tree of shared objects": [
        {"$project": {"a": _doubling(60, {"l": "$$value", "r": "$$value"}, {})}}
    ],
    "a tree as deep as it goes": [{"$project": {"a": _doubling(100_000, ["$$value"], [])}}],
    "a tree built stage by stage": [
        {"$replaceWith": {"l": "$$ROOT", "r": "$$ROOT", "s": "$$ROOT"}} for _ in range(50)
    ],
    "a tree built by groups": [
        {"$group": {"_id": None, "l": {"$push": "$$ROOT"}, "r": {"$push": "$$ROOT"}}}
        for _ in range(50)
    ],
    "nesting through dotted names": [
        {"$project": {".".join("abcdefghij"): "$$ROOT"}} for _ in range(50)
    ],
    "ranges unwound again and again": _UNWINDS,
    "ranges unwound in every facet": [
        {"$facet": {f"f{n}": [*_UNWINDS[:2], {"$count": "n"}] for n in range(2)}},
        {"$project": {"x": {"$map": {"input": _THOUSAND, "in": "$$ROOT"}}}},
        {"$unwind": "$x"},
        {"$group": {"_id": None, "all": {"$push": "$x"}}},
        {"$project": {"x": {"$map": {"input": {"$range": [0, 100_000]}, "in": "$$ROOT"}}}},
    ],
    "a replacement that multiplies": [
        {"$addFields": {"a": _doubling(20, {"$concat": ["$$value", "$$value"]}, "x")}},
        {"$project": {"a": {"$replaceAll": {"input": "$a", "find": "x", "replacement": "$a"}}}},
    ],
    "a range without end": [{"$project": {"a": {"$range": [0, 2**53 - 1]}}}],
    "a power beyond all memory": [{"$project": {"a": {"$pow": [9007199254740991, 2**53 - 1]}}}],
    "a split into single letters": [
        {"$addFields": {"a": _doubling(23, {"$concat": ["$$value", "$$value"]}, "x,")}},
        {"$project": {"b": [{"$split": ["$a", ","]}, {"$split": ["$a", "x"]}]}},
    ],
    "merged objects that grow": [
        {
            "$project": {
                "a": _doubling(60, {"$mergeObjects": [{"a": "$$value", "b": "$$value"}]}, {})
            }
        }
    ],
    "pairs that nest": [
        {"$project": {"a": _doubling(60, {"$objectToArray": {"a": "$$value", "b": "$$value"}}, [])}}
    ],
    "sets of trees": [
        {"$project": {"a": _doubling(60, [{"$setUnion": [["$$value"], [["$$value"]]]}], [1])}}
    ],
}


@pytest.mark.parametrize("name", _BOMBS)
def test_a_bomb_meets_a_limit_before_it_costs_much(name: str) -> None:
    began = time.thread_time()

    def expired() -> bool:
        return time.thread_time() - began > ALLOWED

    tracemalloc.start()
    try:
        problem = refusal(_BOMBS[name], expired=expired)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert problem.code in (Code.LIMIT_EXCEEDED, Code.QUERY_TIMEOUT, Code.INVALID_ARGUMENT)
    assert peak < MEMORY


@pytest.mark.parametrize(
    "expression",
    [
        {"$map": {"input": _THOUSAND, "in": {"$map": {"input": _THOUSAND, "in": _THOUSAND}}}},
        {"$reduce": {"input": {"$range": [0, 100_000]}, "initialValue": 0, "in": {
            "$size": {"$setUnion": [{"$range": [0, 100_000]}]}}}},
        {"$size": {"$filter": {"input": {"$range": [0, 100_000]}, "cond": {
            "$in": [-1, {"$range": [0, 100_000]}]}}}},
    ],
)  # fmt: skip
def test_long_loops_end_when_the_time_is_over(expression: Any) -> None:
    began = time.thread_time()
    problem = refusal(
        [{"$project": {"a": expression}}],
        expired=lambda: time.thread_time() - began > ALLOWED,
    )
    assert problem.code in (Code.QUERY_TIMEOUT, Code.LIMIT_EXCEEDED)
    assert time.thread_time() - began < ALLOWED + GRACE


def test_sorting_ends_when_the_time_is_over() -> None:
    """Each key to sort by is a copy of the object, though the documents hold it once."""
    began = time.thread_time()
    large = {"_id": "a", "o": {f"f{n}": n for n in range(50_000)}, "n": list(range(1000))}
    problem = refusal(
        [{"$unwind": "$n"}, {"$sort": {"o": 1}}],
        [large],
        expired=lambda: time.thread_time() - began > ALLOWED,
    )
    assert problem.code in (Code.QUERY_TIMEOUT, Code.LIMIT_EXCEEDED)
    assert time.thread_time() - began < ALLOWED + GRACE


def test_matching_many_conditions_with_a_long_array_is_refused_or_ends_in_time() -> None:
    long = {"_id": "a", "v": list(range(100_000)), "n": list(range(1000))}
    for condition in ({"$in": list(range(-1, -900, -1))}, {"$lt": 0}):
        began = time.thread_time()
        problem = refusal(
            [{"$unwind": "$n"}, {"$match": {"v": condition}}],
            [long],
            expired=lambda began=began: time.thread_time() - began > ALLOWED,
        )
        assert problem.code in (Code.QUERY_TIMEOUT, Code.LIMIT_EXCEEDED)
        assert time.thread_time() - began < ALLOWED + GRACE


def test_an_answer_of_many_large_documents_is_refused() -> None:
    large = {"_id": "a", "text": "x" * 1_000_000, "n": list(range(500))}
    problem = refusal([{"$unwind": "$n"}], [large])
    assert problem.code is Code.LIMIT_EXCEEDED


def test_depth_size_and_number_of_parts_are_limited_when_the_pipeline_is_read() -> None:
    lookup: Any = []
    for _ in range(6):
        lookup = [{"$lookup": {"from": "p", "as": "x", "pipeline": lookup}}]
    pipelines = [
        [{"$match": {}}] * 51,
        [{"$facet": {"a": [{"$match": {}}] * 50}}],
        [{"$facet": {f"f{n}": [] for n in range(60)}}],
        lookup,
        [{"$project": {"a": _nest(40)}}],
        [{"$project": {"a": _nest(5000)}}],
        [{"$project": {"a": [1] * 3000}}],
        [{"$project": {f"f{n}": {"$add": [1, 2, 3, 4]} for n in range(450)}}],
        [{"$project": {".".join("a" * 21): 1}}],
        [{"$bucket": {"groupBy": "$a", "boundaries": list(range(1001))}}],
    ]
    for pipeline in pipelines:
        assert refusal(pipeline).code is Code.LIMIT_EXCEEDED


def test_facets_do_not_multiply_within_each_other() -> None:
    inner = [{"$facet": {"b": []}}]
    assert refusal([{"$facet": {"a": inner}}]).code is Code.INVALID_ARGUMENT
    lookup = [{"$lookup": {"from": "p", "as": "x", "pipeline": inner}}]
    assert refusal([{"$facet": {"a": lookup}}]).code is Code.INVALID_ARGUMENT


def test_lookups_that_join_everything_with_everything_are_refused() -> None:
    limits = QueryLimits(aggregate_input=1000)
    documents = [{"_id": f"d{n:03}"} for n in range(100)]
    everything = {"$lookup": {"from": "p", "as": "x", "pipeline": []}}
    equal = {"$lookup": {"from": "p", "as": "x", "localField": "k", "foreignField": "k"}}
    for stage in (everything, equal):
        problem = refusal([stage], documents, others={"p": documents}, limits=limits)
        assert problem.code is Code.LIMIT_EXCEEDED


def test_lookups_inside_lookups_ask_only_so_often() -> None:
    documents = [{"_id": f"d{n:04}", "k": n} for n in range(1200)]
    inner = {
        "$lookup": {
            "from": "q",
            "as": "y",
            "localField": "v",
            "foreignField": "k",
        }
    }
    stage = {
        "$lookup": {
            "from": "p",
            "as": "x",
            "let": {"v": "$k"},
            "pipeline": [{"$addFields": {"v": "$$v"}}, inner],
        }
    }
    problem = refusal([stage], documents, others={"p": [{"_id": "p"}], "q": []})
    assert problem.code is Code.LIMIT_EXCEEDED


def test_patterns_run_without_backtracking_and_never_come_from_documents() -> None:
    given = {"input": "a" * 5000 + "!", "regex": "(a*)*b"}
    assert compute({"$regexMatch": given}) is False
    for regex in ("$pattern", {"$concat": ["a", "b"]}, "(", "x" * 257, "(a{1000}){1000}"):
        stage = {"$project": {"a": {"$regexMatch": {"input": "x", "regex": regex}}}}
        assert refusal([stage], [{"_id": "a", "pattern": "("}]).code in (
            Code.INVALID_ARGUMENT,
            Code.LIMIT_EXCEEDED,
        )


@pytest.mark.parametrize(
    "zone", ["../../etc/passwd", "/etc/localtime", "America", "posix/../UTC", "a" * 500, "\x00", ""]
)
def test_a_timezone_is_a_name_and_never_a_file(zone: str) -> None:
    at = {"date": {"$toDate": 0}, "timezone": zone}
    assert refusal([{"$project": {"a": {"$hour": at}}}]).code is Code.INVALID_ARGUMENT
