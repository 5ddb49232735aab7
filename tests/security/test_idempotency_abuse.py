"""An Idempotency-Key repeats its own request's answer, and nobody else's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from baas.errors import Code
from baas.schema.actor import Actor
from tests.support.database import ANN, BOB, NOBODY, SERVER, Bench, app, refused

OPEN = "rules: {read: 'true', create: 'true', update: 'true', delete: 'true'}\n"
RULES = {"box": OPEN, "other": OPEN}
DOCUMENT = {"document": {"n": 1}}


@app(RULES)
async def test_a_repeat_does_nothing_and_answers_the_same_bytes(bench: Bench) -> None:
    first = await bench.raw(ANN, "insert", "box", DOCUMENT, "k")
    bench.clock.advance(3600)
    assert await bench.raw(ANN, "insert", "box", DOCUMENT, "k") == first
    assert len(await bench.stored("box")) == 1


@app(RULES)
async def test_fifty_at_once_are_one(bench: Bench) -> None:
    body = {"id": "a", "update": {"$inc": {"n": 1}}, "upsert": True, "return": True}
    answers = await asyncio.gather(*[bench.raw(ANN, "update", "box", body, "k") for _ in range(50)])
    assert len(set(answers)) == 1
    assert (await bench.stored("box"))["a"]["n"] == 1


@app(RULES)
async def test_the_scope_is_caller_route_and_key(bench: Bench) -> None:
    await bench.raw(ANN, "insert", "box", DOCUMENT, "k")
    await bench.raw(BOB, "insert", "box", DOCUMENT, "k")
    await bench.raw(ANN, "insert", "other", DOCUMENT, "k")
    await bench.raw(ANN, "insert", "box", DOCUMENT, "k2")
    key = Actor(trusted=True, key="admin", cache_key="!")
    await bench.raw(key, "insert", "box", DOCUMENT, "k")
    assert len(await bench.stored("box")) == 4
    assert len(await bench.stored("other")) == 1
    with refused(Code.NOT_FOUND):  # the key of an insert is no key of a delete
        await bench.raw(ANN, "delete", "box", {"id": "a"}, "k")


@app(RULES)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a/insert", "b"), ("a", "insert/b")),
        (('x","y', "z"), ("x", 'y","z')),
    ],
)
async def test_parts_of_the_scope_cannot_be_shifted(
    bench: Bench, one: tuple[str, str], other: tuple[str, str]
) -> None:
    for uid, key in (one, other):
        await bench.raw(Actor(uid=uid, cache_key=uid), "insert", "box", DOCUMENT, key)
    assert len(await bench.stored("box")) == 2


@app(RULES)
async def test_another_body_is_a_mismatch(bench: Bench) -> None:
    await bench.raw(ANN, "insert", "box", DOCUMENT, "k")
    with refused(Code.IDEMPOTENCY_MISMATCH):
        await bench.raw(ANN, "insert", "box", {"document": {"n": 2}}, "k")
    assert len(await bench.stored("box")) == 1


@app(RULES)
async def test_nobodys_keys_do_not_count(bench: Bench) -> None:
    """All strangers would share one scope, and read each other's answers."""
    for key in ("k", "k", "", "x" * 500):
        await bench.raw(NOBODY, "insert", "box", DOCUMENT, key)
        await bench.raw(SERVER, "insert", "box", DOCUMENT, key)
    assert len(await bench.stored("box")) == 8


@app(RULES)
@pytest.mark.parametrize("key", ["", "x" * 129, "a\x00", "a\n", "é", "中", "\x7f"])
async def test_a_malformed_key_is_refused_before_anything_happens(bench: Bench, key: str) -> None:
    with refused(Code.INVALID_ARGUMENT, "Idempotency-Key"):
        await bench.raw(ANN, "insert", "box", DOCUMENT, key)
    assert await bench.stored("box") == {}


@app(RULES)
async def test_reads_ignore_keys(bench: Bench) -> None:
    await bench.raw(ANN, "find", "box", {}, "k")
    await bench.raw(ANN, "insert", "box", DOCUMENT)
    assert len((await bench.do(ANN, "find", "box", "k"))["documents"]) == 1


@app(RULES)
async def test_a_failure_is_not_kept(bench: Bench) -> None:
    body: dict[str, Any] = {"id": "a", "update": {"$inc": {"n": 1}}}
    with refused(Code.NOT_FOUND):
        await bench.raw(ANN, "update", "box", body, "k")
    await bench.insert("box", {"_id": "a", "n": 1})
    await bench.raw(ANN, "update", "box", body, "k")
    assert (await bench.stored("box"))["a"]["n"] == 2


@app({"box": "rules: {create: \"!exists('database.box.' + auth.uid)\", read: 'true'}\n"})
async def test_a_repeat_is_answered_even_if_the_rule_would_now_refuse(bench: Bench) -> None:
    body = {"document": {"_id": "ann"}}
    first = await bench.raw(ANN, "insert", "box", body, "k")
    with refused(Code.PERMISSION_DENIED):
        await bench.raw(ANN, "insert", "box", body)
    assert await bench.raw(ANN, "insert", "box", body, "k") == first
    await bench.load({"box": "acl: ADMINONLY\n"})
    assert await bench.raw(ANN, "insert", "box", body, "k") == first
    with refused(Code.PERMISSION_DENIED):
        await bench.raw(ANN, "insert", "box", body, "never used")


@app(RULES)
async def test_a_transaction_has_one_key_for_all(bench: Bench) -> None:
    operation = {"verb": "insert", "collection": "box", "document": {"n": 1}}
    first = await bench.transaction(ANN, operation, operation, key="k")
    assert await bench.transaction(ANN, operation, operation, key="k") == first
    assert len(await bench.stored("box")) == 2
    with refused(Code.IDEMPOTENCY_MISMATCH):
        await bench.transaction(ANN, operation, key="k")


@app(RULES, idempotency_hours=1)
async def test_a_key_is_free_again_after_its_time(bench: Bench) -> None:
    await bench.raw(ANN, "insert", "box", DOCUMENT, "k")
    bench.clock.advance(3599)
    await bench.raw(ANN, "insert", "box", DOCUMENT, "k")
    assert len(await bench.stored("box")) == 1
    bench.clock.advance(2)
    await bench.raw(ANN, "insert", "box", DOCUMENT, "k")
    assert len(await bench.stored("box")) == 2
