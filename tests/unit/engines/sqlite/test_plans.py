"""Which reads an index serves, and what hostile queries may cost to compile."""

from __future__ import annotations

import time

import pytest

from baas.engines.sqlite.catalogue import CollectionInfo
from baas.engines.sqlite.queries import select
from baas.ports.documents import Find
from baas.query.ast import (
    ALWAYS,
    And,
    ElemMatch,
    Eq,
    Field,
    Filter,
    In,
    Not,
    Or,
    Range,
    SortKey,
    Where,
)
from baas.query.expr import Binary, DocField, Literal
from tests.support.stores import declared, eq, index, put

pytestmark = pytest.mark.anyio

NEWEST = (SortKey(("_createTime",), True), SortKey(("_id",)))
MINE = Where(Binary("==", DocField("doc", ("_openid",)), Literal("u1")))


@pytest.fixture
async def posts(store):
    await store.declare(
        declared(
            "p",
            index("_openid", "-_createTime", name="mine"),
            index("published", "-_createTime", name="newest"),
            index("n", name="n"),
            index("a.b", name="deep"),
            index("slug", name="slug", unique=True),
        )
    )
    await put(store, "p", {"_id": "a", "_openid": "u1", "n": 1, "published": True})
    return store


@pytest.mark.parametrize(
    ("filter", "sort", "name"),
    [
        (MINE, NEWEST, "mine"),
        (eq("_openid", "u1"), NEWEST, "mine"),
        (And((MINE, eq("z", 1))), NEWEST, "mine"),
        (eq("published", True), NEWEST, "newest"),
        (Where(Binary("==", DocField("doc", ("published",)), Literal(True))), NEWEST, "newest"),
        (eq("n", 1), None, "n"),
        (eq("n", None), None, "n"),
        (Field(("n",), In((1, 2, None))), None, "n"),
        (Field(("n",), Range("gt", 1)), None, "n"),
        (And((Field(("n",), Range("gt", 1)), Field(("n",), Range("lte", 5)))), None, "n"),
        (Field(("n",), Range("lt", "x")), None, "n"),
        (eq("a.b", {"$date": "2026-11-20T08:00:00.000Z"}), None, "deep"),
        (eq("slug", "x"), None, "slug"),
        (Or((eq("n", 1), eq("slug", "x"))), None, "n"),
        (ALWAYS, (SortKey(("n",)), SortKey(("_id",))), "n"),
        (ALWAYS, (SortKey(("n",), True), SortKey(("_id",), True)), "n"),
    ],
)
async def test_an_index_serves(posts, filter: Filter, sort, name: str) -> None:
    more = {} if sort is None else {"sort": sort}
    query = Find(collection="p", filter=filter, limit=20, **more)
    plan = posts.explain(query)
    assert any(f"USING INDEX {name}" in line for line in plan), plan
    assert isinstance(posts.find(query), list)


async def test_a_page_behind_a_cursor_starts_at_the_cursor(posts) -> None:
    for after in ({"$date": "2026-11-20T08:00:00.000Z"}, None):
        query = Find(collection="p", filter=MINE, sort=NEWEST, limit=20, after=(after, "a"))
        plan = posts.explain(query)
        assert any("USING INDEX mine (<expr>=? AND <expr>" in line for line in plan), plan
        assert not any("TEMP B-TREE" in line for line in plan)


async def test_two_sided_ranges_bound_the_index_on_both_sides(posts) -> None:
    both = And((Field(("n",), Range("gt", 1)), Field(("n",), Range("lt", 5))))
    sql, params = select(posts._readers.current.collections["p"], Find(collection="p", filter=both))
    assert sorted(params) == [1, 5]
    assert "''" not in sql.partition("WHERE")[2].replace("x''", "")


async def test_what_scans_does_not_run_on_the_loop(posts) -> None:
    by_z = (SortKey(("z",)), SortKey(("_id",)))
    found = posts.find(Find(collection="p", filter=eq("z", 1), sort=by_z, limit=20))
    assert not isinstance(found, list)
    assert await found == []


async def test_one_shape_is_one_statement(posts) -> None:
    info = posts._readers.current.collections["p"]
    texts = {
        select(info, Find(collection="p", filter=And((eq("n", n), eq("z", f"v{n}"))), limit=n))[0]
        for n in range(1, 50)
    }
    assert len(texts) == 1
    assert len({select(info, Find(collection="p", filter=Field(("n",), In(tuple(range(n))))))[0]
                for n in range(65, 129)}) == 1  # fmt: skip


def bomb(depth: int, path: tuple[str, ...]) -> Filter:
    inner: Filter = eq("x", 1)
    for _ in range(depth):
        inner = Not(Field(path, ElemMatch(inner)))
    return inner


@pytest.mark.parametrize("path", [("a",), ("a", "b"), ("a", "b", "c", "d"), tuple("abcdefgh")])
@pytest.mark.parametrize("depth", [1, 3, 10, 20])
async def test_no_nesting_makes_a_statement_explode(posts, path, depth: int) -> None:
    info = CollectionInfo(1, "p", 1, frozenset(), ())
    begun = time.process_time()
    sql, _ = select(info, Find(collection="p", filter=bomb(depth, path)))
    assert len(sql) < 500_000
    assert time.process_time() - begun < 1
    found = posts.find(Find(collection="p", filter=bomb(depth, path)))
    assert len(found if isinstance(found, list) else await found) in (0, 1)


async def test_a_filter_of_many_conditions_runs(posts) -> None:
    for combine in (And, Or):
        parts = tuple(Not(Field(("a", "b", f"c{n}"), Eq(n))) for n in range(500))
        found = posts.find(Find(collection="p", filter=combine(parts)))
        assert len(found if isinstance(found, list) else await found) == 1
