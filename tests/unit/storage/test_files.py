"""Files from outside: uploaded, read, listed, copied, moved, deleted, under the rules."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from baas.ports.blobs import new_key, new_upload
from baas.settings import LimitSettings, Settings, StorageSettings
from tests.support.app import Harness, Reply, exchange, running_app
from tests.support.gateway import write_app
from tests.support.s3 import Server, server_names
from tests.support.storage import (
    APP,
    blobs_of,
    download,
    form,
    form_headers,
    pieces,
    rows_of,
    uid_of,
    upload,
)

_OFF = LimitSettings(rate_auth="off", rate_read="off", rate_write="off")


@pytest.fixture(params=("local", *server_names()[:1]))
def app(
    request: pytest.FixtureRequest, tmp_path: Path, s3_servers: Callable[[str], Server]
) -> Iterator[Harness]:
    """On the local disk, and on S3 through the gateway: nothing here may tell which."""
    storage = StorageSettings()
    if request.param != "local":
        storage = s3_servers(request.param).settings(s3_links="gateway")
    with running_app(write_app(tmp_path, APP), Settings(limits=_OFF, storage=storage)) as harness:
        yield harness


@pytest.fixture
def token(app: Harness) -> str:
    return app.sign_in()


def home(app: Harness, token: str, name: str = "a.txt") -> str:
    return f"home/{uid_of(app, token)}/{name}"


def test_what_was_uploaded_can_be_read(app: Harness, token: str) -> None:
    path = home(app, token, "猫 1.txt")

    made = upload(app, path, b"hello", token, metadata='{"from": "camera", "n": 1}')

    assert made.status == 200, made.body
    file = made.json()
    assert file["fileId"] == f"cloud://app/{path}"
    assert (file["path"], file["size"], file["contentType"]) == (path, 5, "text/plain")
    assert file["hash"] == hashlib.sha256(b"hello").hexdigest()
    assert file["openid"] == uid_of(app, token)
    assert file["metadata"] == {"from": "camera", "n": 1}
    assert app.post("/v1/storage/stat", {"path": path}, token).json() == file
    assert app.post("/v1/storage/stat", {"fileId": file["fileId"]}, token).json() == file
    got = download(app, path, token)
    assert (got.status, got.body) == (200, b"hello")
    assert got.headers["content-length"] == "5"
    assert got.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n--x-boundary", bytes(300_000)])
@pytest.mark.parametrize("end", [b"\r\n", b""])
def test_bytes_are_kept_as_they_are(app: Harness, token: str, data: bytes, end: bytes) -> None:
    assert upload(app, "shelf/x", data, token, end=end).status == 200  # type: ignore[arg-type]
    assert download(app, "shelf/x").body == data


def test_the_size_that_a_rule_sees_is_that_of_the_file(app: Harness, token: str) -> None:
    path = home(app, token)
    for end in (b"\r\n", b""):
        for size, status in ((1000, 200), (1001, 403), (998, 200), (1003, 403)):
            answer = upload(app, path, bytes(size), token, end=end)  # type: ignore[arg-type]
            assert answer.status == status, size
    assert len(blobs_of(app)) == 1


def test_a_second_upload_replaces_the_first_whole_and_it_stays_its_owners(
    app: Harness, token: str
) -> None:
    first = upload(app, "shelf/x", b"one", token).json()
    other = app.sign_in()
    second = upload(app, "shelf/x", b"two!", other, content_type="image/png").json()

    assert second["openid"] == first["openid"]
    assert second["createTime"] == first["createTime"]
    assert download(app, "shelf/x").body == b"two!"
    assert len(blobs_of(app)) == 1


def test_what_one_may_not_read_is_as_if_it_were_not_there(app: Harness, token: str) -> None:
    path = home(app, token)
    upload(app, path, b"hello", token)
    stranger = app.sign_in()

    for who in (None, stranger):
        for hidden, absent in (
            (download(app, path, who), download(app, path + "x", who)),
            (
                app.post("/v1/storage/stat", {"path": path}, who),
                app.post("/v1/storage/stat", {"path": path + "x"}, who),
            ),
            (
                app.post("/v1/storage/copy", {"from": path, "to": "shelf/s"}, who),
                app.post("/v1/storage/copy", {"from": path + "x", "to": "shelf/s"}, who),
            ),
        ):
            assert hidden.code == absent.code == "NOT_FOUND"
            assert hidden.json()["detail"] == absent.json()["detail"]
    listed = app.post("/v1/storage/list", {"prefix": "home/"}, stranger).json()
    assert listed == {"files": [], "next": None}
    signed = app.post("/v1/storage/sign", {"files": [{"path": path}]}, stranger).json()
    assert [one["code"] for one in signed["files"]] == ["NOT_FOUND"]
    gone = app.post("/v1/storage/delete", {"files": [{"path": path}]}, stranger).json()
    assert [one["code"] for one in gone["files"]] == ["NOT_FOUND"]
    assert upload(app, path, b"mine", stranger).code == "PERMISSION_DENIED"


def test_a_rule_may_look_up_a_document(app: Harness, token: str) -> None:
    key = app.admin_key("*")
    assert upload(app, "looked/r1", b"x", token).code == "PERMISSION_DENIED"
    app.post("/v1/database/rooms/insert", {"document": {"_id": "r1", "open": True}}, key)

    assert upload(app, "looked/r1", b"x", token).status == 200
    assert download(app, "looked/r1").body == b"x"
    listed = app.post("/v1/storage/list", {"prefix": "looked/"}).json()["files"]
    assert [file["path"] for file in listed] == ["looked/r1"]
    app.post("/v1/database/rooms/delete", {"id": "r1"}, key)
    assert download(app, "looked/r1").code == "NOT_FOUND"


def test_stored_is_the_file_that_a_write_replaces(app: Harness, token: str) -> None:
    assert upload(app, "drop/x", b"one", token).status == 200
    assert upload(app, "drop/x", b"two", token).code == "PERMISSION_DENIED"
    assert download(app, "drop/x", app.admin_key("*")).body == b"one"


def test_an_admin_key_needs_the_scope(app: Harness) -> None:
    reader, writer = app.admin_key("storage:read"), app.admin_key("storage:write")
    assert upload(app, "any/where", b"x", reader).code == "PERMISSION_DENIED"
    made = upload(app, "any/where", b"x", writer)
    assert made.json()["openid"] is None
    assert download(app, "any/where", writer).code == "PERMISSION_DENIED"
    assert download(app, "any/where", reader).body == b"x"


# -- downloads ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("range_", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
        ("bytes=3-1", 200, b"0123456789", None),
        ("bytes=10-", 416, None, "bytes */10"),
    ],
)
def test_ranges(
    app: Harness, token: str, range_: str, status: int, body: bytes, content_range: str | None
) -> None:
    upload(app, "shelf/x", b"0123456789", token)
    got = download(app, "shelf/x", range=range_)
    assert got.status == status
    assert got.headers.get("content-range") == content_range
    assert body is None or got.body == body


def test_conditional_requests_and_head(app: Harness, token: str) -> None:
    upload(app, "shelf/x", b"0123456789", token)
    etag = download(app, "shelf/x").headers["etag"]

    unchanged = download(app, "shelf/x", if_none_match=etag)
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert download(app, "shelf/x", if_range=etag, range="bytes=0-0").status == 206
    assert download(app, "shelf/x", if_range='"other"', range="bytes=0-0").status == 200
    head = app.request("HEAD", "/v1/storage/files/shelf/x")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "10")
    upload(app, "shelf/x", b"0123456789", token, content_type="image/png")
    assert download(app, "shelf/x", if_none_match=etag).status == 200


# -- links ----------------------------------------------------------------------------------------


def link(app: Harness, path: str, token: str, **options: int) -> tuple[str, str]:
    body = {"files": [{"path": path, **options}]}
    (signed,) = app.post("/v1/storage/sign", body, token, host="files.example").json()["files"]
    assert signed["url"].startswith("http://files.example/v1/storage/files/")
    address, _, query = signed["url"].removeprefix("http://files.example").partition("?")
    return address.removeprefix("/v1/storage/files/"), query


def test_a_link_reads_without_a_token_until_it_expires(app: Harness, token: str) -> None:
    path = home(app, token)
    upload(app, path, b"hello", token)
    where, query = link(app, path, token)
    assert where == path

    assert download(app, path, query=query).body == b"hello"
    assert download(app, path, query=query.replace("expires=", "expires=1")).status == 403
    assert download(app, path + "x", query=query).status == 403
    assert download(app, path, query=query[:-1] + ("A" if query[-1] != "A" else "E")).status == 403


def test_a_link_outlives_the_rule_but_not_its_file(app: Harness, token: str) -> None:
    path = home(app, token)
    upload(app, path, b"hello", token)
    _, query = link(app, path, token)
    app.app.file_guard.rules = type(app.app.file_guard.rules)()  # nothing is allowed any more
    assert download(app, path, token).code == "NOT_FOUND"
    assert download(app, path, query=query).body == b"hello"
    key = app.admin_key("*")

    upload(app, path, b"replaced", key)
    assert download(app, path, query=query).body == b"replaced"
    app.post("/v1/storage/delete", {"files": [{"path": path}]}, key)
    assert download(app, path, query=query).code == "NOT_FOUND"
    upload(app, path, b"another", key)
    assert download(app, path, query=query).code == "NOT_FOUND"


# -- lists ----------------------------------------------------------------------------------------


def test_lists_go_on_where_the_page_before_ended(app: Harness, token: str) -> None:
    names = [f"shelf/{i:02}" for i in range(7)]
    for name in names:
        upload(app, name, b"x", token)
    upload(app, home(app, token), b"x", token)
    found: list[str] = []
    after = None
    while True:
        body = {"prefix": "shelf/", "limit": 3, "after": after}
        page = app.post("/v1/storage/list", body).json()
        found += [file["path"] for file in page["files"]]
        after = page["next"]
        if after is None:
            break
        assert app.post("/v1/storage/list", {"prefix": "s", "after": after}).code == (
            "CURSOR_INVALID"
        )
    assert found == names
    everything = app.post("/v1/storage/list", {}).json()["files"]
    assert [file["path"] for file in everything] == names
    mine = app.post("/v1/storage/list", {}, token).json()["files"]
    assert [file["path"] for file in mine] == [home(app, token), *names]


# -- copy, move, delete ---------------------------------------------------------------------------


def test_a_copy_shares_the_bytes_and_lives_on(app: Harness, token: str) -> None:
    upload(app, "shelf/a", b"hello", token, metadata='{"n": 1}')
    made = app.post("/v1/storage/copy", {"from": "shelf/a", "to": "shelf/b"}, token)

    assert made.status == 200
    assert (made.json()["path"], made.json()["metadata"]) == ("shelf/b", {"n": 1})
    assert len(blobs_of(app)) == 1
    gone = app.post("/v1/storage/delete", {"files": [{"path": "shelf/a"}]}, token).json()
    assert gone == {"files": [{"path": "shelf/a", "fileId": "cloud://app/shelf/a"}]}
    assert download(app, "shelf/b").body == b"hello"
    app.post("/v1/storage/delete", {"files": [{"path": "shelf/b"}]}, token)
    assert blobs_of(app) == []


def test_a_move_needs_leave_to_delete(app: Harness, token: str) -> None:
    upload(app, "shelf/a", b"hello", token)
    body = {"from": "cloud://app/shelf/a", "to": "shelf/b"}
    assert app.post("/v1/storage/move", body, app.sign_in()).code == "PERMISSION_DENIED"

    moved = app.post("/v1/storage/move", body, token)

    assert moved.json()["path"] == "shelf/b"
    assert download(app, "shelf/a").code == "NOT_FOUND"
    assert download(app, "shelf/b").body == b"hello"


def test_a_repeat_with_its_key_happens_once(app: Harness, token: str) -> None:
    upload(app, "shelf/a", b"hello", token)
    body = {"from": "shelf/a", "to": "shelf/b"}
    first = app.post("/v1/storage/move", body, token, idempotency_key="k1")
    upload(app, "shelf/a", b"new", token)
    again = app.post("/v1/storage/move", body, token, idempotency_key="k1")

    assert first.body == again.body
    assert download(app, "shelf/a").body == b"new"
    files = {"files": [{"path": "shelf/a"}]}
    once = app.post("/v1/storage/delete", files, token, idempotency_key="k2")
    assert app.post("/v1/storage/delete", files, token, idempotency_key="k2").body == once.body
    other = {"files": [{"path": "shelf/b"}]}
    refused = app.post("/v1/storage/delete", other, token, idempotency_key="k2")
    assert refused.code == "IDEMPOTENCY_MISMATCH"


def test_each_file_of_a_delete_answers_by_itself(app: Harness, token: str) -> None:
    upload(app, "shelf/a", b"x", token)
    upload(app, "shelf/b", b"x", app.sign_in())
    names = ("shelf/a", "shelf/b", "shelf/none", "shelf/a")
    body = {"files": [{"path": name} for name in names]}

    answer = app.post("/v1/storage/delete", body, token).json()["files"]

    assert [one.get("code") for one in answer] == [
        None,
        "PERMISSION_DENIED",
        "NOT_FOUND",
        "NOT_FOUND",
    ]


# -- parts ----------------------------------------------------------------------------------------


def begin(app: Harness, token: str | None, path: str, size: int) -> dict[str, object]:
    body = {"path": path, "size": size, "contentType": "text/plain"}
    answer = app.post("/v1/storage/uploads", body, token)
    assert answer.status == 200, answer.body
    return dict(answer.json())


def send(app: Harness, upload: object, number: int, data: bytes, token: str | None, **h: str):  # type: ignore[no-untyped-def]
    headers = {"content-type": "application/octet-stream"}
    headers |= {name.replace("_", "-"): value for name, value in h.items()}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return app.request("POST", f"/v1/storage/uploads/{upload}/parts/{number}", data, headers)


def test_an_upload_in_parts(app: Harness, token: str) -> None:
    path = home(app, token)
    begun = begin(app, token, path, 10)
    id = begun["uploadId"]
    complete = f"/v1/storage/uploads/{id}/complete"

    assert send(app, id, 2, b"56789", token).json()["size"] == 5
    assert app.post(complete, {}, token).code == "INVALID_ARGUMENT"
    assert send(app, id, 1, b"xxxxx", token).status == 200
    assert send(app, id, 1, b"01234", token).status == 200
    assert send(app, id, 3, b"x", token).code == "INVALID_ARGUMENT"
    assert send(app, id, 1, b"01234", app.sign_in()).code == "NOT_FOUND"
    assert app.post(complete, {}, app.sign_in()).code == "NOT_FOUND"
    assert download(app, path, token).code == "NOT_FOUND"

    made = app.post(complete, {}, token, idempotency_key="done")

    assert made.status == 200, made.body
    assert download(app, path, token).body == b"0123456789"
    assert app.post(complete, {}, token).code == "NOT_FOUND"
    assert app.post(complete, {}, token, idempotency_key="done").body == made.body
    assert len(blobs_of(app)) == 1


def test_an_upload_is_refused_before_its_bytes(app: Harness, token: str) -> None:
    path = home(app, token)
    refused = app.post("/v1/storage/uploads", {"path": path, "size": 1001}, token)
    assert refused.code == "PERMISSION_DENIED"


def test_a_signed_upload_needs_no_token_but_completing_does(app: Harness, token: str) -> None:
    path = home(app, token)
    item = {"path": path, "operation": "upload", "size": 3, "contentType": "text/plain"}
    (signed,) = app.post("/v1/storage/sign", {"files": [item]}, token).json()["files"]
    assert (signed["method"], signed["fields"]) == ("POST", {})
    address, _, query = signed["url"].partition("?")
    raw = {"content-type": "application/octet-stream"}
    assert app.request("POST", address, b"abc", raw).code == "NOT_FOUND"

    sent = app.request("POST", address, b"abc", raw, query=query)

    assert sent.status == 200, sent.body
    complete = f"/v1/storage/uploads/{signed['uploadId']}/complete"
    assert app.post(complete, {}).code == "NOT_FOUND"
    assert app.post(complete, {}, token).status == 200
    assert download(app, path, token).body == b"abc"
    assert app.request("POST", address, b"abc", raw, query=query).code == "NOT_FOUND"


def test_checksums_are_held(app: Harness, token: str) -> None:
    good = b64encode(hashlib.md5(b"abc").digest()).decode()
    sha = b64encode(hashlib.sha256(b"abc").digest()).decode()
    for headers, status in (
        (f"Content-MD5: {good}\r\n", 200),
        (f"Content-MD5: {good[::-1]}\r\n", 400),
        (f"Content-Digest: sha-256=:{sha}:\r\n", 200),
        (f"Content-Digest: sha-256=:{sha[::-1]}:\r\n", 400),
    ):
        assert upload(app, "shelf/x", b"abc", token, file_headers=headers).status == status
    id = begin(app, token, "shelf/y", 3)["uploadId"]
    assert send(app, id, 1, b"abc", token, content_md5=good[::-1]).code == "INVALID_ARGUMENT"
    assert app.post(f"/v1/storage/uploads/{id}/complete", {}, token).code == "INVALID_ARGUMENT"
    assert send(app, id, 1, b"abc", token, content_md5=good).status == 200
    assert len(blobs_of(app)) == 1


# -- limits ---------------------------------------------------------------------------------------


def test_quotas_and_sizes(tmp_path: Path) -> None:
    limits = StorageSettings(file_bytes=100, quota_bytes=150, part_bytes=60, uploads_open=1)
    settings = Settings(limits=_OFF, storage=limits)
    with running_app(write_app(tmp_path, APP), settings) as app:
        token = app.sign_in()
        assert upload(app, "shelf/a", bytes(101), token).code == "PAYLOAD_TOO_LARGE"
        assert upload(app, "shelf/a", bytes(100), token).status == 200
        assert upload(app, "shelf/b", bytes(51), token).code == "QUOTA_EXCEEDED"
        assert upload(app, "shelf/a", bytes(90), token).status == 200
        assert upload(app, "shelf/b", bytes(51), token).status == 200
        copy = {"from": "shelf/a", "to": "shelf/c"}
        assert app.post("/v1/storage/copy", copy, token).code == "QUOTA_EXCEEDED"
        app.post("/v1/storage/delete", {"files": [{"path": "shelf/b"}]}, token)
        id = begin(app, token, "shelf/b", 60)["uploadId"]
        over = app.post("/v1/storage/uploads", {"path": "shelf/c", "size": 1}, token)
        assert over.code == "LIMIT_EXCEEDED"
        assert send(app, id, 1, bytes(61), token).code == "PAYLOAD_TOO_LARGE"
        assert send(app, id, 1, bytes(60), token).status == 200
        assert app.post(f"/v1/storage/uploads/{id}/complete", {}, token).status == 200
        assert len(blobs_of(app)) == len(rows_of(app)) == 2


def test_the_sweep_takes_what_nobody_refers_to(app: Harness, token: str) -> None:
    upload(app, "shelf/a", b"kept", token)
    id = begin(app, token, "shelf/b", 3)["uploadId"]
    send(app, id, 1, b"abc", token)
    storage, blobs = app.app.storage, app.app.storage.parts.blobs
    app.run(blobs.put(new_key(), pieces(b"orphan")))
    app.run(blobs.put_part(new_upload(), 1, pieces(b"of no upload")))

    assert app.run(storage.sweeper.run_once(0)) == 0
    assert app.run(storage.sweeper.run_once(2**50)) == 2
    assert download(app, "shelf/a").body == b"kept"
    assert app.post(f"/v1/storage/uploads/{id}/complete", {}, token).status == 200


def test_a_signed_upload_may_be_larger_than_a_part(tmp_path: Path) -> None:
    settings = Settings(limits=_OFF, storage=StorageSettings(file_bytes=100, part_bytes=10))
    with running_app(write_app(tmp_path, APP), settings) as app:
        token = app.sign_in()
        item = {"path": "shelf/x", "operation": "upload", "size": 100}
        (signed,) = app.post("/v1/storage/sign", {"files": [item]}, token).json()["files"]
        address, _, query = signed["url"].partition("?")
        raw = {"content-type": "application/octet-stream"}
        assert app.request("POST", address, bytes(101), raw, query=query).status == 413
        assert app.request("POST", address, bytes(100), raw, query=query).status == 200
        complete = f"/v1/storage/uploads/{signed['uploadId']}/complete"
        assert app.post(complete, {}, token).json()["size"] == 100
        (refused,) = app.post("/v1/storage/sign", {"files": [{**item, "size": 101}]}, token).json()[
            "files"
        ]
        assert refused["code"] == "PAYLOAD_TOO_LARGE"


def test_of_uploads_to_one_path_at_once_one_is_there_whole(app: Harness, token: str) -> None:
    bodies = [bytes([65 + i]) * (40_000 + i) for i in range(8)]

    async def all_at_once() -> list[Reply]:
        requests = []
        for data in bodies:
            body = form(data, path="shelf/x")
            raw = form_headers(body, token).items()
            headers = [(name.encode(), value.encode()) for name, value in raw]
            requests.append(exchange(app.app.asgi, "POST", "/v1/storage/upload", body, headers))
        return await asyncio.gather(*requests)

    answers = app.run(all_at_once())

    assert {answer.status for answer in answers} == {200}
    assert download(app, "shelf/x").body in bodies
    assert len(blobs_of(app)) == len(rows_of(app)) == 1
