"""Group commit: failures of the disk, several processes, a process that dies."""

from __future__ import annotations

import asyncio
import signal
import subprocess

import apsw
import pytest

from baas.engines.sqlite.connection import open_connection
from baas.engines.sqlite.lock import FileLock
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Code, Problem
from tests.support.stores import (
    change,
    change_many,
    declared,
    eq,
    get,
    ids,
    index,
    put,
    setting,
    write,
)

pytestmark = pytest.mark.anyio


async def test_writes_at_once_share_their_commits(store) -> None:
    commits = []
    store._writer._database.raw.set_commit_hook(lambda: bool(commits.append(1)))
    await asyncio.gather(*(put(store, "p", {"_id": f"d{n}"}) for n in range(200)))
    assert len(await ids(store, "p")) == 200
    assert len(commits) < 20


async def test_a_commit_that_fails_fails_its_whole_group_and_nothing_else(store) -> None:
    await put(store, "p", {"_id": "a"})
    head = store.feed.head()
    raw = store._writer._database.raw
    raw.set_commit_hook(lambda: True)  # SQLite turns the commit into a rollback
    outcomes = await asyncio.gather(
        *(put(store, "p", {"_id": f"d{n}"}) for n in range(5)), return_exceptions=True
    )
    assert {outcome.code for outcome in outcomes} == {Code.UNAVAILABLE}
    raw.set_commit_hook(None)
    await put(store, "p", {"_id": "z"})
    assert await ids(store, "p") == ["a", "z"]
    assert [event.id for event in store.feed.read(head)] == ["z"]


async def test_a_full_disk_is_unavailable_without_the_drivers_words(store) -> None:
    await put(store, "p", {"_id": "a"})
    raw = store._writer._database.raw
    pages = raw.execute("PRAGMA page_count").get
    raw.execute(f"PRAGMA max_page_count={pages}")
    outcomes = await asyncio.gather(
        put(store, "p", {"_id": "big", "text": "x" * 100_000}),
        put(store, "p", {"_id": "b"}, {"_id": "big2", "text": "x" * 100_000}),
        return_exceptions=True,
    )
    for outcome in outcomes:
        assert isinstance(outcome, Problem)
        assert outcome.code is Code.UNAVAILABLE
        assert outcome.retry_after is not None
        assert "full" not in outcome.detail
    raw.execute("PRAGMA max_page_count=1000000")
    await put(store, "p", {"_id": "c", "text": "x" * 100_000})
    assert await ids(store, "p") == ["a", "c"]


async def test_a_transaction_that_sqlite_has_ended_fails_its_group_alone(store) -> None:
    await put(store, "p", {"_id": "a"})

    def lose(document):
        store._writer._database.raw.execute("ROLLBACK")  # as SQLite does on some disk errors
        raise RuntimeError("lost")

    outcomes = await asyncio.gather(
        put(store, "p", {"_id": "b"}, {"_id": "c"}),
        write(store, change("p", "a", setting(n=1)), change("p", "a", lose)),
        return_exceptions=True,
    )
    assert [outcome.code for outcome in outcomes] == [Code.UNAVAILABLE, Code.UNAVAILABLE]
    await put(store, "p", {"_id": "d"})
    assert await ids(store, "p") == ["a", "d"]


