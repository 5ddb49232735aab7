"""DocumentStore, unique indexes: for documents that have every field; null is a value."""

from __future__ import annotations

import pytest

from baas.errors import ConfigurationError
from baas.ports.documents import DuplicateKey, resolve
from tests.support.stores import change, declared, delete, eq, ids, index, put, setting, write

pytestmark = pytest.mark.anyio


@pytest.fixture
async def slugs(store):
    await store.declare(declared("p", index("slug", unique=True)))
    return store


DATE = {"$date": "2026-11-20T08:00:00.000Z"}


@pytest.mark.parametrize(
    "value", [None, True, 0, 1, 1.5, "x", "", [], ["x"], {}, {"a": 1}, DATE], ids=str
)
async def test_a_value_is_taken_once(slugs, value) -> None:
    await put(slugs, "p", {"_id": "0"}, {"_id": "a", "slug": value})
    with pytest.raises(DuplicateKey) as caught:
        await put(slugs, "p", {"_id": "b", "slug": value})
    assert (caught.value.index, caught.value.id) == ("slug", "a")
    assert await ids(slugs, "p") == ["0", "a"]


async def test_unlike_values_live_side_by_side(slugs) -> None:
    values = (None, True, False, 0, 1, "1", "0", "", "a", "A", [], [1], ["1"], {}, {"a": 1})
    await put(slugs, "p", *({"_id": f"d{n}", "slug": value} for n, value in enumerate(values)))


async def test_documents_without_the_field_are_left_out(slugs) -> None:
    await put(slugs, "p", {"_id": "a"}, {"_id": "b"}, {"_id": "c", "slug": None})
    assert await ids(slugs, "p", eq("slug", None)) == ["a", "b", "c"]


async def test_equal_numbers_are_equal(slugs) -> None:
    await put(slugs, "p", {"_id": "a", "slug": 1})
    with pytest.raises(DuplicateKey):
        await put(slugs, "p", {"_id": "b", "slug": 1.0})


async def test_an_update_meets_it_too_and_may_keep_its_own(slugs) -> None:
    await put(slugs, "p", {"_id": "a", "slug": "x"}, {"_id": "b", "slug": "y"})
    with pytest.raises(DuplicateKey):
        await write(slugs, change("p", "b", setting(slug="x")))
    await write(slugs, change("p", "b", setting(slug="y", n=1)))
    assert await ids(slugs, "p", eq("slug", "y")) == ["b"]


async def test_a_key_is_free_again_after_its_document(slugs) -> None:
    await put(slugs, "p", {"_id": "a", "slug": "x"})
    await write(slugs, delete("p", "a"))
    await put(slugs, "p", {"_id": "b", "slug": "x"})


async def test_several_fields_are_one_key(store) -> None:
    await store.declare(declared("p", index("a", "b.c", name="pair", unique=True)))
    await put(store, "p", {"_id": "1", "a": 1, "b": {"c": 1}}, {"_id": "2", "a": 1, "b": {"c": 2}})
    await put(store, "p", {"_id": "3", "a": 1}, {"_id": "4", "a": 1}, {"_id": "5", "a": None})
    await put(store, "p", {"_id": "6", "a": None, "b": {"c": 1}})
    for document in ({"a": 1, "b": {"c": 1}}, {"a": None, "b": {"c": 1}}):
        with pytest.raises(DuplicateKey) as caught:
            await put(store, "p", {"_id": "x", **document})
        assert caught.value.index == "pair"


async def test_an_index_that_meets_duplicates_is_refused_and_nothing_changes(store) -> None:
    await store.declare(declared("p", index("n")))
    await put(store, "p", {"_id": "a", "s": "x", "n": 1}, {"_id": "b", "s": "x", "n": [1]})
    with pytest.raises(ConfigurationError, match="by_s"):
        await store.declare(
            {
                **declared("a_new_one", index("z")),
                **declared("p", index("m"), index("s", name="by_s", unique=True)),
            }
        )
    await put(store, "p", {"_id": "c", "s": "x"})
    assert await ids(store, "p", eq("n", 1)) == ["a", "b"]
    assert list(await resolve(store.names())) == ["p"]


async def test_an_index_that_is_no_longer_unique_lets_equals_in(slugs) -> None:
    await put(slugs, "p", {"_id": "a", "slug": "x"})
    await slugs.declare(declared("p", index("slug")))
    await put(slugs, "p", {"_id": "b", "slug": "x"})
    assert await ids(slugs, "p", eq("slug", "x")) == ["a", "b"]


async def test_a_unique_index_still_finds_arrays_by_their_elements(slugs) -> None:
    await put(slugs, "p", {"_id": "a", "slug": ["x", "y"]}, {"_id": "b", "slug": "x"})
    assert await ids(slugs, "p", eq("slug", "x")) == ["a", "b"]
