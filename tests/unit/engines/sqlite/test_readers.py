"""Reads on the loop and in threads: who runs what, and what stops it."""

from __future__ import annotations

import threading

import pytest

from baas.engines.sqlite.keys import container_key
from baas.engines.sqlite.store import SqliteStore
from baas.ports.documents import Find
from baas.query.ast import And, Field, Regex, SortKey, Where
from baas.query.expr import Binary, DocField, Literal, Lookup, Member
from baas.schema.values import decode
from baas.settings import DatabaseSettings
from tests.support.stores import declared, eq, find, ids, index, put

pytestmark = pytest.mark.anyio

BY_N = (SortKey(("n",)), SortKey(("_id",)))
#: An index walks in the right order, but nearly nothing on the way matches.
RARE = Find(collection="p", filter=Field(("text",), Regex("y$")), sort=BY_N, limit=5)


@pytest.fixture
async def store(folder):
    store = SqliteStore(folder, DatabaseSettings(durability="normal", inline_budget_ms=0.01))
    await store.open()
    await store.declare(declared("p", index("n")))
    rows = [{"_id": f"d{n:04d}", "n": n, "text": "x" * 50} for n in range(3000)]
    for start in range(0, 3000, 1000):
        await put(store, "p", *rows[start : start + 1000])
    await put(store, "p", {"_id": "last", "n": 9999, "text": "y"})
    yield store
    await store.close()


async def test_a_read_over_its_budget_is_run_again_in_a_thread(store) -> None:
    for _ in range(5):
        found = store.find(RARE)
        assert not isinstance(found, list)
        assert [decode(body)["_id"] for body in await found] == ["last"]


async def test_a_shape_that_is_stopped_often_is_no_longer_tried(store) -> None:
    for _ in range(4):
        await store.find(RARE)
    plans = store._readers.current.collections["p"].plans.values()
    assert [plan.strikes for plan in plans if not plan.inline] == [3]
    assert isinstance(store.get("p", "last"), bytes)


async def test_the_key_of_a_long_array_is_not_made_on_the_loop(store, monkeypatch) -> None:
    """It takes long, and nothing can stop the making of one."""
    threads = set()

    def key(text):
        threads.add(threading.current_thread())
        return container_key(text)

    monkeypatch.setattr("baas.engines.sqlite.connection.container_key", key)
    await put(store, "p", {"_id": "long", "tags": list(range(50_000))})
    threads.clear()
    query = Find(collection="p", filter=And((eq("_id", "long"), eq("tags", -1))))
    assert await store.find(query) == []
    assert threads
    assert threading.main_thread() not in threads


async def test_a_short_read_is_never_stopped(store) -> None:
    query = Find(collection="p", filter=eq("n", 7), sort=BY_N, limit=5)
    for _ in range(3000):  # SQLite counts its steps on over the runs of one statement
        assert isinstance(store.get("p", "d0007"), bytes)
        assert isinstance(store.find(query), list)


async def test_a_rule_with_a_lookup_is_evaluated_on_the_connection_that_reads(store) -> None:
    await put(store, "rooms", {"_id": "x" * 50, "open": True})
    room = Lookup("rooms", DocField("doc", ("text",)))
    rule = Where(Binary("==", Member(room, "open"), Literal(True)))
    assert len(await ids(store, "p", rule)) == 3000
    assert len(await ids(store, "p", And((rule, eq("n", 5))))) == 1
    async with store.snapshot() as reader:
        found = reader.count("p", rule)
        assert (found if isinstance(found, int) else await found) == 3000


async def test_reader_threads_are_as_many_as_settings_say(folder, store) -> None:
    import asyncio

    await asyncio.gather(*(find(store, "p", RARE.filter, sort=BY_N) for _ in range(20)))
    names = [thread.name for thread in threading.enumerate()]
    assert sum(name.startswith("baas-read") for name in names) <= 2
