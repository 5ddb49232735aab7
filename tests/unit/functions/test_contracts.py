"""Handlers written for other clouds, run unmodified: events and contexts as their vendors document
them."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from baas.functions.samples import sample
from tests.support.app import Harness, running_app
from tests.support.gateway import write_app

_SCF = """
# -*- coding: utf8 -*-
import json

def main_handler(event, context):
    if "httpMethod" in event:
        body = json.loads(event["body"] or "null")
        return {
            "isBase64Encoded": False,
            "statusCode": 201,
            "headers": {"Content-Type": "application/json", "Key": ["v1"]},
            "body": json.dumps({"event": event, "sent": body}),
        }
    return {"event": event, "context": context}

def hello(event, context):
    return("Hello World")

def fails(event, context):
    raise Exception("inside")
"""

_FC = """
import json
import logging

def handler(event, context):
    logger = logging.getLogger()
    assert isinstance(event, bytes)
    evt = json.loads(event)
    if "requestContext" in evt:
        return {"statusCode": 200, "headers": {"Content-Type": "text/plain"},
                "isBase64Encoded": False, "body": json.dumps(evt)}
    return {
        "event": evt,
        "ids": [context.request_id, context.requestId, context.account_id, context.region],
        "function": [context.function.name, context.function.handler, context.function.memory,
                     context.function.timeout],
        "service": [context.service.name, context.service.qualifier],
        "credentials": [context.credentials.access_key_id, context.credentials.security_token],
        "logger": type(context.getLogger()).__name__,
    }

def text(event, context):
    return "hello world"

def raw(event, context):
    return event

def structure(event, context):
    return json.dumps({"statusCode": 202, "body": "made"})
"""

_LAMBDA = """
import asyncio
import json

def lambda_handler(event, context):
    remaining = context.get_remaining_time_in_millis()
    return {
        "event": event,
        "context": {name: getattr(context, name) for name in (
            "function_name", "function_version", "invoked_function_arn", "memory_limit_in_mb",
            "aws_request_id", "log_group_name", "log_stream_name", "identity", "client_context")},
        "remaining": 0 < remaining <= 20_000 and isinstance(remaining, int),
    }

def proxy(event, context):
    return {"statusCode": 200, "headers": {"X-A": "1"}, "cookies": ["a=1", "b=2"],
            "body": json.dumps(event)}

def plain(event, context):
    return {"message": "no statusCode"}

async def waits(event, context):
    await asyncio.sleep(0)
    return {"async": event}
"""

_STORED = """
import json
from baas import fn

SEEN = {}

def cos(event, context):
    SEEN["scf_file"] = event["Records"][0]["cos"]["cosObject"]["key"]

def oss(event, context):
    SEEN["fc_file"] = json.loads(event)["events"][0]["oss"]["object"]["key"]

def s3(event, context):
    SEEN["aws_file"] = event["Records"][0]["s3"]["object"]["key"]

@fn.event()
async def puts(ctx, event):
    return await ctx.storage.put("pictures/a b.txt", b"hello")

@fn.event()
async def seen(ctx, event):
    return SEEN
"""

_MANIFEST = """
app: {name: clouds}
functions:
  scf_http:
    {handler: "scf.py:main_handler", contract: scf, env: {STAGE: test},
     triggers: [event, {http: "POST /scf/{id}"}]}
  scf_hello: {handler: "scf.py:hello", contract: scf}
  scf_fails: {handler: "scf.py:fails", contract: scf}
  fc_http:
    {handler: "fc.py:handler", contract: fc, timeout: 20,
     triggers: [event, {http: "* /fc/{rest...}"}]}
  fc_text: {handler: "fc.py:text", contract: fc, triggers: [event, {http: "GET /fc-text"}]}
  fc_raw: {handler: "fc.py:raw", contract: fc}
  fc_structure: {handler: "fc.py:structure", contract: fc, triggers: [{http: "GET /fc-made"}]}
  aws: {handler: "aws.py:lambda_handler", contract: lambda, timeout: 20, isolation: process,
        memory: 256MiB}
  aws_proxy: {handler: "aws.py:proxy", contract: lambda, triggers: [{http: "* /aws/{id}"}]}
  aws_plain: {handler: "aws.py:plain", contract: lambda, triggers: [{http: "GET /aws-plain"}]}
  aws_async: {handler: "aws.py:waits", contract: lambda}
  scf_file: {handler: "files.py:cos", contract: scf, triggers: [{on: storage.put}]}
  fc_file: {handler: "files.py:oss", contract: fc, triggers: [{on: storage.put}]}
  aws_file: {handler: "files.py:s3", contract: lambda, triggers: [{on: storage.put}]}
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    files = {
        "baas.yaml": _MANIFEST,
        "rules/_functions.yaml": '"*": {invoke: true}\n',
        "functions/scf.py": _SCF,
        "functions/fc.py": _FC,
        "functions/aws.py": _LAMBDA,
        "functions/files.py": _STORED,
    }
    with running_app(write_app(tmp_path_factory.mktemp("app"), files)) as harness:
        yield harness


