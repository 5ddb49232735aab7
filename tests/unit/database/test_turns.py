"""One large request does not keep the others waiting: it is worked on in turns with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from baas.database import turns
from baas.database.writes import LARGE_BYTES
from baas.errors import Code
from tests.support.database import ANN, BOB, SERVER, Bench, app, refused

T = TypeVar("T")

RULES = {
    "box": """
schema: {properties: {n: {type: integer}}}
rules: {read: 'true', create: newDoc.n >= 0, update: 'true', delete: 'true'}
fields: {pad: {read: doc._openid == auth.uid}}
"""
}
MANY = 40


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of the work is a turn: what is counted then does not hang on the machine."""
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)


def documents(**of_the_tenth: Any) -> list[dict[str, Any]]:
    pad = "x" * (LARGE_BYTES // MANY + 1)
    made: list[dict[str, Any]] = [{"_id": f"d{n}", "n": n, "pad": pad} for n in range(MANY)]
    made[10].update(of_the_tenth)
    return made


async def turns_beside(work: Awaitable[T]) -> tuple[T, int]:
    """What it comes to, and how often something else could run meanwhile."""
    count = 0

    async def beside() -> None:
        nonlocal count
        while True:
            await asyncio.sleep(0)
            count += 1

    task = asyncio.create_task(beside())
    try:
        return await work, count
    finally:
        task.cancel()


@app(RULES)
async def test_many_documents_are_made_ready_one_by_one(bench: Bench) -> None:
    answer, beside = await turns_beside(bench.do(ANN, "insert", "box", documents=documents()))
    assert answer == {"ids": [f"d{n}" for n in range(MANY)]}
    assert beside >= 3 * MANY
    assert len(await bench.stored("box")) == MANY


@app(RULES)
async def test_in_a_transaction_too(bench: Bench) -> None:
    insert = {"verb": "insert", "collection": "box", "documents": documents()}
    find = {"verb": "find", "collection": "box", "limit": 5}
    results, beside = await turns_beside(bench.transaction(ANN, insert, *[find] * 10))
    assert beside >= 3 * MANY + 10
    assert [len(one["documents"]) for one in results[1:]] == [5] * 10


@app(RULES)
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"$bad": 1}, Code.INVALID_ARGUMENT),
        ({"n": "text"}, Code.VALIDATION_FAILED),
        ({"n": -1}, Code.PERMISSION_DENIED),
        ({"_id": "d9"}, Code.CONFLICT),
    ],
)
async def test_a_fault_in_one_is_told_as_in_a_small_body_and_nothing_is_done(
    bench: Bench, fault: dict[str, Any], code: Code
) -> None:
    with refused(code) as large:
        await bench.do(ANN, "insert", "box", documents=documents(**fault))
    small = [{**one, "pad": ""} for one in documents(**fault)]
    with refused(code) as same:
        await bench.do(ANN, "insert", "box", documents=small)
    assert large.problem.detail == same.problem.detail
    assert large.problem.errors == same.problem.errors
    assert await bench.stored("box") == {}


@app({"box": "rules: {create: \"exists('database.box.' + auth.uid)\", read: 'true'}\n"})
async def test_rules_that_look_documents_up_are_asked_as_always(bench: Bench) -> None:
    await bench.insert("box", {"_id": "ann"})
    with refused(Code.PERMISSION_DENIED):
        await bench.do(BOB, "insert", "box", documents=documents())
    answer = await bench.do(ANN, "insert", "box", documents=documents(), key="k")
    await bench.do(SERVER, "delete", "box", id="ann")
    assert await bench.do(ANN, "insert", "box", documents=documents(), key="k") == answer


@app(RULES)
async def test_those_who_give_up_leave_nothing(bench: Bench) -> None:
    task = asyncio.create_task(bench.do(ANN, "insert", "box", documents=documents()))
    for _ in range(MANY):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await bench.stored("box") == {}