async def test_a_transaction_of_another_program_makes_writes_unavailable(store, folder) -> None:
    await put(store, "p", {"_id": "a"})
    other = apsw.Connection(str(folder / "db.sqlite3"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Problem) as caught:
        await put(store, "p", {"_id": "b"})
    assert caught.value.code is Code.UNAVAILABLE
    assert await get(store, "p", "a") == {"_id": "a"}
    other.execute("ROLLBACK")
    other.close()
    await put(store, "p", {"_id": "b"})


async def test_the_loop_goes_round_while_another_process_holds_the_lock(store, folder) -> None:
    lock = FileLock(folder / "write.lock")
    lock.acquire()
    writing = asyncio.ensure_future(put(store, "p", {"_id": "a"}))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not writing.done()
    lock.release()
    await writing
    lock.close()
    assert await ids(store, "p") == ["a"]


async def test_a_write_of_many_documents_lets_the_loop_go_round(store) -> None:
    await put(store, "p", *({"_id": f"d{n:04d}", "n": 1} for n in range(1000)))
    step = change_many("p", eq("n", 1), setting(n=2), multi=True)
    writing = asyncio.ensure_future(write(store, step))
    turns = 0
    while not writing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 8
    assert len((await writing).results[0].written) == 1000


async def test_a_declaration_waits_its_turn_among_writes(store) -> None:
    writes = [put(store, "p", {"_id": f"a{n}", "n": n}) for n in range(50)]
    more = [put(store, "p", {"_id": f"b{n}", "n": [n]}) for n in range(50)]
    await asyncio.gather(*writes, store.declare(declared("p", index("n"))), *more)
    assert await ids(store, "p", eq("n", 7)) == ["a7", "b7"]


# -- several processes -----------------------------------------------------------------------------

start = subprocess.Popen  # blocks for a moment, which harms no test

COUNTER = """
import asyncio, json, sys
from pathlib import Path
from baas.engines.sqlite.store import SqliteStore
from baas.ports.documents import Change, Insert, WriteInfo
from baas.schema.values import encode

def more(document, lookups):
    return {**document, "n": document["n"] + 1}

async def main():
    store = SqliteStore(Path(sys.argv[1]), guest=True)
    await store.open()
    step = Change(collection="p", id="counter", apply=more)
    name = sys.argv[2]
    async def one(n):
        await store.write((step,), WriteInfo())
        row = {"_id": f"{name}{n}", "tags": [name] if n == 50 else name}
        body = encode(row)
        insert = Insert(collection="p", id=row["_id"], document=row, body=body)
        await store.write((insert,), WriteInfo())
    for start in range(0, 100, 10):
        await asyncio.gather(*(one(n) for n in range(start, start + 10)))
    await store.close()

asyncio.run(main())
"""


async def test_processes_lose_no_update_and_notice_each_others_arrays(
    store, folder, python
) -> None:
    await store.declare(declared("p", index("tags")))
    await put(store, "p", {"_id": "counter", "n": 0, "tags": "x"})
    head = store.feed.head()
    others = [start([*python, COUNTER, folder, name]) for name in ("a", "b")]
    done = 0
    while any(other.poll() is None for other in others):
        await write(store, change("p", "counter", lambda row: {**row, "n": row["n"] + 1}))
        done += 1
        assert await ids(store, "p", eq("tags", "x")) == ["counter"]
    assert [other.returncode for other in others] == [0, 0]
    assert await get(store, "p", "counter") == {"_id": "counter", "n": 200 + done, "tags": "x"}
    assert len(await ids(store, "p", eq("tags", "a"))) == 100
    assert len(store.feed.read(head, 10_000)) == 400 + done


async def test_waiting_on_the_feed_ends_with_another_processes_write(store, folder, python) -> None:
    await put(store, "p", {"_id": "counter", "n": 0})
    head = store.feed.head()
    waiting = asyncio.ensure_future(store.feed.wait(head, 60))
    other = start([*python, COUNTER, folder, "a"])
    assert await waiting is True
    assert await asyncio.to_thread(other.wait) == 0


WRITER = """
import asyncio, sys
from pathlib import Path
from baas.engines.sqlite.store import SqliteStore
from baas.ports.documents import Insert, WriteInfo
from baas.schema.values import encode

def insert(id):
    row = {"_id": id, "text": "x" * 500}
    return Insert(collection="p", id=id, document=row, body=encode(row))

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    async def client(name):
        n = 0
        while True:
            pair = (insert(f"{name}-{n}-a"), insert(f"{name}-{n}-b"))
            await store.write(pair, WriteInfo())
            sys.stdout.write(f"{name}-{n}\\n")
            sys.stdout.flush()
            n += 1
    await asyncio.gather(*(client(f"c{n}") for n in range(8)))

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 300])
async def test_a_killed_process_loses_nothing_it_acknowledged(folder, python, lines) -> None:
    child = start([*python, WRITER, folder], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = [child.stdout.readline().strip() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    acknowledged += [line.strip() for line in child.stdout if line.endswith("\n")]
    child.stdout.close()
    child.wait()

    store = SqliteStore(folder)
    await store.open()
    found = set(await ids(store, "p"))
    for name in acknowledged:
        assert {f"{name}-a", f"{name}-b"} <= found
    assert {id[:-2] for id in found if id.endswith("-a")} == {
        id[:-2] for id in found if id.endswith("-b")
    }
    epoch = store.feed.head().partition(".")[0]
    events = store.feed.read(f"{epoch}.0", 1_000_000)
    assert {event.id for event in (events if isinstance(events, list) else await events)} == found
    await store.close()
    connection = open_connection(folder / "db.sqlite3")
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    connection.close()
