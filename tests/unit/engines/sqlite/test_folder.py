"""The data folder: who may open it, what lies in it, which format it has."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from pathlib import Path

import apsw
import pytest

from baas.engines.sqlite.lock import FileLock
from baas.engines.sqlite.migrate import FORMAT, prepare_folder
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Code, ConfigurationError, Problem
from baas.ports.jobs import NewJob
from baas.settings import DatabaseSettings
from tests.support.stores import ids, put

pytestmark = pytest.mark.anyio


async def test_a_second_owner_is_refused_and_told_who_the_first_is(store, folder) -> None:
    other = SqliteStore(folder)
    with pytest.raises(ConfigurationError, match=f"process {os.getpid()}"):
        await other.open()
    await put(store, "p", {"_id": "a"})


async def test_another_process_is_refused_too(store, folder, python) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from baas.engines.sqlite.store import SqliteStore\n"
        "asyncio.run(SqliteStore(Path(sys.argv[1])).open())"
    )
    done = await asyncio.to_thread(
        subprocess.run, [*python, code, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert f"is in use by process {os.getpid()}" in done.stderr


async def test_guests_and_workers_join_and_see_each_others_writes(store, folder) -> None:
    guest = SqliteStore(folder, guest=True)
    worker = SqliteStore(folder, shared=True)
    await guest.open()
    await worker.open()
    await put(guest, "p", {"_id": "a", "n": 1})
    await put(worker, "q", {"_id": "b"})
    await put(store, "p", {"_id": "c"})
    for one in (store, guest, worker):
        assert await ids(one, "p") == ["a", "c"]
        assert await ids(one, "q") == ["b"]
    await guest.close()
    await put(store, "p", {"_id": "d"})
    await worker.close()


async def test_the_folder_is_free_after_close(folder) -> None:
    for _ in range(2):
        store = SqliteStore(folder)
        await store.open()
        await store.close()


async def test_pragmas_are_what_durability_needs(store, folder) -> None:
    writer = store._writer._database.raw
    await put(store, "p", {"_id": "a"})
    wanted = {"journal_mode": "wal", "synchronous": 2, "wal_autocheckpoint": 0}
    assert {name: writer.execute(f"PRAGMA {name}").get for name in wanted} == wanted
    outside = apsw.Connection(str(folder / "db.sqlite3"), flags=apsw.SQLITE_OPEN_READONLY)
    assert outside.execute("PRAGMA journal_mode").get == "wal"
    assert outside.execute("PRAGMA user_version").get == FORMAT
    assert outside.execute("PRAGMA application_id").get == 0x62616173
    outside.close()


async def test_normal_durability_is_asked_for(folder) -> None:
    store = SqliteStore(folder, DatabaseSettings(durability="normal"))
    await store.open()
    assert store._writer._database.raw.execute("PRAGMA synchronous").get == 1
    await store.close()


async def test_close_leaves_no_thread_and_no_descriptor(tmp_path) -> None:
    async def use(folder: Path) -> None:
        store = SqliteStore(folder)
        await store.open()
        await put(store, "p", *({"_id": f"d{n}"} for n in range(50)))
        async with store.snapshot() as reader:
            await reader_count(reader)
        await store.close()

    await use(tmp_path / "first")  # asyncio's own threads start with the first use
    await use(tmp_path / "second")
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    await use(tmp_path / "third")
    added = set(threading.enumerate()) - threads
    assert len(added) <= 1  # asyncio may add one to its own
    assert not [thread.name for thread in added if thread.name.startswith("baas-")]
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert sorted(path.name for path in (tmp_path / "third").iterdir()) == [
        "FORMAT", "db.sqlite3", "lock", "write.lock",
    ]  # fmt: skip


async def reader_count(reader) -> None:
    found = reader.count("p")
    assert (found if isinstance(found, int) else await found) == 50


async def test_a_store_that_cannot_open_leaves_nothing_open(folder) -> None:
    folder.mkdir()
    (folder / "db.sqlite3").write_bytes(b"this is no database" * 100)
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    store = SqliteStore(folder)
    with pytest.raises(ConfigurationError):
        await store.open()
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert threading.active_count() <= threads + 1  # asyncio.to_thread's own


async def test_memory_leaves_no_folder_behind() -> None:
    store = SqliteStore.memory()
    await store.open()
    place = store.folder
    await put(store, "p", {"_id": "a"})
    assert place.exists()
    await store.close()
    assert not place.exists()


async def test_a_closed_store_is_unavailable(folder) -> None:
    store = SqliteStore(folder)
    await store.open()
    await put(store, "p", {"_id": "a"})
    await store.close()
    for read in (lambda: store.get("p", "a"), store.ping, lambda: store.count("p")):
        with pytest.raises(Problem) as caught:
            read()
        assert caught.value.code is Code.UNAVAILABLE


# -- format ----------------------------------------------------------------------------------------


def set_format(folder: Path, version: int) -> None:
    connection = apsw.Connection(str(folder / "db.sqlite3"))
    connection.execute(f"PRAGMA user_version={version}")
    connection.close()


async def make(folder: Path) -> None:
    store = SqliteStore(folder)
    await store.open()
    await put(store, "p", {"_id": "a"})
    await store.close()


async def test_the_format_is_written_down(folder) -> None:
    await make(folder)
    assert (folder / "FORMAT").read_text() == f"{FORMAT}\n"


async def test_a_newer_format_is_refused(folder) -> None:
    await make(folder)
    set_format(folder, 99)
    with pytest.raises(ConfigurationError, match="format 99"):
        await SqliteStore(folder).open()


async def test_an_older_format_is_upgraded_after_a_copy(folder) -> None:
    await make(folder)
    steps = []
    migrations = {
        FORMAT: lambda connection: steps.append(1),
        FORMAT + 1: lambda connection: connection.execute("CREATE TABLE two(x)"),
    }
    lock = FileLock(folder / "write.lock")
    prepare_folder(folder, lock, migrations=migrations, target=FORMAT + 2)
    prepare_folder(folder, lock, migrations=migrations, target=FORMAT + 2)
    lock.close()
    assert steps == [1]
    assert (folder / "FORMAT").read_text() == f"{FORMAT + 2}\n"
    copy = apsw.Connection(str(folder / f"db.sqlite3.format-{FORMAT}"))
    assert copy.execute("PRAGMA user_version").get == FORMAT
    assert copy.execute("SELECT count(*) FROM sqlite_schema WHERE name='two'").get == 0
    copy.close()


async def test_format_1_had_no_jobs(folder) -> None:
    await make(folder)
    connection = apsw.Connection(str(folder / "db.sqlite3"))
    connection.execute("DROP TABLE baas_jobs; DROP TABLE baas_marks; PRAGMA user_version=1")
    connection.close()
    store = SqliteStore(folder)
    await store.open()
    job = NewJob(id="a", queue="q", kind="k", payload=b"", due_ms=0)
    assert await store.jobs.add([job]) == ["a"]
    assert await ids(store, "p") == ["a"]
    await store.close()


async def test_an_upgrade_that_fails_changes_nothing(folder) -> None:
    await make(folder)

    def fail(connection: apsw.Connection) -> None:
        connection.execute("CREATE TABLE half(x)")
        raise RuntimeError("no")

    lock = FileLock(folder / "write.lock")
    with pytest.raises(RuntimeError):
        prepare_folder(folder, lock, migrations={FORMAT: fail}, target=FORMAT + 1)
    lock.close()
    store = SqliteStore(folder)
    await store.open()
    assert await ids(store, "p") == ["a"]
    await store.close()


async def test_another_programs_database_is_left_alone(folder) -> None:
    folder.mkdir()
    foreign = apsw.Connection(str(folder / "db.sqlite3"))
    foreign.execute("CREATE TABLE theirs(x)")
    foreign.close()
    with pytest.raises(ConfigurationError, match="not a database of this kit"):
        await SqliteStore(folder).open()
