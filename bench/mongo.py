"""Measures the gateway on MongoDB beside the same gateway on SQLite, in one interleaved run.

    python -m bench.mongo [--documents 1000] [--rounds 3] [--seconds 2] [--url mongodb://...]

What counts is the CPU of the gateway's process; the server is another. Without `--url` it is the
tests' one, in memory and in Java: then requests per second and latencies say nothing of MongoDB.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from bench.run import CONNECTIONS, OPERATIONS, Load, Result, Server, _prepare, gateway
from scripts import mongoserver

ENGINES: Final = ("sqlite", "mongo")


@contextmanager
def in_memory() -> Iterator[str]:
    """The address of the tests' server."""
    pipe = subprocess.PIPE
    with subprocess.Popen(mongoserver.command(), stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield f"mongodb://{process.stdout.readline().strip()}/?replicaSet=rs0"
        process.stdin.close()


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """For what is started meanwhile."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def settings_of(engine: str, url: str) -> dict[str, str]:
    if engine == "sqlite":
        return {}
    return {
        "BAAS_DATABASE__ENGINE": "mongo",
        "BAAS_DATABASE__MONGO_URL": url,
        "BAAS_DATABASE__MONGO_DATABASE": f"bench-{secrets.token_hex(6)}",
        "BAAS_SERVER__SECRET": secrets.token_urlsafe(48),
    }


@contextmanager
def started(folder: Path, engine: str, url: str, number: int) -> Iterator[tuple[Server, Load]]:
    with environment(settings_of(engine, url)):
        callers = _prepare(folder / engine, number, 1)
        with gateway(folder / engine, 1) as server:
            yield server, Load(number, callers)


def measure(
    servers: list[tuple[Server, Load]],
    operation: str,
    connections: int,
    rounds: int,
    seconds: float,
) -> None:
    runs: list[list[Result]] = [[] for _ in servers]
    for _ in range(rounds):
        for found, (server, load) in zip(runs, servers, strict=True):
            found.append(load.measure(server, operation, connections, seconds))
    cpu = [median(one.cpu_us for one in found) for found in runs]
    rate = [median(one.per_second for one in found) for found in runs]
    errors = sum(one.errors for found in runs for one in found)
    cells = [f"{value:.0f}" for value in cpu] + [f"{cpu[1] / cpu[0]:.1f}"]
    cells += [f"{value:,.0f}" for value in rate]
    row = f"| {operation} | {connections} | " + " | ".join(cells) + " |"
    print(row + (f" {errors} ERRORS" if errors else ""), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--url", help="a replica set (default: the tests' server)")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = options.url or stack.enter_context(in_memory())
        servers = [
            stack.enter_context(started(folder, engine, url, options.documents))
            for engine in ENGINES
        ]
        print("| operation | connections | sqlite us | mongo us | ratio | sqlite/s | mongo/s |")
        print("|---|---|---|---|---|---|---|")
        for operation in OPERATIONS:
            for connections in CONNECTIONS:
                measure(servers, operation, connections, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
