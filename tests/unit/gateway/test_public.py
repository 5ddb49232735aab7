"""The public folder: what is in it is served, and nothing else is."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.gateway.exchange import Exchange
from baas.gateway.public import CHUNK_BYTES, PublicFiles


class Sent:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]


def get(folder: Path | None, path: str, method: str = "GET", **headers: str) -> Sent:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    sent = Sent()
    exchange = Exchange({"headers": raw, "method": method, "path": path})
    asyncio.run(PublicFiles(folder).serve(exchange, sent))
    return sent


def refused(folder: Path | None, path: str, method: str = "GET", **headers: str) -> Code:
    with pytest.raises(Problem) as caught:
        get(folder, path, method, **headers)
    return caught.value.code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    public = tmp_path / "public"
    (public / "sub").mkdir(parents=True)
    (public / "index.html").write_text("<p>home</p>")
    (public / "sub" / "index.html").write_text("<p>sub</p>")
    (public / "app.js").write_text("0123456789")
    (public / "empty.txt").write_text("")
    (public / ".env").write_text("SECRET")
    (public / ".git").mkdir()
    (public / ".git" / "config").write_text("SECRET")
    (tmp_path / "baas.yaml").write_text("SECRET")
    return public


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", b"<p>home</p>"),
        ("/index.html", b"<p>home</p>"),
        ("/sub/", b"<p>sub</p>"),
        ("/app.js", b"0123456789"),
        ("/empty.txt", b""),
    ],
)
def test_files_and_index_pages_are_served(folder: Path, path: str, body: bytes) -> None:
    sent = get(folder, path)

    assert (sent.status, sent.body) == (200, body)
    assert sent.headers["content-length"] == str(len(body))


def test_a_folder_without_its_slash_is_sent_on(folder: Path) -> None:
    sent = get(folder, "/sub")

    assert (sent.status, sent.headers["location"]) == (308, "/sub/")


@pytest.mark.parametrize(
    ("path", "type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/empty.txt", "text/plain; charset=utf-8"),
    ],
)
def test_types_come_from_the_name(folder: Path, path: str, type: str) -> None:
    assert get(folder, path).headers["content-type"] == type


@pytest.mark.parametrize(
    "path",
    [
        "/.env",
        "/.git/config",
        "/sub/../.env",
        "/../baas.yaml",
        "/sub/../../baas.yaml",
        "//baas.yaml",
        "/..\\baas.yaml",
        "/sub/..\\..\\baas.yaml",
        "/%2e%2e/baas.yaml",
        "/./index.html",
        "/index.html/",
        "/index.html/x",
        "/nothing",
        "/a\x00.html",
        "/a\nb",
        "/C:/x",
        "/" + "a/" * 2000,
        "/" + "a" * 300,
        "no-slash",
    ],
)
def test_everything_else_is_not_found(folder: Path, path: str) -> None:
    assert refused(folder, path) is Code.NOT_FOUND


def test_a_link_that_leaves_the_folder_is_not_followed(folder: Path) -> None:
    (folder / "out.txt").symlink_to(folder.parent / "baas.yaml")
    (folder / "all").symlink_to(folder.parent)
    (folder / "dot.txt").symlink_to(folder / ".env")

    for path in ("/out.txt", "/all/baas.yaml", "/dot.txt"):
        assert refused(folder, path) is Code.NOT_FOUND


def test_a_link_within_the_folder_is(folder: Path) -> None:
    (folder / "same.js").symlink_to(folder / "app.js")

    assert get(folder, "/same.js").body == b"0123456789"


def test_what_is_no_plain_file_is_not_found(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "bare").mkdir()

    assert refused(folder, "/pipe") is Code.NOT_FOUND
    assert refused(folder, "/bare/") is Code.NOT_FOUND


def test_without_a_folder_there_is_nothing(tmp_path: Path) -> None:
    assert refused(tmp_path / "none", "/") is Code.NOT_FOUND
    assert refused(None, "/") is Code.NOT_FOUND


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_files_are_only_read(folder: Path, method: str) -> None:
    assert refused(folder, "/app.js", method) is Code.METHOD_NOT_ALLOWED


def test_head_tells_the_size_without_the_bytes(folder: Path) -> None:
    sent = get(folder, "/app.js", "HEAD")

    assert (sent.status, sent.body, sent.headers["content-length"]) == (200, b"", "10")


def test_an_unchanged_file_is_not_sent_again(folder: Path) -> None:
    tag = get(folder, "/app.js").headers["etag"]

    assert get(folder, "/app.js", if_none_match=tag).status == 304
    (folder / "app.js").write_text("changed!")
    changed = get(folder, "/app.js", if_none_match=tag)
    assert (changed.status, changed.body) == (200, b"changed!")


@pytest.mark.parametrize(
    ("header", "body", "range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=5-99", b"56789", "bytes 5-9/10"),
    ],
)
def test_one_range_is_honoured(folder: Path, header: str, body: bytes, range: str) -> None:
    sent = get(folder, "/app.js", range=header)

    assert (sent.status, sent.body, sent.headers["content-range"]) == (206, body, range)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_outside_the_file_is_refused(folder: Path, header: str) -> None:
    assert refused(folder, "/app.js", range=header) is Code.RANGE_NOT_SATISFIABLE


_OTHERS = ["bytes=0-1,3-4", "lines=1-2", "bytes=-", "bytes=a-b", "bytes=5-4", ""]


@pytest.mark.parametrize("header", _OTHERS)
def test_other_forms_of_range_are_ignored(folder: Path, header: str) -> None:
    assert get(folder, "/app.js", range=header).status == 200


def test_a_range_of_an_older_version_is_ignored(folder: Path) -> None:
    assert get(folder, "/app.js", range="bytes=0-1", if_range='"old"').status == 200
    tag = get(folder, "/app.js").headers["etag"]
    assert get(folder, "/app.js", range="bytes=0-1", if_range=tag).status == 206


def test_a_large_file_comes_whole_in_parts(folder: Path) -> None:
    data = os.urandom(CHUNK_BYTES * 2 + 17)
    (folder / "large.bin").write_bytes(data)

    assert get(folder, "/large.bin").body == data
