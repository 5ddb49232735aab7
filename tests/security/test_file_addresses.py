"""Addresses of files as they stand on the wire, byte for byte: decoded once, and then a path like
any other."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, running, write_app

RULES = "- {path: '{file...}', read: true, write: true}\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    app = {"baas.yaml": "app: {name: a}\n", "rules/_storage.yaml": RULES}
    with running(write_app(tmp_path_factory.mktemp("app"), app)) as started:
        Path(started.folder, "secret").write_text("secret")
        for path in ("shelf/x", "secret", "猫", "\ufffd"):
            form = {"file": ("f", path.encode(), "text/plain")}
            sent = started.client.post("/v1/storage/upload", data={"path": path}, files=form)
            assert sent.status_code == 200, sent.text
        yield started


def ask(gateway: Gateway, address: str, method: str = "GET") -> tuple[int, bytes]:
    """With the address as it is: no client's help in spelling it."""
    connection = HTTPConnection(*gateway.host_and_port, timeout=10)
    connection.putrequest(method, address, skip_host=False)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    "spelt",
    [
        "shelf/%2e%2e/secret",
        "shelf/../secret",
        "shelf/..%2fsecret",
        "%2e%2e%2f%2e%2e%2fsecret",
        "shelf/%252e%252e/secret",
        "shelf%252fx",
        "shelf/..%5csecret",
        "shelf\\\\..\\\\secret",
        "shelf/%00x",
        "shelf/x%00.png",
        "shelf/%0d%0ax",
        "%2fetc/passwd",
        "/etc/passwd",
        "shelf//x",
        "shelf/x/",
        "shelf/.",
        "shelf/%c0%ae%c0%ae/secret",
        "%ff%fe",
        "e%cc%81",
        "",
    ],
)
@pytest.mark.parametrize("query", ["", "?w=5", "?expires=9999999999&version=x&signature=x"])
def test_no_spelling_leads_elsewhere(gateway: Gateway, spelt: str, query: str) -> None:
    status, body = ask(gateway, f"/v1/storage/files/{spelt}{query}")
    assert status in (400, 404), body
    assert b"secret" not in body
    assert ask(gateway, f"/v1/storage/files/{spelt}{query}", "HEAD")[0] == status


@pytest.mark.parametrize(
    ("spelt", "path"),
    [
        ("shelf/x", "shelf/x"),
        ("shelf%2Fx", "shelf/x"),
        ("%73helf/x", "shelf/x"),
        ("%E7%8C%AB", "猫"),
        ("%ef%bf%bd", "\ufffd"),
    ],
)
def test_one_decoding_and_no_more(gateway: Gateway, spelt: str, path: str) -> None:
    assert ask(gateway, f"/v1/storage/files/{spelt}") == (200, path.encode())
