"""A primary that steps down under load: every write is done once, and the feed has it once."""

from __future__ import annotations

import asyncio

import pytest

from baas.ports.documents import resolve
from baas.ports.jobs import NewJob
from tests.support import mongo
from tests.support.stores import change, get, put, write

pytestmark = pytest.mark.anyio


def more(document):
    return {**document, "n": document["n"] + 1}


async def test_no_write_is_lost_or_done_twice(join, driver) -> None:
    stores = [await join() for _ in range(2)]
    await put(stores[0], "p", *({"_id": f"d{n}", "n": 0} for n in range(4)))
    start = await stores[0].feed.head()
    done = 0

    async def load(store, id: str, until: asyncio.Event) -> None:
        nonlocal done
        while not until.is_set():
            await write(store, change("p", id, more), change("p", "d3", more))
            done += 1
            await asyncio.sleep(0.005)

    async def ten_more() -> None:
        goal = done + 10
        while done < goal:  # noqa: ASYNC110 - the writers know nothing of who counts them
            await asyncio.sleep(0.01)

    enough = asyncio.Event()
    work = [
        asyncio.ensure_future(load(store, f"d{n}", enough))
        for n, store in enumerate((*stores, stores[0]))
    ]
    for _ in range(2):
        await ten_more()
        await mongo.step_down(driver, 1)
    await ten_more()
    enough.set()
    await asyncio.gather(*work)
    assert (await get(stores[1], "p", "d3"))["n"] == done
    assert sum([(await get(stores[0], "p", f"d{n}"))["n"] for n in range(3)]) == done
    events = []
    while page := await resolve(stores[1].feed.read(start)):
        events += page
        start = page[-1].cursor
    assert len(events) == 2 * done
    assert len({event.transaction for event in events}) == done


async def test_no_job_is_lost_or_added_twice(join, driver) -> None:
    one, other = await join(), await join()

    def new(n: int) -> NewJob:
        return NewJob(id=f"j{n}", queue="q", kind="k", payload=b"", due_ms=0)

    adding = [asyncio.ensure_future((one, other)[n % 2].jobs.add([new(n)])) for n in range(20)]
    await mongo.step_down(driver, 1)
    adding += [asyncio.ensure_future((one, other)[n % 2].jobs.add([new(n)])) for n in range(20, 40)]
    added = await asyncio.gather(*adding)
    assert sorted(id for ids in added for id in ids) == sorted(f"j{n}" for n in range(40))
    assert len(await one.jobs.claim(("q",), 100, 10)) == 40
