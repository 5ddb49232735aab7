"""What strangers upload does not run in anybody's browser under this address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.app import Harness, running_app
from tests.support.gateway import write_app
from tests.support.storage import APP, download, upload


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_app(write_app(tmp_path_factory.mktemp("app"), APP)) as harness:
        yield harness


@pytest.fixture(scope="module")
def token(app: Harness) -> str:
    return app.sign_in()


@pytest.mark.parametrize(
    "kind",
    [
        "text/html",
        "TEXT/HTML",
        "text/html; charset=utf-8",
        "image/svg+xml",
        "image/SVG+XML",
        "application/xhtml+xml",
        "text/xml",
        "application/xml",
        "application/xslt+xml",
        "text/javascript",
        "application/pdf",
        "application/x-shockwave-flash",
        "application/octet-stream",
        "image/unheard-of",
    ],
)
def test_it_is_saved_not_shown(app: Harness, token: str, kind: str) -> None:
    assert upload(app, "shelf/x", b"<script>1</script>", token, content_type=kind).status == 200
    got = download(app, "shelf/x")

    assert got.headers["content-disposition"].startswith("attachment;")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]
    assert "allow-" not in got.headers["content-security-policy"]


@pytest.mark.parametrize("kind", ["image/png", "text/plain", "video/mp4"])
def test_what_cannot_run_is_shown_with_its_own_type(app: Harness, token: str, kind: str) -> None:
    """A script that says it is a picture stays one: nothing is sniffed."""
    upload(app, "shelf/x.html", b"<script>1</script>", token, content_type=kind)
    got = download(app, "shelf/x.html")
    assert got.headers["content-disposition"].startswith("inline;")
    assert got.headers["content-type"].startswith(kind)
    assert got.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "kind", ["text", "text/", "/html", "a b/c", "text/html, image/png", "image/png\x01", "é/x"]
)
def test_what_is_no_type_is_refused(app: Harness, token: str, kind: str) -> None:
    assert upload(app, "shelf/y", b"x", token, content_type=kind).code == "INVALID_ARGUMENT"
    body = {"path": "shelf/y", "size": 1, "contentType": kind + "\r\nset-cookie: a=b"}
    assert app.post("/v1/storage/uploads", body, token).code == "INVALID_ARGUMENT"


def test_a_name_cannot_write_headers(app: Harness, token: str) -> None:
    name = 'shelf/";x="a;猫.txt'
    upload(app, name, b"x", token)
    disposition = download(app, name).headers["content-disposition"]
    assert disposition == "inline; filename*=UTF-8''%22%3Bx%3D%22a%3B%E7%8C%AB.txt"
