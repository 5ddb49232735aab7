"""Several gateways on one database: none acts on what only another knows to be over."""

from __future__ import annotations

import asyncio

import pytest

from baas.errors import ConfigurationError
from baas.ports.documents import DuplicateKey, resolve
from baas.query.ast import ALWAYS, SortKey, Where
from baas.query.expr import Binary, DocField, Literal, Lookup, Member
from tests.support.stores import change, declared, eq, find, get, ids, index, put, write

pytestmark = pytest.mark.anyio

BY_V = (SortKey(("v",)), SortKey(("_id",)))


def more(document):
    return {**document, "n": document["n"] + 1}


async def test_no_update_is_lost_between_gateways(join) -> None:
    stores = [await join() for _ in range(3)]
    await put(stores[0], "p", {"_id": "a", "n": 0})
    work = [write(store, change("p", "a", more)) for store in stores for _ in range(20)]
    await asyncio.gather(*work)
    assert await get(stores[1], "p", "a") == {"_id": "a", "n": 60}


async def test_the_feed_of_all_is_one(join) -> None:
    stores = [await join() for _ in range(3)]
    start = await stores[0].feed.head()
    rows = [(store, {"_id": f"{n}-{m}"}) for n, store in enumerate(stores) for m in range(20)]
    await asyncio.gather(*(put(store, "p", row) for store, row in rows))
    found = [await resolve(store.feed.read(start)) for store in stores]
    assert found[0] == found[1] == found[2]
    assert sorted(event.id for event in found[0]) == sorted(row["_id"] for _, row in rows)


async def test_a_write_elsewhere_wakes_who_waits_here(join) -> None:
    one, other = await join(), await join()
    waiting = asyncio.ensure_future(one.feed.wait(await one.feed.head(), 30))
    await asyncio.sleep(0)
    await put(other, "p", {"_id": "a"})
    assert await asyncio.wait_for(waiting, 10)


async def test_a_unique_index_declared_by_one_binds_all(join) -> None:
    one, other = await join(), await join()
    await put(other, "p", {"_id": "a", "slug": "x"})
    await one.declare(declared("p", index("slug", unique=True)))
    with pytest.raises(DuplicateKey):
        await put(other, "p", {"_id": "b", "slug": "x"})
    await put(other, "p", {"_id": "b", "slug": "y"})
    with pytest.raises(DuplicateKey):
        await write(one, change("p", "a", lambda row: {**row, "slug": "y"}))


async def test_a_unique_index_is_filled_while_others_write(join) -> None:
    one, other = await join(), await join()
    await put(one, "p", *({"_id": f"d{n:03}", "slug": n} for n in range(450)))
    writes = [put(other, "p", {"_id": f"e{n}", "slug": 1000 + n}) for n in range(20)]
    await asyncio.gather(one.declare(declared("p", index("slug", unique=True))), *writes)
    for taken in (0, 449, 1000, 1019):
        with pytest.raises(DuplicateKey):
            await put(other, "p", {"_id": "z", "slug": taken})


async def test_the_first_array_that_another_wrote_is_sorted_by(join) -> None:
    one, other = await join(), await join()
    await put(one, "p", {"_id": "a", "v": 2}, {"_id": "b", "v": 3})
    assert await ids(one, "p", sort=BY_V) == ["a", "b"]
    # By its least element it comes first; the server would put an empty one before null.
    await put(other, "p", {"_id": "c", "v": [9, 1]}, {"_id": "d", "v": []}, {"_id": "0", "v": None})
    assert await ids(one, "p", sort=BY_V) == ["0", "d", "c", "a", "b"]


async def test_both_declare_at_once(join) -> None:
    stores = [await join() for _ in range(2)]
    await put(stores[0], "p", *({"_id": f"d{n}", "u": n, "n": n} for n in range(30)))
    spec = declared("p", index("u", unique=True), index("n"))
    await asyncio.gather(*(store.declare(spec) for store in stores))
    for store in stores:
        with pytest.raises(DuplicateKey):
            await put(store, "p", {"_id": "z", "u": 3})


