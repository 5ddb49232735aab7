"""kill -9 while files are uploaded and replaced: each path has one of the files that were sent to
it, whole, and never an older one than was acknowledged."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway import Gateway, running, start_gateway, write_app
from tests.support.s3 import Server, server_names

RULES = "- {path: 'f/{x}', read: true, write: auth != null}\n"
PATHS = [f"f/{i}" for i in range(3)]
ROUNDS = 3


class Uploader(threading.Thread):
    """Uploads version after version of one path until the gateway is gone."""

    def __init__(self, gateway: Gateway, token: str, path: str, version: int) -> None:
        super().__init__(daemon=True)
        self.url, self.token, self.path = gateway.url, token, path
        self.acknowledged = self.sent = version

    def run(self) -> None:
        headers = {"authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=self.url, trust_env=False, headers=headers) as client:
            try:
                while True:
                    self.sent += 1
                    files = {"file": ("f", content(self.path, self.sent))}
                    answer = client.post(
                        "/v1/storage/upload", data={"path": self.path}, files=files
                    )
                    if answer.status_code in (503, 504):
                        continue  # a busy machine: sent, and not acknowledged
                    assert answer.status_code == 200, answer.text
                    self.acknowledged = self.sent
            except httpx.TransportError:
                return


def content(path: str, version: int) -> bytes:
    seed = hashlib.sha256(f"{path} {version}".encode()).digest()
    return f"{version}\n".encode() + seed * 8_000


@pytest.mark.parametrize("engine", ["local", *server_names()[:1]])
def test_old_or_new_never_half(
    tmp_path: Path, engine: str, s3_servers: Callable[[str], Server]
) -> None:
    write_app(tmp_path, {"baas.yaml": "app: {name: f}\n", "rules/_storage.yaml": RULES})
    unlimited: dict[str, Any] = {"BAAS_LIMITS__RATE_WRITE": "off", "BAAS_LIMITS__RATE_AUTH": "off"}
    if engine != "local":
        unlimited |= s3_servers(engine).environment()
    versions = dict.fromkeys(PATHS, 0)
    pause = random.Random(3)
    for _ in range(ROUNDS):
        gateway = start_gateway(tmp_path, **unlimited)
        try:
            token = gateway.sign_in()
            threads = [Uploader(gateway, token, path, versions[path]) for path in PATHS]
            for thread in threads:
                thread.start()
            for thread in threads:  # until each has come some way, wherever it then is
                while thread.is_alive() and thread.acknowledged < versions[thread.path] + 3:
                    thread.join(pause.uniform(0.01, 0.05))
        finally:
            gateway.kill()
            gateway.close()
        with running(tmp_path, **unlimited) as again:
            for thread in threads:
                thread.join(20)
                found = again.client.get(f"/v1/storage/files/{thread.path}")
                assert found.status_code == 200, found.text
                version = int(found.content.partition(b"\n")[0])
                assert thread.acknowledged <= version <= thread.sent
                assert found.content == content(thread.path, version)
                versions[thread.path] = thread.sent
