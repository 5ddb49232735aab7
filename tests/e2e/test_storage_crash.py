"""kill -9 while files are completed, copied, moved and deleted, on the local disk and on S3: after
each, every path is as before the call that was under way or as after it, never between; what was
left behind is swept, and nothing else."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from baas.settings import LimitSettings, Settings, StorageSettings
from tests.support.app import Harness, running_app
from tests.support.gateway import Gateway, running, start_gateway, write_app
from tests.support.s3 import Server, server_names
from tests.support.storage import blobs_of, rows_of

RULES = "- {path: 'f/{x...}', read: true, write: auth != null, delete: auth != null}\n"
ROUNDS = 3
THREADS = 3
State = dict[str, bytes]


class Mover(threading.Thread):
    """Goes through its calls on paths of its own, again and again, until the gateway is gone.
    `before` and `after` are what the call under way begins with and leads to."""

    def __init__(self, gateway: Gateway, token: str, name: str, state: State, seed: int) -> None:
        super().__init__(daemon=True)
        self._url, self._token = gateway.url, token
        self._paths = [f"f/{name}/{place}" for place in range(3)]
        self.before = self.after = state
        self._random = random.Random(seed)
        self.done = 0

    def run(self) -> None:
        headers = {"authorization": f"Bearer {self._token}"}
        with httpx.Client(base_url=self._url, trust_env=False, headers=headers) as client:
            try:
                while True:
                    self._step(client)
                    self.before = self.after
                    self.done += 1
            except httpx.TransportError:
                return

    def _step(self, client: httpx.Client) -> None:
        one, other = self._random.sample(self._paths, 2)
        here = one in self.before
        kind = self._random.choice(("copy", "move", "delete", "complete") if here else ["complete"])
        after = dict(self.before)
        if kind == "complete":
            data = content(self._random)
            upload = self._send(client, one, data)
            after[one] = data
            self.after = after
            self._call(client, f"uploads/{upload}/complete", {})
            return
        if kind == "delete":
            del after[one]
        else:
            after[other] = after[one]
            if kind == "move":
                del after[one]
        self.after = after
        body: Any = {"from": one, "to": other}
        self._call(client, kind, {"files": [{"path": one}]} if kind == "delete" else body)

    def _send(self, client: httpx.Client, path: str, data: bytes) -> str:
        upload: str = self._call(client, "uploads", {"path": path, "size": len(data)})["uploadId"]
        half = len(data) // 2
        for number, part in enumerate((data[:half], data[half:]), 1):
            answer = client.post(f"/v1/storage/uploads/{upload}/parts/{number}", content=part)
            assert answer.status_code == 200, answer.text
        return upload

    def _call(self, client: httpx.Client, call: str, body: Any) -> Any:
        answer = client.post(f"/v1/storage/{call}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def found(self, client: httpx.Client) -> State:
        state = {}
        for path in self._paths:
            answer = client.get(f"/v1/storage/files/{path}")
            if answer.status_code != 404:
                assert answer.status_code == 200, answer.text
                state[path] = answer.content
        return state


def content(chance: random.Random) -> bytes:
    return hashlib.sha256(chance.randbytes(8)).digest() * chance.randint(1, 6_000)


@pytest.fixture(params=("local", *server_names()[:1]))
def storage(
    request: pytest.FixtureRequest, s3_servers: Callable[[str], Server]
) -> tuple[StorageSettings, dict[str, str]]:
    """Settings for this process, and the same for a gateway's environment."""
    if request.param == "local":
        return StorageSettings(), {}
    server = s3_servers(request.param)
    bucket = server.bucket()
    return server.settings(s3_bucket=bucket), server.environment(s3_bucket=bucket)


def test_each_call_has_happened_or_not(
    tmp_path: Path, storage: tuple[StorageSettings, dict[str, str]]
) -> None:
    settings, variables = storage
    write_app(tmp_path, {"baas.yaml": "app: {name: f}\n", "rules/_storage.yaml": RULES})
    unlimited = {"BAAS_LIMITS__RATE_WRITE": "off", "BAAS_LIMITS__RATE_AUTH": "off"}
    unlimited |= {"BAAS_STORAGE__UPLOADS_OPEN": "100000", **variables}
    states: list[State] = [{} for _ in range(THREADS)]
    chance = random.Random(11)
    for round_ in range(ROUNDS):
        movers: list[Mover] = []
        gateway = start_gateway(tmp_path, **unlimited)
        try:
            token = gateway.sign_in()
            for i, state in enumerate(states):
                movers.append(Mover(gateway, token, str(i), state, round_ * THREADS + i))
                movers[-1].start()
            enough = chance.randint(5, 12)
            for mover in movers:  # until each has come some way, wherever it then is
                while mover.is_alive() and mover.done < enough:
                    mover.join(chance.uniform(0.005, 0.03))
        finally:
            gateway.kill()
            gateway.close()
        with running(tmp_path, **unlimited) as again:
            for i, mover in enumerate(movers):
                mover.join(20)
                assert mover.done >= enough
                states[i] = mover.found(again.client)
                assert states[i] in (mover.before, mover.after)
    limits = LimitSettings(rate_auth="off", rate_read="off", rate_write="off")
    with running_app(tmp_path, Settings(limits=limits, storage=settings)) as app:
        check_nothing_is_left(app)


def check_nothing_is_left(app: Harness) -> None:
    sweeper = app.app.storage.sweeper
    used = {str(row["blob"]) for row in rows_of(app)}
    assert used <= set(blobs_of(app))

    app.run(sweeper.run_once(2**50))

    assert set(blobs_of(app)) == used
    assert app.run(sweeper.run_once(2**50)) == 0