async def test_an_index_that_meets_duplicates_leaves_no_trace(join, driver) -> None:
    one, other = await join(), await join()
    await put(one, "p", {"_id": "a", "s": 1}, {"_id": "b", "s": 1})
    with pytest.raises(ConfigurationError):
        await one.declare(declared("p", index("s", unique=True)))
    await put(other, "p", {"_id": "c", "s": 1})
    rows = await driver.find("p", {})
    assert all(not row.get("u") for row in rows)


async def test_two_arrays_in_one_index_narrow_it(join) -> None:
    one, other = await join(), await join()
    await one.declare(declared("p", index("a", "b")))
    await put(other, "p", {"_id": "x", "a": [1, 2], "b": [3, 4]}, {"_id": "y", "a": 1, "b": 3})
    assert await ids(one, "p", eq("a", 1)) == ["x", "y"]
    await put(one, "p", {"_id": "z", "a": [1], "b": [3]})
    await one.declare(declared("p", index("a", "b")))
    assert await ids(other, "p", eq("b", 3)) == ["x", "y", "z"]


async def test_rules_that_look_up_see_one_moment(join) -> None:
    """The room is as it was when the documents were, whatever is written between."""
    one, other = await join(), await join()
    await put(one, "rooms", {"_id": "r", "open": True})
    await put(one, "p", *({"_id": f"d{n:03}", "room": "r"} for n in range(300)))
    room = Lookup("rooms", DocField("doc", ("room",)))
    rule = Where(Binary("==", Member(room, "open"), Literal(True)))

    async def shut() -> None:
        await write(other, change("rooms", "r", lambda row: {**row, "open": False}))

    found, _ = await asyncio.gather(find(one, "p", rule), shut())
    assert len(found) in (0, 300)
    assert await find(one, "p", rule) == []
    assert len(await find(one, "p", ALWAYS)) == 300


async def test_an_index_that_one_gives_up_stays_where_another_has_finished_it(
    join, monkeypatch
) -> None:
    """Both start with the same rule file, and one is told to stop while it builds."""
    one, other = await join(), await join()
    await put(one, "p", *({"_id": f"d{n}", "u": n} for n in range(20)))
    spec = declared("p", index("u", unique=True))

    async def stop(*given: object) -> None:
        await other.declare(spec)
        raise asyncio.CancelledError

    monkeypatch.setattr(one._indexes, "_build", stop)
    with pytest.raises(asyncio.CancelledError):
        await one.declare(spec)
    for store in (one, other):
        with pytest.raises(DuplicateKey):
            await put(store, "p", {"_id": "z", "u": 3})


async def test_what_one_clears_away_stays_where_another_has_declared_it_again(
    join, monkeypatch
) -> None:
    one, other = await join(), await join()
    await put(one, "p", *({"_id": f"d{n}", "u": n} for n in range(20)))
    spec = declared("p", index("u", unique=True))
    await one.declare(spec)
    clear = one._indexes._clear

    async def late(*given: object) -> None:
        await other.declare(spec)
        await clear(*given)

    monkeypatch.setattr(one._indexes, "_clear", late)
    await one.declare(declared("p"))
    for store in (one, other):
        with pytest.raises(DuplicateKey):
            await put(store, "p", {"_id": "z", "u": 3})


async def test_an_index_that_is_no_longer_declared_leaves_no_trace(join, driver) -> None:
    one, other = await join(), await join()
    await put(one, "p", *({"_id": f"d{n}", "u": n} for n in range(20)))
    await one.declare(declared("p", index("u", unique=True)))
    await one.declare(declared("p"))
    assert await driver.indexes("p") == []
    assert not any(row.get("u") for row in await driver.find("p", {}))
    await put(other, "p", {"_id": "z", "u": 3})
