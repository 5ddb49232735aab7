"""Measures the gateway beside the floor, in one interleaved run.

    python -m bench.run [--documents 100000] [--rounds 5] [--seconds 3] [--only get,list]

For every operation, and for 1 and 64 connections, floor and gateway take turns, `--rounds` times.
CPU is what the server process itself used (user and system, all its threads) per request; the
ratio is the median of the rounds' ratios, so that a slow moment of the machine hits both. A last
table shows what reads cost their callers while 64 connections write.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any, Final

import msgspec

from bench.documents import content, document_id, documents, positions_of

HERE: Final = Path(__file__).parent
REPOSITORY: Final = HERE.parent
OPERATIONS: Final = ("get", "list", "insert", "update")
CONNECTIONS: Final = (1, 64)
REQUESTS_EACH: Final = 100
WARM_UP_SECONDS: Final = 0.5
READERS_BESIDE: Final = 4
TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Caller:
    uid: str
    token: str


@dataclass(frozen=True)
class Server:
    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Of the process and all its threads, and of its child processes (workers)."""
        return sum(_cpu_seconds(pid) for pid in _family(self.pid))

    def rss_mib(self) -> float:
        status = "".join(Path(f"/proc/{pid}/status").read_text() for pid in _family(self.pid))
        return sum(int(found) for found in re.findall(r"VmRSS:\s+(\d+)", status)) / 1024


@dataclass(frozen=True)
class Result:
    cpu_us: float
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


# -- the two servers ------------------------------------------------------------------------------


def _spawn(
    *command: str, cwd: Path = REPOSITORY, log: IO[bytes] | None = None
) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=log,
    )


@contextmanager
def floor(folder: Path, number: int, callers: list[Caller]) -> Iterator[Server]:
    tokens = folder / "tokens.json"
    tokens.write_text(json.dumps({caller.token: caller.uid for caller in callers}))
    options = ("--data", str(folder), "--documents", str(number), "--tokens", str(tokens))
    with spawned("floor", "bench.floor", *options) as server:
        yield server


