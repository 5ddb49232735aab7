"""Text indexes: rows are filed under their words, and a search asks for those alone."""

from __future__ import annotations

from typing import Any

import pytest

from baas.engines.mongo.compile import compile_filter
from baas.query.ast import TextSearch
from baas.schema.model import CollectionSpec, IndexKey, IndexSpec
from tests.support.stores import change, ids, put, setting, write

pytestmark = pytest.mark.anyio

PATHS = (("title",), ("tags",))
WORDS = IndexSpec(name="words", keys=tuple(map(IndexKey, PATHS)), kind="text")
DECLARED = {"p": CollectionSpec(name="p", indexes=(WORDS,))}


def search(*some: str, **more: Any) -> TextSearch:
    return TextSearch(some, paths=PATHS, **more)


async def test_a_search_is_narrowed_down_by_the_server(store, driver) -> None:
    await store.declare(DECLARED)
    await put(store, "p", *({"_id": f"d{n}", "title": f"note {n}"} for n in range(30)))
    await put(store, "p", {"_id": "x", "title": "手机好用", "tags": ["Café"]})
    info = store._writer.catalogue.collections["p"]
    for filter, found in (
        (search(" cafe "), ["x"]),
        (search("手机"), ["x"]),
        (search("用"), ["x"]),
        (search(every=("机好用", " cafe ")), ["x"]),
        (search(" 7 ", " 8 "), ["d7", "d8"]),
        (search(" note 7 "), ["d7"]),
        (search(" absent "), []),
    ):
        native = compile_filter(filter, info)
        assert len(await driver.find("p", native.filter)) == len(found)
        assert await ids(store, "p", filter) == found
        assert await store.count("p", filter) == len(found)


async def test_what_was_there_before_the_index_is_found(store, join) -> None:
    other = await join()
    await put(store, "p", *({"_id": f"d{n:03}", "title": f"n{n % 7}"} for n in range(450)))
    await store.declare(DECLARED)
    assert len(await ids(store, "p", search(" n3 "))) == 64
    await write(other, change("p", "d000", setting(title="n3")))
    assert len(await ids(store, "p", search(" n3 "))) == 65


async def test_an_index_that_is_gone_is_not_searched(store, join) -> None:
    other = await join()
    await store.declare(DECLARED)
    await put(store, "p", {"_id": "a", "title": "here"})
    assert await ids(other, "p", search(" here ")) == ["a"]
    await store.declare({"p": CollectionSpec(name="p")})
    await put(store, "p", {"_id": "b", "title": "here"})
    assert await ids(other, "p", search(" here ")) == ["a", "b"]
