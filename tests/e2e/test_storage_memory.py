"""A large file passes through a gateway; it does not stay there. `python -m bench.storage` does the
same with 1 GiB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from bench.run import Server
from bench.storage import RULES, Large
from tests.support.gateway import running, write_app
from tests.support.s3 import Server as Store
from tests.support.s3 import server_names

MIB = 200
#: What a file may add to the gateway, whatever its size, and what there may be in all.
GROWTH_MIB = 40
MOST_MIB = 150


@pytest.mark.parametrize("engine", ["local", *server_names()[:1]])
def test_memory_stays_bounded(
    tmp_path: Path, engine: str, s3_servers: Callable[[str], Store]
) -> None:
    write_app(tmp_path, {"rules/_storage.yaml": RULES})
    variables = {} if engine == "local" else s3_servers(engine).environment()
    with running(tmp_path, **variables) as gateway:
        server = Server(engine, httpx.URL(gateway.url).port or 80, gateway.process.pid)
        large = Large(server, gateway.sign_in(), MIB)

    assert max(large.most_up, large.most_down) < large.before + GROWTH_MIB
    assert max(large.most_up, large.most_down) < MOST_MIB
