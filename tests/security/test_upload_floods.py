"""What uploads cost has bounds, whoever sends them, however many at once and however slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.gateway import dispatch, forms
from baas.schema.actor import Actor
from baas.settings import LimitSettings, Settings, StorageSettings
from baas.storage.attributes import Checksums
from baas.storage.parts import Caller
from tests.support.app import Harness, exchange, running_app
from tests.support.gateway import write_app
from tests.support.storage import APP, blobs_of, download, uid_of

_OFF = LimitSettings(rate_auth="off", rate_read="off", rate_write="off")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Harness]:
    settings = Settings(limits=_OFF, storage=StorageSettings(quota_bytes=1000))
    with running_app(write_app(tmp_path, APP), settings) as harness:
        yield harness


@pytest.fixture
def token(app: Harness) -> str:
    return app.sign_in()


def begin(app: Harness, token: str, size: int, path: str = "shelf/x") -> str:
    answer = app.post("/v1/storage/uploads", {"path": path, "size": size}, token)
    assert answer.status == 200, answer.body
    return str(answer.json()["uploadId"])


def part(app: Harness, token: str, upload: str, number: int, data: bytes) -> Any:
    headers = [
        (b"authorization", f"Bearer {token}".encode()),
        (b"content-type", b"application/octet-stream"),
    ]
    path = f"/v1/storage/uploads/{upload}/parts/{number}"
    return exchange(app.app.asgi, "POST", path, data, headers)


def complete(app: Harness, token: str, upload: str) -> Any:
    headers = [
        (b"authorization", f"Bearer {token}".encode()),
        (b"content-type", b"application/json"),
    ]
    path = f"/v1/storage/uploads/{upload}/complete"
    return exchange(app.app.asgi, "POST", path, b"{}", headers)


def at_once(app: Harness, *requests: Any) -> list[Any]:
    async def gather() -> list[Any]:
        return await asyncio.gather(*requests)

    return app.run(gather())


def kept(app: Harness) -> int:
    folder = app.app.data_folder / "storage"
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_parts_sent_at_once_come_to_no_more_than_the_file(app: Harness, token: str) -> None:
    """Each alone would fit; all of them are sent before any is there."""
    upload = begin(app, token, 100)
    answers = at_once(app, *(part(app, token, upload, n, bytes(100)) for n in range(1, 21)))

    assert [answer.status for answer in answers].count(200) <= 1
    assert kept(app) <= 100


def test_parts_at_once_that_fit_all_arrive(app: Harness, token: str) -> None:
    upload = begin(app, token, 100)
    answers = at_once(
        app, *(part(app, token, upload, n, b"%d" % (n % 10) * 10) for n in range(1, 11))
    )
    assert [answer.status for answer in answers] == [200] * 10
    assert at_once(app, complete(app, token, upload))[0].json()["size"] == 100
    assert not app.app.storage.uploads._arriving
    assert not app.app.storage.uploads._completing


def test_there_are_no_more_parts_than_the_size_makes_sense_of(app: Harness, token: str) -> None:
    upload = begin(app, token, 1000)
    (answer,) = at_once(app, part(app, token, upload, 101, b"x"))
    assert answer.code == "INVALID_ARGUMENT"
    assert "from 1 to 100" in answer.json()["detail"]


def test_many_who_complete_one_upload_make_one_copy(
    app: Harness, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = []
    blobs = app.app.storage.parts.blobs
    join = blobs.join

    async def counting(upload: str, key: str) -> Any:
        joined.append(key)
        return await join(upload, key)

    monkeypatch.setattr(blobs, "join", counting)
    upload = begin(app, token, 10)
    at_once(app, part(app, token, upload, 1, bytes(10)))

    answers = at_once(app, *(complete(app, token, upload) for _ in range(20)))

    assert sorted(answer.status for answer in answers) == [200] + [404] * 19
    assert len(joined) == len(blobs_of(app)) == 1
    assert not app.app.storage.uploads._completing


def test_completes_that_fail_take_turns_however_they_are_repeated(
    app: Harness, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes again waits behind those who wait, and does not begin a queue of its own."""
    now, most = 0, 0

    async def failing(upload: str, key: str) -> Any:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        for _ in range(5):
            await asyncio.sleep(0)
        now -= 1
        raise Problem(Code.UNAVAILABLE, "Not now.")

    monkeypatch.setattr(app.app.storage.parts.blobs, "join", failing)
    upload = begin(app, token, 10)
    at_once(app, part(app, token, upload, 1, bytes(10)))

    async def again() -> None:
        for _ in range(4):
            assert (await complete(app, token, upload)).code == "UNAVAILABLE"

    at_once(app, *(again() for _ in range(6)))
    assert most == 1
    assert not app.app.storage.uploads._completing


