"""A body of ten megabytes can hold five million values. Each costs little, and all of them together
the event loop's next seconds: their number has a bound, in bodies and in filters."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from baas.database.bodies import MAX_VALUES
from baas.errors import Code
from tests.support.database import ANN, Bench, app, refused

OPEN = {"texts": 'rules: {read: "true", create: auth != null, update: "true", delete: "true"}'}
MANY = MAX_VALUES + 1


@app(OPEN)
@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("insert", {"document": {"a": [0] * MANY}}),
        ("insert", {"documents": [{"a": [[]] * (MANY // 9)} for _ in range(9)]}),
        ("insert", {"document": {"a": [{"b": ["c"]}] * (MANY // 3)}}),
        ("update", {"id": "a", "update": {"$set": {"a": [0] * MANY}}}),
        ("find", {"filter": {"a": {"b": [1] * MANY}}}),
        ("aggregate", {"pipeline": [{"$project": {"a": {"$literal": [0] * MANY}}}]}),
    ],
)
async def test_a_body_of_too_many_values_is_refused_at_once(
    bench: Bench, verb: str, body: dict[str, Any]
) -> None:
    raw = json.dumps(body, separators=(",", ":")).encode()
    started = time.process_time()
    with refused(Code.LIMIT_EXCEEDED, str(MAX_VALUES)):
        await bench.raw(ANN, verb, "texts", raw)
    assert time.process_time() - started < 3


@app(OPEN)
async def test_long_texts_are_no_values(bench: Bench) -> None:
    texts = ['1,2,"3",\\[' * 60_000, "[{" * 200_000]
    documents = [{"_id": f"d{n}", "text": text} for n, text in enumerate(texts * 2)]
    await bench.insert("texts", *documents, actor=ANN)
    assert {one["_id"]: one["text"] for one in (await bench.stored("texts")).values()} == {
        one["_id"]: one["text"] for one in documents
    }


@app(OPEN)
@pytest.mark.parametrize(
    "filter",
    [
        {"a": [0] * 10_001},
        {"a": {"$ne": {"b": [[0] * 6_000, [0] * 6_000]}}},
        {"$or": [{"a": [0] * 6_000}, {"b": {"$gt": [0] * 6_000}}]},
        {"a": {"$in": [[0] * 6_000, [0] * 6_000]}},
    ],
)
async def test_what_a_filter_compares_with_counts_as_its_lists_do(
    bench: Bench, filter: dict[str, Any]
) -> None:
    with refused(Code.LIMIT_EXCEEDED, "10000"):
        await bench.do(ANN, "find", "texts", filter=filter)
