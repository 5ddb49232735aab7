"""Faults of the server in the middle of a write: it is done once, or not at all and said so."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from baas.engines.mongo.store import MongoStore
from baas.errors import Code, Problem
from baas.ports.documents import resolve
from tests.support import mongo
from tests.support.stores import change, get, ids, insert, put, write

pytestmark = pytest.mark.anyio

UNKNOWN = "UnknownTransactionCommitResult"
TRANSIENT = "TransientTransactionError"
STEPPED_DOWN = 189
CONFLICT = 112


def more(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "n": document["n"] + 1}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("times", [1, 5])
async def test_a_commit_whose_answer_is_lost_counts_once(store, driver, after, times) -> None:
    await put(store, "p", {"_id": "a", "n": 0})
    await mongo.fail(driver, "commitTransaction", STEPPED_DOWN, [UNKNOWN], times, after=after)
    await asyncio.gather(*(write(store, change("p", "a", more)) for _ in range(5)))
    assert await get(store, "p", "a") == {"_id": "a", "n": 5}
    events = await resolve(store.feed.read((await store.feed.head()).partition(".")[0] + ".0"))
    assert len(events) == 6


@pytest.mark.parametrize(
    "command", ["findAndModify", "find", "insert", "update", "commitTransaction"]
)
async def test_a_transaction_that_a_new_primary_ended_is_run_again(store, driver, command) -> None:
    await put(store, "p", {"_id": "a", "n": 0})
    await mongo.fail(driver, command, STEPPED_DOWN, [TRANSIENT], 2)
    await write(store, change("p", "a", more), insert("p", {"_id": "b"}))
    assert await ids(store, "p") == ["a", "b"]
    assert (await get(store, "p", "a"))["n"] == 1


async def test_what_stays_away_is_unavailable_and_nothing_was_done(
    store, driver, settings, join
) -> None:
    impatient = MongoStore(msgspec.structs.replace(settings, mongo_patience=0.2))
    await impatient.open()
    await mongo.fail(driver, "commitTransaction", STEPPED_DOWN, [TRANSIENT], 10_000)
    with pytest.raises(Problem) as caught:
        await put(impatient, "p", {"_id": "a"})
    await mongo.fail_no_more(driver)
    assert caught.value.code is Code.UNAVAILABLE
    await impatient.close()
    await put(store, "p", {"_id": "b"})
    assert await ids(store, "p") == ["b"]


async def test_an_error_of_the_server_reaches_nobody_as_it_is(store, driver) -> None:
    await put(store, "p", {"_id": "a"})
    await mongo.fail(driver, "find", 8000, [], 2)
    with pytest.raises(Problem) as caught:
        await ids(store, "p")
    assert caught.value.code is Code.UNAVAILABLE
    assert "made" not in caught.value.detail


async def test_jobs_are_added_once_however_the_commit_went(store, driver) -> None:
    from baas.ports.jobs import NewJob

    job = NewJob(id="j", queue="q", kind="k", payload=b"", due_ms=0)
    await mongo.fail(driver, "commitTransaction", STEPPED_DOWN, [UNKNOWN], 1, after=True)
    assert await store.jobs.add([job]) == ["j"]
    assert len(await store.jobs.claim(("q",), 5, 10)) == 1
