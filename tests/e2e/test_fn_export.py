"""`baas fn export`: what it writes runs, given those clouds' events, and reaches a real gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from baas.functions.triggers.webhooks import signed_headers
from tests.e2e.test_fn_command import fn
from tests.support.gateway import Gateway, running, write_app

_CODE = """
from baas import Context, fn
from _texts import greeting
import msgspec

class Order(msgspec.Struct):
    count: int

@fn.initializer
async def start(ctx):
    ctx.state["started"] = ctx.state.get("started", 0) + 1

@fn.http("POST", "/orders/{id}", env={"STAGE": "test"})
async def order(ctx: Context, request: fn.HttpRequest):
    ctx.log.info("ordered", token=ctx.secrets["PAY_KEY"])
    notes = ctx.database.collection("notes")
    await notes.insert({"_id": request.params["id"], "count": request.body["count"]})
    stored = await notes.get(request.params["id"])
    return {"stored": stored["count"], "query": request.query, "stage": ctx.config["STAGE"],
            "started": ctx.state["started"], "uid": ctx.auth and ctx.auth.uid}

@fn.http("GET", "/mine")
def mine(ctx: Context, request: fn.HttpRequest):
    found = ctx.as_caller().database.collection("notes").find({})
    return {"statusCode": 200, "headers": {"Set-Cookie": ["a=1", "b=2"]}, "body": greeting(found)}

@fn.timer("30 2 * * MON-FRI", tz="Asia/Shanghai", payload={"days": 7})
async def report(ctx: Context, tick: fn.TimerEvent):
    await ctx.database.collection("notes").insert({"_id": f"{tick.scheduled:%H%M}"})
    return tick.payload

@fn.on("queue.mails", batch=10)
async def mails(ctx: Context, event: fn.QueueEvent):
    return {"failed": [one.id for one in event.messages if one.body["to"] == "nobody"]}

@fn.event()
async def total(ctx: Context, order: Order):
    return await ctx.call("double", {"count": order.count})

@fn.event()
async def double(ctx: Context, order: Order):
    await ctx.emit("app.doubled", {"count": order.count})
    return order.count * 2

@fn.webhook("/hooks/pay", secret="PAY_KEY")
async def paid(ctx: Context, request: fn.HttpRequest):
    return {"paid": request.body["order"]}

@fn.event()
async def away(ctx: Context):
    async with ctx.database.transaction() as tx:
        pass
"""
_AWS = """
from _texts import greeting

def handler(event, context):
    return greeting(event)
"""
_TEXTS = "def greeting(found): return f'hello {sorted(found)}'\n"
_MANIFEST = """
app: {name: shop}
functions:
  aws: {handler: "aws.py:handler", contract: lambda}
"""
_FILES = {
    "baas.yaml": _MANIFEST,
    "functions/main.py": _CODE,
    "functions/aws.py": _AWS,
    "functions/_texts.py": _TEXTS,
    "rules/notes.yaml": "rules: {read: 'true'}\n",
    "rules/_functions.yaml": "'*': {invoke: 'true'}\n",
}
_SECRET = "pay-key-that-nobody-may-see"
TARGETS = {
    "sam": "template.yaml",
    "serverless": "serverless.yml",
    "serverless-devs": "s.yaml",
    "scf": "serverless.yml",
}

_RUN = """
import json, sys
import baas, baas_entry
name, event, context = json.load(sys.stdin)
assert baas.__file__.startswith(sys.argv[1]), baas.__file__
class Context: pass
given = Context()
given.__dict__.update(context)
contract = baas_entry._entry._contract
event = json.dumps(event).encode() if contract == "fc" else event
try:
    result = getattr(baas_entry, name)(event, context if contract == "scf" else given)
except Exception as fault:
    result = {"raised": str(fault)}
modules = sorted({one.split(".")[0] for one in sys.modules} - set(sys.stdlib_module_names))
print("RESULT " + json.dumps({"result": result, "modules": modules}))
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(write_app(tmp_path_factory.mktemp("app"), _FILES)) as started:
        yield started


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    return gateway.admin_key("database:write", "database:read", "functions:write")