def call(app: Harness, name: str, event: Any = None) -> Any:
    answer = app.post(f"/v1/functions/{name}", {} if event is None else event)
    assert answer.status == 200, answer.body
    return answer.json()


def request(app: Harness, method: str, path: str, body: bytes = b"", query: str = "") -> Any:
    headers = {"content-type": "application/json", "cookie": "c=1; d=2", "host": "app.example"}
    return app.request(method, path, body, headers, query=query, client="198.51.100.7")


# -- Tencent Cloud SCF -----------------------------------------------------------------------------


def test_scf_gets_the_event_and_a_context_that_are_dicts(app: Harness) -> None:
    seen = call(app, "scf_http", {"key1": "value1"})

    assert seen["event"] == {"key1": "value1"}
    context = seen["context"]
    assert context["function_name"] == "scf_http"
    assert context["time_limit_in_ms"] == 30_000
    assert context["memory_limit_in_mb"] == 128
    assert context["environment"] == '{"STAGE": "test"}'
    assert context["environ"] == "STAGE=test"
    assert context["request_id"]
    documented = {"function_version", "namespace", "tencentcloud_region", "tencentcloud_appid"}
    assert documented <= context.keys()


def test_scf_gets_requests_as_api_gateway_passes_them_on(app: Harness) -> None:
    query = "foo=bar&bob=alice&a=b&a=c&empty=&i"
    answer = request(app, "POST", "/http/scf/7", b'{"test": "body"}', query)

    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    seen = answer.json()
    assert seen["sent"] == {"test": "body"}
    event = seen["event"]
    assert (event["httpMethod"], event["path"]) == ("POST", "/scf/7")
    assert event["pathParameters"] == {"id": "7"}
    # As the event in the vendor's own tests has it (tencentyun/scf-go-lib).
    assert event["queryString"] == {
        "foo": "bar",
        "bob": "alice",
        "a": ["b", "c"],
        "empty": "",
        "i": True,
    }
    assert event["body"] == '{"test": "body"}'
    assert event["requestContext"]["path"] == "/scf/{id}"
    assert event["requestContext"]["sourceIp"] == "198.51.100.7"
    assert event["isBase64Encoded"] is False


def test_scf_may_return_a_text(app: Harness) -> None:
    assert call(app, "scf_hello") == "Hello World"


def test_a_failure_of_a_foreign_handler_is_a_failure_like_any(app: Harness) -> None:
    answer = app.post("/v1/functions/scf_fails")

    assert (answer.status, answer.code) == (500, "FUNCTION_FAILED")


# -- Alibaba Cloud FC ------------------------------------------------------------------------------


def test_fc_gets_bytes_and_a_context_object(app: Harness) -> None:
    seen = call(app, "fc_http", {"key": "值"})

    assert seen["event"] == {"key": "值"}
    assert seen["ids"][0] == seen["ids"][1] != ""
    assert seen["function"] == ["fc_http", "fc.handler", 128, 20]
    assert seen["credentials"] == ["", ""]
    assert seen["logger"] == "Logger"


def test_fc_gets_requests_in_the_structure_of_its_http_trigger(app: Harness) -> None:
    answer = request(app, "PUT", "/http/fc/a/b%20c", b"\x89PNG", "x=1&y=2&y=3")

    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain")
    event = answer.json()
    assert (event["version"], event["rawPath"]) == ("v1", "/fc/a/b%20c")
    assert event["queryParameters"] == {"x": "1", "y": "2,3"}
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == b"\x89PNG"
    assert event["requestContext"]["http"] == {
        "method": "PUT",
        "path": "/fc/a/b c",
        "protocol": "HTTP/1.1",
        "sourceIp": "198.51.100.7",
        "userAgent": "",
    }