@contextmanager
def spawned(name: str, *command: str) -> Iterator[Server]:
    """A server of this folder, which prints its port first of all."""
    process = _spawn(*command)
    try:
        assert process.stdout is not None
        yield Server(name, json.loads(process.stdout.readline())["port"], process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def gateway(app: Path, workers: int) -> Iterator[Server]:
    """Logging stays on: to a file beside the app, as an operator would have it."""
    with (app / "gateway.log").open("ab") as log:
        options = ("--port", "0", "--workers", str(workers))
        process = _spawn("baas", "serve", *options, cwd=app, log=log)
        try:
            assert process.stdout is not None
            yield Server("baas", _announced_port(process.stdout, Path(log.name)), process.pid)
        finally:
            process.terminate()
            process.wait()


def _announced_port(output: IO[str], log: Path) -> int:
    """Of the banner's first line; the rest of it fits into the pipe."""
    for line in output:
        if found := re.search(r"http://[^:/\s]+:(\d+)", line):
            return int(found.group(1))
    raise SystemExit(f"the gateway did not start: {log.read_text()[-2000:]}")


def _prepare(app: Path, number: int, callers_wanted: int) -> list[Caller]:
    """Signs the callers in, then imports documents that belong to them."""
    shutil.copytree(HERE / "app", app)
    with gateway(app, 1) as server:
        callers = [sign_in(server.port) for _ in range(callers_wanted)]
    lines = app / "notes.jsonl"
    with lines.open("wb") as file:
        for document in documents(number, [caller.uid for caller in callers]):
            file.write(msgspec.json.encode(document) + b"\n")
    done = _spawn("baas", "data", "import", str(lines), "--collection", "notes", cwd=app)
    if done.wait():
        raise SystemExit("the import failed")
    return callers


def sign_in(port: int) -> Caller:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/auth/sign-in/anonymous",
        data=b"{}",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        session = json.load(answer)
    return Caller(session["user"]["uid"], session["accessToken"])


# -- the load -------------------------------------------------------------------------------------


def _request(verb: str, caller: Caller, body: dict[str, Any]) -> str:
    text = json.dumps(body, separators=(",", ":"))
    return (
        f"POST /v1/database/notes/{verb} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {caller.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(text)}\r\n\r\n{text}"
    )


def _requests(operation: str, number: int, owner: int, caller: Caller) -> list[str]:
    positions = positions_of(owner, number)[:REQUESTS_EACH]
    if operation == "list":
        return [_request("find", caller, {"sort": {"_createTime": -1}, "limit": 20})]
    if operation == "insert":
        return [_request("insert", caller, {"document": content(p)}) for p in positions]
    if operation == "get":
        return [_request("get", caller, {"id": document_id(p)}) for p in positions]
    changes = [{"$set": {"stars": p % 7, "title": f"changed {p}"}} for p in positions]
    return [
        _request("update", caller, {"id": document_id(p), "update": change})
        for p, change in zip(positions, changes, strict=True)
    ]


class Load:
    """Plans and runs load generators against one set of documents."""

    def __init__(self, number: int, callers: list[Caller]) -> None:
        self._number = number
        self._callers = callers

    def measure(self, server: Server, operation: str, connections: int, seconds: float) -> Result:
        self.start(server, operation, connections, WARM_UP_SECONDS).communicate()
        before = server.cpu_seconds()
        found = self.finish(self.start(server, operation, connections, seconds))
        cpu = server.cpu_seconds() - before
        return Result(
            cpu_us=cpu / found["requests"] * 1e6,
            per_second=found["requests"] / found["seconds"],
            p50_ms=found["p50_ms"],
            p99_ms=found["p99_ms"],
            errors=found["errors"],
        )

    def start(
        self, server: Server, operation: str, connections: int, seconds: float
    ) -> subprocess.Popen[str]:
        plan = {
            "host": "127.0.0.1",
            "port": server.port,
            "seconds": seconds,
            "connections": [self._requests(operation, one) for one in range(connections)],
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(plan))
        process.stdin.close()
        process.stdin = None
        return process

    def _requests(self, operation: str, connection: int) -> list[str]:
        """Connections of one caller begin at different places, lest they go in step."""
        owner = connection % len(self._callers)
        requests = _requests(operation, self._number, owner, self._callers[owner])
        turn = connection * 7 % len(requests)
        return requests[turn:] + requests[:turn]

    @staticmethod
    def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
        output, _ = process.communicate()
        result: dict[str, Any] = json.loads(output)
        return result


# -- the tables -----------------------------------------------------------------------------------


def compare(
    load: Load, servers: list[Server], operations: list[str], rounds: int, seconds: float
) -> None:
    print(
        "| operation | connections | floor us | baas us | ratio | floor/s | baas/s "
        "| baas p50 ms | baas p99 ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for operation in operations:
        for connections in CONNECTIONS:
            runs: dict[str, list[Result]] = {server.name: [] for server in servers}
            for turn in range(rounds):
                for server in servers if turn % 2 == 0 else reversed(servers):
                    runs[server.name].append(load.measure(server, operation, connections, seconds))
            _print_row(operation, connections, runs["floor"], runs["baas"])


def _print_row(operation: str, connections: int, low: list[Result], own: list[Result]) -> None:
    ratio = median(b.cpu_us / a.cpu_us for a, b in zip(low, own, strict=True))
    errors = sum(one.errors for one in (*low, *own))
    cells = [
        operation,
        str(connections),
        f"{median(one.cpu_us for one in low):.0f}",
        f"{median(one.cpu_us for one in own):.0f}",
        f"{ratio:.2f}",
        f"{median(one.per_second for one in low):,.0f}",
        f"{median(one.per_second for one in own):,.0f}",
        f"{median(one.p50_ms for one in own):.2f}",
        f"{median(one.p99_ms for one in own):.2f}",
    ]
    print("| " + " | ".join(cells) + " |" + (f" {errors} ERRORS" if errors else ""), flush=True)


def beside_writers(load: Load, servers: list[Server], rounds: int, seconds: float) -> None:
    """What reads feel while 64 connections insert."""
    print(
        f"\n| with 64 writers beside it ({READERS_BESIDE} connections read) "
        "| floor p50 ms | floor p99 | baas p50 | baas p99 |"
    )
    print("|---|---|---|---|---|")
    for operation in ("get", "list", "insert"):
        cells = []
        for server in servers:
            found = [_beside(load, server, operation, seconds) for _ in range(rounds)]
            cells += [f"{median(one[key] for one in found):.2f}" for key in ("p50_ms", "p99_ms")]
        print(f"| {operation} | " + " | ".join(cells) + " |", flush=True)


def _beside(load: Load, server: Server, operation: str, seconds: float) -> dict[str, Any]:
    writers = load.start(server, "insert", CONNECTIONS[-1], seconds + 2 * WARM_UP_SECONDS)
    if operation == "insert":
        return load.finish(writers)
    result = load.finish(load.start(server, operation, READERS_BESIDE, seconds))
    load.finish(writers)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--workers", type=int, default=1, help="gateway processes")
    parser.add_argument("--callers", type=int, default=1, help="users that share the connections")
    parser.add_argument("--only", default=",".join(OPERATIONS), help="operations, with commas")
    parser.add_argument("--folder", type=Path, help="where data is made (default: a temporary one)")
    options = parser.parse_args()
    operations = [name for name in options.only.split(",") if name in OPERATIONS]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        callers = _prepare(folder / "app", options.documents, options.callers)
        servers = [
            stack.enter_context(floor(folder, options.documents, callers)),
            stack.enter_context(gateway(folder / "app", options.workers)),
        ]
        load = Load(options.documents, callers)
        print(f"{options.documents:,} documents, {options.rounds} rounds of {options.seconds} s\n")
        compare(load, servers, operations, options.rounds, options.seconds)
        beside_writers(load, servers, options.rounds, options.seconds)
        print(f"\nMemory of the gateway afterwards: {servers[1].rss_mib():.0f} MiB")


if __name__ == "__main__":
    main()