@pytest.fixture(scope="module")
def exports(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The four of them, by target."""
    folder = tmp_path_factory.mktemp("exports")
    for target in TARGETS:
        fn(gateway.folder, "export", "--target", target, "--out", str(folder / target))
    return {target: folder / target for target in TARGETS}


class Cloud:
    """Runs handlers of one export, each in a new process, as a cold start does."""

    def __init__(self, folder: Path, url: str, key: str) -> None:
        self.folder = folder
        self._environ = {"BAAS_URL": url, "BAAS_KEY": key, "BAAS_SECRET_PAY_KEY": _SECRET}
        self.printed = ""
        self.modules: list[str] = []

    def run(self, name: str, event: Any, **context: str) -> Any:
        clean = {key: value for key, value in os.environ.items() if key[:4] != "BAAS"}
        done = subprocess.run(
            [sys.executable, "-c", _RUN, str(self.folder)],
            cwd=self.folder,
            env={**clean, **self._environ},
            input=json.dumps([name, event, context]),
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.printed, _, told = done.stdout.rpartition("RESULT ")
        assert told, done.stdout + done.stderr
        answer = json.loads(told)
        self.modules = answer["modules"]
        return answer["result"]


@pytest.fixture
def cloud(request: pytest.FixtureRequest, gateway: Gateway, key: str, exports: Any) -> Cloud:
    return Cloud(exports[request.param], gateway.url, key)


def on(*targets: str) -> Any:
    return pytest.mark.parametrize("cloud", targets, indirect=True)


def aws_request(method: str, path: str, body: str | None = None, **headers: str) -> dict[str, Any]:
    """Payload format 2.0, as the Lambda developer guide shows it."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "tag=a&tag=b&x=%2B",
        "queryStringParameters": {"tag": "a,b", "x": "+"},
        "headers": {
            "content-type": "application/json",
            "host": "id.execute-api.example",
            **headers,
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api-id",
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "agent",
            },
            "requestId": "id",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "isBase64Encoded": False,
    }
    return event if body is None else {**event, "body": body}


def fc_request(method: str, path: str, body: str = "", **headers: str) -> dict[str, Any]:
    """An HTTP trigger's event of FC 3.0, as its page shows it."""
    return {
        "version": "v1",
        "rawPath": quote(path),
        "headers": {"Content-Type": "application/json", **headers},
        "queryParameters": {"tag": "a,b", "x": "+"},
        "body": body,
        "isBase64Encoded": False,
        "requestContext": {
            "accountId": "123456",
            "domainName": "shop.cn-hangzhou.fcapp.run",
            "domainPrefix": "shop",
            "requestId": "1-64f6cd87",
            "time": "2023-09-05T06:41:11Z",
            "timeEpoch": "1693896071895",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.2",
                "userAgent": "agent",
            },
        },
    }


def scf_request(method: str, path: str, body: str = "", **headers: str) -> dict[str, Any]:
    """API Gateway's integrated request, as its page shows it."""
    return {
        "requestContext": {
            "serviceId": "service-f94sy04v",
            "path": "/orders/{id}",
            "httpMethod": method,
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {"secretId": "abdcdxxxxxxxsdfs"},
            "sourceIp": "203.0.113.3",
            "stage": "release",
        },
        "headers": {"content-type": "application/json", **headers},
        "body": body,
        "pathParameters": {},
        "queryStringParameters": {},
        "headerParameters": {},
        "stageVariables": {"stage": "release"},
        "path": path,
        "queryString": {"tag": ["a", "b"], "x": "+", "bare": True},
        "httpMethod": method,
        "isBase64Encoded": "false",
    }


