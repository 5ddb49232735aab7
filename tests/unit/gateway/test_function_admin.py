"""The admin routes of functions, and the doors for signed webhooks and CloudEvents."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from baas.functions.triggers.webhooks import signed_headers
from tests.support.app import Harness, Reply, running_app
from tests.support.gateway import write_app

_CODE = """
from baas import fn

RUNS = []

@fn.event()
async def talk(ctx, event):
    for n in range(10):
        ctx.log.info(f"line {n}", n=n)
    return "said"

@fn.event()
@fn.timer("0 3 * * *", tz="Asia/Shanghai")
async def fails(ctx, event):
    ctx.log.warning("about to fail")
    if event.get("ok"):
        return "fine now"
    raise ValueError("no luck")

@fn.on("database.posts.insert", where={"published": True})
async def posted(ctx, event):
    return event.documentId

@fn.on("app.order.paid")
async def paid(ctx, event):
    RUNS.append((event.type, event.data))

@fn.webhook("/hooks/standard", secret="HOOK")
async def hook(ctx, event):
    RUNS.append(event.body)
    if event.body.get("fail"):
        raise fn.Error("LATER", status=503)
    return {"runs": len(RUNS), "uid": ctx.auth and ctx.auth.uid}

@fn.webhook("/hooks/github", secret="HOOK", scheme="github")
async def github(ctx, event):
    return event.body["action"]

@fn.event()
async def runs(ctx, event):
    return RUNS
