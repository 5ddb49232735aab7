"""The Starlette app of docs/functions.md, mounted: its routes, lifespan, links and sockets."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.support.gateway import Gateway, running, wait_until, write_app
from tests.support.repository import ROOT

_ODD = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from baas import fn

async def fails(request):
    raise RuntimeError("inside")

async def echo(request):
    return PlainTextResponse(await request.body(), 201, {"X-A": "1"})

async def streams(request):
    async def parts():
        for number in range(3):
            yield f"{number}"
    return StreamingResponse(parts())

fn.mount("/odd", Starlette(routes=[
    Route("/fails", fails),
    Mount("/inner", routes=[Route("/echo", echo, methods=["POST"]), Route("/streams", streams)]),
]))
"""


def page_code() -> str:
    page = (ROOT / "docs" / "functions.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(# functions/shop\.py\n.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    files = {"functions/shop.py": page_code(), "functions/odd.py": _ODD}
    with running(write_app(tmp_path_factory.mktemp("app"), files)) as started:
        yield started


def test_its_routes_answer_below_the_mount_after_its_start(gateway: Gateway) -> None:
    answer = gateway.client.get("/http/shop/orders/3")

    assert answer.status_code == 200
    assert answer.text == '{"order":"3","shop":"corner"}'  # as the page prints it


def test_links_that_it_makes_lead_back_to_it(gateway: Gateway) -> None:
    answer = gateway.client.get("/http/shop/newest")

    assert answer.status_code == 307
    assert answer.headers["location"] == f"{gateway.url}/http/shop/orders/7"
    assert gateway.client.get(answer.headers["location"]).json()["order"] == "7"


def test_a_socket_of_its_own(gateway: Gateway) -> None:
    url = gateway.url.replace("http", "ws", 1) + "/http/shop/live"
    with connect(url, proxy=None) as socket:
        socket.send("Tea")
        assert socket.recv(timeout=10) == "Tea is in stock"


@pytest.mark.parametrize("path", ["/http/shop/nothing", "/http/shop", "/http/shopping"])
def test_what_it_has_not_is_404(gateway: Gateway, path: str) -> None:
    assert gateway.client.get(path).status_code == 404


def test_its_methods_bodies_streams_and_failures_are_its_own(gateway: Gateway) -> None:
    echoed = gateway.client.post("/http/odd/inner/echo", content=b"\x00\xff")
    assert (echoed.status_code, echoed.content, echoed.headers["x-a"]) == (201, b"\x00\xff", "1")
    assert gateway.client.get("/http/odd/inner/echo").status_code == 405
    assert gateway.client.get("/http/odd/inner/streams").text == "012"


def test_a_failure_that_it_answered_itself_is_logged_and_ends_no_connection(
    gateway: Gateway,
) -> None:
    """It answers with 500 and raises on; a proxy before the gateway keeps the connection."""
    connection = http.client.HTTPConnection(*gateway.host_and_port, timeout=10)
    try:
        for path in ("fails", "inner/streams") * 20:
            connection.request("GET", f"/http/odd/{path}")
            answer = connection.getresponse()
            text = answer.read()
            assert (answer.status, text) in ((500, b"Internal Server Error"), (200, b"012"))
            assert connection.sock is not None
    finally:
        connection.close()
    # Lines are written in batches.
    wait_until(lambda: "RuntimeError: inside" in gateway.log_text())


def test_a_change_of_its_file_is_mounted_within_a_second(gateway: Gateway) -> None:
    file: Path = gateway.folder / "functions" / "shop.py"
    file.write_text(page_code().replace('"corner"', '"market"'))

    def changed() -> bool:
        return bool(gateway.client.get("/http/shop/orders/3").json()["shop"] == "market")

    wait_until(changed, seconds=5)
