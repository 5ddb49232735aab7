"""DocumentStore, reading: one meaning with and without indexes, committed data only, one moment."""

from __future__ import annotations

import asyncio
import random
from inspect import isawaitable

import pytest

from baas.errors import Code, Problem
from baas.ports.documents import Find, resolve
from baas.query.ast import ALWAYS, And, Field, Not, Range, Regex, SortKey, Where
from baas.query.expr import Binary, DocField, Literal, Lookup, Member
from baas.query.order import sort_documents, sort_values
from baas.schema.values import decode
from tests.support.stores import (
    change,
    change_many,
    declared,
    delete,
    eq,
    find,
    get,
    ids,
    index,
    insert,
    put,
    setting,
    write,
)

pytestmark = pytest.mark.anyio

MIXED = (None, True, False, 0, -1, 1.5, 10, "", "a", "é", [], [1, 2], ["x"], {}, {"b": 1},
         {"$date": "2026-01-01T00:00:00.000Z"}, {"$date": "1999-01-01T00:00:00.000Z"})  # fmt: skip


def mixed_documents() -> list[dict]:
    rows = [{"_id": f"d{n:02d}", "v": value, "g": n % 3} for n, value in enumerate(MIXED * 2)]
    rows += [{"_id": f"m{n}", "g": n % 3} for n in range(4)]
    random.Random(7).shuffle(rows)
    return rows


async def test_a_collection_that_was_never_written_is_empty(store) -> None:
    assert await ids(store, "nothing") == []
    assert await get(store, "nothing", "a") is None
    assert await resolve(store.count("nothing")) == 0
    assert [body async for body in store.scan("nothing")] == []


async def test_get_answers_a_document_that_matches(store) -> None:
    await put(store, "p", {"_id": "a", "n": 1})
    assert await get(store, "p", "a", eq("n", 1)) == {"_id": "a", "n": 1}
    assert await get(store, "p", "a", eq("n", 2)) is None
    assert await get(store, "p", "b") is None


async def test_find_answers_in_order_of_id_unless_told(store) -> None:
    await put(store, "p", {"_id": "c"}, {"_id": "a"}, {"_id": "b"})
    assert await ids(store, "p") == ["a", "b", "c"]
    assert await ids(store, "p", limit=1, skip=1) == ["b"]
    assert await ids(store, "p", limit=0) == []
    assert await ids(store, "p", skip=2) == ["c"]


async def test_count_is_exact(store) -> None:
    await put(store, "p", *({"_id": f"d{n}", "n": n} for n in range(10)))
    assert await resolve(store.count("p")) == 10
    assert await resolve(store.count("p", Field(("n",), Range("gte", 4)))) == 6


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("indexes", [(), ("v",), ("-v",), ("g", "v")], ids=str)
@pytest.mark.parametrize("page", [1, 3])
async def test_pages_show_every_document_once_in_order(store, descending, indexes, page) -> None:
    rows = mixed_documents()
    if indexes:
        await store.declare(declared("p", index(*indexes)))
    await put(store, "p", *rows)
    for sort in (
        (SortKey(("v",), descending), SortKey(("_id",))),
        (SortKey(("g",)), SortKey(("v",), descending), SortKey(("_id",), descending)),
    ):
        seen, after = [], None
        while batch := await find(store, "p", sort=sort, limit=page, after=after):
            seen += batch
            after = sort_values(batch[-1], sort)
        assert seen == sort_documents(rows, sort)


async def test_a_path_keeps_its_meaning_when_its_first_array_comes(store) -> None:
    await store.declare(declared("p", index("tags"), index("a.b")))
    await put(store, "p", {"_id": "a", "tags": "x", "a": {"b": 1}})
    assert await ids(store, "p", eq("tags", "x")) == ["a"]
    assert await ids(store, "p", eq("a.b", 1)) == ["a"]
    await put(store, "p", {"_id": "b", "tags": ["x", "y"], "a": [{"b": 1}]})
    assert await ids(store, "p", eq("tags", "x")) == ["a", "b"]
    assert await ids(store, "p", eq("a.b", 1)) == ["a", "b"]
    assert await ids(store, "p", Not(eq("tags", "x"))) == []


async def test_an_array_that_an_update_brings_is_noticed_too(store) -> None:
    await store.declare(declared("p", index("tags")))
    await put(store, "p", {"_id": "a", "tags": "x"}, {"_id": "b", "tags": "y"})
    assert await ids(store, "p", eq("tags", "x")) == ["a"]
    await write(store, change("p", "b", setting(tags=["x"])))
    assert await ids(store, "p", eq("tags", "x")) == ["a", "b"]


