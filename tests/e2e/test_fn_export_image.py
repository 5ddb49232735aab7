"""What an export for SCF runs in its container: the server of `baas_entry.py`, really started."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from baas.functions.export.serve import MAX_BYTES, server_of
from tests.e2e.test_fn_command import fn
from tests.e2e.test_fn_export import scf_request
from tests.support.gateway import write_app

_CODE = """
import asyncio, time
from pathlib import Path
from baas import Context, fn
import msgspec

class Order(msgspec.Struct):
    count: int

@fn.event()
async def total(ctx: Context, order: Order):
    ctx.log.info("totalled", secret=ctx.secrets["PAY_KEY"])
    return {"count": order.count, "request": ctx.requestId, "kind": ctx.trigger.kind}

@fn.event()
def unsendable(ctx: Context, event):
    return object()

@fn.event(timeout=0.2)
async def slow(ctx: Context, event):
    await asyncio.sleep(60)

@fn.event()
def gated(ctx: Context, event):
    Path(event["started"]).touch()
    while not Path(event["gate"]).exists():
        time.sleep(0.01)
    return "through"

@fn.http("POST", "/orders/{id}")
async def order(ctx: Context, request: fn.HttpRequest):
    return {"id": request.params["id"], "body": request.body, "query": request.query}

@fn.http("GET", "/slow", timeout=0.2)
async def slow_page(ctx: Context, request: fn.HttpRequest):
    await asyncio.sleep(60)

@fn.http("GET", "/picture")
async def picture(ctx: Context, request: fn.HttpRequest):
    return {"statusCode": 200, "headers": {"Content-Type": "image/png"}, "body": b"\\x89PNG"}

@fn.timer("30 2 * * *", tz="Asia/Shanghai", payload={"days": 7})
async def report(ctx: Context, tick: fn.TimerEvent):
    return {"days": tick.payload["days"], "scheduled": f"{tick.scheduled:%H:%M}"}
"""
_FILES = {"baas.yaml": "app: {name: shop}\n", "functions/main.py": _CODE}
_SECRET = "pay-key-that-nobody-may-see"
#: The headers of a request that somebody's function was sent and printed, with other ids.
_HEADERS = {
    "X-Scf-Appid": "1250000000",
    "X-Scf-Memory": "512",
    "X-Scf-Name": "total",
    "X-Scf-Namespace": "default",
    "X-Scf-Region": "ap-guangzhou",
    "X-Scf-Request-Id": "3b21a413-6e6a-11ee-b2ba-52540008c7f7",
    "X-Scf-Timeout": "300000",
    "X-Scf-Uin": "100000000001",
    "X-Scf-Version": "$LATEST",
}


class Image:
    """One started server, the CMD of one function."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def invoke(self, event: Any, **headers: str) -> httpx.Response:
        url = f"http://127.0.0.1:{self.port}/event-invoke"
        return httpx.post(url, json=event, headers=_HEADERS | headers, timeout=20, trust_env=False)

    def send(self, method: str, path: str, body: bytes | None = None) -> int:
        found = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            found.request(method, path, body)
            return found.getresponse().status
        finally:
            found.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = write_app(tmp_path_factory.mktemp("app"), _FILES)
    made = tmp_path_factory.mktemp("away") / "scf"
    fn(app, "export", "--target", "scf", "--out", str(made))
    return made


@contextmanager
def running(folder: Path, name: str) -> Iterator[Image]:
    clean = {key: value for key, value in os.environ.items() if key[:4] != "BAAS"}
    process = subprocess.Popen(
        [sys.executable, "baas_entry.py", name],
        cwd=folder,
        env={**clean, "HOST": "127.0.0.1", "PORT": "0", "BAAS_SECRET_PAY_KEY": _SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), line + process.stdout.read()
        yield Image(process, int(line.rpartition(":")[2]))
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def total(folder: Path) -> Iterator[Image]:
    with running(folder, "total") as image:
        yield image


def test_the_manifest_starts_what_is_tried_here(folder: Path) -> None:
    manifest = yaml.safe_load((folder / "serverless.yml").read_text())
    image = manifest["inputs"]["functions"]["total"]["image"]

    assert (image["command"], image["args"]) == ("python", "baas_entry.py total")
    assert "EXPOSE 9000" in (folder / "Dockerfile").read_text()


def test_an_event_is_posted_and_its_result_is_the_answer(total: Image) -> None:
    answer = total.invoke({"count": 3})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "count": 3,
        "request": _HEADERS["X-Scf-Request-Id"],
        "kind": "event",
    }


