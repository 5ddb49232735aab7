"""kill -9 under a load of writes, again and again: what was acknowledged is there, nothing is half
done, the feed tells the same story as the documents, and a retry with its key has one effect."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest

from baas.engines.sqlite.store import SqliteStore
from tests.support.gateway import (
    running,
    start_gateway,
    start_process,
    wait_until,
    write_app,
)
from tests.support.replay import replay, settle, shared_count
from tests.support.writers import LOAD_APP, UNLIMITED, Load

#: The moment of each kill: so many acknowledged writes after the start before.
LEAST, MOST = 40, 160


async def feed_start(data: Path) -> str:
    store = SqliteStore(data, guest=True)
    await store.open()
    try:
        return store.feed.head()
    finally:
        await store.close()


async def replay_of(data: Path, start: str) -> None:
    store = SqliteStore(data, guest=True)
    await store.open()
    try:
        await replay(store, start)
    finally:
        await store.close()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are found in /proc")
@pytest.mark.parametrize(("workers", "rounds"), [("1", 5), ("2", 3)])
def test_what_was_acknowledged_survives_and_nothing_is_half_done(
    tmp_path: Path, workers: str, rounds: int
) -> None:
    chance = random.Random(workers)
    data = write_app(tmp_path, LOAD_APP) / "data"
    start = asyncio.run(feed_start(data))
    gateway = start_gateway(tmp_path, "--workers", workers, **UNLIMITED)
    try:
        load = Load(gateway, gateway.sign_in(), seed=int(workers))
        for _ in range(rounds):
            load.start(gateway)
            load.wait_for(chance.randint(LEAST, MOST))
            gateway.kill()
            load.join()
            gateway.close()
            asyncio.run(replay_of(data, start))
            gateway = start_gateway(tmp_path, "--workers", workers, **UNLIMITED)
            for writer in load.writers:
                writer.connect(gateway.url, load.token)
                settle(writer)
                writer.client.close()
            assert shared_count(gateway, load.token) == load.tallies
        asyncio.run(replay_of(data, start))
    finally:
        gateway.stop()
        gateway.close()


@pytest.mark.parametrize("file", ["lock", "db.sqlite3", "db.sqlite3-wal", "secret"])
def test_a_first_start_that_is_cut_short_leaves_a_folder_that_starts(
    tmp_path: Path, file: str
) -> None:
    write_app(tmp_path, LOAD_APP)
    process = start_process(tmp_path)
    try:
        wait_until((tmp_path / "data" / file).exists, look=0.001)
    finally:
        process.kill()
        process.communicate()
    with running(tmp_path) as gateway:
        note = {"document": {"_id": "first"}}
        answer = gateway.post("/v1/database/load/insert", note, token=gateway.sign_in())
        assert answer.status_code == 200, answer.text