async def test_an_array_in_a_batch_that_fails_changes_nothing(store) -> None:
    await store.declare(declared("p", index("tags")))
    await put(store, "p", {"_id": "a", "tags": "x"})
    for _ in range(2):
        outcomes = await asyncio.gather(
            put(store, "p", {"_id": "b", "tags": ["x"]}, {"_id": "a"}),
            put(store, "p", {"_id": f"c{random.random()}".replace(".", "_"), "tags": "x"}),
            return_exceptions=True,
        )
        assert [outcome is None for outcome in outcomes] == [False, True]
    assert len(await ids(store, "p", eq("tags", "x"))) == 3
    await put(store, "p", {"_id": "b", "tags": ["x"]})
    assert len(await ids(store, "p", eq("tags", "x"))) == 4


async def test_several_arrays_in_one_multi_write_are_all_noticed(store) -> None:
    await store.declare(declared("p", index("x"), index("y"), index("z")))
    await put(store, "p", *({"_id": n, "x": 1, "y": 1, "z": 1} for n in "abc"))

    def turn(document):
        field = {"a": "x", "b": "y", "c": "z"}[document["_id"]]
        return {**document, field: [5]}

    await write(store, change_many("p", ALWAYS, turn, multi=True))
    for field, owner in (("x", "a"), ("y", "b"), ("z", "c")):
        assert await ids(store, "p", eq(field, 5)) == [owner]


async def test_an_index_made_later_finds_what_is_there(store) -> None:
    await put(store, "p", {"_id": "a", "t": ["x"]}, {"_id": "b", "t": "x"}, {"_id": "c"})
    await store.declare(declared("p", index("t"), index("t", "u")))
    assert await ids(store, "p", eq("t", "x")) == ["a", "b"]
    assert await ids(store, "p", eq("t", None)) == ["c"]
    await store.declare(declared("p"))
    assert await ids(store, "p", eq("t", "x")) == ["a", "b"]
    await put(store, "p", {"_id": "d", "t": ["x"]})
    await store.declare(declared("p", index("t")))
    assert await ids(store, "p", eq("t", "x")) == ["a", "b", "d"]


async def test_declaring_again_changes_nothing(store, engine) -> None:
    engine.need("explain")
    spec = declared("p", index("n"), index("u", unique=True))
    await store.declare(spec)
    await put(store, "p", {"_id": "a", "n": 1, "u": 1})
    before = await resolve(store.explain(Find(collection="p", filter=eq("n", 1))))
    await store.declare(spec)
    assert await resolve(store.explain(Find(collection="p", filter=eq("n", 1)))) == before
    assert await ids(store, "p") == ["a"]


async def test_a_collection_that_is_no_longer_declared_keeps_its_documents(store) -> None:
    await store.declare(declared("p", index("n")))
    await put(store, "p", {"_id": "a", "n": 1})
    await store.declare(declared("q"))
    assert await ids(store, "p", eq("n", 1)) == ["a"]


async def test_explain_names_the_index_by_its_declared_name(store, engine) -> None:
    engine.need("explain")
    await store.declare(declared("p", index("n", "-t", name="by_n")))
    plan = await resolve(store.explain(Find(collection="p", filter=eq("n", 1), limit=5)))
    assert any("by_n" in line for line in plan)
    assert await resolve(store.explain(Find(collection="absent"))) != []


async def test_a_rule_may_read_another_collection(store) -> None:
    await put(store, "rooms", {"_id": "r1", "open": True}, {"_id": "r2", "open": False})
    await put(store, "p", {"_id": "a", "room": "r1"}, {"_id": "b", "room": "r2"}, {"_id": "c"})
    room = Lookup("rooms", DocField("doc", ("room",)))
    rule = Where(Binary("==", Member(room, "open"), Literal(True)))
    assert await ids(store, "p", rule) == ["a"]
    await write(store, change("rooms", "r2", setting(open=True)), delete("rooms", "r1"))
    assert await ids(store, "p", rule) == ["b"]
    assert await resolve(store.count("p", rule)) == 1


async def test_a_lookup_notices_a_collection_that_is_new(store) -> None:
    await put(store, "p", {"_id": "a", "room": "r1"})
    room = Lookup("rooms", DocField("doc", ("room",)))
    rule = Where(Binary("==", Member(room, "open"), Literal(True)))
    assert await ids(store, "p", rule) == []
    await put(store, "rooms", {"_id": "r1", "open": True})
    assert await ids(store, "p", rule) == ["a"]


async def test_readers_see_what_is_committed(store) -> None:
    seen = []

    def look(document):
        seen.append(store.get("p", "b"))
        return document

    await put(store, "p", {"_id": "a"})
    await write(store, insert("p", {"_id": "b"}), change("p", "a", look))
    if isawaitable(seen[0]):
        seen[0].close()  # it is asked when it is awaited, so nothing was seen
    else:
        assert seen[0] is None
    assert await get(store, "p", "b") == {"_id": "b"}


