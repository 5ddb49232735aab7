"""Realtime beside its floor: what a delivery costs, how long it takes, what an idle socket weighs.

    python -m bench.realtime [--sockets 1000,5000] [--writes 100] [--only idle,shared,distinct,...]

`shared`: all sockets watch one query while four writers insert; CPU of the server process per frame
that arrived, the writes included, beside bench/realtime_floor.py, which is handed frames of the
same size. Latencies are of single writes a tenth of a second apart, from before the request until
the client has the frame. `distinct`: every socket watches a query of its own, and each write
concerns one of them.
`channel`: all sockets have joined one channel, and four publish to it by long-poll.
`idle`: sockets that only ping; memory of the server process per socket, and its CPU.
`feed`: what an insert costs while nobody is connected, while one idle socket is, and while one
watches another collection: the change feed is read only while somebody is. In turns; `--sockets`
does not matter.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx
import uvloop

from bench.run import HERE, Server, gateway, spawned
from bench.subscribers import Crowd, text_frame

#: Writes under way at once.
_WRITERS: Final = 4
_PATIENCE: Final = 60.0
#: Writes one after another, for latency: how many, and how far apart in seconds.
_PACED: Final = 40
_PACE_SECONDS: Final = 0.1
_IDLE_SECONDS: Final = 10.0
_PING: Final = b'{"type":"ping"}'
_AUTH: Final = text_frame(b'{"type":"auth","token":null}')


def greeting(_: int) -> bytes:
    return _AUTH


def watching(shared: bool) -> Callable[[int], bytes]:
    def hello(n: int) -> bytes:
        wanted: dict[str, Any] = {} if shared else {"room": n}
        frame = {"type": "watch", "id": "w", "collection": "talk", "filter": wanted}
        return _AUTH + text_frame(json.dumps(frame).encode())

    return hello


def joining(_: int) -> bytes:
    frame = {"type": "join", "id": "c", "channel": "talk"}
    return _AUTH + text_frame(json.dumps(frame).encode())


async def idle(server: Server, sockets: int, hello: Callable[[int], bytes]) -> dict[str, Any]:
    before = server.rss_mib()
    crowd = Crowd()
    started = time.monotonic()
    await crowd.open(server.port, sockets, hello, 1)
    opening = time.monotonic() - started
    await asyncio.sleep(2)
    weight = server.rss_mib() - before
    cpu = server.cpu_seconds()
    await asyncio.sleep(_IDLE_SECONDS)
    still = server.cpu_seconds() - cpu
    crowd.close()
    await asyncio.sleep(1)
    return {
        "opened_per_second": round(sockets / opening),
        "kib_each": round(weight * 1024 / sockets, 1),
        "cpu_percent_idle": round(still / _IDLE_SECONDS * 100, 2),
    }


async def pushed(
    server: Server,
    sockets: int,
    writes: int,
    shared: bool,
    token: str | None,
    channel: bool = False,
) -> dict[str, Any]:
    crowd = Crowd()
    first = 1 if token is None else 2
    hello = greeting if token is None else joining if channel else watching(shared)
    await crowd.open(server.port, sockets, hello, first)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        await _write(client, 5, sockets, token, channel)
        await crowd.heard(5 * sockets if shared else 5, _PATIENCE)
        crowd.frames, crowd.latencies = 0, []
        frames = writes * sockets if shared else writes
        started, cpu = time.monotonic(), server.cpu_seconds()
        await _write(client, writes, sockets, token, channel)
        await crowd.heard(frames, _PATIENCE)
        seconds, used = time.monotonic() - started, server.cpu_seconds() - cpu
        crowd.latencies = []
        for _ in range(_PACED):
            await asyncio.sleep(_PACE_SECONDS)
            await _write(client, 1, sockets, token, channel)
        await asyncio.sleep(1)
    crowd.close()
    await asyncio.sleep(1)
    late = sorted(crowd.latencies) or [0.0]
    return {
        "cpu_us": round(used / frames * 1e6, 2),
        "per_second": round(frames / seconds),
        "p50_ms": round(median(late) * 1000, 1),
        "p99_ms": round(late[int(len(late) * 0.99)] * 1000, 1),
    }


async def feed(server: Server, writes: int, token: str) -> list[dict[str, Any]]:
    """CPU of the server per insert, three rounds in turns, medians."""
    states: dict[str, Callable[[int], bytes] | None] = {
        "nobody": None,
        "idle": greeting,
        "elsewhere": watching_notes,
    }
    found: dict[str, list[float]] = {state: [] for state in states}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        await _write(client, writes // 4, 1, token)
        for _ in range(3):
            for state, hello in states.items():
                crowd = Crowd()
                if hello is not None:
                    await crowd.open(server.port, 1, hello, 1 if hello is greeting else 2)
                cpu = server.cpu_seconds()
                await _write(client, writes, 1, token)
                found[state].append((server.cpu_seconds() - cpu) / writes * 1e6)
                crowd.close()
                await asyncio.sleep(1.5)
    return [{"connected": state, "cpu_us": round(median(all), 1)} for state, all in found.items()]


def watching_notes(_: int) -> bytes:
    frame = {"type": "watch", "id": "w", "collection": "talk", "filter": {"room": -1}}
    return _AUTH + text_frame(json.dumps(frame).encode())


async def _write(
    client: httpx.AsyncClient, writes: int, rooms: int, token: str | None, channel: bool = False
) -> None:
    numbers = iter(range(writes))

    async def writer() -> None:
        for n in numbers:
            document = {"room": n % rooms, "stamp": time.monotonic_ns(), "text": "x" * 100}
            if token is None:
                body = json.dumps({"type": "change", "id": "w", "document": document}).ljust(330)
                answer = await client.post("/emit", content=body.encode())
            elif channel:
                answer = await client.post("/v1/realtime/poll", json=_message(document, token))
            else:
                headers = {"authorization": f"Bearer {token}"}
                answer = await client.post(
                    "/v1/database/talk/insert", json={"document": document}, headers=headers
                )
            answer.raise_for_status()

    await asyncio.gather(*(writer() for _ in range(_WRITERS)))


def _message(data: Any, token: str) -> Any:
    frames = [
        {"type": "auth", "token": token},
        {"type": "join", "id": "c", "channel": "talk"},
        {"type": "publish", "id": "c", "event": "said", "data": data, "ack": "r"},
    ]
    return {"session": "bench", "frames": frames}


def sign_in(server: Server) -> str:
    answer = httpx.post(f"http://127.0.0.1:{server.port}/v1/auth/sign-in/anonymous", json={})
    return str(answer.json()["accessToken"])


def measure(sockets: list[int], writes: int, only: list[str]) -> None:
    for what in only:
        for number in sockets[:1] if what == "feed" else sockets:
            for name, result in _both(what, number, writes):
                row = {"what": what, "sockets": number, "server": name, **result}
                print(json.dumps(row), flush=True)


def _both(what: str, number: int, writes: int) -> list[tuple[str, dict[str, Any]]]:
    """Fresh servers each time: memory is not given back, and queries are to begin empty."""
    results = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        app = Path(shutil.copytree(HERE / "app", folder / "app"))
        baas = stack.enter_context(gateway(app, 1))
        if what in ("idle", "shared"):
            floor = stack.enter_context(spawned("floor", "bench.realtime_floor"))
        if what == "idle":
            for server in (floor, baas):
                results.append((server.name, runner.run(idle(server, number, greeting))))
            return results
        token = sign_in(baas)
        if what == "feed":
            return [("baas", row) for row in runner.run(feed(baas, writes * 10, token))]
        if what == "shared":
            found = runner.run(pushed(floor, number, writes, True, None))
            results.append((floor.name, found))
        shared, channel = what in ("shared", "channel"), what == "channel"
        found = runner.run(pushed(baas, number, writes, shared, token, channel))
        results.append((baas.name, found))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", default="1000,5000")
    parser.add_argument("--writes", type=int, default=100)
    parser.add_argument("--only", default="idle,shared,distinct")
    given = parser.parse_args()
    measure([int(n) for n in given.sockets.split(",")], given.writes, given.only.split(","))


if __name__ == "__main__":
    main()
