"""ChangeFeed: every write once, in order, from a cursor on."""

from __future__ import annotations

import asyncio
import time

import pytest

from baas.errors import Code, Problem
from baas.ports.changes import CursorTooOld
from baas.ports.documents import DuplicateKey, WriteInfo, resolve
from baas.query.ast import ALWAYS
from baas.schema.values import encode
from tests.support.stores import (
    change,
    change_many,
    declared,
    delete,
    get,
    insert,
    put,
    setting,
    write,
)

pytestmark = pytest.mark.anyio


async def events(store, after: str, limit: int = 1000):
    return await resolve(store.feed.read(after, limit))


async def test_a_write_is_an_event_with_both_images(store, clock) -> None:
    start = await resolve(store.feed.head())
    await put(store, "p", {"_id": "a", "n": 1})
    await write(store, change("p", "a", setting(n=2)))
    await write(store, delete("p", "a"))
    found = await events(store, start)
    assert [event.operation for event in found] == ["insert", "update", "delete"]
    one, two = encode({"_id": "a", "n": 1}), encode({"_id": "a", "n": 2})
    assert [(event.before, event.after) for event in found] == [
        (None, one),
        (one, two),
        (two, None),
    ]
    assert {(event.collection, event.id, event.time) for event in found} == {
        ("p", "a", clock.now_ms())
    }
    assert len({event.transaction for event in found}) == 3


async def test_an_event_says_who_wrote_and_how_deep(store) -> None:
    start = await resolve(store.feed.head())
    await store.write((insert("p", {"_id": "a"}),), WriteInfo(actor="u9", depth=3))
    await store.write((insert("p", {"_id": "b"}),), WriteInfo())
    found = await events(store, start)
    assert [(event.actor, event.depth) for event in found] == [("u9", 3), (None, 0)]


async def test_what_was_written_together_has_one_transaction(store) -> None:
    start = await resolve(store.feed.head())
    await put(store, "p", {"_id": "a"}, {"_id": "b"})
    await write(
        store, change_many("p", ALWAYS, setting(n=1), multi=True), insert("q", {"_id": "c"})
    )
    found = await events(store, start)
    assert [(event.collection, event.id) for event in found] == [
        ("p", "a"), ("p", "b"), ("p", "a"), ("p", "b"), ("q", "c"),
    ]  # fmt: skip
    transactions = [event.transaction for event in found]
    assert transactions[0] == transactions[1]
    assert transactions[2] == transactions[3] == transactions[4]
    assert transactions[1] != transactions[2]


async def test_a_batch_that_fails_leaves_no_event(store) -> None:
    start = await resolve(store.feed.head())
    await put(store, "p", {"_id": "a"})
    outcomes = await asyncio.gather(
        put(store, "p", {"_id": "b"}, {"_id": "a"}),
        put(store, "p", {"_id": "c"}),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], DuplicateKey)
    assert [event.id for event in await events(store, start)] == ["a", "c"]


async def test_reading_goes_on_from_any_event(store) -> None:
    start = await resolve(store.feed.head())
    for n in range(10):
        await put(store, "p", {"_id": f"d{n}"})
    seen, after = [], start
    while page := await events(store, after, limit=3):
        seen += [event.id for event in page]
        after = page[-1].cursor
    assert seen == [f"d{n}" for n in range(10)]
    assert after == await resolve(store.feed.head())


async def test_cursors_outlive_the_store(engine) -> None:
    store = await engine.open()
    start = await resolve(store.feed.head())
    await put(store, "p", {"_id": "a"})
    await store.close()
    store = await engine.open()
    assert [event.id for event in await events(store, start)] == ["a"]
    await store.close()


@pytest.mark.parametrize("cursor", ["", "x", "nobody.1", ".", "1", "\0", "x.-1", "x.²"])
async def test_a_cursor_from_elsewhere_is_too_old(store, cursor: str) -> None:
    with pytest.raises(CursorTooOld):
        await events(store, cursor)


