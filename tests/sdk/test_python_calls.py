"""Calls of the Python SDK: tokens, repeats, time limits, errors, files."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from baas_sdkgen.runtime.py import AsyncCloud, BaasError, FileStore, MemoryStore, Progress
from baas_sdkgen.runtime.py.errors import error_of
from baas_sdkgen.runtime.py.sessions import from_text

from tests.sdk.python.faces import FACES, Face, now, together, using
from tests.support.scripted import Reply, Request, Scripted, problem, scripted

FIND = "/v1/database/posts/find"
INSERT = "/v1/database/posts/insert"
REFRESH = "/v1/auth/refresh"
FOUND = Reply({"documents": [], "next": None})
USER = {"uid": "u1", "loginType": "USERNAME", "roles": []}


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted({}) as running:
        yield running


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> Face:
    chosen: Face = request.param
    return chosen


def session(number: int, expires: int = 900) -> dict[str, Any]:
    tokens = {"accessToken": f"access-{number}", "refreshToken": f"refresh-{number}"}
    return {**tokens, "expiresIn": expires, "user": USER}


def signed_in(expires: float = 900) -> MemoryStore:
    """A store with a session that has that many seconds left."""
    kept = {**session(1), "expires": time.time() + expires}
    store = MemoryStore()
    store.save(json.dumps(kept))
    return store


async def find(cloud: Any) -> Any:
    return await now(cloud.database().collection("posts").get())


async def add(cloud: Any) -> Any:
    return await now(cloud.database().collection("posts").add({"title": "x"}))


async def asked(server: Scripted, path: str) -> None:
    """Once such a call has arrived there."""
    while not server.of(path):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@contextmanager
def silent(server: Scripted, path: str) -> Iterator[None]:
    """Meanwhile calls of that path are taken, and get no answer."""
    over = threading.Event()

    def later(_: Request) -> Reply:
        over.wait()
        return FOUND

    server.script[path] = later
    try:
        yield
    finally:
        over.set()


# -- tokens ----------------------------------------------------------------------------------------


def test_many_callers_refresh_once(server: Scripted, face: Face) -> None:
    server.script[FIND] = [FOUND]
    server.script[REFRESH] = [Reply(session(2), after=0.1)]

    async def use(cloud: Any) -> None:
        posts = cloud.database().collection("posts")
        answers = await together(*[posts.get] * 8)
        assert [type(one).__name__ for one in answers] == ["QueryAnswer"] * 8

    using(face, server.url, use, store=signed_in(expires=-1))
    assert len(server.of(REFRESH)) == 1
    assert {one.headers["authorization"] for one in server.of(FIND)} == {"Bearer access-2"}


def test_a_token_refused_as_expired_is_renewed_and_the_call_repeated(
    server: Scripted, face: Face
) -> None:
    server.script[INSERT] = [problem(401, "TOKEN_EXPIRED"), Reply({"ids": ["a"]})]
    server.script[REFRESH] = [Reply(session(2))]
    using(face, server.url, add, store=signed_in(), retries=0)
    first, second = server.of(INSERT)
    assert first.headers["authorization"] == "Bearer access-1"
    assert second.headers["authorization"] == "Bearer access-2"
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.body == second.body


def test_a_session_that_has_ended_is_given_up_and_the_listener_told(
    server: Scripted, face: Face
) -> None:
    server.script[FIND] = [FOUND]
    server.script[REFRESH] = [problem(401, "SESSION_REVOKED")]
    store, seen = signed_in(expires=-1), []

    async def use(cloud: Any) -> None:
        cloud.auth().on_auth_state_change(lambda user: seen.append(user and user.uid))
        with pytest.raises(BaasError, match="SESSION_REVOKED: The session has ended"):
            await find(cloud)
        assert cloud.auth().current_user is None
        await find(cloud)

    using(face, server.url, use, store=store)
    assert (seen, store.load()) == (["u1", None], None)
    assert "authorization" not in server.of(FIND)[-1].headers


def test_a_refresh_without_network_keeps_the_session(server: Scripted, face: Face) -> None:
    server.script[REFRESH] = [Reply(drop=True)]
    store = signed_in(expires=-1)

    async def use(cloud: Any) -> None:
        with pytest.raises(BaasError) as caught:
            await find(cloud)
        assert caught.value.code == "NETWORK"
        assert cloud.auth().current_user.uid == "u1"

    using(face, server.url, use, store=store, retries=1)
    assert store.load() is not None
    assert len(server.of(REFRESH)) == 2


def test_programs_that_share_a_store_share_its_refresh(server: Scripted, tmp_path: Path) -> None:
    """An old refresh token, used again, would end the session for both."""
    server.script[FIND] = [FOUND]
    server.script[REFRESH] = [Reply(session(2)), problem(401, "SESSION_REVOKED")]
    file = tmp_path / "state" / "session.json"
    FileStore(file).save(signed_in(expires=-1).load())

    async def use() -> None:
        async with (
            AsyncCloud(server.url, store=FileStore(file), trust_env=False) as one,
            AsyncCloud(server.url, store=FileStore(file), trust_env=False) as other,
        ):
            await find(one)
            await find(other)

    asyncio.run(use())
    assert len(server.of(REFRESH)) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["session.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"accessToken": 1}', "7", "null"])
def test_a_store_with_anything_else_in_it_is_nobody(server: Scripted, text: str) -> None:
    store = MemoryStore()
    store.save(text)
    server.script[FIND] = [FOUND]
    using("sync", server.url, find, store=store)
    assert "authorization" not in server.of(FIND)[0].headers


def test_signing_out_without_network_signs_out_here(server: Scripted, face: Face) -> None:
    server.script["/v1/auth/sign-out"] = [Reply(drop=True)]
    store = signed_in()

    async def use(cloud: Any) -> None:
        await now(cloud.auth().sign_out())
        assert cloud.auth().current_user is None

    using(face, server.url, use, store=store)
    assert store.load() is None


def test_an_admin_key_stands_in_for_a_session(server: Scripted, face: Face) -> None:
    server.script[FIND] = [problem(401, "UNAUTHENTICATED")]

    async def use(cloud: Any) -> None:
        with pytest.raises(BaasError, match="UNAUTHENTICATED"):
            await find(cloud)
        with pytest.raises(BaasError, match="admin key"):
            cloud.auth()

    using(face, server.url, use, key="bak_x", act_as="u7")
    (asked,) = server.of(FIND)
    assert asked.headers["authorization"] == "Bearer bak_x"
    assert asked.headers["x-baas-as"] == "u7"


# -- repeats ---------------------------------------------------------------------------------------


def test_reads_are_repeated_where_no_answer_came(server: Scripted, face: Face) -> None:
    server.script[FIND] = [Reply(drop=True), Reply(b"", 502, raw=b"<html>"), FOUND]
    using(face, server.url, find)
    assert len(server.of(FIND)) == 3


def test_a_write_is_repeated_with_its_key_and_so_happens_once(server: Scripted, face: Face) -> None:
    server.script[INSERT] = [Reply(drop=True), Reply({"ids": ["a"]})]
    using(face, server.url, add, store=signed_in())
    first, second = server.of(INSERT)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.json() == second.json()


def test_a_write_of_nobody_has_no_key_and_is_not_repeated(server: Scripted, face: Face) -> None:
    server.script[INSERT] = [Reply(drop=True), Reply({"ids": ["a"]})]
    with pytest.raises(BaasError, match="NETWORK"):
        using(face, server.url, add)
    (asked,) = server.of(INSERT)
    assert "idempotency-key" not in asked.headers


def test_two_calls_have_two_keys(server: Scripted, face: Face) -> None:
    server.script[INSERT] = [Reply({"ids": ["a"]})]

    async def use(cloud: Any) -> None:
        await add(cloud)
        await add(cloud)

    using(face, server.url, use, store=signed_in())
    first, second = server.of(INSERT)
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_a_busy_server_is_asked_again_after_the_time_it_names(server: Scripted, face: Face) -> None:
    limited = problem(429, "RATE_LIMITED", headers={"Retry-After": "1"})
    server.script[INSERT] = [limited, Reply({"ids": ["a"]})]
    begin = time.monotonic()
    using(face, server.url, add)
    assert len(server.of(INSERT)) == 2
    assert time.monotonic() - begin > 1


@pytest.mark.parametrize(
    ("status", "code"), [(403, "PERMISSION_DENIED"), (409, "CONFLICT"), (504, "QUERY_TIMEOUT")]
)
def test_a_refusal_is_not_repeated(server: Scripted, face: Face, status: int, code: str) -> None:
    server.script[FIND] = [problem(status, code)]
    with pytest.raises(BaasError, match=code):
        using(face, server.url, find, store=signed_in())
    assert len(server.of(FIND)) == 1


def test_a_repeat_that_would_come_too_late_is_not_waited_for(server: Scripted, face: Face) -> None:
    server.script[FIND] = [problem(503, "UNAVAILABLE", headers={"Retry-After": "60"})]
    with pytest.raises(BaasError, match="UNAVAILABLE") as caught:
        using(face, server.url, find)
    assert caught.value.retry_after == 60
    assert len(server.of(FIND)) == 1


# -- errors and time limits ------------------------------------------------------------------------


def test_an_error_carries_what_the_gateway_said(server: Scripted, face: Face) -> None:
    fields = [{"path": "document.title", "message": "is required"}]
    server.script[INSERT] = [problem(400, "VALIDATION_FAILED", errors=fields)]
    with pytest.raises(BaasError) as caught:
        using(face, server.url, add)
    fault = caught.value
    assert (fault.code, fault.status, fault.request_id) == ("VALIDATION_FAILED", 400, "r-1")
    assert [(one.path, one.message) for one in fault.errors] == [("document.title", "is required")]
    assert str(fault).endswith("; document.title: is required")


def test_a_field_at_fault_is_named_once() -> None:
    fields = [{"path": "a", "message": "is required"}, {"path": "b", "message": "is no date"}]
    told = {"code": "VALIDATION_FAILED", "detail": "a: is required", "errors": fields}
    fault = error_of(400, json.dumps(told).encode(), {})
    assert str(fault) == "VALIDATION_FAILED: a: is required; b: is no date"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(status=403, raw=b""), "PERMISSION_DENIED"),
        (Reply(status=403, raw=b"<html>no</html>"), "BAD_ANSWER"),
        (Reply(status=301, headers={"Location": "http://127.0.0.1:9/"}), "BAD_ANSWER"),
        (Reply(raw=b"<html>welcome</html>"), "BAD_ANSWER"),
        (Reply({"code": 7}, 400), "BAD_ANSWER"),
        (Reply(drop=True), "NETWORK"),
    ],
)
def test_an_answer_that_is_not_the_gateways(
    server: Scripted, face: Face, reply: Reply, code: str
) -> None:
    server.script[INSERT] = [reply]
    with pytest.raises(BaasError) as caught:
        using(face, server.url, add)
    assert caught.value.code == code


def test_a_call_ends_in_time(server: Scripted, face: Face) -> None:
    async def use(cloud: Any) -> None:
        with pytest.raises(BaasError, match="TIMEOUT"):
            await now(cloud.database().collection("posts").get(timeout=0.2))

    with silent(server, FIND):
        using(face, server.url, use)
    assert len(server.of(FIND)) == 1


def test_a_task_that_is_cancelled_stops_the_call_and_harms_no_other(server: Scripted) -> None:
    async def use(cloud: Any) -> None:
        task = asyncio.create_task(find(cloud))
        with silent(server, FIND):
            await asked(server, FIND)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await find(cloud)).data == []

    using("async", server.url, use)


def test_a_caller_that_is_cancelled_while_it_refreshes_leaves_that_to_the_next(
    server: Scripted,
) -> None:
    server.script[FIND] = [FOUND]
    server.script[REFRESH] = [Reply(session(2), after=0.3), Reply(session(2))]

    async def use(cloud: Any) -> None:
        task = asyncio.create_task(find(cloud))
        await asked(server, REFRESH)
        waiting = asyncio.create_task(find(cloud))
        await asyncio.sleep(0)
        task.cancel()
        assert (await waiting).data == []

    using("async", server.url, use, store=signed_in(expires=-1))
    assert [one.json() for one in server.of(REFRESH)] == [{"refreshToken": "refresh-1"}] * 2


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", ""])
def test_an_address_that_is_none_is_said_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="url begins with"):
        AsyncCloud(url)


# -- transactions ----------------------------------------------------------------------------------


def test_a_transaction_is_given_up_after_three_tries(server: Scripted, face: Face) -> None:
    path = "/v1/database/posts/documents/a%2Fb"
    server.script[path] = [Reply({"_id": "a/b"}, headers={"ETag": '"1"'})]
    server.script["/v1/database/transaction"] = [problem(409, "TRANSACTION_CONFLICT", operation=0)]
    with pytest.raises(BaasError) as caught:
        using(face, server.url, _rename(face), store=signed_in())
    assert caught.value.operation == 0
    sent = server.of("/v1/database/transaction")
    assert len(sent) == 3
    assert sent[0].json()["expect"] == [{"collection": "posts", "id": "a/b", "etag": '"1"'}]
    assert len({one.headers["idempotency-key"] for one in sent}) == 3


def test_what_a_transaction_raises_ends_it_without_a_write(server: Scripted, face: Face) -> None:
    async def use(cloud: Any) -> None:
        database = cloud.database()

        async def later(transaction: Any) -> None:
            await transaction.collection("posts").doc("a").remove()
            transaction.rollback()

        def at_once(transaction: Any) -> None:
            transaction.collection("posts").doc("a").remove()
            transaction.rollback()

        with pytest.raises(BaasError, match="ABORTED"):
            await now(database.run_transaction(later if face == "async" else at_once))

    using(face, server.url, use)
    assert server.requests == []


def _rename(face: Face) -> Any:
    async def later(transaction: Any) -> None:
        document = transaction.collection("posts").doc("a/b")
        await document.get()
        await document.update({"title": "x"})

    def at_once(transaction: Any) -> None:
        document = transaction.collection("posts").doc("a/b")
        document.get()
        document.update({"title": "x"})

    async def use(cloud: Any) -> None:
        run = later if face == "async" else at_once
        await now(cloud.database().run_transaction(run))

    return use


# -- files -----------------------------------------------------------------------------------------

FILE = {
    "fileId": "cloud://a/f.bin",
    "path": "f.bin",
    "size": 3,
    "contentType": "text/plain",
    "hash": "h",
    "openid": None,
    "metadata": {},
    "createTime": {"$date": "2026-11-21T00:00:00.000Z"},
    "updateTime": {"$date": "2026-11-21T00:00:00.000Z"},
}


def sources(tmp_path: Path) -> list[Any]:
    path = tmp_path / "f.bin"
    path.write_bytes(b"x" * 200_000)
    opened = io.BytesIO(b"before" + b"x" * 200_000)
    opened.seek(6)
    return [b"x" * 200_000, bytearray(b"x" * 200_000), path, str(path), opened]


@pytest.mark.parametrize("number", range(5))
def test_an_upload_from_anything(server: Scripted, face: Face, tmp_path: Path, number: int) -> None:
    server.script["/v1/storage/upload"] = [Reply(FILE)]
    heard: list[Progress] = []

    async def use(cloud: Any) -> None:
        options = {"metadata": {"a": 1}, "content_type": "text/plain", "on_progress": heard.append}
        answer = await now(cloud.upload_file('d/"f".bin', sources(tmp_path)[number], **options))
        assert answer.file_id == "cloud://a/f.bin"

    using(face, server.url, use)
    (sent,) = server.of("/v1/storage/upload")
    head, _, rest = sent.body.partition(b"Content-Type: text/plain\r\n\r\n")
    assert b'name="path"\r\n\r\nd/"f".bin\r\n' in head
    assert b'name="metadata"\r\n\r\n{"a": 1}\r\n' in head
    assert b'filename="%22f%22.bin"' in head
    assert rest.startswith(b"x" * 200_000 + b"\r\n--")
    assert heard[-1] == Progress(200_000, 200_000)
    assert len(heard) > 2


def test_an_upload_that_broke_off_is_not_repeated_but_one_refused_as_busy_is(
    server: Scripted, face: Face
) -> None:
    busy = problem(429, "RATE_LIMITED", headers={"Retry-After": "0"})
    server.script["/v1/storage/upload"] = [busy, Reply(drop=True)]
    with pytest.raises(BaasError, match="NETWORK"):
        using(face, server.url, lambda cloud: now(cloud.upload_file("f", b"abc")))
    first, second = server.of("/v1/storage/upload")
    assert b"abc" in first.body
    assert b"abc" in second.body


def test_a_content_type_cannot_bring_headers_along(server: Scripted, face: Face) -> None:
    with pytest.raises(ValueError, match="one line"):
        using(
            face,
            server.url,
            lambda cloud: now(cloud.upload_file("f", b"", content_type="a/b\r\nX: 1")),
        )


def test_a_download_to_a_path_is_there_once_it_is_whole(
    server: Scripted, face: Face, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 1000
    path = "/v1/storage/files/d/f%20%23.bin"
    cut = Reply(raw=data[:9], headers={"Content-Length": str(len(data))}, drop=True)
    server.script[path] = [cut, Reply(raw=data, headers={"Content-Type": "a/b"})]
    target = tmp_path / "out.bin"
    heard: list[Progress] = []

    async def use(cloud: Any) -> None:
        options = {"to": target, "on_progress": heard.append}
        with pytest.raises(BaasError, match="NETWORK"):
            await now(cloud.download_file("cloud://a/d/f #.bin", retries=0, **options))
        assert os.listdir(tmp_path) == []
        found = await now(cloud.download_file("d/f #.bin", **options))
        assert (found.size, found.content_type, found.data) == (len(data), "a/b", b"")
        assert (await now(cloud.download_file("d/f #.bin"))).data == data

    using(face, server.url, use)
    assert target.read_bytes() == data
    assert [one.name for one in tmp_path.iterdir()] == ["out.bin"]
    assert heard[-1] == Progress(len(data), len(data))


# -- what is sent ----------------------------------------------------------------------------------


def test_a_query_travels_as_the_protocol_says(server: Scripted, face: Face) -> None:
    server.script[FIND] = [FOUND]

    async def use(cloud: Any) -> None:
        posts = cloud.database().collection("posts")
        query = posts.where({"a": 1}).where({"b": {"c": 2}}).order_by("a", "desc").skip(3).limit(4)
        await now(query.field({"a": True}).with_total().after("c").get())

    using(face, server.url, use)
    assert server.of(FIND)[0].json() == {
        "filter": {"$and": [{"a": 1}, {"b.c": 2}]},
        "sort": [["a", -1]],
        "skip": 3,
        "limit": 4,
        "fields": {"a": 1},
        "count": True,
        "after": "c",
    }


@pytest.mark.parametrize("name", ["a/../b", "..", "cloud://app/./x"])
def test_a_download_is_of_a_file_and_of_no_other_address(
    server: Scripted, face: Face, name: str
) -> None:
    with pytest.raises(BaasError, match="whole path"):
        using(face, server.url, lambda cloud: now(cloud.download_file(name)))
    assert server.requests == []


def test_names_cannot_leave_their_place_in_the_path(server: Scripted, face: Face) -> None:
    async def use(cloud: Any) -> None:
        for call in (
            lambda: cloud.database().collection("../x?y").get(),
            lambda: cloud.call_function("a/../b"),
            lambda: cloud.auth().sign_in_with_oidc("a/b", {}),
        ):
            with pytest.raises(BaasError, match="NOT_FOUND"):
                await now(call())

    using(face, server.url, use)
    assert [one.path for one in server.requests] == [
        "/v1/database/..%2Fx%3Fy/find",
        "/v1/functions/a%2F..%2Fb",
        "/v1/auth/sign-in/oidc/a%2Fb",
    ]


def test_the_synchronous_face_starts_no_thread_for_calls(server: Scripted) -> None:
    server.script[FIND] = [FOUND]
    before = threading.active_count()

    async def use(cloud: Any) -> None:
        await find(cloud)
        # That of the server's side of the connection at most.
        assert threading.active_count() <= before + 1

    using("sync", server.url, use)


def echo(request: Request) -> Reply:
    return Reply(request.json())


def test_dates_go_there_and_back(server: Scripted, face: Face) -> None:
    server.script["/v1/functions/echo"] = echo
    moment = {"at": [{"$date": "2026-11-21T08:00:00.000Z"}]}

    async def use(cloud: Any) -> None:
        answer = await now(cloud.call_function("echo", moment))
        assert answer.result["at"][0].isoformat() == "2026-11-21T08:00:00+00:00"
        again = await now(cloud.call_function("echo", answer.result))
        assert again == answer

    using(face, server.url, use)
    assert server.requests[1].json() == moment


def test_progress_is_told_on_the_event_loop_of_the_caller(server: Scripted) -> None:
    server.script["/v1/storage/upload"] = [Reply(FILE)]
    threads: set[int] = set()

    async def use(cloud: Any) -> None:
        def heard(_: Progress) -> None:
            threads.add(threading.get_ident())

        await cloud.upload_file("f", b"x" * 300_000, on_progress=heard)
        assert threads == {threading.get_ident()}

    using("async", server.url, use)


def test_tokens_are_not_shown_where_sessions_are() -> None:
    assert "access-1" not in repr(from_text(signed_in().load()))
