"""aggregate: pipelines over what the caller sees, and their limits."""

from __future__ import annotations

from typing import Any

import pytest

from baas.clock import ManualClock
from baas.database.service import DatabaseService
from baas.errors import Code
from baas.ports.documents import resolve
from tests.support.database import (
    ANN,
    BOB,
    IP,
    NOBODY,
    POSTS,
    SECRET,
    Bench,
    app,
    refused,
)

RULES = {
    "posts": POSTS,
    "people": "rules: {read: 'true'}\nfields: {salary: {read: doc._openid == auth.uid}}\n",
    "closed": "acl: ADMINONLY\n",
    "strict": "rules: {read: doc._openid == auth.uid}\nmode: reject\n",
}


async def fill(bench: Bench) -> None:
    await bench.insert(
        "posts",
        {"_id": "a", "title": "x", "score": 1, "published": True, "phone": "1", "_openid": "ann"},
        {"_id": "b", "title": "x", "score": 2, "published": True, "phone": "2", "_openid": "bob"},
        {"_id": "c", "title": "y", "score": 4, "_openid": "ann"},
    )
    await bench.insert(
        "people",
        {"_id": "ann", "salary": 5, "_openid": "ann"},
        {"_id": "bob", "salary": 5, "_openid": "bob"},
    )


async def run(bench: Bench, actor: Any, *stages: Any, collection: str = "posts") -> Any:
    answer = await bench.do(actor, "aggregate", collection, pipeline=list(stages))
    return answer["documents"]


TOTALS = {"$group": {"_id": "$title", "n": {"$sum": 1}, "score": {"$sum": "$score"}}}
BY_ID = {"$sort": {"_id": 1}}


@app(RULES)
async def test_hidden_documents_do_not_count(bench: Bench) -> None:
    await fill(bench)
    assert await run(bench, ANN, TOTALS, BY_ID) == [
        {"_id": "x", "n": 2, "score": 3},
        {"_id": "y", "n": 1, "score": 4},
    ]
    assert await run(bench, NOBODY, TOTALS) == [{"_id": "x", "n": 2, "score": 3}]


@app(RULES)
async def test_a_pipeline_that_is_a_find_gives_stored_documents(bench: Bench) -> None:
    await fill(bench)
    match = {"$match": {"title": "x"}}
    found = await run(bench, ANN, match, {"$sort": {"score": -1}}, {"$limit": 1})
    assert found[0]["_id"] == "b"
    assert "phone" not in found[0]


@app(RULES)
async def test_stages_see_masked_documents(bench: Bench) -> None:
    await fill(bench)
    phones = {"$group": {"_id": None, "all": {"$push": "$phone"}, "n": {"$sum": 1}}}
    assert (await run(bench, ANN, phones))[0]["all"] == ["1"]
    assert (await run(bench, NOBODY, phones)) == [{"_id": None, "all": [], "n": 2}]
    # A $match or $sort on a hidden field works on what is left of it.
    assert await run(bench, NOBODY, {"$match": {"phone": "1"}}) == []
    assert [one["_id"] for one in await run(bench, ANN, {"$match": {"phone": {"$gt": ""}}})] == [
        "a"
    ]
    order = [one["_id"] for one in await run(bench, NOBODY, {"$sort": {"phone": -1}})]
    assert order == ["a", "b"]
    root = await run(bench, NOBODY, {"$project": {"whole": "$$ROOT"}})
    assert not any("phone" in one["whole"] for one in root)


@app(RULES)
async def test_lookup_follows_the_other_collections_rule_and_masks(bench: Bench) -> None:
    await fill(bench)
    lookup = {
        "$lookup": {
            "from": "people",
            "localField": "_openid",
            "foreignField": "_id",
            "as": "who",
        }
    }
    found = await run(bench, ANN, {"$match": {"title": "x"}}, lookup)
    assert [one["who"][0].get("salary") for one in found] == [5, None]
    hidden = {**lookup["$lookup"], "localField": "five", "foreignField": "salary"}
    five = {"$addFields": {"five": 5}}
    found = await run(bench, ANN, five, {"$lookup": hidden})
    assert {len(one["who"]) for one in found} == {1}
    found = await run(bench, NOBODY, five, {"$lookup": hidden})
    assert {len(one["who"]) for one in found} == {0}


@app(RULES)
async def test_lookup_into_what_is_refused_is_refused(bench: Bench) -> None:
    """Whether or not a document comes to need it."""
    for name in ("closed", "nowhere"):
        lookup = {"$lookup": {"from": name, "localField": "a", "foreignField": "b", "as": "c"}}
        for stages in ([lookup], [{"$facet": {"x": [lookup]}}]):
            with refused(Code.PERMISSION_DENIED):
                await run(bench, ANN, *stages)


@app(RULES)
async def test_mode_reject_holds_for_the_beginning_of_the_pipeline(bench: Bench) -> None:
    await bench.insert("strict", {"_id": "a", "_openid": "ann"}, {"_id": "b", "_openid": "bob"})
    with refused(Code.PERMISSION_DENIED, "_openid"):
        await run(bench, ANN, TOTALS, collection="strict")
    match = {"$match": {"_openid": "ann"}}
    assert len(await run(bench, ANN, match, collection="strict")) == 1


@app(RULES, aggregate_max=2, aggregate_input=2)
async def test_answers_and_inputs_are_limited(bench: Bench) -> None:
    await fill(bench)
    with refused(Code.LIMIT_EXCEEDED):
        await run(bench, ANN)
    with refused(Code.LIMIT_EXCEEDED):
        await run(bench, ANN, TOTALS)
    assert len(await run(bench, BOB)) == 2


@app(RULES)
@pytest.mark.parametrize("stage", ["$out", "$merge", "$function", "$where", "$accumulator"])
async def test_stages_that_write_or_run_code_do_not_exist(bench: Bench, stage: str) -> None:
    with refused(Code.INVALID_ARGUMENT, stage):
        await run(bench, ANN, {stage: "x"})


@app(RULES)
async def test_a_pipeline_past_its_time_ends(bench: Bench) -> None:
    await bench.insert("people", *[{"n": i} for i in range(200)])

    class Hurried(ManualClock):
        def monotonic(self) -> float:
            self.advance(10)
            return super().monotonic()

    service = DatabaseService(bench.store, bench.guard, bench.settings, Hurried(), SECRET)
    body = b'{"pipeline":[{"$project":{"x":{"$map":{"input":{"$range":[0,1000]},"in":"$$this"}}}}]}'
    with refused(Code.QUERY_TIMEOUT):
        await resolve(service.handle("aggregate", "people", body, ANN, IP))
