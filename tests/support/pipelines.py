"""Runs pipelines in tests, serving `$lookup` from a dict of collections."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from baas.query.aggregate import LookupRequest, parse_pipeline, run
from baas.query.evaluate import matches
from baas.query.limits import QueryLimits
from baas.schema.values import Document

NOW_MS = 1_795_161_600_000
NOW = {"$date": "2026-11-20T08:00:00.000Z"}
LIMITS = QueryLimits()

Collections = dict[str, list[Document]]


def aggregate(
    pipeline: Any,
    documents: list[Document] | None = None,
    *,
    others: Collections | None = None,
    limits: QueryLimits = LIMITS,
    expired: Callable[[], bool] = lambda: False,
    seed: int = 1,
    requests: list[LookupRequest] | None = None,
    uid: str | None = None,
) -> list[Document]:
    """The answer over `documents`; what `$lookup` asked for is added to `requests`."""
    parsed = parse_pipeline(pipeline, limits, now_ms=NOW_MS, uid=uid)
    running = run(
        parsed.stages,
        documents or [],
        limits,
        now_ms=NOW_MS,
        expired=expired,
        random=Random(seed),
    )
    try:
        request = next(running)
        while True:
            if requests is not None:
                requests.append(request)
            request = running.send(serve(request, others or {}))
    except StopIteration as end:
        answer: list[Document] = end.value
        return answer


def serve(request: LookupRequest, others: Collections) -> list[Document]:
    found = [one for one in others.get(request.collection, []) if matches(request.filter, one)]
    return sorted(found, key=lambda one: str(one["_id"]))[: request.limit]


def compute(expression: Any, document: Document | None = None) -> Any:
    """The value of one expression; "missing" is the string `<missing>`."""
    answer = aggregate([{"$replaceWith": {"value": expression}}], [document or {}])
    return answer[0].get("value", "<missing>")
