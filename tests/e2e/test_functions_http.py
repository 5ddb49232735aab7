"""Functions as a client and a browser meet them, through a real server."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.support.gateway import Gateway, running, write_app

_EVENTS = """
import asyncio
import msgspec
from baas import Context, fn

class Order(msgspec.Struct):
    item: str
    count: int = 1

@fn.event()
async def order(ctx: Context, event: Order) -> dict:
    return {"item": event.item, "count": event.count, "uid": ctx.auth.uid if ctx.auth else None}

@fn.event()
def sold_out(ctx, event):
    raise fn.Error("SOLD_OUT", status=409, detail="Come back tomorrow.")

@fn.event()
async def broken(ctx, event):
    raise ValueError("the database password is hunter2")

@fn.event(timeout=0.2)
async def slow(ctx, event):
    await asyncio.sleep(30)

RUNS = []

@fn.event()
async def once(ctx, event):
    RUNS.append(event)
    if event.get("fail"):
        raise fn.Error("AGAIN", status=503)
    return len(RUNS)
"""

_WEB = """
from litestar import Response
from baas import fn

@fn.http("*", "/echo/{rest...}")
async def echo(ctx, event: dict):
    body = event["body"]
    return {**event, "body": body.hex() if isinstance(body, bytes) else body}

@fn.http("GET", "/things/{id}")
def thing(ctx, event):
    return {"id": event.params["id"]}

@fn.http("GET", "/page")
async def page(ctx, event):
    headers = {"Content-Type": "text/html; charset=utf-8", "Set-Cookie": ["a=1", "b=2"]}
    return {"statusCode": 201, "headers": headers, "body": "<h1>hi"}

@fn.http("GET", "/binary")
async def binary(ctx, event):
    return {"statusCode": 200, "body": "AAEC", "isBase64Encoded": True}

@fn.http("GET", "/response")
async def response(ctx, event):
    return Response({"made": "by hand"}, status_code=202, headers={"x-own": "yes"})

@fn.http("GET", "/split")
async def split(ctx, event):
    return {"statusCode": 200, "headers": {"X-A": "a\\r\\nSet-Cookie: stolen=1"}, "body": ""}

@fn.http("GET", "/unsendable")
async def unsendable(ctx, event):
    return object()
"""

_MOUNTED = """
from baas import fn

