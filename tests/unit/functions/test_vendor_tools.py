"""Contract `lambda` held against third parties: AWS's own models of events take what handlers are
given, and an adapter made for Lambda (Mangum) serves an ASGI app behind the gateway."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from baas.functions.samples import sample
from tests.support.app import Harness, running_app
from tests.support.gateway import write_app

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from aws_lambda_powertools.utilities.parser.models import (
        APIGatewayProxyEventV2Model,
        EventBridgeModel,
        LambdaFunctionUrlModel,
        S3Model,
        SqsModel,
    )

_ASGI = """
import json
from mangum import Mangum

async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = (await receive())["body"]
    seen = {"method": scope["method"], "path": scope["path"], "client": scope["client"][0],
            "query": scope["query_string"].decode(), "body": body.decode(),
            "cookie": dict(scope["headers"]).get(b"cookie", b"").decode(),
            "aws": sorted(scope["aws.event"])}
    headers = [(b"content-type", b"application/json"), (b"set-cookie", b"a=1")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})

def handler(event, context):
    return Mangum(app, lifespan="off")(event, context)
"""
_POWERTOOLS = """
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor, EventType, process_partial_response)
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2, event_source

processor = BatchProcessor(event_type=EventType.SQS)

def each(record):
    if record.json_body["to"] == "nobody":
        raise ValueError("no such address")

def batch(event, context):
    return process_partial_response(
        event=event, record_handler=each, processor=processor, context=context)

@event_source(data_class=APIGatewayProxyEventV2)
def read(event, context):
    return {"statusCode": 200, "body": event.request_context.http.source_ip + " "
            + event.path_parameters["id"] + " " + str(event.json_body)}
"""
_MANIFEST = """
app: {name: vendors}
functions:
  adapted: {handler: "web.py:handler", contract: lambda,
            triggers: [{http: "POST /web/{rest...}"}]}
  reads: {handler: "tools.py:read", contract: lambda, triggers: [{http: "POST /read/{id}"}]}
  works: {handler: "tools.py:batch", contract: lambda, retries: none}
"""


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("http", APIGatewayProxyEventV2Model),
        ("http", LambdaFunctionUrlModel),
        ("queue", SqsModel),
        ("timer", EventBridgeModel),
        ("storage", S3Model),
    ],
)
def test_events_are_what_the_vendors_models_take(name: str, model: Any) -> None:
    model.model_validate(sample(f"lambda.{name}"))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    files = {
        "baas.yaml": _MANIFEST,
        "rules/_functions.yaml": '"*": {invoke: true}\n',
        "functions/web.py": _ASGI,
        "functions/tools.py": _POWERTOOLS,
    }
    folder = write_app(tmp_path_factory.mktemp("app"), files)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with running_app(folder) as harness:
            yield harness


def post(app: Harness, path: str, body: bytes, query: str = "") -> Any:
    headers = {"content-type": "application/json", "cookie": "c=1; d=2", "host": "app.example"}
    return app.request("POST", path, body, headers, query=query, client="198.51.100.7")


def test_an_adapter_made_for_lambda_serves_its_app(app: Harness) -> None:
    answer = post(app, "/http/web/a/b", b'{"n": 1}', "p=1&p=2")

    assert answer.status == 201, answer.body
    assert answer.headers["set-cookie"] == "a=1"
    seen = answer.json()
    assert (seen["method"], seen["path"], seen["client"]) == ("POST", "/web/a/b", "198.51.100.7")
    assert (seen["query"], seen["body"]) == ("p=1&p=2", '{"n": 1}')
    assert seen["cookie"] == "c=1; d=2"


def test_the_vendors_own_library_reads_a_request(app: Harness) -> None:
    answer = post(app, "/http/read/7", b'{"n": 1}')

    assert (answer.status, answer.body) == (200, b"198.51.100.7 7 {'n': 1}")


def test_the_vendors_own_library_works_off_a_batch(app: Harness) -> None:
    event = json.loads(json.dumps(sample("lambda.queue")))
    (record,) = event["Records"]
    lost = {**record, "messageId": "m2", "body": '{"to": "nobody"}'}

    answer = app.post("/v1/functions/works", {"Records": [record, lost]})

    assert answer.status == 200, answer.body
    assert answer.json() == {"batchItemFailures": [{"itemIdentifier": "m2"}]}
