"""What a caller may not read shows in no answer: not as a value, an order, a count or an error.

The general statement is held by tests/property/test_noninterference.py; here are the ways in which
systems of this kind have leaked, one by one.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from baas.errors import Code, Problem
from tests.support.database import BOB, NOBODY, SERVER, Bench, app, refused

BOX = """
schema: {properties: {phone: {type: string, maxLength: 3}}}
rules: {read: doc.public || doc._openid == auth.uid, create: auth != null, update: 'true',
  delete: 'true'}
fields:
  phone: {read: doc._openid == auth.uid}
  pay.rate: {read: doc._openid == auth.uid}
"""
RULES = {"box": BOX}


async def fill(bench: Bench) -> None:
    await bench.insert(
        "box",
        {"_id": "a", "public": True, "phone": "111", "pay": {"rate": 9, "to": "x"}, "n": 1},
        {"_id": "b", "public": True, "phone": "222", "pay": {"rate": 5, "to": "y"}, "n": 2},
        {"_id": "hidden", "phone": "333", "n": 3},
    )


@app(RULES)
@pytest.mark.parametrize(
    "filter",
    [
        {"phone": "111"},
        {"phone": {"$regex": "^1"}},
        {"phone": {"$exists": True}},
        {"$or": [{"n": 1}, {"phone": "111"}]},
        {"$nor": [{"$and": [{"phone": {"$ne": "x"}}]}]},
        {"pay": {"rate": 9, "to": "x"}},
        {"pay": {"$type": "object"}},
        {"pay.rate": {"$gt": 5}},
        {"pay.rate.deep": None},
        {"phone.0": "1"},
        {"pay": {"$elemMatch": {"rate": 9}}},
    ],
)
async def test_a_filter_on_it_is_refused_by_name(bench: Bench, filter: dict[str, Any]) -> None:
    await fill(bench)
    for verb, body in (("find", {}), ("count", {}), ("find", {"count": True})):
        with refused(Code.PERMISSION_DENIED) as caught:
            await bench.do(BOB, verb, "box", filter=filter, **body)
        assert "phone" in caught.problem.detail or "pay.rate" in caught.problem.detail


@app(RULES)
@pytest.mark.parametrize(
    "sort", [{"phone": 1}, {"pay": -1}, {"pay.rate": 1}, [["n", 1], ["phone", 1]]]
)
async def test_an_order_by_it_is_refused(bench: Bench, sort: Any) -> None:
    await fill(bench)
    with refused(Code.PERMISSION_DENIED):
        await bench.do(BOB, "find", "box", sort=sort)


@app(RULES)
async def test_projection_does_not_bring_it_back(bench: Bench) -> None:
    await fill(bench)
    for fields in ({"phone": 1}, {"pay.rate": 1}, {"pay": 1}, {"n": 0}):
        answer = await bench.raw(BOB, "find", "box", {"fields": fields})
        for value in (b"111", b"222", b"333", b'"rate"'):
            assert value not in answer


@app(RULES)
async def test_no_cursor_or_total_counts_hidden_documents(bench: Bench) -> None:
    await fill(bench)
    answer = await bench.do(BOB, "find", "box", limit=2, count=True)
    assert (answer["next"], answer["total"]) == (None, 2)
    assert await bench.ids(BOB, "box", skip=2) == []


@app(RULES)
@pytest.mark.parametrize(
    "stages",
    [
        [{"$group": {"_id": "$phone"}}],
        [{"$group": {"_id": None, "m": {"$max": "$pay.rate"}, "all": {"$push": "$$ROOT"}}}],
        [{"$project": {"p": {"$concat": ["$phone", ""]}, "q": "$$ROOT.phone", "r": "$pay"}}],
        [{"$addFields": {"phone2": "$phone"}}, {"$match": {"phone2": "111"}}],
        [{"$replaceRoot": {"newRoot": "$pay"}}],
        [{"$sortByCount": "$phone"}],
        [{"$bucket": {"groupBy": "$pay.rate", "boundaries": [0, 7, 10], "default": "none"}}],
        [{"$facet": {"x": [{"$match": {"phone": "111"}}], "y": [{"$sort": {"phone": 1}}]}}],
        [{"$match": {"$expr": {"$eq": ["$phone", "111"]}}}],
        [{"$lookup": {"from": "box", "pipeline": [{"$match": {"phone": "111"}}], "as": "x"}}],
        [{"$unwind": "$phone"}],
    ],
)
async def test_no_pipeline_sees_it(bench: Bench, stages: list[Any]) -> None:
    """The answer is the one of a database without those values and documents."""
    await fill(bench)
    with_hidden = await bench.raw(BOB, "aggregate", "box", {"pipeline": stages})
    unset = {"$unset": {"phone": "", "pay.rate": ""}}
    await bench.do(SERVER, "delete", "box", id="hidden")
    before = await bench.stored("box")
    await bench.do(SERVER, "update", "box", filter={}, multi=True, update=unset)
    after = await bench.stored("box")
    without = await bench.raw(BOB, "aggregate", "box", {"pipeline": stages})
    for id, document in before.items():  # the times of the two differ, and only they
        old, new = json.dumps(document["_updateTime"]), json.dumps(after[id]["_updateTime"])
        without = without.replace(new.replace(" ", "").encode(), old.replace(" ", "").encode())
    assert with_hidden == without


@app(RULES)
@pytest.mark.parametrize(
    "update",
    [
        {"$inc": {"pay.rate": 1}},
        {"$rename": {"phone": "shown"}},
        {"$max": {"phone": "2"}},
        {"$push": {"phone": 1}},
        {"$set": {"phone.x": 1}},
        {"$pull": {"pay": {"rate": 9}}},
    ],
)
async def test_no_operator_works_on_it(bench: Bench, update: dict[str, Any]) -> None:
    await fill(bench)
    with refused(Code.PERMISSION_DENIED):
        await bench.do(BOB, "update", "box", id="a", update=update)


@app(RULES)
async def test_a_blind_write_tells_nothing_of_what_was_there(bench: Bench) -> None:
    await fill(bench)
    answers = set()
    for id in ("a", "b"):
        await bench.do(SERVER, "update", "box", id=id, update={"$set": {"phone": "1"}})
        update = {"$set": {"phone": "1"}}
        answers.add(await bench.raw(BOB, "update", "box", {"id": id, "update": update}))
    assert answers == {b'{"matched":1,"modified":1,"upsertedId":null}'}


@app({"box": BOX.replace("maxLength: 3", "maxLength: 30")})
async def test_a_schema_fault_in_it_is_not_told(bench: Bench) -> None:
    """It was stored when the schema allowed it; another field's writer learns nothing of it."""
    await fill(bench)
    await bench.do(SERVER, "update", "box", id="a", update={"$set": {"phone": "too long now"}})
    await bench.load(RULES)
    answer = await bench.do(BOB, "update", "box", id="a", update={"$set": {"n": 5}})
    assert answer["matched"] == 1
    with refused(Code.VALIDATION_FAILED):
        await bench.do(SERVER, "update", "box", id="a", update={"$set": {"n": 5}})
    with refused(Code.VALIDATION_FAILED) as caught:
        await bench.do(BOB, "update", "box", id="a", update={"$set": {"phone": "long by me"}})
    assert "too long" not in caught.problem.detail


