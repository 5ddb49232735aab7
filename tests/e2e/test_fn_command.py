"""`baas fn` beside a running gateway, and towards another one with a key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import ROOT, Gateway, running, write_app

_CODE = """
from baas import fn

@fn.event()
async def greet(ctx, event):
    ctx.log.info("greeting", who=event.get("name"))
    return f"hello {event['name']}"

@fn.on("queue.mails", batch=3)
@fn.on("storage.put", prefix="a/", ordered=True)
@fn.on("storage.delete", suffix=".png")
async def quiet(ctx, event):
    return None

@fn.event(retries="none")
async def fails(ctx, event):
    answer = 41
    raise ValueError("no luck")
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("app")
    # On a port that the system chose: the commands find it by the data folder.
    with running(write_app(folder, {"functions/main.py": _CODE})) as started:
        yield started


def fn(folder: Path, *arguments: str, code: int = 0, **environ: str) -> str:
    """What `baas fn ...` prints; its errors too where it is to fail."""
    clean = {name: value for name, value in os.environ.items() if name[:4] != "BAAS"}
    done = subprocess.run(
        [sys.executable, "-m", "baas", "fn", *arguments],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + (done.stderr if code else "")


def eventually(folder: Path, wanted: str, *arguments: str) -> str:
    """Records are written within a second of a call's end."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        shown = fn(folder, *arguments)
        if wanted in shown:
            return shown
    raise AssertionError(shown)


def test_functions_are_listed_and_called_without_a_key(gateway: Gateway) -> None:
    listed = fn(gateway.folder, "list")

    assert "greet" in listed
    assert "functions/main.py:4" in listed
    (quiet,) = (line for line in listed.splitlines() if line.startswith("quiet "))
    triggers = {one.strip() for one in quiet.partition("main.py:")[2].split(" ", 1)[1].split(",")}
    assert triggers == {"queue mails batch=3", "storage put a/ ordered", "storage delete .png"}
    called = fn(gateway.folder, "invoke", "greet", '{"name": "Mei"}')
    assert json.loads(called) == "hello Mei"


def test_the_key_of_a_command_is_gone_after_it(gateway: Gateway) -> None:
    fn(gateway.folder, "list")

    listed = subprocess.run(
        [sys.executable, "-m", "baas", "admin", "key", "list"],
        cwd=gateway.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "baas fn" not in listed.stdout


def test_logs_show_what_was_logged(gateway: Gateway) -> None:
    fn(gateway.folder, "invoke", "greet", '{"name": "Lin"}')

    shown = eventually(gateway.folder, "who='Lin'", "logs", "greet", "--grep", "Lin")

    assert "greet ok" in shown
    assert fn(gateway.folder, "logs", "--grep", "never said") == ""


def test_a_failure_is_told_listed_and_replayed(gateway: Gateway) -> None:
    told = fn(gateway.folder, "invoke", "fails", code=1)
    assert "FUNCTION_FAILED" in told
    assert "ValueError: no luck" in told

    listed = eventually(gateway.folder, "no luck", "failures", "fails")
    id = listed.splitlines()[1].split()[0]

    shown = fn(gateway.folder, "failure", id)
    assert "answer = 41" in shown
    assert shown.rstrip().splitlines()[-1].endswith("ValueError: no luck")
    # The gateway's own log has it in one line, and what shows the rest.
    assert f"ValueError: no luck (baas fn failure {id})" in gateway.log_text()

    replayed = fn(gateway.folder, "replay", id, code=1)
    assert "answer = 41" in replayed


def test_an_asynchronous_call_is_a_job(gateway: Gateway) -> None:
    id = fn(gateway.folder, "invoke", "greet", "{}", "--async", "--delay", "600").strip()

    assert id in fn(gateway.folder, "jobs")
    assert fn(gateway.folder, "stop", id) == f"{id} is stopped\n"
    assert "dead letter" in fn(gateway.folder, "redrive", id, code=1)


def test_a_folder_is_deployed_and_rolled_back(gateway: Gateway, tmp_path: Path) -> None:
    code = _CODE.replace("hello", "good day")
    write_app(tmp_path, {"functions/main.py": code})
    key = gateway.admin_key("functions:read", "functions:write")

    deployed = fn(tmp_path, "deploy", gateway.url, BAAS_KEY=key)

    version = deployed.split()[1]
    greeting = ("invoke", "greet", '{"name": "Mei"}')
    assert json.loads(fn(gateway.folder, *greeting)) == "good day Mei"
    (mark, shown, *_) = fn(gateway.folder, "versions").splitlines()[1].split()
    assert (mark, shown) == ("*", version)
    fn(gateway.folder, "rollback")
    assert json.loads(fn(gateway.folder, *greeting)) == "hello Mei"


def test_another_gateway_needs_a_key_that_holds(gateway: Gateway, tmp_path: Path) -> None:
    assert "BAAS_KEY" in fn(tmp_path, "list", "--url", gateway.url, code=2)
    refused = fn(tmp_path, "list", "--url", gateway.url, "--key", "bak_no_key", code=1)
    assert "UNAUTHENTICATED" in refused
    weak = gateway.admin_key("functions:read")
    assert "PERMISSION_DENIED" in fn(tmp_path, "deploy", gateway.url, "--key", weak, code=1)


def test_the_gateway_of_several_workers_is_found_too(tmp_path: Path) -> None:
    with running(write_app(tmp_path, {"functions/main.py": _CODE}), "--workers", "2") as gateway:
        assert "greet" in fn(tmp_path, "list")
        url = gateway.url
    # It is said where one was looked for, also when it is gone.
    assert f"no gateway answers at {url}" in fn(tmp_path, "list", code=1)


def test_where_nothing_listens_it_says_so(tmp_path: Path) -> None:
    shown = fn(tmp_path, "list", "--url", "http://127.0.0.1:9", "--key", "bak_x", code=1)

    assert "no gateway answers at http://127.0.0.1:9" in shown
