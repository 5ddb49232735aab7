"""No room left on the disk: writes say that they cannot be done, reads go on, and once there is
room again so do writes. A limit on the size of the process's files stands in for the disk."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import NOTES_APP, Gateway, running, wait_until, write_app
from tests.support.outside import Caller, refusal, somebody

ROOM = 600 * 1024
TEXT = "x" * 50_000
UNLIMITED = resource.RLIM_INFINITY


def limit_files(gateway: Gateway, size: int) -> None:
    _, hard = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (size, hard))


def insert_two(who: Caller, name: str) -> Any:
    documents = [{"_id": f"{name}-{half}", "text": TEXT} for half in ("a", "b")]
    return who.ask("notes", "insert", documents=documents)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process: Linux alone")
def test_a_full_disk_refuses_writes_and_loses_none(tmp_path: Path) -> None:
    write_app(tmp_path, NOTES_APP)
    with running(tmp_path) as gateway:
        who = somebody(gateway)
        kept, refused = [], []
        assert insert_two(who, "first").status_code == 200
        largest = max(file.stat().st_size for file in (tmp_path / "data").iterdir())
        limit_files(gateway, largest + ROOM)
        for number in range(40):
            answer = insert_two(who, f"n{number}")
            (kept if answer.status_code == 200 else refused).append((f"n{number}", answer))
        assert kept
        assert refused
        for _, answer in refused:
            assert refusal(answer) == (503, "UNAVAILABLE")
            assert int(answer.headers["retry-after"]) >= 1
        assert len(who.ids("notes", fields={"_id": 1})) == 2 * (len(kept) + 1)

        limit_files(gateway, UNLIMITED)
        wait_until(lambda: insert_two(who, "again").status_code == 200)
    with running(tmp_path) as gateway:
        found = set(Caller(gateway, who.token).ids("notes", fields={"_id": 1}))
    names = ["first", "again", *(name for name, _ in kept)]
    assert found == {f"{name}-{half}" for name in names for half in ("a", "b")}