"""
SECRET = "hook-secret-0123456789"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rules = {"rules/_functions.yaml": '"*": {invoke: true}\n', "functions/main.py": _CODE}
    return write_app(tmp_path_factory.mktemp("app"), rules)


@pytest.fixture(scope="module")
def app(folder: Path) -> Iterator[Harness]:
    with running_app(folder) as harness:
        harness.run(harness.app.secrets._vault.set("HOOK", SECRET))
        harness.run(harness.app.secrets.look())
        yield harness


@pytest.fixture(scope="module")
def key(app: Harness) -> str:
    return app.admin_key("functions:read", "functions:write")


def ask(app: Harness, key: str, path: str, body: Any = None) -> Any:
    path = f"/v1/admin/{path}"
    answer = app.get(path, key) if body is None else app.post(path, body, key)
    assert answer.status == 200, answer.body
    return answer.json()


# -- what is in force ------------------------------------------------------------------------------


def test_the_status_shows_functions_as_declared(app: Harness, key: str) -> None:
    status = ask(app, key, "functions")

    by_name = {one["name"]: one for one in status["functions"]}
    assert by_name["posted"]["triggers"] == [
        {
            "kind": "database",
            "collection": "posts",
            "operation": "insert",
            "ordered": False,
            "where": {"published": True},
        }
    ]
    assert [one["kind"] for one in by_name["fails"]["triggers"]] == ["event", "timer"]
    assert status["error"] == ""
    assert by_name["talk"]["version"] in status["serving"]


def test_a_read_key_changes_nothing(app: Harness) -> None:
    reader = app.admin_key("functions:read")

    for path in ("deploy", "rollback", "alias", "replay"):
        assert app.post(f"/v1/admin/functions/{path}", {}, reader).code == "PERMISSION_DENIED"
    for path in ("stop", "redrive"):
        assert app.post(f"/v1/admin/jobs/{path}", {"id": "x"}, reader).code == "PERMISSION_DENIED"


def test_a_deploy_is_in_force_and_a_rollback_takes_it_back(tmp_path: Path, folder: Path) -> None:
    files = {"rules/_functions.yaml": '"*": {invoke: true}\n', "functions/f.py": _version(1)}
    with running_app(write_app(tmp_path, files)) as app:
        key = app.admin_key("functions:write", "functions:read")
        content = b64encode(_version(2).encode()).decode()

        deployed = ask(app, key, "functions/deploy", {"files": {"f.py": content}})

        assert deployed["functions"] == ["f"]
        late = {"files": {"f.py": content}, "base": "the version before"}
        assert app.post("/v1/admin/functions/deploy", late, key).code == "CONFLICT"
        assert app.post("/v1/functions/f").json() == 2
        versions = ask(app, key, "functions/versions")["versions"]
        assert [one["source"] for one in versions] == ["deploy", "folder"]
        ask(app, key, "functions/rollback", {})
        assert app.post("/v1/functions/f").json() == 1
        weights = {"versions": {versions[1]["hash"]: 1, versions[0]["hash"]: 1}}
        ask(app, key, "functions/alias", weights)
        assert len(ask(app, key, "functions")["serving"]) == 2


def _version(number: int) -> str:
    return f"from baas import fn\n@fn.event()\nasync def f(ctx, event):\n    return {number}\n"


@pytest.mark.parametrize(
    "body",
    [
        {"files": {"f.py": "not base64!"}},
        {"files": {"../f.py": ""}},
        {"files": {"f.py": b64encode(b"this is no python").decode()}},
        {"files": {}, "config": {"functions": {"absent": {"timeout": 1}}}},
        {"files": {}, "secrets": {}},
    ],
)
def test_a_deploy_that_does_not_load_changes_nothing(
    app: Harness, key: str, body: dict[str, Any]
) -> None:
    before = ask(app, key, "functions")["serving"]

    answer = app.post("/v1/admin/functions/deploy", body, key)

    assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT")
    assert ask(app, key, "functions")["serving"] == before


def test_an_unknown_version_is_404(app: Harness, key: str) -> None:
    for path, body in (("rollback", {"version": "x"}), ("alias", {"versions": {"x": 1}})):
        assert app.post(f"/v1/admin/functions/{path}", body, key).code == "NOT_FOUND"


# -- logs ------------------------------------------------------------------------------------------


def flushed(app: Harness) -> None:
    app.run(app.app.functions.records.flush())


def test_a_search_shows_lines_around_each_hit(app: Harness, key: str) -> None:
    assert app.post("/v1/functions/talk").status == 200
    flushed(app)

    query = {"function": "talk", "text": "LINE 5", "context": 1}
    (found,) = ask(app, key, "functions/logs", query)["invocations"]

    assert (found["function"], found["result"]) == ("talk", "ok")
    assert [line.get("message", line.get("gap")) for line in found["lines"]] == [
        4,
        "line 4",
        "line 5",
        "line 6",
        3,
    ]
    assert [line.get("hit", False) for line in found["lines"]] == [False, False, True, False, False]


def test_a_search_without_a_hit_finds_nothing(app: Harness, key: str) -> None:
    assert ask(app, key, "functions/logs", {"text": "never said"})["invocations"] == []
    assert ask(app, key, "functions/logs", {"function": "absent"})["invocations"] == []


def test_pages_go_on_where_the_last_ended(app: Harness, key: str) -> None:
    for _ in range(3):
        app.post("/v1/functions/talk")
    for _ in range(1000):  # a batch may have been on its way already: the last call has its own
        flushed(app)
        if len(ask(app, key, "functions/logs", {"function": "talk"})["invocations"]) >= 3:
            break
    seen: list[str] = []
    before = ""
    while True:
        page = ask(app, key, "functions/logs", {"function": "talk", "limit": 1, "before": before})
        seen += [one["id"] for one in page["invocations"]]
        if page["next"] is None:
            break
        before = page["next"]

    assert len(seen) == len(set(seen)) >= 3
    assert seen == sorted(seen, reverse=True)


def test_a_tail_brings_what_came_since_and_nothing_twice(app: Harness, key: str) -> None:
    start = ask(app, key, "functions/logs/tail", {})
    app.post("/v1/functions/talk")
    app.post("/v1/functions/fails")
    flushed(app)

    first = ask(app, key, "functions/logs/tail", {"cursor": start["cursor"], "function": "talk"})
    second = ask(app, key, "functions/logs/tail", {"cursor": first["cursor"]})

    assert [one["function"] for one in first["invocations"]] == ["talk"]
    assert first["invocations"][0]["lines"][0]["message"] == "line 0"
    assert second["invocations"] == []


@pytest.mark.parametrize("cursor", ["nonsense", "-1", "999999999999"])
def test_a_cursor_that_is_none_begins_anew(app: Harness, key: str, cursor: str) -> None:
    answer = app.post("/v1/admin/functions/logs/tail", {"cursor": cursor}, key)

    assert answer.status in (200, 400), answer.body


# -- failures --------------------------------------------------------------------------------------


def test_a_failure_is_captured_and_can_be_run_again(app: Harness, key: str) -> None:
    app.post("/v1/functions/fails", {"n": 1})
    flushed(app)

    listed = ask(app, key, "functions/failures", {"function": "fails", "limit": 1})["failures"]
    captured = ask(app, key, "functions/failure", {"id": listed[0]["id"]})

    assert listed[0]["error"]["message"] == captured["error"]["message"] == "no luck"
    assert captured["event"] == {"n": 1}
    again = ask(app, key, "functions/replay", {"id": listed[0]["id"]})
    assert again["error"]["code"] == "FUNCTION_FAILED"
    assert again["failure"]["error"] == captured["error"]
    assert again["failure"]["requestId"] == f"replay-{listed[0]['id']}"


def test_what_was_not_captured_is_404(app: Harness, key: str) -> None:
    for path in ("failure", "replay"):
        answer = app.post(f"/v1/admin/functions/{path}", {"id": "absent"}, key)
        assert answer.code == "NOT_FOUND"


# -- jobs ------------------------------------------------------------------------------------------


def test_a_waiting_call_is_listed_and_stopped(app: Harness, key: str) -> None:
    accepted = app.request("POST", "/v1/functions/talk", b"{}", query="mode=async&delay=600")
    id = accepted.json()["invocationId"]

    listed = ask(app, key, "jobs/list", {"states": ["enqueued"], "kind": "call"})["jobs"]
    assert id in [job["id"] for job in listed]
    assert ask(app, key, "jobs")["queues"]["calls:talk"]["enqueued"] >= 1
    assert ask(app, key, "jobs/stop", {"id": id}) == {"id": id, "state": "stopped"}
    assert app.post("/v1/admin/jobs/redrive", {"id": id}, key).code == "NOT_FOUND"


# -- events and webhooks ---------------------------------------------------------------------------


def cloud_event(app: Harness, key: str | None, id: str) -> Reply:
    headers = {
        "ce-specversion": "1.0",
        "ce-type": "app.order.paid",
        "ce-source": "/shop",
        "ce-id": id,
        "content-type": "application/json",
    }
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    return app.request("POST", "/v1/admin/functions/events", b'{"total": 7}', headers)


def test_a_cloud_event_starts_who_listens_and_only_once(app: Harness, key: str) -> None:
    assert cloud_event(app, key, "e1").json() == {"started": 1}
    assert cloud_event(app, key, "e1").json() == {"started": 0}
    assert cloud_event(app, None, "e2").status == 401
    assert cloud_event(app, app.admin_key("functions:read"), "e2").status == 403


def send(app: Harness, body: bytes, headers: dict[str, str], path: str = "standard") -> Reply:
    given = {"content-type": "application/json", **headers}
    return app.request("POST", f"/http/hooks/{path}", body, given)


def test_a_signed_webhook_runs_once(app: Harness) -> None:
    now = app.app.store.clock.now_ms() // 1000
    headers = signed_headers(SECRET, "msg_1", now, b'{"a": 1}')

    first, again = (send(app, b'{"a": 1}', headers) for _ in range(2))

    assert first.status == 200, first.body
    assert first.json()["uid"] is None
    assert again.body == first.body


def test_a_webhook_that_failed_is_run_again(app: Harness) -> None:
    now = app.app.store.clock.now_ms() // 1000
    headers = signed_headers(SECRET, "msg_2", now, b'{"fail": 1}')
    before = len(app.post("/v1/functions/runs").json())

    assert [send(app, b'{"fail": 1}', headers).status for _ in range(2)] == [503, 503]

    assert len(app.post("/v1/functions/runs").json()) == before + 2


def test_what_is_not_signed_by_the_secret_does_not_run(app: Harness, key: str) -> None:
    now = app.app.store.clock.now_ms() // 1000
    before = app.post("/v1/functions/runs").json()
    good = signed_headers(SECRET, "msg_3", now, b'{"a": 1}')
    bad = [
        {},
        {"authorization": f"Bearer {key}"},
        signed_headers("another", "msg_3", now, b'{"a": 1}'),
        signed_headers(SECRET, "msg_3", now - 3600, b'{"a": 1}'),
        {**good, "webhook-id": "msg_4"},
    ]

    for headers in bad:
        assert send(app, b'{"a": 1}', headers).status == 401
    assert send(app, b'{"a": 2}', good).status == 401
    assert app.post("/v1/functions/runs").json() == before


def test_github_signs_in_its_own_way(app: Harness) -> None:
    body = b'{"action": "opened"}'
    signature = "sha256=" + hmac.digest(SECRET.encode(), body, hashlib.sha256).hex()

    signed = send(app, body, {"x-hub-signature-256": signature}, "github")

    assert (signed.status, signed.json()) == (200, "opened")
    assert send(app, body, {"x-hub-signature-256": "sha256=00"}, "github").status == 401
