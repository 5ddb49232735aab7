"""A backup of a gateway that is being written to is one moment of it, and comes up elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.gateway import Gateway, running, write_app
from tests.support.writers import LOAD_APP, MOVES, UNLIMITED, Load

COMMAND = (sys.executable, "-m", "baas")
WAIT_SECONDS = 60


def backup(gateway: Gateway, file: Path) -> None:
    subprocess.run(
        [*COMMAND, "backup", str(file), "--data", gateway.data],
        cwd=gateway.folder,
        check=True,
        capture_output=True,
        timeout=WAIT_SECONDS,
    )


def restore(folder: Path, file: Path) -> None:
    subprocess.run(
        [*COMMAND, "restore", str(file)],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=WAIT_SECONDS,
    )


def moves(gateway: Gateway, token: str) -> httpx.Response:
    return gateway.post("/v1/database/shared/get", {"id": MOVES}, token=token)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_backup_under_load_is_one_moment(tmp_path: Path, workers: str) -> None:
    first, second = (write_app(tmp_path / name, LOAD_APP) for name in ("first", "second"))
    file = tmp_path / "backup.tar"
    with running(first, "--workers", workers, **UNLIMITED) as gateway:
        load = Load(gateway, gateway.sign_in(), seed=int(workers), count=4)
        load.start(gateway)
        try:
            load.wait_for(100)
            before = [len(writer.history) for writer in load.writers]
            backup(gateway, file)
            after = [len(writer.history) for writer in load.writers]
            load.wait_for(20)
        finally:
            load.halt.set()
            load.join()
    assert sum(after) > sum(before), "nothing was written meanwhile"
    restore(second, file)
    with running(second, **UNLIMITED) as gateway:
        tallies = 0
        for writer, least, most in zip(load.writers, before, after, strict=True):
            writer.connect(gateway.url, load.token)
            found = writer.found()
            # One more than were answered when the backup ended may have been committed.
            assert found in writer.history[least - 1 : most + 1]
            tallies += found[writer.tally]["n"]
            writer.client.close()
        assert moves(gateway, load.token).json()["n"] == tallies
        more = {"document": {"w": -1}}
        written = gateway.post("/v1/database/load/insert", more, token=load.token)
        assert written.status_code == 200, written.text
