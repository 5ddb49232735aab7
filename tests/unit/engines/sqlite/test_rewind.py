"""Documents as they were at an earlier moment."""

from __future__ import annotations

import random
from typing import Any

import pytest

from baas.clock import ManualClock
from baas.engines.sqlite.backup import restore
from baas.engines.sqlite.store import SqliteStore
from baas.errors import ConfigurationError
from baas.ports.documents import DELETE, Change, Insert, Step
from baas.schema.values import encode
from baas.settings import DatabaseSettings
from tests.support.stores import INFO, declared, index

pytestmark = pytest.mark.anyio

UNIQUE = index("slug", unique=True)


async def everything(store: SqliteStore) -> dict[str, list[bytes]]:
    return {name: [body async for body in store.scan(name)] for name in ("a", "b")}


def new(collection: str, id: str, slug: int) -> Step:
    document: dict[str, Any] = {"_id": id, "slug": slug}
    return Insert(collection=collection, id=id, document=document, body=encode(document))


def changed(collection: str, id: str, slug: int | None) -> Step:
    """No `slug`: it is deleted."""

    def apply(stored: Any, _lookups: Any) -> Any:
        return DELETE if slug is None else {**stored, "slug": slug}

    return Change(collection=collection, id=id, apply=apply)


def some_steps(state: dict[tuple[str, str], int], dice: random.Random) -> list[Step]:
    """Each document at most once; unique values change hands."""
    steps: list[Step] = []
    for collection in "ab":
        taken = {slug for (name, _), slug in state.items() if name == collection}
        for id in dice.sample("uvwxyz", 3):
            free = next(n for n in dice.sample(range(12), 12) if n not in taken)
            taken.add(free)
            key = (collection, id)
            if key not in state:
                steps.append(new(collection, id, free))
                state[key] = free
            elif dice.random() < 0.4:
                steps.append(changed(collection, id, None))
                del state[key]
            else:
                steps.append(changed(collection, id, free))
                state[key] = free
    return steps


@pytest.mark.parametrize("seed", range(3))
async def test_every_moment_comes_back_as_it_was(tmp_path, seed: int) -> None:
    clock = ManualClock()
    store = SqliteStore(tmp_path / "live", DatabaseSettings(durability="normal"), clock)
    await store.open()
    await store.declare({**declared("a", UNIQUE), **declared("b", UNIQUE)})
    dice, state = random.Random(seed), dict[tuple[str, str], int]()
    moments = []
    for _ in range(12):
        await store.write(tuple(some_steps(state, dice)), INFO)
        moments.append((clock.now_ms(), await everything(store)))
        clock.advance(1)
    await store.backup(tmp_path / "copy")
    await store.close()
    for number, (time, expected) in enumerate(moments):
        restore(tmp_path / "copy", tmp_path / str(number))
        there = SqliteStore(tmp_path / str(number), clock=clock)
        await there.open()
        await there.rewind(time)
        assert await everything(there) == expected
        await there.close()


async def test_no_further_than_the_feed_reaches(tmp_path) -> None:
    clock = ManualClock()
    settings = DatabaseSettings(durability="normal", feed_keep_hours=1)
    store = SqliteStore(tmp_path, settings, clock)
    await store.open()
    await store.write((new("a", "old", 1),), INFO)
    clock.advance(2 * 3600)
    await store.write((new("a", "young", 2),), INFO)
    await store.maintenance.run_once()
    with pytest.raises(ConfigurationError, match="reaches back to"):
        await store.rewind(clock.now_ms() - 1)
    assert await store.rewind(clock.now_ms()) == 0
    await store.close()
