"""A load generator that costs less than what it measures: raw sockets, keep-alive, no pipelining.

    python -m bench.load < plan.json

The plan: {"host", "port", "seconds", "connections": [[request, ...], ...]}: each connection sends
its own list of complete HTTP requests, over and over, the next one when the last was answered.
Prints {"requests", "seconds", "errors", "p50_ms", "p99_ms"}; `errors` counts answers that were
not 200. The first of them is shown on stderr.
"""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from time import perf_counter
from typing import Any

import uvloop


class Connection(asyncio.Protocol):
    """One client: sends, reads one whole answer, notes how long it took, sends again."""

    def __init__(self, requests: list[bytes], until: list[float], done: asyncio.Event) -> None:
        self.requests = requests
        self.latencies: list[float] = []
        self.errors = 0
        self._next = 0
        self._until = until
        self._done = done
        self._buffer = b""
        self._sent = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def send(self) -> None:
        self._sent = perf_counter()
        self._transport.write(self.requests[self._next])
        self._next = (self._next + 1) % len(self.requests)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        head = buffer.find(b"\r\n\r\n")
        if head < 0 or len(buffer) < head + 4 + _content_length(buffer, head):
            self._buffer = buffer
            return
        self._buffer = b""
        now = perf_counter()
        self.latencies.append(now - self._sent)
        if buffer[9:12] != b"200":
            self._failed(buffer)
        if now < self._until[0]:
            self.send()
        else:
            self._done.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.is_set():
            self._failed(b"the connection was closed")
            self._done.set()

    def _failed(self, answer: bytes) -> None:
        if not self.errors:
            print(answer.decode(errors="replace"), file=sys.stderr)
        self.errors += 1


def _content_length(buffer: bytes, head: int) -> int:
    start = buffer.lower().find(b"content-length:", 0, head)
    if start < 0:
        raise ValueError("an answer without content-length")
    end = buffer.find(b"\r", start)
    return int(buffer[start + 15 : end])


async def run(plan: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    until = [0.0]
    connections: list[Connection] = []
    for texts in plan["connections"]:
        requests = [text.encode() for text in texts]
        connection = Connection(requests, until, asyncio.Event())
        await loop.create_connection(partial(_same, connection), plan["host"], plan["port"])
        connections.append(connection)
    start = perf_counter()
    until[0] = start + plan["seconds"]
    for connection in connections:
        connection.send()
    for connection in connections:
        await connection._done.wait()
    return _summary(connections, perf_counter() - start)


def _same(connection: Connection) -> Connection:
    return connection


def _summary(connections: list[Connection], seconds: float) -> dict[str, Any]:
    latencies = sorted(value for one in connections for value in one.latencies) or [0.0]
    return {
        "requests": len(latencies),
        "seconds": seconds,
        "errors": sum(one.errors for one in connections),
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000,
    }


def main() -> None:
    plan = json.load(sys.stdin)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(plan))))


if __name__ == "__main__":
    main()
