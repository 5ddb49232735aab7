"""Files through the gateway beside a bare file server: 1 MiB, small files, and one large file.

    python -m bench.storage [--engine local,versitygw,minio] [--large 1024] [--rounds 5]

`--large` MiB go up as a form and down again while the memory of the gateway is looked at. CPU is
what the server process itself used, user and system; the S3 server's own is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final
from unittest.mock import patch

from bench.run import Caller, Load, Server, _spawn, gateway, sign_in
from tests.support.s3 import serving

MIB: Final = 1024**2
SMALL: Final = 10 * 1024
SMALL_SECONDS: Final = 1.5
RULES: Final = "- {path: 'f/{name}', read: true, write: auth != null}\n"
_BOUNDARY: Final = "x-bench-boundary"


class Client:
    """One connection that is kept; every request is checked to be answered with 200."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._buffer = bytearray(MIB)

    def close(self) -> None:
        self._socket.close()

    def send(self, head: str, body: Iterator[bytes]) -> None:
        self._socket.sendall(head.encode())
        for piece in body:
            self._socket.sendall(piece)
        self._read()

    def get(self, path: str) -> int:
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return self._read()

    def _read(self) -> int:
        """The answer's length."""
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self._socket.recv(64 * 1024)
            if not piece:
                raise SystemExit(f"the connection was closed: {head!r}")
            head += piece
        if head[9:12] != b"200":
            raise SystemExit(head.decode(errors="replace"))
        lines, _, rest = head.partition(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", lines, re.IGNORECASE)
        assert found is not None
        left = int(found[1]) - len(rest)
        while left > 0:
            left -= self._socket.recv_into(self._buffer)
        return int(found[1])


def form(path: str, size: int, token: str) -> tuple[str, Iterator[bytes]]:
    """Head and body of an upload."""
    before = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="path"\r\n\r\n{path}\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    after = f"\r\n--{_BOUNDARY}--\r\n".encode()
    head = (
        "POST /v1/storage/upload HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
        f"Content-Length: {len(before) + size + len(after)}\r\n\r\n"
    )

    def body() -> Iterator[bytes]:
        yield before
        piece = os.urandom(min(size, MIB))
        for start in range(0, size, MIB):
            yield piece[: min(MIB, size - start)]
        yield after

    return head, body()


def plain(size: int) -> tuple[str, Iterator[bytes]]:
    head = f"POST /f/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n"
    return head, iter([os.urandom(size)])


class Peak:
    """The most memory that a server has had between `start` and `stop`, in MiB."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self.before = self.most = server.rss_mib()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, self._server.rss_mib())

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._over.set()
        self._thread.join()


class Large:
    """What one large file did: seconds and CPU up and down, memory before and at most."""

    def __init__(self, server: Server, token: str, mib: int) -> None:
        client = Client(server.port)
        with Peak(server) as up:
            self.up = _timed(server, lambda: client.send(*form("f/large", mib * MIB, token)))
        with Peak(server) as down:
            self.down = _timed(server, lambda: client.get("/v1/storage/files/f/large"))
        client.close()
        self.before, self.most_up, self.most_down = up.before, up.most, down.most


def _timed(server: Server, step: Callable[[], Any]) -> tuple[float, float]:
    """(seconds, CPU seconds of the server)."""
    cpu, started = server.cpu_seconds(), time.perf_counter()
    step()
    return time.perf_counter() - started, server.cpu_seconds() - cpu


# -- servers --------------------------------------------------------------------------------------


@contextmanager
def files_gateway(folder: Path, engine: str) -> Iterator[tuple[Server, str]]:
    """A gateway with an app that has files, and a token for it."""
    (folder / "rules").mkdir(parents=True)
    (folder / "baas.yaml").write_text(
        "app: {name: bench}\nstorage: {file_bytes: 4294967296}\n"
        "limits: {rate_read: off, rate_write: off, rate_auth: off}\n"
    )
    (folder / "rules" / "_storage.yaml").write_text(RULES)
    with ExitStack() as stack:
        variables: dict[str, str] = {}
        if engine != "local":
            store = stack.enter_context(serving(engine, folder / "s3" / engine))
            variables = store.environment()
        with patch.dict(os.environ, variables):
            server = stack.enter_context(gateway(folder, 1))
        yield server, sign_in(server.port).token


@contextmanager
def floor(folder: Path) -> Iterator[Server]:
    folder.mkdir()
    process = _spawn("bench.filefloor", str(folder))
    try:
        assert process.stdout is not None
        yield Server("floor", json.loads(process.stdout.readline())["port"], process.pid)
    finally:
        process.terminate()
        process.wait()


# -- tables ---------------------------------------------------------------------------------------


def one_mib(server: Server, token: str | None, count: int) -> tuple[tuple[float, float], ...]:
    """Up and down, one after the other on one connection: (MiB/s, CPU ms per MiB) of each."""
    client = Client(server.port)
    address = "/f/x" if token is None else "/v1/storage/files/f/x"

    def up() -> None:
        for _ in range(count):
            client.send(*(plain(MIB) if token is None else form("f/x", MIB, token)))

    def down() -> None:
        for _ in range(count):
            client.get(address)

    found = []
    for step in (up, down):
        seconds, cpu = _timed(server, step)
        found.append((count / seconds, cpu / count * 1000))
    return tuple(found)


def compare_one_mib(servers: list[tuple[str, Server, str | None]], rounds: int, count: int) -> None:
    print(f"| {count} files of 1 MiB | up MiB/s | up CPU ms/MiB | down MiB/s | down CPU ms/MiB |")
    print("|---|---|---|---|---|")
    found: dict[str, list[Any]] = {name: [] for name, _, _ in servers}
    for _ in range(rounds):
        for name, server, token in servers:
            found[name].append(one_mib(server, token, count))
    for name, results in found.items():
        cells = [
            f"{median(one[side][value] for one in results):.{digits}f}"
            for side in (0, 1)
            for value, digits in ((0, 0), (1, 2))
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def small_files(servers: list[tuple[str, Server, str | None]]) -> None:
    print(f"\n| {SMALL // 1024} KiB files, 64 connections | get/s | CPU us | upload/s | CPU us |")
    print("|---|---|---|---|---|")
    for name, server, token in servers:
        cells = []
        for request in (_small_get(token), _small_upload(token)):
            _small_ready(server, token)
            result = SmallLoad(request).measure(server, "", 64, SMALL_SECONDS)
            errors = f" ({result.errors} errors)" if result.errors else ""
            cells += [f"{result.per_second:,.0f}{errors}", f"{result.cpu_us:.0f}"]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


class SmallLoad(Load):
    """The load generator of `bench.run`, with one request of ours. `{n}` is the connection."""

    def __init__(self, request: str) -> None:
        super().__init__(1, [Caller("", "")])
        self._request = request

    def _requests(self, operation: str, connection: int) -> list[str]:
        return [self._request.replace("{n}", f"{connection:02}")]


def _small_ready(server: Server, token: str | None) -> None:
    client = Client(server.port)
    client.send(*(plain(SMALL) if token is None else form("f/x", SMALL, token)))


def _small_get(token: str | None) -> str:
    path = "/f/x" if token is None else "/v1/storage/files/f/x"
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def _small_upload(token: str | None) -> str:
    data = "x" * SMALL
    if token is None:
        return f"POST /f/s{{n}} HTTP/1.1\r\nHost: h\r\nContent-Length: {SMALL}\r\n\r\n{data}"
    head, body = form("f/s00", 0, token)
    text = b"".join(body).decode().replace("f/s00", "f/s{n}")
    before, _, after = text.partition("octet-stream\r\n\r\n")
    length = re.search(r"Content-Length: (\d+)", head)
    assert length is not None
    head = head.replace(length[0], f"Content-Length: {int(length[1]) + SMALL}")
    return f"{head}{before}octet-stream\r\n\r\n{data}{after}"


def large_file(servers: list[tuple[str, Server, str | None]], mib: int) -> None:
    print(
        f"\n| one file of {mib} MiB | before MiB | most, up | most, down | up MiB/s | down MiB/s |"
    )
    print("|---|---|---|---|---|---|")
    for name, server, token in servers:
        if token is not None:
            one = Large(server, token, mib)
            memory = f"{one.before:.0f} | {one.most_up:.0f} | {one.most_down:.0f}"
            speed = f"{mib / one.up[0]:.0f} | {mib / one.down[0]:.0f}"
            print(f"| {name} | {memory} | {speed} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--engine", default="local,versitygw")
    parser.add_argument("--large", type=int, default=1024, help="MiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=64, help="files of 1 MiB in a round")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers: list[tuple[str, Server, str | None]] = [
            ("floor", stack.enter_context(floor(folder / "floor")), None)
        ]
        for engine in options.engine.split(","):
            server, token = stack.enter_context(files_gateway(folder / engine, engine))
            servers.append((f"baas, {engine}", server, token))
        compare_one_mib(servers, options.rounds, options.count)
        small_files(servers)
        large_file(servers, options.large)


if __name__ == "__main__":
    main()
