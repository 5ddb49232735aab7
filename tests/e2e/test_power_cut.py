"""kill -9 under a load of writes: what was acknowledged is there, and nothing is half done."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.support.gateway import NOTES_APP, Gateway, running, start_gateway, write_app

WRITERS = 6
ENOUGH = 150


class Load:
    """Writers of pairs of notes, each pair in one transaction, until the line goes dead."""

    def __init__(self, gateway: Gateway, token: str) -> None:
        self.acknowledged: list[str] = []
        self.enough = threading.Event()
        self._gateway = gateway
        self._token = token
        self._threads = [
            threading.Thread(target=self._write, args=(writer,)) for writer in range(WRITERS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _write(self, writer: int) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        with httpx.Client(base_url=self._gateway.url, headers=headers, trust_env=False) as client:
            for number in range(100_000):
                if not self._pair(client, f"w{writer}-{number}"):
                    return

    def _pair(self, client: httpx.Client, name: str) -> bool:
        pair = [
            {"collection": "notes", "verb": "insert", "document": {"_id": f"{name}-{half}"}}
            for half in ("a", "b")
        ]
        try:
            answer = client.post("/v1/database/transaction", json={"operations": pair})
        except httpx.TransportError:
            return False
        if answer.status_code != 200:
            return False
        self.acknowledged.append(name)
        if len(self.acknowledged) >= ENOUGH:
            self.enough.set()
        return True


def everything(gateway: Gateway, token: str) -> set[str]:
    """The ids of all notes, page by page."""
    found: set[str] = set()
    after = None
    while True:
        body = {"limit": 1000, "fields": {"_id": 1}, **({"after": after} if after else {})}
        page = gateway.post("/v1/database/notes/find", body, token=token).json()
        found |= {document["_id"] for document in page["documents"]}
        after = page["next"]
        if after is None:
            return found


def workers_of(gateway: Gateway) -> list[int]:
    pid = gateway.process.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are found in /proc")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_was_acknowledged_survives_and_nothing_is_half_done(
    tmp_path: Path, workers: str
) -> None:
    folder = write_app(tmp_path, NOTES_APP)
    unlimited = {"BAAS_LIMITS__RATE_WRITE": "off"}
    gateway = start_gateway(folder, "--workers", workers, **unlimited)
    token = gateway.sign_in()
    load = Load(gateway, token)
    load.start()
    assert load.enough.wait(30)
    for worker in workers_of(gateway):
        os.kill(worker, signal.SIGKILL)
    gateway.kill()
    load.join()
    gateway.client.close()
    assert gateway.process.stdout is not None
    gateway.process.stdout.close()
    with running(folder) as again:
        found = everything(again, token)
    acknowledged = set(load.acknowledged)
    assert {f"{name}-{half}" for name in acknowledged for half in ("a", "b")} <= found
    halves = {half: {id[:-2] for id in found if id.endswith(half)} for half in ("-a", "-b")}
    assert halves["-a"] == halves["-b"]
