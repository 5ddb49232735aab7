"""A cursor opens for the caller, collection, rule, filter and sort that it was made for, whole."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from baas.database.cursors import Cursors
from baas.errors import Code
from baas.secret import MasterSecret
from tests.support.database import ANN, BOB, MODERATOR, NOBODY, SERVER, Bench, app, refused

RULES = {
    "notes": "acl: READONLY\n",
    "other": "acl: READONLY\n",
    "mine": "acl: PRIVATE\n",
}


async def cursor(bench: Bench, actor: Any = ANN, collection: str = "notes", **body: Any) -> str:
    answer = await bench.do(actor, "find", collection, limit=1, **body)
    text: str = answer["next"]
    assert isinstance(text, str)
    return text


async def fill(bench: Bench, collection: str = "notes") -> None:
    await bench.insert(collection, *[{"_id": f"n{i}", "n": i, "_openid": "ann"} for i in range(4)])


@app(RULES)
async def test_any_changed_character_is_refused(bench: Bench) -> None:
    await fill(bench)
    good = await cursor(bench)
    assert len(await bench.ids(ANN, "notes", after=good)) == 3
    for place in range(len(good)):
        other = "A" if good[place] != "A" else "B"
        with refused(Code.CURSOR_INVALID):
            await bench.ids(ANN, "notes", after=good[:place] + other + good[place + 1 :])


@app(RULES)
@pytest.mark.parametrize(
    "forge",
    [
        lambda good: "",
        lambda good: good[:-1],
        lambda good: good + "A",
        lambda good: good + "=",
        lambda good: good + good,
        lambda good: good.lower(),
        lambda good: " " + good,
        lambda good: good + "\n",
        lambda good: good[:16],
        lambda good: "n1",
        lambda good: '["n1"]',
        lambda good: base64.urlsafe_b64encode(b'["n1"]').decode(),
        lambda good: "中" * 40,
        lambda good: "\x00" * 40,
        lambda good: "A" * 100_000,
    ],
)
async def test_forms_that_were_never_given_out_are_refused(bench: Bench, forge: Any) -> None:
    await fill(bench)
    with refused(Code.CURSOR_INVALID):
        await bench.ids(ANN, "notes", after=forge(await cursor(bench)))


@app(RULES)
async def test_another_caller_cannot_use_it(bench: Bench) -> None:
    await fill(bench)
    good = await cursor(bench)
    for actor in (BOB, NOBODY, SERVER, MODERATOR):
        with refused(Code.CURSOR_INVALID):
            await bench.ids(actor, "notes", after=good)


@app(RULES)
async def test_another_query_cannot_use_it(bench: Bench) -> None:
    await fill(bench)
    await fill(bench, "other")
    query: dict[str, Any] = {"filter": {"n": {"$gte": 0}}, "sort": {"n": 1}}
    good = await cursor(bench, **query)
    others: list[dict[str, Any]] = [
        {**query, "filter": {"n": {"$gt": 0}}},
        {**query, "filter": {"n": {"$gte": False}}},
        {**query, "filter": {}},
        {**query, "sort": {"n": -1}},
        {**query, "sort": {"_id": 1}},
        {**query, "sort": {"n": 1, "_id": -1}},
        {**query, "sort": {"a": 1}},
    ]
    for other in others:
        with refused(Code.CURSOR_INVALID):
            await bench.ids(ANN, "notes", after=good, **other)
    with refused(Code.CURSOR_INVALID):
        await bench.ids(ANN, "other", after=good, **query)
    same = {"filter": query["filter"], "sort": [["n", 1]], "fields": {"n": 1}, "limit": 2}
    assert await bench.ids(ANN, "notes", after=good, **same) == ["n1", "n2"]


@app(RULES)
async def test_another_rule_ends_it(bench: Bench) -> None:
    await fill(bench)
    good = await cursor(bench)
    await bench.load({**RULES, "other": "acl: PRIVATE\n"})
    await bench.ids(ANN, "notes", after=good)
    await bench.load({**RULES, "notes": "acl: PRIVATE\n"})
    with refused(Code.CURSOR_INVALID):
        await bench.ids(ANN, "notes", after=good)


@app(RULES)
async def test_it_says_nothing_of_what_it_holds(bench: Bench) -> None:
    await bench.insert("notes", *[{"_id": f"n{i}", "text": "visible"} for i in range(2)])
    good = await cursor(bench, sort={"text": 1})
    raw = base64.urlsafe_b64decode(good + "=" * (-len(good) % 4))
    assert b"visible" not in raw
    assert b"n0" not in raw


def test_another_installation_cannot_open_it() -> None:
    text = Cursors(MasterSecret(b"one" * 12)).seal(("a",), b"binding")
    with refused(Code.CURSOR_INVALID):
        Cursors(MasterSecret(b"two" * 12)).open(text, b"binding", keys=1)
    with refused(Code.CURSOR_INVALID):
        Cursors(MasterSecret(b"one" * 12)).open(text, b"binding", keys=2)
    assert Cursors(MasterSecret(b"one" * 12)).open(text, b"binding", keys=1) == ("a",)
