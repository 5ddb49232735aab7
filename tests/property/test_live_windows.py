"""A live query is what `find` would answer, after every single change and after every gap."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from baas.ports.documents import DELETE, Change, Find, resolve
from baas.push.live import view
from baas.query.limits import DEFAULT_LIMITS
from baas.query.parse import parse_filter, parse_projection, parse_sort
from baas.query.project import project
from baas.schema.values import decode
from tests.support.watching import Client, World, same, world

IDS = [f"d{number}" for number in range(9)]
VALUES = st.sampled_from([None, True, 0, 1, 2, 2.5, "a", "b", [1, 2], ["a"], {"x": 1}])
DOCUMENTS = st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES, "c": st.integers(0, 3)})
FILTERS = st.sampled_from(
    [
        {},
        {"a": 1},
        {"a": {"$in": [1, "a"]}},
        {"a": {"$gte": 1}},
        {"a": {"$gt": 0, "$lt": 2}},
        {"b": {"$exists": True}},
        {"a": None},
        {"a.x": 1},
        {"$or": [{"a": 1}, {"b": "a"}]},
        {"c": {"$ne": 1}, "a": {"$exists": True}},
        {"b": True},
    ]
)
SORTS = st.sampled_from([None, {"c": 1}, {"c": -1}, {"a": -1, "b": 1}, {"_id": -1}])
FIELDS = st.sampled_from([None, {"a": 1}, {"b": 0}, {"c": 1}])
LIMITS = st.sampled_from([None, 1, 2, 3, 5])
WRITES = st.lists(
    st.lists(st.tuples(st.sampled_from(IDS), st.none() | DOCUMENTS), min_size=1, max_size=4),
    min_size=1,
    max_size=14,
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
    raw = query["filter"]
    found = await resolve(
        there.store.find(
            Find(
                collection="things",
                filter=parse_filter(raw, DEFAULT_LIMITS, now_ms=0),
                sort=parse_sort(query.get("sort")),
                limit=query.get("limit"),
            )
        )
    )
    fields = query.get("fields")
    projection = None if fields is None else parse_projection(fields)
    documents = [decode(row) for row in found]
    return [one if projection is None else project(one, projection) for one in documents]


def ids(documents: list[Any]) -> list[str]:
    return [one["_id"] for one in documents]


@settings(max_examples=60)
@given(FILTERS, SORTS, LIMITS, FIELDS, WRITES, st.data())
def test_frames_lead_to_what_find_answers(
    filter: Any, sort: Any, limit: Any, fields: Any, writes: Any, data: st.DataObject
) -> None:
    query = {"filter": filter, "sort": sort, "limit": limit, "fields": fields}

    async def scenario() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with world(Path(folder)) as there:
                await there.write(*steps([(id, {"a": 1, "c": n}) for n, id in enumerate(IDS[:5])]))
                always, leaving = Client(), Client()
                await there.watch(always, **query)
                watch = await there.watch(leaving, **query)
                here = True
                snapshots = 1
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
                            # Nothing was too long ago: what was missed is told, not the whole
                            # again; save of a window that has moved.
                            snapshots += bool(limit) and ids(leaving.result) != ids(expected)
                            watch = await there.watch(leaving, **query, cursor=leaving.cursor)
                            assert same(leaving.result, expected)
                            assert leaving.types.count("snapshot") == snapshots
                        here = not here
                assert always.types.count("snapshot") == 1

    asyncio.run(scenario())


@settings(max_examples=40)
@given(SORTS, st.integers(1, 3), WRITES, st.data())
def test_a_window_goes_on_where_little_is_known_behind_it(
    sort: Any, limit: int, writes: Any, data: st.DataObject
) -> None:
    """With one document to spare, what a window was can often not be told; what is told is
    right."""
    query = {"filter": {"c": {"$gte": 0}}, "sort": sort, "limit": limit}

    async def scenario() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with world(Path(folder)) as there:
                await there.write(*steps([(id, {"a": 1, "c": n % 3}) for n, id in enumerate(IDS)]))
                others, leaving = Client(), Client()
                await there.watch(others, **query)  # else the query would be read anew each time
                watch = await there.watch(leaving, **query)
                for batch in writes:
                    if data.draw(st.booleans()):
                        watch.close()
                        moved = ids(leaving.result)
                        await there.write(*steps(batch))
                        await there.caught_up()
                        told = len(leaving.frames)
                        watch = await there.watch(leaving, **query, cursor=leaving.cursor)
                        if moved != ids(leaving.result):
                            assert leaving.types[told:] == ["resync", "snapshot"]
                    else:
                        await there.write(*steps(batch))
                        await there.caught_up()
                    assert same(leaving.result, await fresh(there, query))

    with mock.patch.object(view, "LEAST_SPARE", 1):
        asyncio.run(scenario())


def test_all_that_is_known_of_a_window_moves_behind_it_at_once(tmp_path: Path) -> None:
    query = {"filter": {"c": {"$gte": 0}}, "sort": {"c": 1}, "limit": 1}
    known = [f"d{number:02}" for number in range(view.LEAST_SPARE + 1)]

    async def scenario() -> None:
        async with world(tmp_path) as there:
            await there.write(*steps([(id, {"c": 1}) for id in [*known, "e"]]))
            client = Client()
            await there.watch(client, **query)
            await there.write(*steps([(id, {"c": 2}) for id in known]))
            await there.caught_up()
            assert client.result == [{"_id": "e", "c": 1}]

    asyncio.run(scenario())


@settings(max_examples=40)
@given(FILTERS, SORTS, LIMITS, WRITES, st.data())
def test_a_client_that_reads_slowly_ends_up_right(
    filter: Any, sort: Any, limit: Any, writes: Any, data: st.DataObject
) -> None:
    query = {"filter": filter, "sort": sort, "limit": limit}

    async def scenario() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with world(Path(folder)) as there:
                slow, quick = Client(), Client()
                await there.watch(slow, **query)
                await there.watch(quick, **query)
                for batch in writes:
                    slow.room = data.draw(st.booleans())
                    if slow.room:
                        slow.make_room()
                    await there.write(*steps(batch))
                    await there.caught_up()
                    assert quick.result == await fresh(there, query)
                slow.make_room()
                await there.quiet()
                assert slow.result == quick.result
                assert slow.types.count("resync") == slow.types.count("snapshot") - 1

    asyncio.run(scenario())
