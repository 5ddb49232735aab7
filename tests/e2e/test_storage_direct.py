"""Links and forms that lead straight to an S3 store: what they allow, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from baas.settings import LimitSettings, Settings
from tests.support.app import Harness, running_app
from tests.support.gateway import write_app
from tests.support.s3 import Server
from tests.support.storage import APP, blobs_of, download, upload

_OFF = LimitSettings(rate_auth="off", rate_read="off", rate_write="off")


@pytest.fixture
def app(tmp_path: Path, s3_server: Server) -> Iterator[Harness]:
    settings = Settings(limits=_OFF, storage=s3_server.settings(s3_prefix="p"))
    with running_app(write_app(tmp_path, APP), settings) as harness:
        yield harness


@pytest.fixture
def token(app: Harness) -> str:
    return app.sign_in()


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    """Someone without any key."""
    with httpx.Client(trust_env=False, timeout=20) as client:
        yield client


def sign(app: Harness, token: str | None, path: str, **options: object) -> Any:
    answer = app.post("/v1/storage/sign", {"files": [{"path": path, **options}]}, token)
    assert answer.status == 200, answer.body
    return answer.json()["files"][0]


def send(browser: httpx.Client, signed: Any, data: bytes, **changed: str) -> httpx.Response:
    fields = {**signed["fields"], **changed}
    return browser.post(signed["url"], data=fields, files={"file": ("f", data)})


def complete(app: Harness, signed: Any, token: str | None) -> Any:
    return app.post(f"/v1/storage/uploads/{signed['uploadId']}/complete", {}, token)


# -- reading --------------------------------------------------------------------------------------


def test_a_link_leads_to_the_store_and_reads_ranges(
    app: Harness, token: str, browser: httpx.Client, s3_server: Server
) -> None:
    upload(app, "shelf/x", b"0123456789", token)
    signed = sign(app, None, "shelf/x")

    assert signed["url"].startswith(s3_server.url)
    assert browser.get(signed["url"]).content == b"0123456789"
    part = browser.get(signed["url"], headers={"range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    longer = signed["url"].replace("X-Amz-Expires=900", "X-Amz-Expires=9000")
    assert browser.get(longer).status_code == 403
    assert browser.put(signed["url"], content=b"mine").status_code == 403
    assert browser.delete(signed["url"]).status_code == 403


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "text/xml", "application/pdf"])
def test_what_could_run_is_saved_not_shown(
    app: Harness, token: str, browser: httpx.Client, kind: str
) -> None:
    upload(app, 'shelf/猫";x.html', b"<script>1</script>", token, content_type=kind)
    got = browser.get(sign(app, None, 'shelf/猫";x.html')["url"])

    assert (
        got.headers["content-disposition"] == "attachment; filename*=UTF-8''%E7%8C%AB%22%3Bx.html"
    )
    assert got.headers["content-type"] == kind
    altered = str(got.url).replace("attachment", "inline")
    assert browser.get(altered).status_code == 403


def test_a_link_asks_no_rule_again_and_ends_in_time(
    app: Harness, token: str, browser: httpx.Client
) -> None:
    upload(app, "shelf/x", b"hello", token)
    lasting = sign(app, None, "shelf/x")["url"]
    short = sign(app, None, "shelf/x", expires=1)["url"]
    app.app.file_guard.rules = type(app.app.file_guard.rules)()  # nothing is allowed any more

    assert sign(app, token, "shelf/x")["code"] == "NOT_FOUND"
    assert browser.get(lasting).content == b"hello"
    while browser.get(short).status_code == 200:
        continue
    assert browser.get(short).status_code == 403
    assert browser.get(lasting).content == b"hello"


def test_a_link_is_to_bytes_and_ends_with_them(
    app: Harness, token: str, browser: httpx.Client
) -> None:
    """Unlike the gateway's, which is to a file: a move leaves it, a replacement ends it."""
    upload(app, "shelf/x", b"one", token)
    first = sign(app, None, "shelf/x")["url"]
    app.post("/v1/storage/move", {"from": "shelf/x", "to": "shelf/y"}, token)
    assert browser.get(first).content == b"one"

    upload(app, "shelf/y", b"two", token)
    assert browser.get(first).status_code == 404
    second = sign(app, None, "shelf/y")["url"]
    assert browser.get(second).content == b"two"
    app.post("/v1/storage/delete", {"files": [{"path": "shelf/y"}]}, token)
    assert browser.get(second).status_code == 404


# -- writing --------------------------------------------------------------------------------------


def test_a_form_sends_the_bytes_and_only_complete_makes_the_file(
    app: Harness, token: str, browser: httpx.Client, s3_server: Server
) -> None:
    data = b"x" * 6_000_000
    kind = {"operation": "upload", "size": len(data), "contentType": "image/png"}
    signed = sign(app, token, "shelf/x", **kind, metadata={"n": 1})
    assert signed["url"].startswith(s3_server.url)
    assert signed["method"] == "POST"
    assert complete(app, signed, token).code == "INVALID_ARGUMENT"

    sent = send(browser, signed, data)

    assert sent.status_code in (200, 204), sent.text
    assert download(app, "shelf/x").code == "NOT_FOUND"
    assert complete(app, signed, None).code == "NOT_FOUND"
    made = complete(app, signed, token)
    assert made.status == 200, made.body
    file = made.json()
    assert (file["size"], file["contentType"], file["metadata"]) == (
        len(data),
        "image/png",
        {"n": 1},
    )
    assert download(app, "shelf/x").body == data
    assert len(blobs_of(app)) == 1


def test_a_form_takes_nothing_else(app: Harness, token: str, browser: httpx.Client) -> None:
    signed = sign(app, token, "shelf/x", operation="upload", size=5, contentType="image/png")
    key = signed["fields"]["key"]
    for data, changed in (
        (b"1234", {}),
        (b"123456", {}),
        (b"12345", {"Content-Type": "text/html"}),
        (b"12345", {"key": f"{key}x"}),
        (b"12345", {"key": key.replace("parts/", "blobs/")}),
        (b"12345", {"x-amz-signature": "0" * 64}),
    ):
        assert send(browser, signed, data, **changed).status_code in (400, 403), (data, changed)
    assert complete(app, signed, token).code == "INVALID_ARGUMENT"
    assert blobs_of(app) == []


def test_what_comes_by_a_form_after_the_file_was_made_is_swept(
    app: Harness, token: str, browser: httpx.Client
) -> None:
    signed = sign(app, token, "shelf/x", operation="upload", size=3)
    send(browser, signed, b"one")
    assert complete(app, signed, token).status == 200

    assert send(browser, signed, b"two").status_code in (200, 204)
    assert complete(app, signed, token).code == "NOT_FOUND"
    assert download(app, "shelf/x").body == b"one"
    assert app.run(app.app.storage.sweeper.run_once(2**50)) == 1
    assert download(app, "shelf/x").body == b"one"


def test_an_empty_file_can_be_signed_too(app: Harness, token: str, browser: httpx.Client) -> None:
    signed = sign(app, token, "shelf/x", operation="upload", size=0)
    assert send(browser, signed, b"").status_code in (200, 204)
    assert complete(app, signed, token).json()["size"] == 0