LIFE = []

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["started"] = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"].upper()})
        return
    size = 0
    more = True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    place = f"{scope['root_path']} {scope['path']} {size} {scope['state']['started']}"
    head = [(b"content-type", b"text/plain"), (b"x-request-id", b"forged")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": place.encode()})

def wsgi(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/fails":
        raise RuntimeError("inside")
    start_response("203 Fine", [("Content-Type", "text/plain"), ("X-Two", "1")])
    text = " ".join([environ["REQUEST_METHOD"], environ["SCRIPT_NAME"], environ["PATH_INFO"],
                     environ["QUERY_STRING"], environ.get("HTTP_X_IN", ""), str(len(body))])
    yield text.encode()
    yield b"!"

fn.mount("/asgi", asgi)
fn.mount("/wsgi", wsgi)
"""

_RULES = '"*": {invoke: auth != null}\n'


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    files = {
        "functions/events.py": _EVENTS,
        "functions/web.py": _WEB,
        "functions/mounted.py": _MOUNTED,
        "rules/_functions.yaml": _RULES,
    }
    folder = write_app(tmp_path_factory.mktemp("app"), files)
    with running(folder, BAAS_LIMITS__BODY_BYTES="20000", BAAS_LIMITS__RATE_AUTH="off") as started:
        yield started


@pytest.fixture(scope="module")
def token(gateway: Gateway) -> str:
    return gateway.sign_in()


# -- calls by name ---------------------------------------------------------------------------------


def test_the_body_is_the_event_and_the_answer_the_result(gateway: Gateway, token: str) -> None:
    answer = gateway.post("/v1/functions/order", {"item": "tea", "count": 2}, token=token)

    assert answer.status_code == 200
    uid = gateway.client.get("/v1/auth/me", headers={"authorization": f"Bearer {token}"}).json()
    assert answer.json() == {"item": "tea", "count": 2, "uid": uid["uid"]}


def test_an_event_that_does_not_fit_names_the_field(gateway: Gateway, token: str) -> None:
    answer = gateway.post("/v1/functions/order", {"item": "tea", "count": "two"}, token=token)

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT")
    assert answer.json()["errors"][0]["path"] == "count"


def test_a_functions_own_error_reaches_the_client_as_that_problem(
    gateway: Gateway, token: str
) -> None:
    answer = gateway.post("/v1/functions/sold_out", {}, token=token)

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["detail"]) == ("SOLD_OUT", "Come back tomorrow.")


def test_any_other_failure_says_nothing(gateway: Gateway, token: str) -> None:
    answer = gateway.post("/v1/functions/broken", {}, token=token)

    assert (answer.status_code, answer.json()["code"]) == (500, "FUNCTION_FAILED")
    assert "hunter2" not in answer.text
    assert "stack" not in answer.json()


def test_an_admin_key_is_shown_where_it_failed(gateway: Gateway) -> None:
    key = gateway.admin_key("functions:write")

    problem = gateway.post("/v1/functions/broken", {}, token=key).json()

    assert problem["errorType"] == "ValueError"
    assert "events.py" in problem["stack"]


def test_a_function_that_takes_too_long_is_504(gateway: Gateway, token: str) -> None:
    answer = gateway.post("/v1/functions/slow", {}, token=token)

    assert (answer.status_code, answer.json()["code"]) == (504, "FUNCTION_TIMEOUT")


def test_a_body_over_the_limit_is_refused(gateway: Gateway, token: str) -> None:
    answer = gateway.post("/v1/functions/order", {"item": "x" * 30_000}, token=token)

    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("body", [b"{", b'{"a": NaN}', b"\xff", b"[" * 5000])
def test_a_body_that_is_no_json_is_400(gateway: Gateway, token: str, body: bytes) -> None:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    answer = gateway.client.post("/v1/functions/order", content=body, headers=headers)

    assert answer.status_code == 400


# -- one run per key -------------------------------------------------------------------------------


def test_a_key_runs_once_and_answers_the_same(gateway: Gateway, token: str) -> None:
    answers = [
        gateway.post("/v1/functions/once", {"n": 1}, token=token, Idempotency_Key="a")
        for _ in range(3)
    ]

    assert len({answer.text for answer in answers}) == 1
    other = gateway.post("/v1/functions/once", {"n": 2}, token=token, Idempotency_Key="a")
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    stranger = gateway.post(
        "/v1/functions/once", {"n": 1}, token=gateway.sign_in(), Idempotency_Key="a"
    )
    assert stranger.json() == answers[0].json() + 1


def test_a_failure_is_not_kept(gateway: Gateway, token: str) -> None:
    for _ in range(2):
        answer = gateway.post("/v1/functions/once", {"fail": 1}, token=token, Idempotency_Key="f")
        assert (answer.status_code, answer.json()["code"]) == (503, "AGAIN")


def test_a_key_of_an_async_call_gives_one_invocation(gateway: Gateway, token: str) -> None:
    ids = {
        gateway.post("/v1/functions/once?mode=async", {}, token=token, Idempotency_Key="q").text
        for _ in range(2)
    }

    assert len(ids) == 1


# -- asynchronous calls ----------------------------------------------------------------------------


def settled(gateway: Gateway, token: str, id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        headers = {"authorization": f"Bearer {token}"}
        found = gateway.client.get(f"/v1/functions/invocations/{id}", headers=headers)
        assert found.status_code == 200, found.text
        invocation: dict[str, Any] = found.json()
        if invocation["state"] in ("succeeded", "failed"):
            return invocation
        time.sleep(0.02)
    raise AssertionError(invocation)


def test_an_async_call_is_run_and_its_result_kept(gateway: Gateway, token: str) -> None:
    accepted = gateway.post("/v1/functions/order?mode=async", {"item": "tea"}, token=token)
    assert accepted.status_code == 202

    invocation = settled(gateway, token, accepted.json()["invocationId"])

    assert invocation["state"] == "succeeded"
    assert invocation["attempts"] == 1
    assert invocation["result"]["item"] == "tea"
    assert [step["state"] for step in invocation["history"]] == ["enqueued", "running", "succeeded"]


def test_a_delayed_call_waits(gateway: Gateway, token: str) -> None:
    accepted = gateway.post("/v1/functions/order?mode=async&delay=60", {"item": "x"}, token=token)
    headers = {"authorization": f"Bearer {token}"}

    path = f"/v1/functions/invocations/{accepted.json()['invocationId']}"

    assert gateway.client.get(path, headers=headers).json()["state"] == "enqueued"


# -- below /http -----------------------------------------------------------------------------------


def test_an_http_function_sees_the_request(gateway: Gateway) -> None:
    seen = gateway.client.request(
        "PUT", "/http/echo/a/b?x=1&x=2&y=", json={"n": 1}, headers={"X-In": "é".encode("latin-1")}
    ).json()

    assert (seen["method"], seen["path"]) == ("PUT", "/echo/a/b")
    assert seen["params"] == {"rest": "a/b"}
    assert seen["query"] == {"x": ["1", "2"], "y": ""}
    assert seen["headers"]["x-in"] == "é"
    assert seen["body"] == {"n": 1}


@pytest.mark.parametrize(
    ("kind", "sent", "seen"),
    [
        ("application/json", b"[1]", [1]),
        ("application/vnd.api+json", b"[1]", [1]),
        ("application/x-www-form-urlencoded", b"a=1&b=%E4%BD%A0&a=2", {"a": ["1", "2"], "b": "你"}),
        ("text/csv; charset=utf-8", "a,é".encode(), "a,é"),
        ("text/plain", b"\xff", "ff"),
        ("image/png", b"\x89PNG", "89504e47"),
        ("application/json", b"", None),
    ],
)
def test_bodies_are_decoded_by_their_type(
    gateway: Gateway, kind: str, sent: bytes, seen: Any
) -> None:
    headers = {"content-type": kind}

    answer = gateway.client.post("/http/echo/x", content=sent, headers=headers)

    assert answer.json()["body"] == seen


def test_json_that_is_none_is_400(gateway: Gateway) -> None:
    headers = {"content-type": "application/json"}
    assert gateway.client.post("/http/echo/x", content=b"{", headers=headers).status_code == 400


def test_a_sync_function_answers_too(gateway: Gateway) -> None:
    assert gateway.client.get("/http/things/7").json() == {"id": "7"}


def test_an_answer_may_be_spelt_out(gateway: Gateway) -> None:
    page = gateway.client.get("/http/page")

    assert (page.status_code, page.text) == (201, "<h1>hi")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert gateway.client.get("/http/binary").content == base64.b64decode("AAEC")


def test_a_response_object_is_sent_as_it_is(gateway: Gateway) -> None:
    answer = gateway.client.get("/http/response")

    assert (answer.status_code, answer.json()) == (202, {"made": "by hand"})
    assert answer.headers["x-own"] == "yes"


def test_head_is_get_without_the_body(gateway: Gateway) -> None:
    answer = gateway.client.head("/http/page")

    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["content-length"] == "6"


def test_another_method_is_405_with_those_that_are(gateway: Gateway) -> None:
    answer = gateway.client.delete("/http/page")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/http/split", "/http/unsendable"])
def test_what_cannot_be_sent_is_the_functions_failure(gateway: Gateway, path: str) -> None:
    answer = gateway.client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (500, "FUNCTION_FAILED")
    assert "set-cookie" not in answer.headers


def test_no_route_is_404(gateway: Gateway) -> None:
    for path in ("/http", "/http/", "/http/nothing", "/http/things/7/8", "/HTTP/page"):
        assert gateway.client.get(path).status_code == 404, path


# -- mounts ----------------------------------------------------------------------------------------


def test_a_mounted_asgi_app_is_started_and_sees_where_it_is(gateway: Gateway) -> None:
    answer = gateway.client.post("/http/asgi/deep/er", content=b"12345")

    assert answer.text == "/http/asgi /http/asgi/deep/er 5 True"
    assert answer.headers["x-request-id"] != "forged"


def test_a_mounted_wsgi_app_is_served(gateway: Gateway) -> None:
    answer = gateway.client.put("/http/wsgi/a%20b?q=1", content=b"123", headers={"x-in": "v"})

    assert (answer.status_code, answer.headers["x-two"]) == (203, "1")
    assert answer.text == "PUT /http/wsgi /a b q=1 v 3!"


def test_a_mounted_app_that_fails_is_500_without_text(gateway: Gateway) -> None:
    answer = gateway.client.get("/http/wsgi/fails")

    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert "inside" not in answer.text


def test_a_mount_does_not_take_more_than_the_limit(gateway: Gateway) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x" * 1000

    assert gateway.client.post("/http/asgi/x", content=b"x" * 30_000).status_code == 413
    assert gateway.client.post("/http/asgi/x", content=chunks()).status_code == 413


def test_a_websocket_reaches_the_mounted_app(gateway: Gateway) -> None:
    host, port = gateway.host_and_port
    with connect(f"ws://{host}:{port}/http/asgi/socket", proxy=None) as socket:
        socket.send("hello")
        assert socket.recv(timeout=10) == "HELLO"


@pytest.mark.parametrize("path", ["/http/wsgi/x", "/http/nothing", "/v1/nothing"])
def test_a_websocket_to_anything_else_is_refused(gateway: Gateway, path: str) -> None:
    from websockets.exceptions import InvalidStatus

    host, port = gateway.host_and_port
    with pytest.raises(InvalidStatus), connect(f"ws://{host}:{port}{path}", proxy=None):
        pass


# -- files that come and change --------------------------------------------------------------------


def test_a_dropped_file_can_be_called_within_a_second_or_so(tmp_path: Path) -> None:
    with running(write_app(tmp_path, {"rules/_functions.yaml": _RULES})) as gateway:
        token = gateway.sign_in()
        assert gateway.post("/v1/functions/late", {}, token=token).status_code == 404

        code = "from baas import fn\n\n@fn.event()\nasync def late(ctx, event):\n    return 1\n"
        write_app(tmp_path, {"functions/late.py": code})
        _until(gateway, token, 1)
        write_app(tmp_path, {"functions/late.py": "this is no python"})
        gateway.logged(level="error", logger="baas.functions")
        assert gateway.post("/v1/functions/late", {}, token=token).json() == 1
        write_app(tmp_path, {"functions/late.py": code.replace("return 1", "return 2")})
        _until(gateway, token, 2)


def _until(gateway: Gateway, token: str, result: int) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        answer = gateway.post("/v1/functions/late", {}, token=token)
        if answer.status_code == 200 and answer.json() == result:
            return
        time.sleep(0.05)
    raise AssertionError(gateway.log_text())