def test_unfinished_uploads_count_towards_the_quota(app: Harness, token: str) -> None:
    """Their bytes are kept as well: a quota that counts files alone is many times as large."""
    begin(app, token, 600)
    body = {"path": "shelf/y", "size": 600}
    assert app.post("/v1/storage/uploads", body, token).code == "QUOTA_EXCEEDED"
    begin(app, token, 400, "shelf/y")
    sign = {"files": [{"path": "shelf/z", "operation": "upload", "size": 1}]}
    (signed,) = app.post("/v1/storage/sign", sign, token).json()["files"]
    assert signed["code"] == "QUOTA_EXCEEDED"
    begin(app, app.sign_in(), 600, "shelf/z")


def test_uploads_that_come_at_once_share_the_quota(app: Harness, token: str) -> None:
    """None of them is a file yet, and each would fit: what they hold meanwhile is bounded too."""
    caller = Caller(Actor(uid=uid_of(app, token)))
    storage = app.app.storage
    both = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield bytes(600)
        await both.wait()

    async def upload(path: str, data: AsyncIterator[bytes]) -> bytes:
        wanted = storage.wanted(path, None, None, caller)
        return await storage.writing.upload(wanted, data, Checksums(), caller)

    async def through() -> None:
        first = asyncio.create_task(upload("shelf/a", slow()))
        while not storage.writing._coming:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
        with pytest.raises(Problem, match="QUOTA_EXCEEDED"):
            await upload("shelf/b", slow())
        both.set()
        await first
        assert not storage.writing._coming

    app.run(through())
    assert len(blobs_of(app)) == 1


# -- slow clients ---------------------------------------------------------------------------------


class Drip:
    """A client that sends a byte in each `seconds` of a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float, size: int = 1) -> None:
        self.sent = 0
        self._now = 0.0
        self._seconds, self._size = seconds, size
        monkeypatch.setattr(forms, "monotonic", lambda: self._now)

    async def receive(self) -> dict[str, Any]:
        self._now += self._seconds
        self.sent += 1
        return {"type": "http.request", "body": b"x" * self._size, "more_body": True}


async def _drain(pieces: AsyncIterator[bytes]) -> str:
    try:
        async for _ in pieces:
            continue
    except Exception as fault:
        return str(fault)
    return ""


def test_a_body_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps every silence short, and would hold its connection for good."""
    drip = Drip(monkeypatch, seconds=30)
    fault = asyncio.run(_drain(forms.body_pieces(drip.receive)))
    assert "did not arrive in time" in fault
    assert drip.sent <= 4


def test_no_body_takes_longer_than_the_sweep_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    drip = Drip(monkeypatch, seconds=30, size=10 * forms.LEAST_RATE * 30)
    fault = asyncio.run(_drain(forms.body_pieces(drip.receive)))
    assert "did not arrive in time" in fault
    assert drip.sent * 30 <= forms.MOST_SECONDS + 60


def test_a_refused_part_leaves_nothing_and_the_next_one_may_come(app: Harness, token: str) -> None:
    upload = begin(app, token, 10)
    for _ in range(3):
        (answer,) = at_once(app, part(app, token, upload, 1, bytes(11)))
        assert answer.code == "INVALID_ARGUMENT"
    assert kept(app) == 0
    assert at_once(app, part(app, token, upload, 1, bytes(10)))[0].status == 200
    assert at_once(app, complete(app, token, upload))[0].status == 200
    assert len(download(app, "shelf/x").body) == 10


def test_who_stops_reading_is_hung_up_on(
    app: Harness, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begin(app, token, 1000)
    at_once(app, part(app, token, upload, 1, bytes(1000)))
    assert at_once(app, complete(app, token, upload))[0].status == 200
    monkeypatch.setattr(dispatch, "SEND_SECONDS", 0.01)
    closed = []
    blobs = app.app.storage.parts.blobs
    opened = blobs.open

    async def opening(*given: Any) -> Any:
        reader = await opened(*given)
        close = reader.close

        async def closing() -> None:
            closed.append(reader)
            await close()

        reader.close = closing  # type: ignore[method-assign]
        return reader

    monkeypatch.setattr(blobs, "open", opening)

    async def stuck() -> None:
        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        path = "/v1/storage/files/shelf/x"
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [],
            "client": ("192.0.2.1", 1),
        }
        await app.app.asgi(scope, receive, send)

    app.run(asyncio.wait_for(stuck(), 10))

    assert len(closed) == 1