def test_fc_answers_with_texts_bytes_and_structures(app: Harness) -> None:
    assert call(app, "fc_text") == "hello world"
    assert call(app, "fc_raw", {"a": 1}) == '{"a": 1}'
    text = app.get("/http/fc-text")
    assert (text.body, text.headers["content-type"]) == (
        b"hello world",
        "text/plain; charset=utf-8",
    )
    made = app.get("/http/fc-made")
    assert (made.status, made.body) == (202, b"made")


# -- AWS Lambda ------------------------------------------------------------------------------------


def test_lambda_gets_the_event_and_a_context_object(app: Harness) -> None:
    seen = call(app, "aws", {"key": [1]})

    assert seen["event"] == {"key": [1]}
    assert seen["remaining"] is True
    context = seen["context"]
    assert context["function_name"] == "aws"
    assert context["memory_limit_in_mb"] == "256"
    assert context["invoked_function_arn"].endswith(":function:aws")
    assert context["log_group_name"] == "/aws/lambda/aws"
    assert context["aws_request_id"]
    assert context["identity"] is context["client_context"] is None


def test_lambda_gets_requests_in_payload_format_2(app: Harness) -> None:
    answer = _exchange_with_cookies(app)

    assert answer["status"] == 200
    assert answer["cookies"] == [b"a=1", b"b=2"]
    event = answer["event"]
    assert (event["version"], event["routeKey"]) == ("2.0", "PATCH /aws/{id}")
    assert (event["rawPath"], event["rawQueryString"]) == ("/aws/9", "p=1&p=2&q=%20")
    assert event["queryStringParameters"] == {"p": "1,2", "q": " "}
    assert event["pathParameters"] == {"id": "9"}
    assert event["cookies"] == ["c=1", "d=2"]
    assert "cookie" not in event["headers"]
    assert event["body"] == '{"n":  1}'
    assert event["requestContext"]["http"]["method"] == "PATCH"


def _exchange_with_cookies(app: Harness) -> dict[str, Any]:
    """The harness refuses repeated headers; two cookies are two headers."""
    messages: list[Any] = []
    scope = {
        "type": "http",
        "method": "PATCH",
        "path": "/http/aws/9",
        "raw_path": b"/http/aws/9",
        "query_string": b"p=1&p=2&q=%20",
        "headers": [(b"content-type", b"application/json"), (b"cookie", b"c=1; d=2")],
        "client": ("198.51.100.7", 1),
        "server": ("127.0.0.1", 80),
        "root_path": "",
    }

    async def run() -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": b'{"n":  1}', "more_body": False}

        async def send(message: Any) -> None:
            messages.append(message)

        await app.app.asgi(scope, receive, send)

    app.run(run())
    head, body = messages[0], messages[1]
    cookies = [value for name, value in head["headers"] if name == b"set-cookie"]
    event = msgspec.json.decode(body["body"])
    return {"status": head["status"], "cookies": cookies, "event": event}


def test_lambda_may_answer_without_a_status(app: Harness) -> None:
    answer = app.get("/http/aws-plain")

    assert (answer.status, answer.json()) == (200, {"message": "no statusCode"})
    assert answer.headers["content-type"] == "application/json"


def test_an_async_handler_is_awaited(app: Harness) -> None:
    assert call(app, "aws_async", {"a": 1}) == {"async": {"a": 1}}


@pytest.mark.parametrize("name", ["scf_hello", "fc_text", "aws_async"])
def test_they_run_asynchronously_too(app: Harness, name: str) -> None:
    accepted = app.request("POST", f"/v1/functions/{name}", b"{}", query="mode=async")

    assert accepted.status == 202, accepted.body


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("scf.storage", ("Records", 0, "cos", "cosObject", "key")),
        ("fc.storage", ("events", 0, "oss", "object", "key")),
        ("lambda.storage", ("Records", 0, "s3", "object", "key")),
    ],
)
def test_files_come_as_the_clouds_own_notifications(name: str, path: tuple[Any, ...]) -> None:
    found = sample(name)
    for step in path:
        found = found[step]

    assert found.endswith("avatars/u1/me.jpg")


def test_a_file_runs_a_foreign_handler(app: Harness) -> None:
    """Through the whole gateway: put, change feed, durable job, handler."""
    stored = call(app, "puts", {})["path"]

    assert stored == "pictures/a b.txt"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        seen = call(app, "seen")
        if len(seen) == 3:
            break
        app.run(asyncio.sleep(0.02))
    assert seen == {
        "scf_file": "/0/baas/pictures/a b.txt",
        "fc_file": "pictures/a b.txt",
        "aws_file": "pictures/a+b.txt",
    }
