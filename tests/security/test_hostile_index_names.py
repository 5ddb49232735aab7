"""Indexes on fields, and with names, made to break out of the engine's SQL.

The operator writes them, but fields are named by what clients store, and a rule file may be a
stranger's. Whatever the text: the index is of that field, and of nothing else.
"""

from __future__ import annotations

import json

import pytest

from baas.errors import Code, ConfigurationError
from tests.support.database import ANN, Bench, app, book_of, play, refused

HOSTILE = [
    *("'", '"', "`", "\\", "''", '""', "\\'", '\\"', "a'b", 'a"b', "a`b", "[0]", "a[0]", "]"),
    *("'; DROP TABLE c1_1; --", '"); DELETE FROM baas_feed; --', "x') UNION SELECT 1 --"),
    *("%s", "?", "?1", ":a", "@a", "{0}", "\n", "\t", " ", "/*", "a--", ";", "#", "*", "**"),
    *("rowid", "_rowid_", "oid", "id", "doc", "NULL", "SELECT", "true", "é", "e\u0301", "中文"),
    *("😀", "\u202e", "\ufeff", "x" * 128, "😀" * 128, "__proto__", "$".join("ab")),
]
REFUSED = [
    *("", ".", "a.", ".a", "a..b", "$a", "a.$b", "a\0", "0", "a.0", "_openid."),
    *(5, None, [], {}),
]
OTHERS = "rules: {read: true, write: true}\n"


def rules(field: object, **more: object) -> dict[str, str]:
    index = json.dumps({"fields": [field], "unique": True, **more}, ensure_ascii=False)
    return {"posts": f"{OTHERS}indexes: [{index}]\n", "others": OTHERS}


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_the_index_is_of_that_field_and_of_nothing_else(name: str) -> None:
    async def test(bench: Bench) -> None:
        await bench.insert("others", {"_id": "o", name: 1})
        await bench.insert("posts", {"_id": "a", name: 1, "other": 1})
        await bench.insert("posts", {"_id": "b", name: 2, "other": 1}, {"_id": "c", "other": 1})
        with refused(Code.CONFLICT):
            await bench.insert("posts", {"_id": "d", name: 1})
        assert await bench.ids(ANN, "posts", filter={name: 1}) == ["a"]
        assert await bench.ids(ANN, "posts", filter={name: {"$gt": 1}}) == ["b"]
        assert await bench.ids(ANN, "posts", sort={name: -1}) == ["b", "a", "c"]
        assert await bench.ids(ANN, "others") == ["o"]

    play(test, rules(name))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_of_an_index_is_only_shown(name: str) -> None:
    async def test(bench: Bench) -> None:
        await bench.insert("posts", {"_id": "a", "slug": 1})
        with refused(Code.CONFLICT) as caught:
            await bench.do(ANN, "insert", "posts", document={"slug": 1})
        caught.problem.detail.encode()
        assert set(await bench.stored("posts")) == {"a"}

    play(test, rules("slug", name=name))


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_what_is_no_path_is_refused_at_load(name: object) -> None:
    with pytest.raises(ConfigurationError):
        book_of(rules(name))


@app({"posts": OTHERS + "indexes: [{fields: [a]}, {fields: [A]}, {fields: [a.b]}]\n"})
async def test_fields_that_differ_by_case_alone_are_two(bench: Bench) -> None:
    await bench.insert("posts", {"_id": "x", "a": 1}, {"_id": "y", "A": 1})
    assert await bench.ids(ANN, "posts", filter={"a": 1}) == ["x"]
    assert await bench.ids(ANN, "posts", filter={"A": 1}) == ["y"]


def test_collections_that_differ_by_case_alone_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        book_of({"posts": OTHERS, "Posts": OTHERS})


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_text_and_geo_indexes_are_of_that_field_too(name: str) -> None:
    here, there = ({"type": "Point", "coordinates": [n, 0]} for n in (1, 50))
    near = {name: {"$near": {"$geometry": here, "$maxDistance": 1000}}}
    tea = {"$text": {"$search": "tea"}}

    async def test(bench: Bench) -> None:
        await bench.insert("others", {"_id": "o", name: "tea"})
        await bench.insert("posts", {"_id": "a", name: "tea"}, {"_id": "b", name: [here, "tea"]})
        await bench.insert("posts", {"_id": "c", name: there, "other": "tea"})
        assert await bench.ids(ANN, "posts", filter=tea) == ["a", "b"]
        assert await bench.ids(ANN, "posts", filter=near) == ["b"]
        await bench.do(ANN, "replace", "posts", id="c", document={name: [here, "Tea"]})
        await bench.do(ANN, "delete", "posts", id="b")
        assert await bench.ids(ANN, "posts", filter=tea) == ["a", "c"]
        assert await bench.ids(ANN, "posts", filter=near) == ["c"]
        assert await bench.ids(ANN, "others") == ["o"]

    indexes = json.dumps([{"text": [name]}, {"geo": name}], ensure_ascii=False)
    play(test, {"posts": f"{OTHERS}indexes: {indexes}\n", "others": OTHERS})
