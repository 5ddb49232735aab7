"""WebSockets of a mounted app where several workers serve: each socket is one worker's, whole."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.gateway import Gateway, running, wait_until

SOCKETS = 12
MAIN = """
import json, os, time
from baas import fn

async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise RuntimeError("no lifespan here")
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    count = 0
    while (message := await receive())["type"] == "websocket.receive":
        count += 1
        if message["text"] == "hold":
            time.sleep(0.5)  # meanwhile its worker takes nothing up
        told = {"pid": os.getpid(), "count": count, "text": message["text"], "build": BUILD}
        await send({"type": "websocket.send", "text": json.dumps(told)})

fn.mount("/chat", app)
"""


def write(folder: Path, build: int) -> None:
    (folder / "functions").mkdir(exist_ok=True)
    file = folder / "functions" / "main.py"
    file.write_text(MAIN.replace('"build": BUILD', f'"build": {build}'))


def opened(gateway: Gateway) -> ClientConnection:
    url = gateway.url.replace("http", "ws", 1) + "/http/chat/room"
    return connect(url, proxy=None)


def said(socket: ClientConnection, text: str) -> dict[str, Any]:
    socket.send(text)
    told: dict[str, Any] = json.loads(socket.recv(timeout=10))
    return told


def on_both_workers(gateway: Gateway, stack: ExitStack) -> list[ClientConnection]:
    """Each has said one thing. Which worker takes a connection is the kernel's to say, so one is
    held for a moment, and the other has to; it may still be starting."""
    found: list[ClientConnection] = []

    def two_apart() -> list[ClientConnection]:
        found[:] = _two_apart(gateway, stack)
        return found

    wait_until(two_apart)
    for _ in range(SOCKETS - len(found)):
        found.append(stack.enter_context(opened(gateway)))
        said(found[-1], "there")
    return found


def _two_apart(gateway: Gateway, stack: ExitStack) -> list[ClientConnection]:
    """Of two workers, or none where one took both."""
    first = stack.enter_context(opened(gateway))
    first.send("hold")
    other = stack.enter_context(opened(gateway))
    its_pid = said(other, "there")["pid"]
    if json.loads(first.recv(timeout=10))["pid"] != its_pid:
        return [first, other]
    first.close()
    other.close()
    return []


def test_sockets_over_two_workers(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with running(tmp_path, "--workers", "2") as gateway, ExitStack() as stack:
        sockets = on_both_workers(gateway, stack)
        seen: list[set[int]] = [set() for _ in sockets]
        for turn in (1, 2, 3):
            for number, socket in enumerate(sockets):
                told = said(socket, f"{number}.{turn}")
                assert (told["count"], told["text"]) == (turn + 1, f"{number}.{turn}")
                seen[number].add(told["pid"])
        assert [len(pids) for pids in seen] == [1] * len(sockets)  # it stays where it was opened
        assert len(set.union(*seen)) == 2, "all sockets went to one of the workers"

        write(tmp_path, 2)

        def is_new_everywhere() -> bool:
            """Whichever worker answers; one that has not reloaded yet would give 1."""
            builds = set()
            for _ in range(8):
                with opened(gateway) as fresh:
                    builds.add(said(fresh, "x")["build"])
            return builds == {2}

        wait_until(is_new_everywhere)
        # Sockets that were open keep the version that they were opened on.
        assert {said(socket, "still")["build"] for socket in sockets} == {1}


def test_a_stop_closes_them(tmp_path: Path) -> None:
    write(tmp_path, 1)
    options = {"BAAS_SERVER__DRAIN_SECONDS": "1"}
    with running(tmp_path, "--workers", "2", **options) as gateway, ExitStack() as stack:
        sockets = [stack.enter_context(opened(gateway)) for _ in range(8)]
        for socket in sockets:
            said(socket, "there")
        gateway.process.terminate()
        for socket in sockets:
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(timeout=15)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code in (1001, 1012)
        assert gateway.process.wait(15) == 0
