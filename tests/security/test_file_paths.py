"""No parameter that names a file reaches anything but a row: every odd spelling is refused, alike
everywhere, and nothing appears on the disk under a name of the client's choosing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.app import Harness, running_app
from tests.support.gateway import write_app
from tests.support.storage import APP, download, form, form_headers, upload

BAD = {
    "parent": "shelf/../x",
    "parent alone": "..",
    "parent at the end": "shelf/..",
    "here": "shelf/./x",
    "absolute": "/etc/passwd",
    "trailing slash": "shelf/x/",
    "empty segment": "shelf//x",
    "empty": "",
    "backslash": "shelf\\..\\x",
    "drive": "C:\\x",
    "NUL": "shelf/x\0.png",
    "line break": "shelf/x\ny",
    "delete": "shelf/x\x7f",
    "C1 control": "shelf/x\x85",
    "encoded dots": "shelf/%2e%2e/x",
    "encoded slash": "shelf%2Fx",
    "encoded NUL": "shelf/x%00",
    "not NFC": "shelf/e\u0301",
    "too long": "shelf/" + "x" * 845,
    "too long in bytes": "shelf/" + "猫" * 282,
}
#: Odd, but names like any other: rows do not care what an operating system makes of them.
GOOD = (
    "shelf/...",
    "shelf/..x",
    "shelf/.env",
    "shelf/CON",
    "shelf/aux.txt",
    "shelf/a:b",
    "shelf/100%",
    "shelf/a b",
    "shelf/x?y#z",
    "shelf/~",
    "shelf/\u2215etc\u2044x",
    "shelf/\uff0e\uff0e",
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_app(write_app(tmp_path_factory.mktemp("app"), APP)) as harness:
        yield harness


@pytest.fixture(scope="module")
def key(app: Harness) -> str:
    return app.admin_key("*")


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_every_parameter_refuses_it(app: Harness, key: str, bad: str) -> None:
    upload(app, "shelf/there", b"x", key)
    item = {"files": [{"path": bad}]}
    by_id = {"files": [{"fileId": f"cloud://app/{bad}"}]}
    to_send = {"files": [{"path": bad, "operation": "upload", "size": 1}]}
    address = f"/v1/storage/files/{quote(bad, safe='/')}"
    holder = {"authorization": f"Bearer {key}"}
    refusals = [
        app.post("/v1/storage/stat", {"path": bad}, key),
        app.post("/v1/storage/stat", {"fileId": f"cloud://app/{bad}"}, key),
        app.post("/v1/storage/sign", item, key),
        app.post("/v1/storage/sign", by_id, key),
        app.post("/v1/storage/delete", item, key),
        app.post("/v1/storage/delete", by_id, key),
        app.post("/v1/storage/copy", {"from": "shelf/there", "to": bad}, key),
        app.post("/v1/storage/copy", {"from": bad, "to": "shelf/new"}, key),
        app.post("/v1/storage/move", {"from": "shelf/there", "to": bad}, key),
        app.post("/v1/storage/move", {"from": f"cloud://app/{bad}", "to": "shelf/new"}, key),
        app.post("/v1/storage/sign", to_send, key),
        app.post("/v1/storage/uploads", {"path": bad, "size": 1}, key),
        app.post("/v1/storage/uploads", {"fileId": f"cloud://app/{bad}", "size": 1}, key),
        upload(app, bad, b"x", key),
        download(app, quote(bad, safe="/"), key),
        download(app, quote(bad, safe="/"), key, query="w=5"),
        download(app, quote(bad, safe="/"), key, range="bytes=0-1"),
        download(app, quote(bad, safe="/"), query="expires=9999999999&version=x&signature=x"),
    ]
    assert {(one.status, one.code) for one in refusals} == {(400, "INVALID_ARGUMENT")}
    assert app.request("HEAD", address, headers=holder).status == 400
    if bad and not bad.endswith("/"):
        listed = app.post("/v1/storage/list", {"prefix": bad}, key)
        assert (listed.status, listed.code) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("good", GOOD)
def test_an_odd_name_is_a_name(app: Harness, key: str, good: str) -> None:
    assert upload(app, good, good.encode(), key).status == 200
    assert download(app, good, key).body == good.encode()
    assert app.post("/v1/storage/stat", {"path": good}, key).json()["path"] == good


@pytest.mark.parametrize(
    "name", ["cloud://other/shelf/x", "cloud:///shelf/x", "http://app/x", "app/x", ""]
)
def test_a_file_id_of_elsewhere_is_refused(app: Harness, key: str, name: str) -> None:
    assert app.post("/v1/storage/stat", {"fileId": name}, key).code == "INVALID_ARGUMENT"


def test_no_name_of_a_client_is_on_the_disk(app: Harness, key: str) -> None:
    upload(app, "shelf/very-own-name", b"x", key)
    folder = app.app.data_folder / "storage"
    names = [path.name for path in folder.rglob("*")]
    assert not [name for name in names if "very-own-name" in name]


@pytest.mark.parametrize(
    "filename", ["../../evil", "/tmp/evil", "..\\evil", "C:\\evil", "", "a/evil"]
)
def test_the_name_that_a_form_gives_its_file_counts_for_nothing(
    app: Harness, key: str, filename: str
) -> None:
    body = form(b"x", path="shelf/form").replace(b'filename="f"', f'filename="{filename}"'.encode())
    sent = app.request("POST", "/v1/storage/upload", body, form_headers(body, key))
    assert (sent.status, sent.json()["path"]) == (200, "shelf/form"), sent.body
    disposition = download(app, "shelf/form", key).headers["content-disposition"]
    assert disposition == "inline; filename*=UTF-8''form"
    folder = app.app.data_folder.parent
    assert not list(folder.parent.rglob("*evil*"))


def test_an_upload_id_is_no_path(app: Harness, key: str) -> None:
    for id in ("..", "x", "a" * 47, "A" * 48, "." * 48):
        path = f"/v1/storage/uploads/{id}/parts/1"
        answer = app.request(
            "POST", path, b"x", {"authorization": f"Bearer {key}", "content-type": "x/y"}
        )
        assert answer.status in (400, 404), answer.body


def test_a_form_whose_fields_come_late_or_twice_is_refused(app: Harness, key: str) -> None:
    late = form(b"x").removesuffix(b"--\r\n")
    late += b'\r\nContent-Disposition: form-data; name="path"\r\n\r\nshelf/x\r\n--x-boundary-x--'
    twice = form(b"x", path="shelf/a").replace(
        b"--x-boundary-x\r\n",
        b'--x-boundary-x\r\nContent-Disposition: form-data; name="path"\r\n\r\nshelf/b\r\n'
        b"--x-boundary-x\r\n",
        1,
    )
    two_files = form(b"x", path="shelf/a").removesuffix(b"--\r\n") + b"\r\n" + form(b"y")
    cut = form(b"x" * 100, path="shelf/a")[:-10]
    other = form(b"x", path="shelf/a").replace(b'name="path"', b'name="paht"')
    for body in (late, twice, two_files, cut, other, b"", b"--x-boundary-x--\r\n"):
        answer = app.request("POST", "/v1/storage/upload", body, form_headers(body, key))
        assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT"), body
    assert download(app, "shelf/a", key).code == "NOT_FOUND"


def test_nothing_was_left_by_what_was_refused(app: Harness) -> None:
    assert list((app.app.data_folder / "storage" / "aside").iterdir()) == []


def test_paths_are_not_followed_to_the_disk(app: Harness, key: str, tmp_path: Path) -> None:
    """A link planted beside the blobs is nothing to a download."""
    (app.app.data_folder / "storage" / "blobs" / "shelf").symlink_to(tmp_path)
    (tmp_path / "secret").write_text("secret")
    assert download(app, "shelf/secret", key).code == "NOT_FOUND"