REQUESTS = {
    "sam": aws_request,
    "serverless": aws_request,
    "serverless-devs": fc_request,
    "scf": scf_request,
}
TIMERS = {
    "sam": {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "time": "2026-11-20T18:30:00Z",
        "resources": ["arn:aws:scheduler:us-east-1:123456789012:schedule/default/report"],
        "detail": {"days": 7},
    },
    "serverless-devs": {
        "triggerTime": "2026-11-20T18:31:00Z",
        "triggerName": "timer1",
        "payload": '{"days": 7}',
    },
    "scf": {
        "Type": "Timer",
        "TriggerName": "report-1",
        "Time": "2026-11-20T18:32:00Z",
        "Message": '{"days": 7}',
    },
}


def target_of(cloud: Cloud) -> str:
    return cloud.folder.name


def structure(answer: Any) -> Any:
    """FC takes the answer to a request as JSON text."""
    return json.loads(answer) if isinstance(answer, str) else answer


@on(*TARGETS)
def test_a_request_reaches_the_function_and_its_database_is_the_gateways(
    cloud: Cloud, gateway: Gateway, key: str
) -> None:
    target = target_of(cloud)
    id = f"o-{target}"

    answer = structure(
        cloud.run("order", REQUESTS[target]("POST", f"/orders/{id}", '{"count": 3}'))
    )

    assert answer["statusCode"] == 200, answer
    body = json.loads(answer["body"])
    assert body["stored"] == 3
    assert body["query"]["x"] == "+"
    assert body["stage"] == "test"
    assert body["started"] == 1
    assert body["uid"] is None
    there = gateway.post("/v1/database/notes/get", {"id": id}, token=key)
    assert there.json()["count"] == 3
    assert _SECRET not in cloud.printed
    assert "ordered" in cloud.printed


@on("sam", "serverless-devs", "scf")
def test_a_callers_token_is_his_there_too(cloud: Cloud, gateway: Gateway) -> None:
    make = REQUESTS[target_of(cloud)]
    token = gateway.sign_in()
    id = f"m-{target_of(cloud)}"

    answer = structure(
        cloud.run(
            "order", make("POST", f"/orders/{id}", '{"count": 1}', Authorization=f"Bearer {token}")
        )
    )
    bad = structure(cloud.run("mine", make("GET", "/mine", authorization="Bearer nonsense")))
    nobody = structure(cloud.run("mine", make("GET", "/mine")))

    assert json.loads(answer["body"])["uid"]
    assert bad["statusCode"] == 401
    assert json.loads(bad["body"])["code"] == "UNAUTHENTICATED"
    assert nobody["statusCode"] == 200
    assert nobody["body"].startswith("hello ['documents'")


@on("sam")
def test_several_cookies_stay_several(cloud: Cloud) -> None:
    assert cloud.run("mine", aws_request("GET", "/mine"))["cookies"] == ["a=1", "b=2"]


@on("sam", "serverless-devs", "scf")
def test_what_a_route_does_not_take_is_refused_as_on_the_gateway(cloud: Cloud) -> None:
    make = REQUESTS[target_of(cloud)]

    assert structure(cloud.run("mine", make("GET", "/elsewhere")))["statusCode"] == 404
    broken = structure(cloud.run("order", make("POST", "/orders/x", "{")))
    assert broken["statusCode"] == 400
    assert json.loads(broken["body"])["code"] == "INVALID_ARGUMENT"


@on("sam", "serverless-devs", "scf")
def test_a_tick_runs_the_timer_with_its_payload(cloud: Cloud, gateway: Gateway, key: str) -> None:
    tick = TIMERS[target_of(cloud)]

    assert structure(cloud.run("report", tick)) == {"days": 7}
    time = str(tick.get("time") or tick.get("triggerTime") or tick.get("Time"))
    id = time[11:13] + time[14:16]
    assert gateway.post("/v1/database/notes/get", {"id": id}, token=key).status_code == 200


