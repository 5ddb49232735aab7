"""kill -9 under a load of writes, again and again: what was acknowledged is there, nothing is half
done, the feed tells the same story as the documents, and a retry with its key has one effect."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest

from baas.engines.sqlite.store import SqliteStore
from baas.ports.documents import resolve
from baas.schema.values import decode
from tests.support.gateway import (
    Gateway,
    running,
    start_gateway,
    start_process,
    wait_until,
    write_app,
)
from tests.support.writers import LOAD_APP, MOVES, UNLIMITED, Load, Writer

#: The moment of each kill: so many acknowledged writes after the start before.
LEAST, MOST = 40, 160


def shared_count(gateway: Gateway, token: str) -> int:
    answer = gateway.post("/v1/database/shared/get", {"id": MOVES}, token=token)
    return int(answer.json()["n"])


def settle(writer: Writer) -> None:
    """Its documents are those before the write under way, or those after it; a retry of that one,
    and of the last that was answered, does nothing twice."""
    found = writer.found()
    if (pending := writer.pending) is None:
        assert found == writer.documents
    else:
        after = pending.applied(writer.documents)
        assert found in (writer.documents, after)
        if pending.key is not None:
            answers = [pending.send(writer.client) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
            assert answers[0].content == answers[1].content
            found = writer.found()
            assert found == after
    writer.documents, writer.pending = found, None
    if writer.answered is not None:
        write, content = writer.answered
        assert write.send(writer.client).content == content
        assert writer.found() == found


async def feed_start(data: Path) -> str:
    store = SqliteStore(data, guest=True)
    await store.open()
    try:
        return store.feed.head()
    finally:
        await store.close()


async def replay(data: Path, start: str) -> None:
    """From `start` on, each event begins where the one before it on its document ended, those of
    a transaction lie together, and the last images are the documents."""
    store = SqliteStore(data, guest=True)
    await store.open()
    try:
        images: dict[tuple[str, str], bytes | None] = {}
        transactions: list[str] = []
        cursor = start
        while events := await resolve(store.feed.read(cursor)):
            for event in events:
                place = event.collection, event.id
                assert images.get(place) == event.before
                images[place] = event.after
                if transactions[-1:] != [event.transaction]:
                    transactions.append(event.transaction)
            cursor = events[-1].cursor
        assert cursor == store.feed.head()
        assert len(transactions) == len(set(transactions))
        stored = {
            (name, decode(body)["_id"]): body
            for name in ("load", "shared")
            async for body in store.scan(name)
        }
        assert stored == {
            place: body
            for place, body in images.items()
            if body is not None and place[0] in ("load", "shared")
        }
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
            asyncio.run(replay(data, start))
            gateway = start_gateway(tmp_path, "--workers", workers, **UNLIMITED)
            for writer in load.writers:
                writer.connect(gateway.url, load.token)
                settle(writer)
                writer.client.close()
            assert shared_count(gateway, load.token) == load.tallies
        asyncio.run(replay(data, start))
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