async def test_a_cursor_ahead_of_the_feed_is_too_old(store) -> None:
    head = await resolve(store.feed.head())
    ahead = head.rpartition(".")[0] + ".99"
    with pytest.raises(CursorTooOld):
        await events(store, ahead)


async def test_images_are_kept_for_their_hours(store, engine, clock) -> None:
    start = await resolve(store.feed.head())
    await put(store, "p", *({"_id": f"old{n}"} for n in range(450)))
    clock.advance(23 * 3600)
    middle = await resolve(store.feed.head())
    await put(store, "p", {"_id": "new"})
    clock.advance(2 * 3600)
    await put(store, "p", {"_id": "newest"})
    await engine.maintain(store)
    with pytest.raises(CursorTooOld):
        await events(store, start)
    assert [event.id for event in await events(store, middle)] == ["new", "newest"]


async def test_the_head_stays_good_when_all_is_old(store, engine, clock) -> None:
    await put(store, "p", {"_id": "a"})
    head = await resolve(store.feed.head())
    clock.advance(100 * 3600)
    await engine.maintain(store)
    assert await events(store, head) == []
    await put(store, "p", {"_id": "b"})
    assert [event.id for event in await events(store, head)] == ["b"]


@pytest.mark.parametrize("settings", [{"feed_keep_bytes": 10_000}])
async def test_images_are_kept_up_to_their_bytes(settings, store, engine) -> None:
    start = await resolve(store.feed.head())
    for n in range(30):
        await put(store, "p", {"_id": f"d{n:02d}", "text": "x" * 970})
    await engine.maintain(store)
    with pytest.raises(CursorTooOld):
        await events(store, start)
    prefix, _, number = start.rpartition(".")
    assert len(await events(store, f"{prefix}.{int(number) + 21}")) == 9


async def test_waiting_ends_with_the_next_write(store) -> None:
    head = await resolve(store.feed.head())
    waiting = [asyncio.ensure_future(store.feed.wait(head, 30)) for _ in range(3)]
    await asyncio.sleep(0)
    begun = time.monotonic()
    await put(store, "p", {"_id": "a"})
    assert await asyncio.gather(*waiting) == [True, True, True]
    assert time.monotonic() - begun < 5
    assert await store.feed.wait(head, 30) is True


async def test_waiting_ends_with_its_time(store) -> None:
    head = await resolve(store.feed.head())
    assert await store.feed.wait(head, 0.01) is False
    assert await store.feed.wait(head, 0) is False


async def test_a_batch_that_fails_wakes_to_nothing(store) -> None:
    def refuse(lookups) -> None:
        raise Problem(Code.PERMISSION_DENIED, "no")

    head = await resolve(store.feed.head())
    with pytest.raises(Problem):
        await write(store, insert("p", {"_id": "a"}, check=refuse))
    assert await store.feed.wait(head, 0.01) is False


async def test_expired_documents_go_by_ordinary_writes(store, engine, clock) -> None:
    from baas.schema.values import date_from_ms

    await store.declare(declared("p", ttl=("until",)))
    now = clock.now_ms()
    await put(
        store,
        "p",
        {"_id": "old", "until": date_from_ms(now - 1)},
        {"_id": "due", "until": date_from_ms(now)},
        {"_id": "later", "until": date_from_ms(now + 1000)},
        {"_id": "text", "until": "2000-01-01"},
        {"_id": "number", "until": 1},
        {"_id": "none"},
        *({"_id": f"many{n}", "until": date_from_ms(now - n)} for n in range(450)),
    )
    head = await resolve(store.feed.head())
    await engine.maintain(store)
    assert await get(store, "p", "old") is None
    assert await get(store, "p", "due") is None
    assert sorted([document async for document in names_of(store)]) == [
        "later", "none", "number", "text",
    ]  # fmt: skip
    found = await events(store, head)
    assert len(found) == 452
    assert {event.operation for event in found} == {"delete"}
    clock.advance(2)
    await engine.maintain(store)
    assert await get(store, "p", "later") is None


async def names_of(store):
    from baas.schema.values import decode

    async for body in store.scan("p"):
        yield decode(body)["_id"]
