"""A few hundred large documents are cheap to store; reading them all at once must not be a way to
end the process. What one request holds has a bound in bytes (`database.read_bytes`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from baas.auth.steps import insert, remove_owned, write
from baas.clock import ManualClock
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Code
from baas.settings import DatabaseSettings, Settings
from tests.support.database import ANN, Bench, refused

OPEN = "rules: {read: 'true', create: auth != null, update: 'true', delete: 'true'}"
RULES = {"big": OPEN.replace("'true'", '"true"'), "other": OPEN.replace("'true'", '"true"')}
READ_BYTES = 256 * 1024
COUNT = 120
TEXT = "x" * 4096
NO_MATCH = {"text": {"$regex": "y"}}
ALL = {"text": {"$regex": "x"}}


def play(test: Callable[[Bench], Awaitable[None]]) -> None:
    async def run() -> None:
        clock = ManualClock()
        settings = Settings(database=DatabaseSettings(read_bytes=READ_BYTES))
        store = SqliteStore.memory(settings.database, clock)
        await store.open()
        try:
            bench = Bench(store, clock, settings)
            await bench.load(RULES)
            documents = [{"_id": f"d{n:03}", "n": n, "text": TEXT} for n in range(COUNT)]
            await bench.insert("big", *documents, actor=ANN)
            await bench.insert("other", {"_id": "one"}, actor=ANN)
            await test(bench)
        finally:
            await store.close()

    asyncio.run(run())


JOIN = {"$lookup": {"from": "big", "pipeline": [{"$limit": 40}], "as": "a"}}


@pytest.mark.parametrize(
    ("verb", "collection", "body"),
    [
        ("find", "big", {"limit": 1000}),
        ("find", "big", {"limit": 1000, "filter": ALL, "sort": {"text": 1}}),
        ("find", "big", {"limit": 1000, "count": True}),
        ("aggregate", "big", {"pipeline": [{"$match": ALL}]}),
        ("aggregate", "big", {"pipeline": [{"$group": {"_id": "$n"}}]}),
        ("aggregate", "other", {"pipeline": [JOIN, {**JOIN, "$lookup": JOIN["$lookup"]}]}),
        ("update", "big", {"filter": ALL, "update": {"$set": {"m": 1}}, "multi": True}),
        ("delete", "big", {"filter": {}, "multi": True, "return": True}),
    ],
)
def test_too_much_at_once_is_refused(verb: str, collection: str, body: dict[str, Any]) -> None:
    async def test(bench: Bench) -> None:
        before = await bench.stored("big")
        with refused(Code.LIMIT_EXCEEDED, str(READ_BYTES)):
            await bench.do(ANN, verb, collection, **body)
        assert await bench.stored("big") == before

    play(test)


def test_the_finds_of_a_transaction_count_together() -> None:
    async def test(bench: Bench) -> None:
        find = {"collection": "big", "verb": "find", "limit": 40}
        await bench.transaction(ANN, find)
        with refused(Code.LIMIT_EXCEEDED) as caught:
            await bench.transaction(ANN, find, find)
        assert caught.problem.operation == 1

    play(test)


def test_changes_by_id_count_together() -> None:
    """A hundred small operations can hold a hundred large documents."""

    async def test(bench: Bench) -> None:
        operations = [
            {"collection": "big", "verb": "update", "id": f"d{n:03}", "update": {"$set": {"m": 1}}}
            for n in range(40)
        ]
        before = await bench.stored("big")
        with refused(Code.LIMIT_EXCEEDED, str(READ_BYTES)):
            await bench.transaction(ANN, *operations)
        assert await bench.stored("big") == before
        await bench.transaction(ANN, *operations[:25])

    play(test)


def test_what_is_small_enough_passes() -> None:
    async def test(bench: Bench) -> None:
        assert len(await bench.ids(ANN, "big", limit=60, filter=ALL)) == 60
        assert (await bench.do(ANN, "count", "big"))["total"] == COUNT
        assert await bench.ids(ANN, "big", filter=NO_MATCH) == []
        pipeline = [{"$limit": 40}, {"$group": {"_id": None, "n": {"$sum": 1}}}]
        answer = await bench.do(ANN, "aggregate", "big", pipeline=pipeline)
        assert answer["documents"] == [{"_id": None, "n": 40}]
        await bench.transaction(ANN, {"collection": "big", "verb": "find", "limit": 40})
        await bench.transaction(ANN, {"collection": "big", "verb": "find", "limit": 40})

    play(test)


def test_the_kits_own_housekeeping_is_not_stopped_by_it() -> None:
    """Else a user with very many sessions could not be disabled."""

    async def test(bench: Bench) -> None:
        for n in range(COUNT):
            document = {"_id": f"s{n}", "uid": "ann", "userAgent": TEXT}
            await write(bench.store, insert("_sessions", document))
        result = await write(bench.store, remove_owned("_sessions", "ann"))
        assert len(result.results[0].written) == COUNT

    play(test)
