"""Where no rule speaks of a file, nobody reads or writes it; of two writers one wins, whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import Harness, exchange, running_app
from tests.support.gateway import write_app
from tests.support.storage import APP, blobs_of, download, form, form_headers, rows_of, upload


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """An app that says nothing of files, and has some."""
    with running_app(write_app(tmp_path_factory.mktemp("app"), {})) as harness:
        assert upload(harness, "a/b", b"hidden-value", harness.admin_key("*")).status == 200
        yield harness


def test_nothing_is_read(bare: Harness) -> None:
    item = {"files": [{"path": "a/b"}]}
    for token in (None, bare.sign_in()):
        replies = [
            download(bare, "a/b", token),
            download(bare, "a/b", token, range="bytes=0-1"),
            bare.request("HEAD", "/v1/storage/files/a/b"),
            bare.post("/v1/storage/stat", {"path": "a/b"}, token),
            bare.post("/v1/storage/copy", {"from": "a/b", "to": "a/c"}, token),
            bare.post("/v1/storage/move", {"from": "a/b", "to": "a/c"}, token),
        ]
        assert {reply.status for reply in replies} == {404}
        assert bare.post("/v1/storage/list", {}, token).code == "PERMISSION_DENIED"
        for call in ("sign", "delete"):
            reply = bare.post(f"/v1/storage/{call}", item, token)
            assert [one["code"] for one in reply.json()["files"]] == ["NOT_FOUND"]
            replies.append(reply)
        assert not any(b"hidden-value" in reply.body for reply in replies)


def test_nothing_is_written(bare: Harness) -> None:
    begin = {"path": "a/c", "size": 1}
    sign = {"files": [{"path": "a/c", "operation": "upload", "size": 1}]}
    for token in (None, bare.sign_in()):
        assert upload(bare, "a/c", b"x", token).code == "PERMISSION_DENIED"
        assert upload(bare, "a/b", b"x", token).code == "PERMISSION_DENIED"
        assert bare.post("/v1/storage/uploads", begin, token).code == "PERMISSION_DENIED"
        (signed,) = bare.post("/v1/storage/sign", sign, token).json()["files"]
        assert signed["code"] == "PERMISSION_DENIED"
    assert len(blobs_of(bare)) == len(rows_of(bare)) == 1


def test_a_bad_token_is_refused_even_with_a_link(bare: Harness) -> None:
    key = bare.admin_key("*")
    body = {"files": [{"path": "a/b"}]}
    (signed,) = bare.post("/v1/storage/sign", body, key).json()["files"]
    query = signed["url"].partition("?")[2]
    assert download(bare, "a/b", query=query).body == b"hidden-value"
    assert download(bare, "a/b", "nonsense", query=query).status == 401
    assert download(bare, "a/b", query="token=abc").status == 401


def test_files_rows_are_out_of_reach_of_the_database_api(bare: Harness) -> None:
    for name in ("_files", "_uploads", "_file_usage"):
        answer = bare.post(f"/v1/database/{name}/find", {}, bare.admin_key("*"))
        assert answer.code == "PERMISSION_DENIED"


def test_of_uploads_to_one_path_at_once_one_is_there_whole(tmp_path: Path) -> None:
    with running_app(write_app(tmp_path, APP)) as app:
        token = app.sign_in()
        bodies = [bytes([65 + i]) * (40_000 + i) for i in range(8)]

        async def all_at_once() -> list[Any]:
            requests = []
            for data in bodies:
                body = form(data, path="shelf/x")
                headers = [
                    (name.encode(), value.encode())
                    for name, value in form_headers(body, token).items()
                ]
                requests.append(exchange(app.app.asgi, "POST", "/v1/storage/upload", body, headers))
            random.Random(7).shuffle(requests)
            return await asyncio.gather(*requests)

        answers = app.run(all_at_once())

        assert {answer.status for answer in answers} == {200}
        assert download(app, "shelf/x").body in bodies
        assert len(blobs_of(app)) == len(rows_of(app)) == 1
