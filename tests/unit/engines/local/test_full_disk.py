"""A disk that is full: told as what passes, nothing left, and on it goes once there is room."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from baas.engines.local.files import Aside
from tests.support.app import Harness, running_app
from tests.support.gateway import write_app
from tests.support.storage import APP, blobs_of, download, rows_of, upload


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Harness]:
    with running_app(write_app(tmp_path, APP)) as harness:
        yield harness


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_an_upload_is_refused_for_now(
    app: Harness, size: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token = app.sign_in()
    upload(app, "shelf/x", b"old", token)
    kept = blobs_of(app)

    def write(aside: Aside, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Aside, "write", write)
        answer = upload(app, "shelf/x", b"x" * size, token)
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert "retry-after" in answer.headers
    assert b"space" not in answer.body
    assert "No space left on device" in caplog.text
    assert download(app, "shelf/x").body == b"old"
    assert (blobs_of(app), len(rows_of(app))) == (kept, 1)
    assert not list((app.app.data_folder / "storage" / "aside").iterdir())

    assert upload(app, "shelf/x", b"x" * size, token).status == 200


def test_an_upload_that_is_complete_can_be_completed_later(
    app: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = app.sign_in()
    begun = app.post("/v1/storage/uploads", {"path": "shelf/y", "size": 3}, token).json()
    address = f"/v1/storage/uploads/{begun['uploadId']}"
    headers = {"authorization": f"Bearer {token}", "content-type": "application/octet-stream"}
    assert app.request("POST", f"{address}/parts/1", b"abc", headers).status == 200

    def place(aside: Aside, target: Path) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with monkeypatch.context() as full:
        full.setattr(Aside, "place", place)
        assert app.post(f"{address}/complete", {}, token).code == "UNAVAILABLE"
    assert app.post(f"{address}/complete", {}, token).status == 200
    assert download(app, "shelf/y").body == b"abc"
