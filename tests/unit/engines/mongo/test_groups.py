"""Batches that share a transaction: none pays for another's fault, and gateways share the turns."""

from __future__ import annotations

import asyncio

import pytest

from baas.engines.mongo.driver import size_of
from baas.engines.mongo.names import FEED
from baas.engines.mongo.values import DEEPEST, MOST_BYTES, check_size
from baas.errors import Code, Problem
from baas.ports.documents import Count, DuplicateKey, Once
from baas.query.ast import ALWAYS, Eq, Field, Not, Regex
from baas.schema.model import IndexKey, IndexSpec
from baas.schema.values import encode
from tests.support.stores import (
    INFO,
    change,
    change_many,
    declared,
    get,
    ids,
    index,
    insert,
    put,
    setting,
    write,
)

pytestmark = pytest.mark.anyio


async def together(*batches):
    return await asyncio.gather(*batches, return_exceptions=True)


async def test_a_batch_that_fails_after_it_was_asked_about_takes_nothing_along(store) -> None:
    """Counting sends what was written before; undoing it takes a new transaction."""

    def refuse(document):
        raise Problem(Code.PERMISSION_DENIED, "no")

    await put(store, "p", {"_id": "a"})
    everything = Count(collection="p", filter=ALWAYS)
    good = [write(store, insert("p", {"_id": f"g{n}"}), everything) for n in range(5)]
    bad = write(store, insert("p", {"_id": "b"}), everything, change("p", "a", refuse))
    outcomes = await together(*good[:2], bad, *good[2:])
    assert [isinstance(one, Problem) for one in outcomes] == [False, False, True, *[False] * 3]
    assert await ids(store, "p") == ["a", "g0", "g1", "g2", "g3", "g4"]


async def test_keys_change_hands_within_a_group(store) -> None:
    await store.declare(declared("p", index("slug", unique=True)))
    await put(store, "p", {"_id": "a", "slug": 1}, {"_id": "b", "slug": 2})
    await write(
        store,
        change("p", "a", setting(slug=3)),
        change("p", "b", setting(slug=1)),
        change("p", "a", setting(slug=2)),
    )
    assert (await get(store, "p", "a"))["slug"] == 2
    assert (await get(store, "p", "b"))["slug"] == 1
    outcomes = await together(
        put(store, "p", {"_id": "c", "slug": 9}),
        put(store, "p", {"_id": "d", "slug": 9}),
        write(store, change("p", "a", setting(slug=1))),
    )
    assert [type(one) for one in outcomes] == [type(None), DuplicateKey, DuplicateKey]


async def test_a_document_that_the_server_cannot_hold_is_refused_alone(store) -> None:
    long = {"_id": "long", "text": "x" * MOST_BYTES}
    many = {"_id": "many", "list": [1] * 2_200_000}
    assert len(encode(many)) < MOST_BYTES
    outcomes = await together(
        put(store, "p", {"_id": "a"}), put(store, "p", long), put(store, "p", many)
    )
    assert outcomes[0] is None
    assert [one.code for one in outcomes[1:]] == [Code.LIMIT_EXCEEDED] * 2
    await put(store, "p", {"_id": "large", "text": "x" * (MOST_BYTES // 2)})
    await write(store, change("p", "large", setting(more=True)))
    assert await ids(store, "p") == ["a", "large"]


async def test_no_row_is_larger_than_a_server_takes(store, driver) -> None:
    """This one would take more. The feed's row of a change has it before and after."""
    index = IndexSpec(name="words", keys=(IndexKey(("words",)),), kind="text")
    await store.declare(declared("p", index))
    words = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000))) * 2
    large = {"_id": "a", "words": words, "text": ""}
    large["text"] = "x" * (MOST_BYTES - len(encode(large)))
    await put(store, "p", large)
    await write(store, change("p", "a", setting(text=large["text"][:-2] + "yz")))
    rows = [row for name in ("p", FEED) for row in await driver.find(name, {})]
    assert len(rows) == 3
    assert max(map(size_of, rows)) < 16 * 1024**2
    full = {"_id": "b", "list": [1] * 1_170_000}  # fourteen bytes each, as JSON and as BSON
    check_size(full, encode(full), dict)
    with pytest.raises(Problem) as caught:
        await put(store, "p", {**full, "words": words})
    assert caught.value.code is Code.LIMIT_EXCEEDED


async def test_a_document_deeper_than_a_server_takes_is_refused_alone(store) -> None:
    def nested(id: str, levels: int, kind: type):
        value = 1
        for _ in range(levels - 1):
            value = [value] if kind is list else {"a": value}
        return {"_id": id, "v": value}

    outcomes = await together(
        put(store, "p", nested("a", DEEPEST, dict)),
        put(store, "p", nested("b", DEEPEST + 1, list)),
        put(store, "p", {"_id": "c", "v": [[] for _ in range(200)]}),
    )
    assert outcomes[1].code is Code.LIMIT_EXCEEDED
    assert await ids(store, "p") == ["a", "c"]


async def test_an_answer_that_cannot_be_kept_is_refused_alone(store) -> None:
    def once(key: str, size: int) -> Once:
        return Once(
            key=key, fingerprint=b"", render=lambda results: b"x" * size, keep_seconds=60,
            keep_records=10,
        )  # fmt: skip

    def kept(id: str, size: int):
        return store.write((insert("p", {"_id": id}),), INFO, once(id, size))

    outcomes = await together(kept("a", 10), kept("b", 16 * 1024**2), kept("c", 10))
    assert outcomes[1].code is Code.LIMIT_EXCEEDED
    assert await ids(store, "p") == ["a", "c"]
    assert (await kept("c", 10)).replayed == b"x" * 10


async def test_filters_of_any_depth_are_answered(store) -> None:
    await put(store, "p", {"_id": "a", "n": 1}, {"_id": "b", "n": 2})
    filter = Field(("n",), Eq(1))
    for _ in range(101):
        filter = Not(filter)
    assert await ids(store, "p", filter) == ["b"]


async def test_writers_of_two_gateways_get_about_as_many_turns(join) -> None:
    one, other = await join(), await join()
    done = {one: 0, other: 0}

    async def load(store, number: int) -> None:
        while sum(done.values()) < 60:
            await put(store, "p", {"_id": f"{number}-{done[store]}"})
            done[store] += 1

    await asyncio.gather(load(one, 1), load(other, 2))
    assert min(done.values()) > 6


async def test_a_multi_write_by_what_the_server_cannot_match_changes_all_of_it(store) -> None:
    await put(store, "p", *({"_id": f"d{n:04}", "text": f"t{n % 3}"} for n in range(900)))
    found = Field(("text",), Regex("t[12]$"))
    result = await write(store, change_many("p", found, setting(seen=True), multi=True))
    assert len(result.results[0].written) == 600
    assert len(await ids(store, "p", Field(("seen",), Eq(True)))) == 600