@app(RULES)
async def test_a_hidden_document_is_absent_to_every_verb(bench: Bench) -> None:
    await fill(bench)
    works: list[tuple[str, dict[str, Any]]] = [
        ("get", {}),
        ("update", {"update": {"$set": {"n": 1}}}),
        ("replace", {"document": {}}),
        ("delete", {}),
    ]
    for verb, body in works:
        told = []
        for id in ("hidden", "absent"):
            with pytest.raises(Problem) as caught:
                await bench.do(BOB, verb, "box", id=id, **body)
            told.append((caught.value.code, caught.value.detail))
        assert told[0] == told[1] == (Code.NOT_FOUND, told[0][1])
    assert "hidden" in await bench.stored("box")


@app(RULES)
async def test_writes_by_filter_pass_it_over(bench: Bench) -> None:
    await fill(bench)
    many = {"filter": {"n": {"$gte": 1}}, "multi": True}
    answer = await bench.do(NOBODY, "update", "box", **many, update={"$set": {"t": 1}})
    assert answer["matched"] == 2
    assert (await bench.do(NOBODY, "delete", "box", **many))["deleted"] == 2
    assert list(await bench.stored("box")) == ["hidden"]


@app(RULES)
async def test_an_etag_does_not_move_with_it(bench: Bench) -> None:
    await fill(bench)
    first = await bench.tagged(BOB, "box", "a")
    stored = (await bench.stored("box"))["a"]
    await bench.do(SERVER, "delete", "box", id="a")
    other = {**stored, "phone": "999", "pay": {"rate": 1, "to": "x"}}
    del other["_updateTime"]
    await bench.do(SERVER, "insert", "box", document=other)
    second = await bench.tagged(BOB, "box", "a")
    assert first == second


@app({"box": BOX.replace("maxLength: 3", "maxLength: 30")})
@pytest.mark.parametrize(
    "update", [{"$rename": {"none": "phone"}}, {"$setOnInsert": {"phone": "1"}}]
)
async def test_nor_to_one_whose_update_does_not_reach_it(
    bench: Bench, update: dict[str, Any]
) -> None:
    await fill(bench)
    await bench.do(SERVER, "update", "box", id="a", update={"$set": {"phone": "too long now"}})
    await bench.load(RULES)
    for id in ("a", "b"):
        assert (await bench.do(BOB, "update", "box", id=id, update=update))["matched"] == 1


@app(RULES)
@pytest.mark.parametrize("hidden", ["", "12", "1" * 500])
async def test_the_room_left_in_a_document_does_not_tell_its_length(
    bench: Bench, hidden: str
) -> None:
    """Bob finds the size at which a document is full; it is the same whatever he cannot see."""
    limit = bench.settings.limits.document_bytes
    await bench.insert("box", {"_id": "a", "public": True, "pay": {"rate": hidden}})
    update = {"$set": {"pad": "x" * (limit - 200)}}
    await bench.do(BOB, "update", "box", id="a", update=update)
    with refused(Code.LIMIT_EXCEEDED):
        await bench.do(BOB, "update", "box", id="a", update={"$set": {"pad": "x" * limit}})
