"""Frames tell nothing of what is hidden: two worlds that differ in that alone give the same ones.

As tests/property/test_noninterference.py has it for answers, here for what is watched while both
worlds are written to: the same where Bob can see it, each its own where he cannot. Cursors are
sealed and left out: how far a feed has come is no secret of a document.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from baas.errors import Problem
from tests.property.test_noninterference import IDS, RULES, filters, scalars, sorts, worlds
from tests.support.database import BOB, SERVER
from tests.support.watching import Client, World, world

queries = st.fixed_dictionaries(
    {"filter": st.one_of(st.just({}), filters)},
    optional={
        "sort": sorts.map(lambda keys: [list(key) for key in keys]),
        "limit": st.integers(1, 3),
        "fields": st.sampled_from([{"secret": 1}, {"a.secret": 1}, {"n": 0}, {"n": 1}]),
    },
)
HIDDEN = st.sampled_from(["secret", "fixed", "a.secret"])
ids = st.sampled_from(IDS)
steps = st.one_of(
    st.tuples(st.just("seen"), ids, st.sampled_from(["n", "t"]), scalars),
    st.tuples(st.just("masked"), ids, HIDDEN, scalars, scalars),
    st.tuples(st.just("open"), ids, st.booleans()),
    st.tuples(st.just("gone"), ids),
    st.tuples(st.just("hidden"), ids, st.integers(0, 1), scalars),
    st.tuples(st.just("unhidden"), ids, st.integers(0, 1)),
)


async def take(there: World, which: int, step: tuple[Any, ...]) -> None:
    kind, id, *rest = step
    if kind == "hidden":  # a document of the one world alone, that Bob may not see
        if rest[0] == which:
            hidden = {"_id": f"h{id}", "_openid": "ann", "n": rest[1], "secret": rest[1]}
            await there.put("box", hidden)
        return
    if kind == "unhidden":
        if rest[0] == which:
            await there.do(SERVER, "delete", "box", filter={"_id": f"h{id}"})
        return
    if kind == "gone":
        await there.do(SERVER, "delete", "box", filter={"_id": id})
        return
    changed = {"open": lambda: {"public": rest[0]}, "seen": lambda: {rest[0]: rest[1]}}
    change = changed.get(kind, lambda: {rest[0]: rest[1 + which]})()
    await there.do(
        SERVER, "update", "box", filter={"_id": id, "_openid": "ann"}, update={"$set": change}
    )


async def opened(there: World, query: dict[str, Any]) -> Client | str:
    client = Client()
    try:
        await there.watch(client, BOB, collection="box", **query)
    except Problem as problem:
        return f"{problem.code.name} {problem.detail}"
    return client


def told(client: Client | str) -> Any:
    if isinstance(client, str):
        return client
    frames = [{k: v for k, v in frame.items() if k != "cursor"} for frame in client.frames]
    return [frames, client.ended and client.ended.detail]


@settings(max_examples=25)
@given(worlds(), st.lists(queries, min_size=1, max_size=4), st.lists(steps, max_size=10))
def test_no_frame_tells_the_worlds_apart(
    both: tuple[list[Any], list[Any]], asked: list[dict[str, Any]], happening: list[Any]
) -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            pair, watching = [], []
            for documents in both:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                there = await stack.enter_async_context(
                    world(folder, box=RULES["box"].replace("maxLength: 2", ""))
                )
                await there.put("box", *documents)
                pair.append(there)
                watching.append([await opened(there, query) for query in asked])
            for step in happening:
                for which, there in enumerate(pair):
                    with suppress(Problem):  # such a path may not be there to be set
                        await take(there, which, step)
                    await there.caught_up()
            one, other = [[told(client) for client in clients] for clients in watching]
            assert one == other

    asyncio.run(scenario())
