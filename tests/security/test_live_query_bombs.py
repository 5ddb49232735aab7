"""Live queries made to cost: whoever may write a large document cannot make the loop, which all
clients share, judge it for long.

What is counted is what is done on the loop, not what a stopwatch says: long work asks the clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.push.live.budget import MAX_PATHS
from baas.push.live.query import predicate
from baas.push.live.terms import ELEMENTS_PER_QUERY, TermIndex
from baas.push.live.view import key_of
from baas.query import patterns
from baas.query.evaluate import matches
from baas.query.limits import DEFAULT_LIMITS
from baas.query.parse import parse_filter, parse_sort
from baas.query.patterns import OutOfTime, briefly
from tests.support.watching import Client, user, world

NUMBERS = {"_id": "x", "a": [number % 10 for number in range(20_000)]}
OBJECTS = {"_id": "x", "a": [{"b": 1} for _ in range(20_000)]}


@pytest.fixture
def late() -> Iterator[None]:
    """No time is left at all."""
    with briefly(-1.0):
        yield


def parsed(raw: Any) -> Any:
    return parse_filter(raw, DEFAULT_LIMITS, now_ms=0)


@pytest.mark.parametrize(
    ("raw", "document"),
    [
        ({"a": {"$ne": 77}}, NUMBERS),
        ({"a": {"$nin": [0.5 + number for number in range(900)]}}, NUMBERS),
        ({"a": {"$elemMatch": {"$gt": 77}}}, NUMBERS),
        ({"a": {"$elemMatch": {"b": 2}}}, OBJECTS),
        ({"a.b": 2}, OBJECTS),
        ({"a.b.c": {"$exists": True}}, OBJECTS),
        ({"$nor": [{"a": 1000 + number} for number in range(90)]}, NUMBERS),
        ({"a": {"$in": [{"b": number} for number in range(900)]}}, {"_id": "x", "a": {"b": -1}}),
    ],
)
@pytest.mark.usefixtures("late")
def test_long_arrays_are_not_judged_where_no_time_is_left(raw: Any, document: Any) -> None:
    for judge in (predicate(parsed(raw)), lambda document: matches(parsed(raw), document)):
        with pytest.raises(OutOfTime):
            judge(document)


@pytest.mark.parametrize("sort", [{"a": 1}, {"a": -1}, {"a.b": 1}])
@pytest.mark.parametrize("document", [NUMBERS, OBJECTS, {"_id": "x", "a": [NUMBERS["a"]]}])
def test_nor_is_sorted_by_them(sort: Any, document: Any) -> None:
    if "a.b" in sort and document is not OBJECTS and len(document["a"]) == 1:
        return  # one element that is no object: nothing to look at
    with briefly(-1.0), pytest.raises(OutOfTime):
        key_of(document, parse_sort(sort))


def test_short_ones_are_whatever_the_time() -> None:
    with briefly(-1.0):
        assert matches(parsed({"a": {"$nin": [7, 8]}}), {"_id": "x", "a": [1, 2, 3]})


def test_a_limit_within_a_limit_is_no_longer_than_that() -> None:
    with briefly(-1.0):
        with briefly(60.0), pytest.raises(OutOfTime):
            patterns.ask_clock(0.0)
        with pytest.raises(OutOfTime):  # and the outer one holds afterwards
            patterns.ask_clock(0.0)
    patterns.ask_clock(1e9)


def test_a_long_list_of_numbers_is_not_compared_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setattr(
        "baas.query.evaluate.same", lambda wanted, value: asked.append(wanted) or wanted is value
    )
    assert not matches(parsed({"a": {"$in": list(range(1, 900))}}), {"_id": "x", "a": [0, 0.5]})
    assert len(asked) < 900  # for the array itself, and for none of its elements


def test_looking_a_document_up_costs_no_more_than_asking_its_queries() -> None:
    """An index of many queries looks at a whole array; of a few it asks those instead."""
    few: TermIndex[int] = TermIndex()
    few.add(1, parsed({"a.b": 7}))
    few.add(2, parsed({"a": {"$gte": 7}}))
    few.add(3, parsed({"c": 7}))
    most = {"_id": "x", "a": [{"b": 1}] * ELEMENTS_PER_QUERY}
    assert few.touched(most) == {2}  # objects and numbers: a range of another kind
    assert few.touched({"_id": "x", "a": [{"b": 1}] * (ELEMENTS_PER_QUERY + 1)}) == {1, 2}
    few.remove(2)
    assert few.touched(OBJECTS) == {1}
    many: TermIndex[int] = TermIndex()
    for number in range(40):
        many.add(number, parsed({"a.b": number}))
    assert many.touched(OBJECTS) == {1}


def test_a_path_of_positions_is_followed_once() -> None:
    """Each level of arrays can be passed by position or through its elements: not both ways on
    every level, which would be a million ways."""
    nested: Any = 1
    for _ in range(19):
        nested = [nested]
    index: TermIndex[int] = TermIndex()
    index.add(1, parsed({".".join(["a", *"0" * 19]): 1}))
    before = time.process_time()
    index.touched({"_id": "x", "a": nested})
    assert time.process_time() - before < 0.2


def test_one_user_s_queries_ask_of_so_many_fields(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as there:
            opened = [
                await there.watch(Client(), user("ann"), filter={f"f{number}": 1})
                for number in range(MAX_PATHS)
            ]
            with pytest.raises(Problem) as refused:
                await there.watch(Client(), user("ann"), filter={"another": 1})
            assert refused.value.code is Code.LIMIT_EXCEEDED
            await there.watch(Client(), user("ann"), filter={"f1": 2})  # a field that it has
            await there.watch(Client(), user("bob"), filter={"another": 1})
            opened[0].close()
            await there.watch(Client(), user("ann"), filter={"another": 1})

    asyncio.run(scenario())


def test_what_the_loop_has_no_time_for_is_told_all_the_same(tmp_path: Path) -> None:
    """A document of many elements, against many queries at once: each is told what `find` says."""

    async def scenario() -> None:
        async with world(tmp_path) as there:
            clients = [Client() for _ in range(30)]
            for number, client in enumerate(clients):
                await there.watch(client, filter={"a": {"$nin": [number, number + 0.5]}})
            await there.put("things", {"_id": "x", "a": [n % 20 for n in range(3_000)]})
            await there.caught_up()
            assert [len(client.result) for client in clients] == [0] * 20 + [1] * 10
            assert all(client.types.count("snapshot") == 1 for client in clients)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("baas.push.live.service._COMMIT_SECONDS", 0.002)
        asyncio.run(scenario())
