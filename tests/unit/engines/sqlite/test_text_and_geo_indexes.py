"""Text and geo indexes: made, kept in step with every write, used, and gone without a trace."""

from __future__ import annotations

from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from baas.engines.sqlite.backup import restore
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Problem, denied
from baas.ports.documents import Find, Read, resolve
from baas.query.ast import ALWAYS, And, Filter
from baas.query.near import default_sort, with_text_index
from baas.query.parse import parse_filter
from baas.schema.model import IndexKey, IndexSpec
from tests.support.stores import (
    change,
    change_many,
    declared,
    delete,
    eq,
    ids,
    index,
    put,
    setting,
    write,
)
from tests.support.strategies import LIMITS

pytestmark = pytest.mark.anyio

WORDS = IndexSpec(name="words", keys=(IndexKey(("title",)), IndexKey(("body",))), kind="text")
PLACES = IndexSpec(name="places", keys=(IndexKey(("at",)),), kind="geo")


def point(longitude: float, latitude: float = 0) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [longitude, latitude]}


def search(words: str) -> Filter:
    return with_text_index(parsed({"$text": {"$search": words}}), (("title",), ("body",)))


def parsed(raw: dict[str, Any]) -> Filter:
    return parse_filter(raw, LIMITS, now_ms=0, whole=True)


NEAR = parsed({"at": {"$near": {"$geometry": point(0), "$maxDistance": 200_000}}})


async def near(store: SqliteStore, **more: Any) -> list[str]:
    return await ids(store, "p", NEAR, sort=default_sort(NEAR), **more)


def tables(store: SqliteStore) -> list[str]:
    """All that there is in the file but collections and the kit's own."""
    rows = store._readers.inline.raw.execute("SELECT name FROM sqlite_schema").fetchall()
    return [name for (name,) in rows if "ci" in name]


async def test_an_index_is_made_of_what_is_there_and_goes_without_a_trace(store) -> None:
    await put(store, "p", {"_id": "a", "title": "Green tea", "at": point(1)}, {"_id": "b"})
    assert tables(store) == []
    await store.declare(declared("p", WORDS, PLACES))
    assert tables(store) != []
    assert await ids(store, "p", search("TEA")) == ["a"]
    assert await near(store) == ["a"]
    await store.declare(declared("p", PLACES))
    assert await ids(store, "p", search("tea")) == ["a"]  # read through
    await store.declare(declared("p"))
    assert tables(store) == []
    assert await near(store) == ["a"]
    await put(store, "p", {"_id": "c", "title": "tea", "at": point(0)})
    assert await ids(store, "p", search("tea")) == ["a", "c"]


async def test_every_write_is_followed(store) -> None:
    await store.declare(declared("p", WORDS, PLACES))
    await put(
        store,
        "p",
        {"_id": "a", "title": "black tea", "at": point(1)},
        {"_id": "b", "body": "green tea", "at": [point(90), point(0.5)]},
        {"_id": "c", "title": ["tea", "coffee"], "at": "nowhere"},
    )
    assert await ids(store, "p", search("tea")) == ["a", "b", "c"]
    assert await near(store) == ["b", "a"]
    await write(store, change("p", "a", setting(title="wine", at=point(0))))
    await write(store, change("p", "b", setting(other=1)))
    assert await ids(store, "p", search("tea")) == ["b", "c"]
    assert await near(store) == ["a", "b"]
    await write(store, change_many("p", ALWAYS, setting(title="beer", body=None), multi=True))
    assert await ids(store, "p", search("tea coffee")) == []
    assert await ids(store, "p", search("beer")) == ["a", "b", "c"]
    await write(store, delete("p", "a"))
    assert await ids(store, "p", search("beer")) == ["b", "c"]
    assert await near(store) == ["b"]
    await put(store, "p", {"_id": "a", "title": "tea"})
    assert await ids(store, "p", search("tea")) == ["a"]


async def test_what_is_undone_is_undone_in_the_index(store) -> None:
    await store.declare(declared("p", WORDS, PLACES, index("n", unique=True)))
    await put(store, "p", {"_id": "a", "n": 1, "title": "tea", "at": point(1)})

    def refuse(document: Any) -> Any:
        raise denied("no")

    with pytest.raises(Problem):
        await write(
            store,
            change("p", "a", setting(title="wine", at=point(90))),
            change("p", "a", refuse),
        )
    assert await ids(store, "p", search("tea")) == ["a"]
    assert await ids(store, "p", search("wine")) == []
    assert await near(store) == ["a"]


async def test_an_array_on_another_index_renames_the_table_and_the_index_goes_along(store) -> None:
    await store.declare(declared("p", WORDS, PLACES, index("n")))
    await put(store, "p", {"_id": "a", "n": 1, "title": "tea", "at": point(1)})
    await put(store, "p", {"_id": "b", "n": [1, 2], "title": "tea", "at": point(0.1)})
    await write(store, change("p", "a", setting(title="wine")))
    assert await ids(store, "p", search("tea")) == ["b"]
    assert await near(store) == ["b", "a"]


