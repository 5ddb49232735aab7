"""Measures what calling a function costs.

    python -m bench.functions [--rounds 5] [--seconds 2]

Over HTTP, on 1 and on 64 connections, in turns: a bare route (`GET /v1/auth/me`: a token and one
read), then functions: one that does nothing, one that reads a document, a plain one (in a thread)
and one in a process of its own. CPU is what the server and its children used per request; "over"
is the median difference to the bare route within a round.

Without HTTP, in this process: one call through the invoker, and one over a worker's pipe and back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import uvloop

from baas.app import App, build
from baas.functions.model import Call
from baas.observe.logs import DescriptorSink, LogWriter
from baas.settings import load_settings
from bench.run import CONNECTIONS, Caller, Load, Result, Server, gateway, sign_in

SOURCE: Final = """
from baas import fn

@fn.event()
async def nothing(ctx, event):
    return {"ok": True}

@fn.event()
async def reads(ctx, event):
    return await ctx.database.collection("posts").get("p1")

@fn.event()
def threaded(ctx, event):
    return {"ok": True}

@fn.event(isolation="process", concurrency=64, max_workers=1)
async def process(ctx, event):
    return {"ok": True}
"""
MANIFEST: Final = "limits: {rate_read: 'off', rate_write: 'off', rate_auth: 'off'}\n"
POSTS: Final = "rules: {read: true, create: auth != null}\n"
BARE: Final = "auth/me"
OPERATIONS: Final = (BARE, "nothing", "reads", "threaded", "process")
CALLS: Final = 20_000
PIPE_CALLS: Final = 3_000


def make_app(folder: Path) -> None:
    for name in ("functions", "rules"):
        (folder / name).mkdir()
    (folder / "baas.yaml").write_text(MANIFEST)
    (folder / "functions" / "main.py").write_text(SOURCE)
    (folder / "rules" / "_functions.yaml").write_text('"*": {invoke: auth != null}\n')
    (folder / "rules" / "posts.yaml").write_text(POSTS)


class FunctionLoad(Load):
    """Calls of functions where `Load` has verbs on documents."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(0, [caller])
        self._caller = caller

    def _requests(self, operation: str, connection: int) -> list[str]:
        if operation == BARE:
            bearer = f"Authorization: Bearer {self._caller.token}"
            return [f"GET /v1/{BARE} HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer}\r\n\r\n"]
        return [post(f"functions/{operation}", self._caller, "{}")]


def post(path: str, caller: Caller, body: str) -> str:
    return (
        f"POST /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {caller.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )


class Insert(FunctionLoad):
    """The document that `reads` reads."""

    def _requests(self, operation: str, connection: int) -> list[str]:
        body = json.dumps({"document": {"_id": "p1", "title": "read me"}})
        return [post("database/posts/insert", self._caller, body)]


def over_http(load: FunctionLoad, server: Server, rounds: int, seconds: float) -> None:
    print("| call | connections | CPU us | over the bare route | per second | p50 ms | p99 ms |")
    print("|---|---|---|---|---|---|---|")
    for connections in CONNECTIONS:
        runs: dict[str, list[Result]] = {name: [] for name in OPERATIONS}
        for _ in range(rounds):
            for name in OPERATIONS:
                runs[name].append(load.measure(server, name, connections, seconds))
        for name in OPERATIONS:
            print_row(name, connections, runs[BARE], runs[name])


def print_row(name: str, connections: int, bare: list[Result], own: list[Result]) -> None:
    over = median(b.cpu_us - a.cpu_us for a, b in zip(bare, own, strict=True))
    errors = sum(one.errors for one in own)
    cells = [
        name,
        str(connections),
        f"{median(one.cpu_us for one in own):.0f}",
        f"{over:.0f}",
        f"{median(one.per_second for one in own):,.0f}",
        f"{median(one.p50_ms for one in own):.2f}",
        f"{median(one.p99_ms for one in own):.2f}",
    ]
    print("| " + " | ".join(cells) + " |" + (f" {errors} ERRORS" if errors else ""), flush=True)


# -- without HTTP ---------------------------------------------------------------------------------


async def in_process(folder: Path) -> None:
    settings = load_settings(folder, {}, {})
    logs = LogWriter(DescriptorSink(2), form="json", level="error")
    app = build(folder, settings, logs=logs)
    await app.start()
    try:
        for name, calls in (("nothing", CALLS), ("process", PIPE_CALLS)):
            print(f"{name}: {await one_call(app, name, calls):.1f} us for one call")
    finally:
        await app.stop()


async def one_call(app: App, name: str, calls: int) -> float:
    """Microseconds from call to result, one after the other."""
    call = Call(function=name, event={})
    for _ in range(100):
        await app.functions.invoke(call)
    began = time.perf_counter()
    for _ in range(calls):
        await app.functions.invoke(call)
    return (time.perf_counter() - began) / calls * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        make_app(folder)
        with gateway(folder, 1) as server:
            caller = sign_in(server.port)
            Insert(caller).start(server, "insert", 1, 0.0).communicate()
            over_http(FunctionLoad(caller), server, options.rounds, options.seconds)
        print("\nWithout HTTP:")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(in_process(folder))


if __name__ == "__main__":
    main()
