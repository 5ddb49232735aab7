"""Backup of a live database, and the way back."""

from __future__ import annotations

import asyncio

import pytest

from baas.engines.sqlite.backup import restore
from baas.engines.sqlite.store import SqliteStore
from baas.errors import ConfigurationError
from baas.ports.changes import CursorTooOld
from tests.support.stores import declared, eq, find, ids, index, put

pytestmark = pytest.mark.anyio


async def test_a_backup_of_a_live_store_is_of_one_moment(store, tmp_path) -> None:
    stop = False

    async def writer() -> int:
        n = 0
        while not stop:
            await put(store, "p", {"_id": f"a{n}"}, {"_id": f"b{n}"})
            n += 1
        return n

    await put(store, "p", *({"_id": f"{side}x{n}"} for n in range(100) for side in "ab"))
    writing = asyncio.ensure_future(writer())
    await asyncio.sleep(0)
    await store.backup(tmp_path / "copy")
    stop = True
    assert await writing > 0
    restore(tmp_path / "copy", tmp_path / "other")
    other = SqliteStore(tmp_path / "other")
    await other.open()
    found = await ids(other, "p")
    assert len(found) >= 200
    assert {id[1:] for id in found if id[0] == "a"} == {id[1:] for id in found if id[0] == "b"}
    await other.close()
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy"]


async def test_a_restored_store_has_documents_and_indexes_but_no_old_cursors(
    store, tmp_path
) -> None:
    await store.declare(declared("p", index("n", unique=True), index("o")))
    await put(store, "p", {"_id": "a", "n": 1, "o": {"x": [1]}}, {"_id": "b", "n": [2]})
    cursor = store.feed.head()
    await store.backup(tmp_path / "copy")
    restore(tmp_path / "copy", tmp_path / "other")
    other = SqliteStore(tmp_path / "other")
    await other.open()
    assert await find(other, "p", eq("n", 2)) == [{"_id": "b", "n": [2]}]
    with pytest.raises(CursorTooOld):
        other.feed.read(cursor)
    await put(other, "p", {"_id": "c"})
    await other.close()


async def test_restoring_keeps_what_was_there_beside_it(folder, tmp_path) -> None:
    for name in ("old", "new"):
        store = SqliteStore(folder if name == "old" else tmp_path / "source")
        await store.open()
        await put(store, "p", {"_id": name})
        await store.backup(tmp_path / name)
        await store.close()
    restore(tmp_path / "new", folder)
    store = SqliteStore(folder)
    await store.open()
    assert await ids(store, "p") == ["new"]
    await store.close()
    assert (folder / "db.sqlite3.before-restore").exists()


async def test_a_folder_in_use_is_not_restored_into(store, folder, tmp_path) -> None:
    await put(store, "p", {"_id": "a"})
    await store.backup(tmp_path / "copy")
    with pytest.raises(ConfigurationError, match="in use"):
        restore(tmp_path / "copy", folder)
    assert await ids(store, "p") == ["a"]


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 1000])
async def test_what_is_no_backup_changes_nothing(folder, tmp_path, content) -> None:
    store = SqliteStore(folder)
    await store.open()
    await put(store, "p", {"_id": "a"})
    await store.close()
    if content is not None:
        (tmp_path / "copy").write_bytes(content)
    with pytest.raises(ConfigurationError):
        restore(tmp_path / "copy", folder)
    store = SqliteStore(folder)
    await store.open()
    assert await ids(store, "p") == ["a"]
    await store.close()


async def test_a_damaged_backup_is_noticed(store, folder, tmp_path) -> None:
    await store.declare(declared("p", index("n")))
    await put(store, "p", *({"_id": f"d{n:04d}", "n": n, "t": "x" * 50} for n in range(500)))
    await store.backup(tmp_path / "copy")
    content = bytearray((tmp_path / "copy").read_bytes())
    for place in range(4096 * 4, len(content), 4096):
        content[place : place + 64] = b"\xff" * 64
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(ConfigurationError):
        restore(tmp_path / "copy", tmp_path / "other")
    assert not (tmp_path / "other" / "db.sqlite3").exists()


async def test_a_backup_that_cannot_be_written_says_so(store, tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        await store.backup(tmp_path / "nowhere" / "copy")
