"""Large files of functions in a bucket: streamed both ways, from the gateway and from a worker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, running, write_app
from tests.support.s3 import Server, server_names

MIB = 1024 * 1024
SIZE = 40 * MIB
#: What a file may add to the gateway, whatever its size.
GROWTH = 30 * MIB
APP = {
    "baas.yaml": "app: {name: files}\n",
    "rules/_functions.yaml": "'*': {invoke: true}\n",
    "functions/main.py": """
import hashlib
from baas import fn

def pieces(size):
    for number in range(0, size, 1 << 20):
        yield hashlib.sha256(str(number).encode()).digest() * (1 << 15)

@fn.event(timeout=100)
async def there_and_back(ctx, event):
    made = await ctx.storage.put("large", pieces(event["size"]))
    digest = hashlib.sha256()
    async with ctx.storage.open("large") as file:
        async for piece in file:
            digest.update(piece)
    async with ctx.storage.open("large", start=event["size"] - 5) as file:
        tail = await file.read()
    return {"hash": made["hash"], "read": digest.hexdigest(), "tail": tail.hex()}

@fn.event(timeout=100, isolation="process", name="in_a_worker")
def in_a_worker(ctx, event):
    made = ctx.storage.put("large", pieces(event["size"]))
    digest = hashlib.sha256()
    with ctx.storage.open("large") as file:
        for piece in file:
            digest.update(piece)
    with ctx.storage.open("large", start=event["size"] - 5) as file:
        tail = file.read()
    return {"hash": made["hash"], "read": digest.hexdigest(), "tail": tail.hex()}
""",
}


def most_memory(gateway: Gateway) -> int:
    """Bytes that it had at most so far."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize(
    ("function", "server"),
    [*(("there_and_back", name) for name in server_names()), ("in_a_worker", server_names()[0])],
)
def test_a_large_file_goes_through_ctx_storage(
    tmp_path: Path, s3_servers: Callable[[str], Server], function: str, server: str
) -> None:
    block = b"".join(
        hashlib.sha256(str(n).encode()).digest() * (1 << 15) for n in range(0, SIZE, MIB)
    )
    with running(write_app(tmp_path, APP), **s3_servers(server).environment()) as gateway:
        small = gateway.client.post(f"/v1/functions/{function}", json={"size": MIB}, timeout=100)
        assert small.status_code == 200, small.text
        before = most_memory(gateway)
        answer = gateway.client.post(f"/v1/functions/{function}", json={"size": SIZE}, timeout=100)
        found = answer.json()
        assert found["hash"] == found["read"] == hashlib.sha256(block).hexdigest()
        assert found["tail"] == block[-5:].hex()
        assert most_memory(gateway) - before < GROWTH