async def test_whoever_wrote_reads_it_at_once(store) -> None:
    for n in range(20):
        await put(store, "p", {"_id": f"d{n}"})
        assert await get(store, "p", f"d{n}") is not None


# -- one moment ------------------------------------------------------------------------------------


async def test_a_snapshot_stays_at_its_moment(store) -> None:
    await store.declare(declared("p", index("n")))
    await put(store, "p", {"_id": "a", "n": 1})
    async with store.snapshot() as reader:
        assert await resolve(reader.count("p")) == 1
        await put(store, "p", {"_id": "b", "n": [1]})
        await put(store, "q", {"_id": "b"})
        assert await resolve(reader.count("p")) == 1
        query = Find(collection="p", filter=eq("n", 1))
        assert [decode(body)["_id"] for body in await resolve(reader.find(query))] == ["a"]
        assert await resolve(reader.get("p", "b")) is None
        assert await resolve(reader.count("q")) == 0
    assert await ids(store, "p", eq("n", 1)) == ["a", "b"]


async def test_snapshots_overlap(store) -> None:
    await put(store, "p", {"_id": "a"})
    async with store.snapshot() as one:
        await resolve(one.count("p"))
        await put(store, "p", {"_id": "b"})
        async with store.snapshot() as other:
            assert await resolve(other.count("p")) == 2
            assert await resolve(one.count("p")) == 1


async def test_a_snapshot_takes_reads_side_by_side(store) -> None:
    await put(store, "p", *({"_id": f"d{n}", "n": n} for n in range(100)))
    async with store.snapshot() as reader:
        reads = (resolve(reader.count("p", Field(("n",), Range("lt", n)))) for n in range(20))
        assert await asyncio.gather(*reads) == list(range(20))


async def test_a_scan_is_of_one_moment_and_holds_nobody_up(store) -> None:
    await put(store, "p", *({"_id": f"d{n:04d}"} for n in range(1000)))
    seen = []
    async for body in store.scan("p"):
        if len(seen) % 300 == 0:
            await put(store, "p", {"_id": f"z{len(seen)}"})
            await write(store, delete("p", "d0999"))
        seen.append(decode(body)["_id"])
    assert seen == [f"d{n:04d}" for n in range(1000)]
    assert await resolve(store.count("p")) == 1000 - 1 + 4


async def test_a_scan_may_be_left_early(store) -> None:
    await put(store, "p", *({"_id": f"d{n:04d}"} for n in range(500)))
    rows = store.scan("p")
    async for _ in rows:
        break
    await rows.aclose()
    assert await resolve(store.count("p")) == 500


# -- limits ----------------------------------------------------------------------------------------

SLOW = And(tuple(Not(Field(("text",), Regex(f"x{n}y"))) for n in range(50)))


@pytest.mark.parametrize("settings", [{"read_timeout": 0.05}])
async def test_a_read_past_its_time_is_stopped(settings, store) -> None:
    for part in range(4):
        rows = ({"_id": f"d{part}_{n}", "text": "x" * 300} for n in range(500))
        await put(store, "p", *rows)
    with pytest.raises(Problem) as caught:
        await ids(store, "p", SLOW)
    assert caught.value.code is Code.QUERY_TIMEOUT
    assert len(await ids(store, "p", limit=5)) == 5
    with pytest.raises(Problem) as caught:
        await write(store, change_many("p", SLOW, setting(n=1), multi=True))
    assert caught.value.code is Code.QUERY_TIMEOUT
    await put(store, "p", {"_id": "after"})


async def test_a_long_read_does_not_hold_up_the_loop(store) -> None:
    for part in range(4):
        rows = ({"_id": f"d{part}_{n}", "text": "x" * 300} for n in range(500))
        await put(store, "p", *rows)
    long = asyncio.ensure_future(ids(store, "p", SLOW))
    while not long.done():
        assert await get(store, "p", "d0_1") is not None
        await asyncio.sleep(0)
    assert len(await long) == 2000


async def test_a_reader_that_goes_away_frees_its_thread(store) -> None:
    for part in range(4):
        rows = ({"_id": f"d{part}_{n}", "text": "x" * 300} for n in range(500))
        await put(store, "p", *rows)
    for _ in range(10):
        task = asyncio.ensure_future(ids(store, "p", SLOW))
        await asyncio.sleep(0.001)
        task.cancel()
    assert len(await ids(store, "p", eq("text", "x" * 300))) == 2000


async def test_names_and_ping(store) -> None:
    await put(store, "p", {"_id": "a"})
    await put(store, "_users", {"_id": "a"})
    assert sorted(await resolve(store.names())) == ["_users", "p"]
    await resolve(store.ping())