@on("sam", "serverless-devs", "scf")
def test_a_webhook_takes_signed_bodies_alone(cloud: Cloud) -> None:
    make = REQUESTS[target_of(cloud)]
    body = '{"order": "o1"}'
    signed = signed_headers(_SECRET, "msg_1", int(time.time()), body.encode())

    answer = structure(cloud.run("paid", make("POST", "/hooks/pay", body, **signed)))
    forged = structure(cloud.run("paid", make("POST", "/hooks/pay", body + " ", **signed)))

    assert json.loads(answer["body"]) == {"paid": "o1"}
    assert forged["statusCode"] == 401


@on("sam")
def test_a_batch_of_messages_and_its_failures(cloud: Cloud) -> None:
    records = [
        {
            "messageId": id,
            "receiptHandle": "AQEB",
            "body": json.dumps({"to": to}),
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:mails",
            "awsRegion": "us-east-2",
        }
        for id, to in (("m1", "mei"), ("m2", "nobody"))
    ]

    answer = cloud.run("mails", {"Records": records})

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m2"}]}


@on("sam", "serverless-devs", "scf")
def test_an_event_is_typed_and_ctx_calls_functions_of_the_gateway(cloud: Cloud) -> None:
    assert structure(cloud.run("total", {"count": 21})) == 42
    assert "INVALID_ARGUMENT" in cloud.run("total", {"count": "many"})["raised"]


@on("sam")
def test_what_is_not_there_says_so(cloud: Cloud, gateway: Gateway, key: str) -> None:
    assert "FUNCTION_FAILED" in cloud.run("away", {})["raised"]

    alone = Cloud(cloud.folder, "", "")
    assert alone.run("total", {"count": 1})["raised"].startswith("FUNCTION_FAILED")


@on("sam")
def test_no_more_packages_are_needed_than_are_listed(cloud: Cloud) -> None:
    cloud.run("double", {"count": 1})

    listed = (cloud.folder / "requirements.txt").read_text()
    # Modules whose packages are called otherwise.
    names = {"re2": "google-re2", "yaml": "pyyaml"}
    for module in set(cloud.modules) - {"baas", "baas_entry", "__main__"}:
        if module.startswith("_") or module in (
            "cython_runtime",
            "typing_extensions",
            "sitecustomize",
        ):
            continue
        if not module.startswith("baas_"):
            assert names.get(module, module) in listed


@pytest.mark.parametrize("target", TARGETS)
def test_no_value_of_a_secret_or_key_is_written(
    target: str, exports: dict[str, Path], key: str
) -> None:
    folder = exports[target]
    texts = [one.read_text(errors="replace") for one in folder.rglob("*") if one.is_file()]

    assert (folder / TARGETS[target]).is_file()
    assert not any(_SECRET in text or key in text for text in texts)
    assert "PAY_KEY" in (folder / "REPORT.md").read_text()


def test_an_export_never_writes_over_something(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    told = fn(gateway.folder, "export", "--target", "sam", "--out", str(tmp_path), code=1)

    assert "not empty" in told
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]


def test_an_export_is_not_put_among_the_functions(gateway: Gateway) -> None:
    told = fn(gateway.folder, "export", "--target", "sam", "--out", "functions/away", code=2)

    assert "outside the functions" in told
    assert not (gateway.folder / "functions/away").exists()


def test_an_unknown_function_is_refused(gateway: Gateway, tmp_path: Path) -> None:
    out = str(tmp_path / "out")

    told = fn(gateway.folder, "export", "--target", "sam", "--out", out, "nothing", code=1)

    assert "there is no function 'nothing'" in told


def test_only_what_was_asked_for(gateway: Gateway, tmp_path: Path) -> None:
    out = tmp_path / "out"

    fn(gateway.folder, "export", "--target", "sam", "--out", str(out), "aws")

    report = json.loads((out / "report.json").read_text())
    assert report["functions"] == ["aws"]
    # A handler of that cloud's own needs nothing of this kit.
    assert not (out / "baas").exists()
    assert not (out / "baas_entry.py").exists()
    done = subprocess.run(
        [sys.executable, "-c", "import aws; print(aws.handler({'b': 1}, None))"],
        cwd=out / "functions",
        env={"PYTHONPATH": "."},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "hello ['b']\n", done.stderr