async def test_a_transaction_sees_its_own_words_and_places(store) -> None:
    await store.declare(declared("p", WORDS, PLACES))
    await put(store, "p", {"_id": "a", "title": "tea", "at": point(1)})
    queries = (
        Find(collection="p", filter=search("wine")),
        Find(collection="p", filter=NEAR, sort=default_sort(NEAR), limit=1),
    )
    done = await write(
        store,
        change("p", "a", setting(title="wine", at=point(0))),
        *(Read(query=query) for query in queries),
    )
    assert [len(result.documents) for result in done.results[1:]] == [1, 1]


async def test_indexes_serve(store) -> None:
    await store.declare(declared("p", WORDS, PLACES))
    await put(store, "p", {"_id": "a", "title": "tea", "at": point(1)})
    region = parsed({"at": {"$geoWithin": {"$box": [[0, -1], [2, 1]]}}})
    unbounded = parsed({"at": {"$near": {"$geometry": point(0)}}})
    for filter, name in [
        (search("tea"), "words"),
        (search('"green tea" -x'), "words"),
        (And((search("小程序"), eq("n", 1))), "words"),
        (NEAR, "places"),
        (unbounded, "places"),  # the nearest few of all
        (And((region, eq("n", 1))), "places"),
    ]:
        query = Find(collection="p", filter=filter, sort=default_sort(filter), limit=5)
        plan = store.explain(query)
        assert any(line.startswith(f"SCAN {name} VIRTUAL TABLE") for line in plan), plan
        assert "SCAN p" not in plan
        assert not any(line.startswith("SCAN p ") for line in plan), plan


async def test_a_search_keeps_no_other_request_waiting(store) -> None:
    await store.declare(declared("p", WORDS, PLACES))
    await put(store, "p", {"_id": "a", "title": "茶", "at": point(1)})
    for answer in (
        store.find(Find(collection="p", filter=search("茶"), limit=5)),
        store.count("p", search("茶")),
    ):
        assert isawaitable(answer)
        assert await answer
    region = parsed({"at": {"$geoWithin": {"$box": [[0, -1], [2, 1]]}}})
    assert isinstance(store.find(Find(collection="p", filter=region, limit=5)), list)


async def test_the_nearest_are_found_however_far(store) -> None:
    await store.declare(declared("p", PLACES))
    everywhere = [{"_id": f"d{n:03d}", "at": point(n / 2, n / 3)} for n in range(200)]
    await put(store, "p", *everywhere)
    filter = parsed({"at": {"$near": {"$geometry": point(0), "$minDistance": 1_000_000}}})
    order = default_sort(filter)
    whole = await ids(store, "p", filter, sort=order)
    assert len(whole) > 150
    for limit in (1, 10, 120, 199, 500):
        assert await ids(store, "p", filter, sort=order, limit=limit) == whole[:limit]
        assert await ids(store, "p", filter, sort=order, limit=limit, skip=7) == whole[7:][:limit]


async def test_another_handle_follows_changes_of_indexes(store, folder: Path) -> None:
    await store.declare(declared("p", WORDS, PLACES))
    await put(store, "p", {"_id": "a", "title": "tea", "at": point(1)})
    guest = SqliteStore(folder, guest=True)
    await guest.open()
    try:
        assert await ids(guest, "p", search("tea")) == ["a"]
        await store.declare(declared("p"))
        assert await ids(guest, "p", search("tea")) == ["a"]
        assert await near(guest) == ["a"]
        await store.declare(declared("p", WORDS, PLACES))
        await put(guest, "p", {"_id": "b", "title": "tea", "at": point(0)})
        assert await ids(store, "p", search("tea")) == ["a", "b"]
        assert await near(store) == ["b", "a"]
    finally:
        await guest.close()


async def test_a_backup_holds_them(store, tmp_path: Path) -> None:
    await store.declare(declared("p", WORDS, PLACES))
    await put(store, "p", {"_id": "a", "title": "tea", "at": point(1)})
    await store.backup(tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "other")
    other = SqliteStore(tmp_path / "other")
    await other.open()
    try:
        await put(other, "p", {"_id": "b", "title": "tea", "at": point(0)})
        assert await ids(other, "p", search("tea")) == ["a", "b"]
        assert await near(other) == ["b", "a"]
        assert tables(other) == tables(store)
    finally:
        await other.close()


async def test_words_never_speak_to_the_index_in_its_own_language(store) -> None:
    await store.declare(declared("p", WORDS))
    hostile = [
        "AND",
        "NOT",
        "NEAR",
        "a* OR b",
        'x" OR "y',
        "words:tea",
        "{",
        "^a",
        "a+b",
        "--",
        "'",
    ]
    for number, text in enumerate(hostile):
        await put(store, "p", {"_id": f"h{number:02d}", "title": text})
    for number, text in enumerate(hostile):
        found = await ids(store, "p", search(text))
        assert (f"h{number:02d}" in found) is any(letter.isalnum() for letter in text), text


async def test_a_search_may_be_long_and_common(store) -> None:
    await store.declare(declared("p", WORDS))
    await put(store, "p", {"_id": "a", "title": "的" * 20_000, "body": "x" * 40_000})
    assert await ids(store, "p", search("的" * 400)) == ["a"]
    assert await ids(store, "p", search(" ".join(f"w{n}" for n in range(31)) + " 的")) == ["a"]
    assert await resolve(store.count("p", search("x" * 400))) == 0
