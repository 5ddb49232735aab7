"""Clients cannot set server fields, by any verb, operator or detour."""

from __future__ import annotations

import json
from typing import Any

import pytest

from baas.errors import Code
from baas.schema.values import date_from_ms
from tests.support.database import ANN, BOB, Bench, app, refused

OPEN = {"box": "rules: {read: 'true', create: 'true', update: 'true', delete: 'true'}\n"}
STAMPS = ["_openid", "_createTime", "_updateTime"]
FORGED = {"_openid": "bob", "_createTime": date_from_ms(0), "_updateTime": date_from_ms(0)}


async def unchanged(bench: Bench, before: dict[str, Any]) -> None:
    assert await bench.stored("box") == before


@app(OPEN)
@pytest.mark.parametrize("name", STAMPS)
async def test_an_insert_that_sends_one_is_refused(bench: Bench, name: str) -> None:
    forged = {name: FORGED[name]}
    bodies: list[dict[str, Any]] = [{"document": forged}, {"documents": [{}, forged]}]
    for body in bodies:
        with refused(Code.PERMISSION_DENIED, name):
            await bench.do(ANN, "insert", "box", **body)
    await unchanged(bench, {})


@app(OPEN)
@pytest.mark.parametrize("name", STAMPS)
@pytest.mark.parametrize(
    "operator",
    [
        {"$set": {"X": "bob"}},
        {"$set": {"X.y": "bob"}},
        {"$set": {"a": 1, "X": "bob"}},
        {"$setOnInsert": {"X": "bob"}},
        {"$unset": {"X": ""}},
        {"$rename": {"X": "taken"}},
        {"$rename": {"mine": "X"}},
        {"$inc": {"X": 1}},
        {"$min": {"X": ""}},
        {"$max": {"X": "zz"}},
        {"$push": {"X": 1}},
        {"$addToSet": {"X": 1}},
        {"$currentDate": {"X": True}},
    ],
)
async def test_an_update_that_touches_one_is_refused(
    bench: Bench, name: str, operator: dict[str, dict[str, Any]]
) -> None:
    await bench.insert("box", {"_id": "a", "mine": "x", "_openid": "ann"})
    before = await bench.stored("box")
    update = json.loads(json.dumps(operator).replace("X", name))
    targets: list[dict[str, Any]] = [
        {"id": "a"},
        {"filter": {}},
        {"filter": {"_id": "a"}, "multi": True},
        {"id": "a", "upsert": True},
        {"id": "fresh", "upsert": True},
        {"filter": {"none": 1}, "upsert": True},
    ]
    for target in targets:
        with refused(Code.PERMISSION_DENIED, name):
            await bench.do(ANN, "update", "box", **target, update=update)
    await unchanged(bench, before)


@app(OPEN)
async def test_an_id_never_changes(bench: Bench) -> None:
    await bench.insert("box", {"_id": "a"})
    before = await bench.stored("box")
    for update in ({"$set": {"_id": "b"}}, {"$rename": {"_id": "x"}}, {"$unset": {"_id": ""}}):
        with refused(Code.INVALID_ARGUMENT):
            await bench.do(ANN, "update", "box", id="a", update=update)
    with refused(Code.INVALID_ARGUMENT):
        await bench.do(ANN, "replace", "box", id="a", document={"_id": "b"})
    await unchanged(bench, before)


@app(OPEN)
@pytest.mark.parametrize("name", STAMPS)
async def test_replace_takes_them_unchanged_or_not_at_all(bench: Bench, name: str) -> None:
    await bench.insert("box", {"_id": "a", "_openid": "ann"}, {"_id": "ownerless"})
    stored = (await bench.stored("box"))["a"]
    with refused(Code.PERMISSION_DENIED, name):
        await bench.do(BOB, "replace", "box", id="a", document={**stored, name: FORGED[name]})
    with refused(Code.PERMISSION_DENIED, "_openid"):
        await bench.do(BOB, "replace", "box", id="ownerless", document={"_openid": "bob"})
    with refused(Code.PERMISSION_DENIED, name):
        await bench.do(BOB, "replace", "box", id="new", document={name: FORGED[name]}, upsert=True)
    await bench.do(BOB, "replace", "box", id="a", document={**stored, "n": 1})
    assert (await bench.stored("box"))["a"]["_openid"] == "ann"


@app(OPEN)
async def test_an_upserts_filter_does_not_set_them(bench: Bench) -> None:
    filter = {"_openid": "bob", "_createTime": date_from_ms(0), "kind": "k"}
    update = {"$set": {"n": 1}}
    answer = await bench.do(ANN, "update", "box", filter=filter, update=update, upsert=True)
    made = (await bench.stored("box"))[answer["upsertedId"]]
    assert (made["_openid"], made["kind"]) == ("ann", "k")
    assert made["_createTime"] == date_from_ms(bench.clock.now_ms())


@app({"box": OPEN["box"] + "fields: {_openid: {read: 'false'}}\n"})
async def test_a_hidden_owner_cannot_be_guessed_by_sending_it_back(bench: Bench) -> None:
    await bench.insert("box", {"_id": "a", "_openid": "ann"})
    details = set()
    for guess in ("ann", "bob"):
        with refused(Code.PERMISSION_DENIED) as caught:
            await bench.do(BOB, "replace", "box", id="a", document={"_openid": guess})
        details.add(caught.problem.detail)
    assert len(details) == 1


@app(OPEN)
async def test_a_transaction_is_no_way_around(bench: Bench) -> None:
    operation = {"verb": "insert", "collection": "box", "document": {"_openid": "bob"}}
    with refused(Code.PERMISSION_DENIED, "_openid"):
        await bench.transaction(ANN, operation)