def test_an_event_of_another_type_fails_and_says_why(total: Image) -> None:
    answer = total.invoke({"count": "many"})

    assert answer.status_code == 500
    assert answer.json()["errorMessage"].startswith("INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/event-invoke", b"{", 400),
        ("POST", "/event-invoke", b"\xff", 400),
        ("POST", "/elsewhere", b"{}", 404),
        ("GET", "/event-invoke", None, 501),
    ],
)
def test_what_is_no_event_is_refused(
    total: Image, method: str, path: str, body: bytes | None, status: int
) -> None:
    assert total.send(method, path, body) == status
    assert total.invoke({"count": 1}).status_code == 200


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("", b"411"),
        ("Content-Length: -1\r\n", b"411"),
        (f"Content-Length: {MAX_BYTES + 1}\r\n", b"413"),
    ],
)
def test_a_length_that_cannot_be_read_is_refused_before_it_is_waited_for(
    total: Image, length: str, status: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", total.port), timeout=20) as peer:
        peer.sendall(f"POST /event-invoke HTTP/1.1\r\nHost: a\r\n{length}\r\n".encode())
        assert peer.recv(12).split()[1] == status


def test_a_result_that_is_no_json_fails(folder: Path) -> None:
    with running(folder, "unsendable") as image:
        assert image.invoke({}).status_code == 500
        assert image.invoke({}).status_code == 500


def test_a_function_that_is_too_slow_is_given_up(folder: Path) -> None:
    with running(folder, "slow") as event, running(folder, "slow_page") as page:
        failed = event.invoke({})
        answer = page.invoke(scf_request("GET", "/slow")).json()

    assert failed.status_code == 500
    assert failed.json()["errorMessage"].startswith("FUNCTION_TIMEOUT")
    assert answer["statusCode"] == 504
    assert json.loads(answer["body"])["code"] == "FUNCTION_TIMEOUT"


def test_requests_come_as_events_of_api_gateway(folder: Path) -> None:
    with running(folder, "order") as image:
        answer = image.invoke(scf_request("POST", "/orders/7", '{"n": 1}')).json()
        missing = image.invoke(scf_request("GET", "/elsewhere")).json()
        broken = image.invoke(scf_request("POST", "/orders/7", "{")).json()

    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {
        "id": "7",
        "body": {"n": 1},
        "query": {"tag": ["a", "b"], "x": "+", "bare": ""},
    }
    assert missing["statusCode"] == 404
    assert (broken["statusCode"], json.loads(broken["body"])["code"]) == (400, "INVALID_ARGUMENT")
    # What API Gateway can use: a type in each header's place, and the request's own id.
    assert broken["headers"]["content-type"] == "application/problem+json"
    assert json.loads(broken["body"])["requestId"] == _HEADERS["X-Scf-Request-Id"]


def test_bytes_go_as_base64(folder: Path) -> None:
    with running(folder, "picture") as image:
        answer = image.invoke(scf_request("GET", "/picture")).json()

    assert answer == {
        "statusCode": 200,
        "headers": {"content-type": "image/png"},
        "body": "iVBORw==",
        "isBase64Encoded": True,
    }


def test_a_tick_runs_the_timer(folder: Path) -> None:
    tick = {
        "Type": "Timer",
        "TriggerName": "report-1",
        "Time": "2026-11-20T18:30:00Z",
        "Message": '{"days": 7}',
    }
    with running(folder, "report") as image:
        assert image.invoke(tick).json() == {"days": 7, "scheduled": "18:30"}


def test_the_headers_stand_for_the_context() -> None:
    seen: list[Any] = []

    def handler(event: Any, context: Any) -> Any:
        seen.append(context)
        return event

    server = server_of(handler, ("127.0.0.1", 0))
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/event-invoke"
        assert httpx.post(url, json=[1], headers=_HEADERS, trust_env=False).json() == [1]
        assert httpx.post(url, headers={"X-Scf-Memory": "much"}, trust_env=False).json() is None
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
    assert seen[0] == {
        "request_id": "3b21a413-6e6a-11ee-b2ba-52540008c7f7",
        "function_name": "total",
        "function_version": "$LATEST",
        "namespace": "default",
        "tencentcloud_region": "ap-guangzhou",
        "tencentcloud_appid": "1250000000",
        "tencentcloud_uin": "100000000001",
        "memory_limit_in_mb": 512,
        "time_limit_in_ms": 300_000,
    }
    assert (seen[1]["memory_limit_in_mb"], seen[1]["request_id"]) == (0, "")


def test_calls_run_side_by_side_and_are_finished_before_the_end(
    folder: Path, tmp_path: Path
) -> None:
    """SCF sends one at a time unless an instance is set to take more; a stop comes any time."""
    files = {name: str(tmp_path / name) for name in ("started", "gate", "other", "open")}
    answers: list[Any] = []
    with running(folder, "gated") as image:

        def first() -> None:
            answers.append(image.invoke({"started": files["started"], "gate": files["gate"]}))

        caller = threading.Thread(target=first)
        caller.start()
        _until(files["started"])
        Path(files["open"]).touch()
        beside = image.invoke({"started": files["other"], "gate": files["open"]})
        image.process.send_signal(signal.SIGTERM)
        image.process.send_signal(signal.SIGTERM)
        assert image.process.poll() is None
        Path(files["gate"]).touch()
        caller.join(20)
        code = image.process.wait(20)

    assert beside.json() == "through"
    assert answers[0].json() == "through"
    assert code == 0


def _until(path: str) -> None:
    for _ in range(2_000):
        if Path(path).exists():
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{path} never came")


def test_no_secret_is_printed(folder: Path) -> None:
    with running(folder, "total") as image:
        image.invoke({"count": 1})
        image.process.send_signal(signal.SIGTERM)
        printed, _ = image.process.communicate(timeout=20)

    assert "totalled" in printed
    assert _SECRET not in printed
