"""Functions that misbehave, seen from outside: the gateway goes on, and nothing outlives it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import pytest

from tests.support.gateway import (
    Gateway,
    is_running,
    running,
    start_gateway,
    wait_until,
    write_app,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SOURCE = """
import ctypes, os, time
from baas import fn

@fn.event(isolation="process", timeout=1)
def spin(ctx, event):
    while True:
        pass

@fn.event(isolation="process", timeout=1)
def hold(ctx, event):
    ctypes.PyDLL(None).sleep(60)

@fn.event(isolation="process", timeout=60)
def hold_long(ctx, event):
    open(event["pid"], "w").write(str(os.getpid()))
    ctypes.PyDLL(None).sleep(60)

@fn.event(isolation="process", memory="96MiB", timeout=20)
def grow(ctx, event):
    held = []
    while True:
        held.append(b"x" * 1_000_000)
        time.sleep(0.001)

@fn.event(isolation="process")
def pid(ctx, event):
    return os.getpid()

@fn.event()
async def hello(ctx, event):
    ctx.log.warning("said hello", who=event.get("who"))
    return "hello"

@fn.event()
async def block(ctx, event):
    time.sleep(0.5)
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    for name in ("functions", "rules"):
        (tmp_path / name).mkdir()
    (tmp_path / "functions" / "main.py").write_text(SOURCE)
    (tmp_path / "rules" / "_functions.yaml").write_text('"*": {invoke: true}\n')
    gateway = start_gateway(tmp_path)
    try:
        yield gateway
    finally:
        with suppress(ProcessLookupError):
            gateway.process.kill()
        gateway.process.wait()
        gateway.close()


@pytest.mark.parametrize("name", ["spin", "hold"])
def test_the_gateway_answers_while_a_function_is_killed_at_its_limit(
    gateway: Gateway, name: str
) -> None:
    answers: list[httpx.Response] = []
    caller = threading.Thread(target=lambda: answers.append(call(gateway, name)))
    began = time.monotonic()
    caller.start()
    waits = []
    while caller.is_alive():
        sent = time.monotonic()
        assert call(gateway, "hello").json() == "hello"
        waits.append(time.monotonic() - sent)
    caller.join()
    assert (answers[0].status_code, answers[0].json()["code"]) == (504, "FUNCTION_TIMEOUT")
    assert time.monotonic() - began >= 1
    # Others were answered all the while, and not only when it had ended.
    assert len(waits) > 3
    assert median(waits) < 0.5


def test_a_function_that_eats_memory_is_ended_alone(gateway: Gateway) -> None:
    answer = call(gateway, "grow")
    assert (answer.status_code, answer.json()["code"]) == (500, "FUNCTION_FAILED")
    assert "96 MiB" in answer.json()["detail"]
    assert call(gateway, "hello").json() == "hello"


def test_workers_end_with_the_gateway_even_when_it_is_killed(
    gateway: Gateway, tmp_path: Path
) -> None:
    worker, held = call(gateway, "pid").json(), tmp_path / "pid.txt"
    threading.Thread(
        target=lambda: ignore(lambda: call(gateway, "hold_long", pid=str(held))), daemon=True
    ).start()
    wait_until(lambda: held.exists() and held.read_text())
    pids = [worker, int(held.read_text())]
    assert all(is_running(pid) for pid in pids)
    gateway.process.kill()
    wait_until(lambda: not any(is_running(pid) for pid in pids))


def test_workers_end_when_the_gateway_is_stopped(gateway: Gateway) -> None:
    worker = call(gateway, "pid").json()
    assert gateway.stop() == 0
    wait_until(lambda: not is_running(worker))
    assert os.getpid() != worker


HANGING = """
import time
from pathlib import Path
from baas import fn

def hang(what):
    Path({folder!r}, what).touch()
    time.sleep(600)

@fn.event(timeout=0.5)
async def unready(ctx, event):
    pass

@fn.initializer(functions=[unready])
def never_done(ctx):
    hang("initializer")

def app(environ, start_response):
    hang("wsgi")

fn.mount("/wsgi", app)
"""
STUBBORN = """
import asyncio
from pathlib import Path
from baas import fn

@fn.event(timeout=600)
async def stubborn(ctx, event):
    Path({path!r}).touch()
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass
"""
IMPORTING = """
import time
from pathlib import Path

Path({folder!r}, "import").touch()
time.sleep(600)
"""


