"""Live queries by place and by words are what `find` would answer, after every change and gap."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baas.errors import Code, Problem
from baas.ports.documents import DELETE, Change, Find, resolve
from baas.push.live import query as live_query
from baas.query import text
from baas.query.limits import DEFAULT_LIMITS
from baas.query.near import default_sort, with_text_index
from baas.query.parse import parse_filter, parse_sort
from baas.query.patterns import OutOfTime, briefly
from baas.schema.values import decode
from tests.support.watching import NOBODY, Client, World, same, user, world

RULES = "rules: {read: true}\nindexes: [{text: [t, u]}, {geo: at}]\n"
BARE = "rules: {read: true}\nindexes: [{text: [t, u]}]\n"
IDS = [f"d{number}" for number in range(8)]


def point(longitude: float, latitude: float = 0) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [longitude, latitude]}


PLACES = st.sampled_from([*(point(n / 2) for n in range(6)), point(179, 80), [point(0), point(3)]])
TEXTS = st.sampled_from(["tea", "green tea", "咖啡馆", "咖啡 tea", "wine", "tea " * 400])
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"at": PLACES, "t": TEXTS, "u": TEXTS, "n": st.integers(0, 2)}
)
NEAR = {"$geometry": point(0)}
FILTERS = st.sampled_from(
    [
        {"at": {"$near": NEAR}},
        {"at": {"$near": {**NEAR, "$maxDistance": 150_000, "$minDistance": 1}}},
        {"at": {"$near": NEAR}, "n": {"$gte": 1}},
        {"at": {"$near": NEAR}, "$text": {"$search": "tea"}},
        {"at": {"$geoWithin": {"$box": [[0, -1], [1, 1]]}}, "n": 1},
        {"at": {"$not": {"$geoIntersects": {"$geometry": point(1)}}}},
        {"$text": {"$search": "tea -green"}},
        {"$text": {"$search": "啡馆"}, "n": {"$in": [0, 1]}},
        {"$or": [{"$text": {"$search": '"green tea"'}}, {"n": 2}]},
    ]
)
SORTS = st.sampled_from([None, None, None, {"n": -1}])
LIMITS = st.sampled_from([None, 1, 2, 4])
WRITES = st.lists(
    st.lists(st.tuples(st.sampled_from(IDS), st.none() | DOCUMENTS), min_size=1, max_size=4),
    min_size=1,
    max_size=10,
)


def steps(batch: list[tuple[str, Any]]) -> list[Change]:
    """Each id once; None deletes."""
    return [
        Change(
            collection="things",
            id=id,
            apply=lambda _, __, id=id, new=new: DELETE if new is None else {"_id": id, **new},
        )
        for id, new in dict(batch).items()
    ]


async def fresh(there: World, query: dict[str, Any]) -> list[Any]:
    """The answer of a `find` now."""
    filter = parse_filter(query["filter"], DEFAULT_LIMITS, now_ms=0, whole=True)
    filter = with_text_index(filter, (("t",), ("u",)))
    sort = parse_sort(query["sort"]) if query["sort"] else default_sort(filter)
    found = await resolve(
        there.store.find(Find(collection="things", filter=filter, sort=sort, limit=query["limit"]))
    )
    return [decode(row) for row in found]


async def play(there: World, query: dict[str, Any], writes: Any, data: st.DataObject) -> None:
    await there.write(*steps([(id, {"at": point(n), "t": "tea"}) for n, id in enumerate(IDS[:4])]))
    always, leaving = Client(), Client()
    await there.watch(always, **query)
    watch = await there.watch(leaving, **query)
    here = True
    for batch in writes:
        await there.write(*steps(batch))
        await there.caught_up()
        expected = await fresh(there, query)
        assert same(always.result, expected)
        if here:
            assert same(leaving.result, expected)
        if data.draw(st.booleans()):
            if here:
                watch.close()
            else:
                watch = await there.watch(leaving, **query, cursor=leaving.cursor)
                assert same(leaving.result, expected)
            here = not here
    assert always.types.count("snapshot") == 1


@settings(max_examples=40)
@given(FILTERS, SORTS, LIMITS, WRITES, st.sampled_from([RULES, BARE]), st.data())
def test_frames_lead_to_what_find_answers(
    filter: Any, sort: Any, limit: Any, writes: Any, rules: str, data: st.DataObject
) -> None:
    async def scenario() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with world(Path(folder), things=rules) as there:
                await play(there, {"filter": filter, "sort": sort, "limit": limit}, writes, data)

    asyncio.run(scenario())


@settings(max_examples=20)
@given(FILTERS, LIMITS, WRITES, st.data())
def test_what_takes_too_long_on_the_loop_is_read_and_as_right(
    filter: Any, limit: Any, writes: Any, data: st.DataObject
) -> None:
    async def scenario() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with world(Path(folder), things=RULES) as there:
                await play(there, {"filter": filter, "sort": None, "limit": limit}, writes, data)

    with pytest.MonkeyPatch.context() as patch:
        # Every text is too long for the time there is, even one that was cut before.
        patch.setattr(live_query, "_JUDGING_SECONDS", -1.0)
        patch.setattr(text, "_LONG", 0)
        patch.setattr(text, "normal_form", text.normal_form.__wrapped__)
        with pytest.raises(OutOfTime), briefly(-1.0):
            text.holds(["tea"], (" tea ",), (), ())
        asyncio.run(scenario())


# -- rules -----------------------------------------------------------------------------------------

TEA = {"$text": {"$search": "tea"}}
OTHER_FIELD = "rules: {read: true}\nindexes: [{text: [u]}]\n"
MASKED = f"{RULES}fields: {{u: {{read: false}}, at: {{read: doc._openid == auth.uid}}}}\n"


def run(scenario: Any, folder: Path, **rules: str) -> None:
    async def main() -> None:
        async with world(folder, **rules) as there:
            await scenario(there)

    asyncio.run(main())


def test_another_index_is_another_search_and_none_ends_it(tmp_path: Path) -> None:
    async def scenario(there: World) -> None:
        await there.write(*steps([("a", {"t": "tea"}), ("b", {"u": "tea"})]))
        client = Client()
        await there.watch(client, NOBODY, filter=TEA)
        assert [one["_id"] for one in client.result] == ["a", "b"]
        await there.use_rules(things=OTHER_FIELD)
        await there.quiet()
        assert [one["_id"] for one in client.result] == ["b"]
        await there.write(*steps([("c", {"u": "tea"}), ("d", {"t": "tea"})]))
        await there.caught_up()
        assert [one["_id"] for one in client.result] == ["b", "c"]
        await there.use_rules(things="rules: {read: true}\n")
        await there.quiet()
        assert client.ended is not None
        assert client.ended.code is Code.INVALID_ARGUMENT

    run(scenario, tmp_path, things=RULES)


@pytest.mark.parametrize(
    "filter",
    [
        TEA,
        {"$nor": [TEA]},
        {"at": {"$near": NEAR}},
        {"at": {"$geoWithin": {"$box": [[0, 0], [1, 1]]}}},
    ],
    ids=str,
)
def test_hidden_fields_cannot_be_watched_by(tmp_path: Path, filter: Any) -> None:
    async def scenario(there: World) -> None:
        for caller in (NOBODY, user("bob")):
            with pytest.raises(Problem) as caught:
                await there.watch(Client(), caller, filter=filter)
            assert caught.value.code is Code.PERMISSION_DENIED

    run(scenario, tmp_path, things=MASKED)


def test_a_mask_that_comes_ends_the_watch(tmp_path: Path) -> None:
    async def scenario(there: World) -> None:
        await there.write(*steps([("a", {"u": "tea", "at": point(0)})]))
        searching, near = Client(), Client()
        await there.watch(searching, NOBODY, filter=TEA)
        await there.watch(near, NOBODY, filter={"at": {"$near": NEAR}})
        await there.use_rules(things=MASKED)
        await there.quiet()
        for client in (searching, near):
            assert client.ended is not None
            assert client.ended.code is Code.PERMISSION_DENIED

    run(scenario, tmp_path, things=RULES)


def test_one_who_moves_is_told_where_it_now_stands(tmp_path: Path) -> None:
    async def scenario(there: World) -> None:
        await there.write(*steps([(id, {"at": point(n)}) for n, id in enumerate("abcd")]))
        client = Client()
        await there.watch(client, NOBODY, filter={"at": {"$near": NEAR}}, limit=3)
        assert [one["_id"] for one in client.result] == ["a", "b", "c"]
        await there.write(*steps([("d", {"at": point(0.5)})]))
        await there.caught_up()
        assert [one["_id"] for one in client.result] == ["a", "d", "b"]
        await there.write(*steps([("a", {"at": point(9)})]))
        await there.caught_up()
        assert [one["_id"] for one in client.result] == ["d", "b", "c"]
        await there.write(*steps([("d", {"at": None})]))
        await there.caught_up()
        assert [one["_id"] for one in client.result] == ["b", "c", "a"]

    run(scenario, tmp_path, things=RULES)