def test_code_that_never_ends_does_not_keep_the_gateway_from_stopping(tmp_path: Path) -> None:
    """In plain initializers, WSGI apps and imports: in threads, which nothing can stop."""
    app, reached = tmp_path / "app", tmp_path / "reached"
    reached.mkdir()
    write_app(
        app,
        {
            "functions/hanging.py": HANGING.format(folder=str(reached)),
            "rules/_functions.yaml": '"*": {invoke: true}\n',
        },
    )
    with running(app, BAAS_SERVER__DRAIN_SECONDS="1") as gateway:
        assert call(gateway, "unready").status_code == 504
        asking = threading.Thread(
            target=lambda: ignore(
                lambda: httpx.get(f"{gateway.url}/http/wsgi", timeout=60, trust_env=False)
            )
        )
        asking.start()
        wait_until((reached / "wsgi").exists)
        write_app(app, {"functions/importing.py": IMPORTING.format(folder=str(reached))})
        wait_until((reached / "import").exists)
        assert gateway.stop() == 0
        asking.join()


def test_code_that_is_not_to_be_cancelled_is_left_behind(tmp_path: Path) -> None:
    """It shares the gateway's loop, so nothing can end it but the end of the process."""
    reached = tmp_path / "reached"
    app = write_app(tmp_path / "app", {"functions/a.py": STUBBORN.format(path=str(reached))})
    with running(app, BAAS_SERVER__DRAIN_SECONDS="0") as gateway:
        key = gateway.admin_key("functions:write")
        answer = gateway.post("/v1/functions/stubborn?mode=async", token=key)
        assert answer.status_code == 202
        wait_until(reached.exists)
        assert gateway.stop() == 1
        assert "the stop took too long" in gateway.log()[-1]["message"]
        reached.unlink()
    with running(app) as again:
        wait_until(reached.exists)  # the call is not lost by it
        again.kill()


ENDING = """
import sys
from baas import fn

@fn.event(retries="none")
async def interrupted(ctx, event):
    raise KeyboardInterrupt

@fn.event(retries="none")
async def unset(ctx, event):
    return "never"

@fn.initializer(functions=[unset])
async def configured(ctx):
    sys.exit("a setting is missing")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        sys.exit("a setting is missing")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"served"})

fn.mount("/app", app)
"""


def test_code_that_would_end_its_process_does_not_end_the_gateway(
    gateway: Gateway, tmp_path: Path
) -> None:
    """One asynchronous call would have ended it at every start anew: it is durable."""
    functions = gateway.folder / "functions"
    (functions / "ending.py").write_text(ENDING)
    wait_until(lambda: call(gateway, "unset").status_code == 500)
    assert call(gateway, "interrupted").json()["code"] == "FUNCTION_FAILED"
    assert gateway.client.get("/http/app").text == "served"
    gateway.logged(
        message="the app mounted at /app would end its process: SystemExit: a setting is missing"
    )
    key = gateway.admin_key("functions:write", "functions:read")
    bearer = {"authorization": f"Bearer {key}"}

    def state(id: str) -> str:
        answer = gateway.client.get(f"/v1/functions/invocations/{id}", headers=bearer)
        return str(answer.json()["state"])

    for name in ("interrupted", "unset"):
        id = gateway.post(f"/v1/functions/{name}?mode=async", token=key).json()["invocationId"]
        wait_until(partial(lambda id: state(id) == "failed", id))
    (functions / "worse.py").write_text("raise KeyboardInterrupt\n")
    kept = "functions not reloaded, the last good ones stay in force"
    gateway.logged(message=f"{kept}: functions/worse.py:1: KeyboardInterrupt")
    assert call(gateway, "hello").json() == "hello"


def test_the_log_has_what_functions_say_and_who_blocks_the_loop(gateway: Gateway) -> None:
    call(gateway, "hello", who="ann")
    line = gateway.logged(message="said hello")
    assert (line["function"], line["who"], line["level"]) == ("hello", "ann", "warning")
    call(gateway, "block")
    wait_until(lambda: "main.py:" in gateway.log_text())
    (said,) = [one for one in gateway.log() if "blocks the event loop" in one["message"]]
    assert "the function block blocks the event loop at main.py:" in said["message"]


def call(gateway: Gateway, name: str, **event: str) -> httpx.Response:
    """One call on a connection of its own, as it may be made from several threads."""
    url = f"{gateway.url}/v1/functions/{name}"
    with httpx.Client(trust_env=False, timeout=30) as client:
        return client.post(url, json=event)


def ignore(work: Callable[[], object]) -> None:
    with suppress(httpx.HTTPError):
        work()
