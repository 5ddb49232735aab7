"""What a gateway does when its S3 store is named wrongly, stumbles, hangs or goes away."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from baas.engines.s3.store import S3Blobs
from baas.errors import Code, ConfigurationError, Problem
from baas.ports.blobs import new_key
from baas.settings import LimitSettings, Settings, StorageSettings
from tests.support.app import running_app
from tests.support.gateway import write_app
from tests.support.s3 import Server
from tests.support.storage import APP, download, pieces, upload

_OFF = LimitSettings(rate_auth="off", rate_read="off", rate_write="off")


class Relay:
    """Stands between the engine and the store, and spoils some answers: `spoil` is asked for each
    request and gives a status to answer instead, "cut" to break off within the body, or None."""

    def __init__(self, target: Server) -> None:
        self.spoil: Callable[[str, str], int | str | None] = lambda method, path: None
        self.requests = 0
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _relay(self) -> None:
                relay.requests += 1
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                verdict = relay.spoil(self.command, self.path)
                if isinstance(verdict, int):
                    self.send_response(verdict)
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                answer = relay.fetch(self.command, self.path, body, dict(self.headers))
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                length = answer.headers.get("content-length", str(len(answer.data)))
                self.send_header("content-length", length)
                self.end_headers()
                sent = answer.data[: len(answer.data) // 2] if verdict == "cut" else answer.data
                self.wfile.write(sent)
                self.close_connection = verdict == "cut"

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _relay

            def log_message(self, *args: object) -> None:
                """Quiet."""

        import urllib3

        self._pool = urllib3.PoolManager(retries=False)
        self._target = target.url
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._host = target.url.partition("://")[2]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def fetch(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Any:
        return self._pool.request(method, self._target + path, body=body, headers=headers)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._pool.clear()


@pytest.fixture
def relay(s3_server: Server) -> Iterator[Relay]:
    made = Relay(s3_server)
    yield made
    made.close()


async def started(settings: StorageSettings) -> S3Blobs:
    blobs = S3Blobs(settings)
    try:
        await blobs.start()
    except BaseException:
        await blobs.close()
        raise
    return blobs


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"s3_bucket": "no-such-bucket-here"}, "storage.s3_bucket: there is no bucket"),
        ({"s3_bucket": "Not_A_Bucket!"}, "storage.s3_bucket: "),
        ({"s3_bucket": ""}, "storage.s3_bucket: is needed"),
        ({"s3_access_key": "another"}, "storage.s3_access_key: the store does not know"),
        ({"s3_secret_key": "another-one"}, "storage.s3_secret_key: does not belong"),
        ({"s3_secret_key": ""}, "storage.s3_secret_key: is needed"),
        ({"s3_endpoint": "s3.example.com"}, "storage.s3_endpoint: an address such as"),
        ({"s3_endpoint": "https://s3.example.com/bucket"}, "storage.s3_endpoint: only"),
        ({"s3_public_endpoint": "ftp://x"}, "storage.s3_public_endpoint: an address"),
        ({"file_bytes": 2**50}, "storage.file_bytes: with engine s3 at most"),
    ],
)
def test_a_wrong_setting_is_named_at_the_start(
    s3_server: Server, changed: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError) as fault:
        asyncio.run(started(s3_server.settings(**changed)))
    assert str(fault.value).startswith(complaint)
    assert s3_server.secret_key not in str(fault.value)


def test_a_clock_that_is_wrong_is_named(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minio.time.utcnow", lambda: datetime.now(UTC) + timedelta(hours=2))
    settings = s3_server.settings(s3_bucket="any-bucket")
    with pytest.raises(ConfigurationError, match="this machine's clock differs"):
        asyncio.run(started(settings))


def test_nobody_at_the_address_and_somebody_who_does_not_speak_s3(s3_server: Server) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConfigurationError, match=r"s3_endpoint: .* cannot be reached"):
        asyncio.run(started(s3_server.settings(s3_endpoint=f"http://127.0.0.1:{port}")))


def test_what_does_not_speak_s3_is_told_apart(relay: Relay, s3_server: Server) -> None:
    relay.spoil = lambda method, path: 404
    with pytest.raises(ConfigurationError, match="does not speak S3"):
        asyncio.run(started(s3_server.settings(s3_endpoint=relay.url)))


# -- a store that stumbles ------------------------------------------------------------------------


def _every_third(status: int | str) -> Callable[[str, str], int | str | None]:
    count = 0

    def spoil(method: str, path: str) -> int | str | None:
        nonlocal count
        count += 1
        return status if count % 3 == 0 else None

    return spoil


def test_passing_faults_are_not_seen(relay: Relay, s3_server: Server) -> None:
    """Every third request is refused, creating and completing multipart uploads included."""
    data = bytes(range(256)) * 80_000  # three parts

    async def through() -> bytes:
        blobs = await started(s3_server.settings(s3_endpoint=relay.url))
        relay.spoil = _every_third(503)
        key = new_key()
        assert (await blobs.put(key, pieces(*[data[:10_000_000], data[10_000_000:]]))).size == len(
            data
        )
        reader = await blobs.open(key)
        found = b""
        while piece := await reader.read():
            found += piece
        await reader.close()
        await blobs.delete(key)
        await blobs.close()
        return found

    assert asyncio.run(through()) == data
    assert relay.requests > 8


def test_a_download_that_breaks_off_is_taken_up_where_it_broke(
    relay: Relay, s3_server: Server
) -> None:
    data = bytes(range(256)) * 8_000

    async def through() -> bytes:
        blobs = await started(s3_server.settings(s3_endpoint=relay.url))
        key = new_key()
        await blobs.put(key, pieces(data))
        spoil = _every_third("cut")
        relay.spoil = lambda method, path: spoil(method, path) if method == "GET" else None
        spoil("GET", "")
        spoil("GET", "")
        reader = await blobs.open(key)
        found = b""
        while piece := await reader.read():
            found += piece
        await reader.close()
        await blobs.close()
        return found

    assert asyncio.run(through()) == data


def test_a_store_that_is_gone_is_unavailable_and_comes_back(
    relay: Relay, s3_server: Server, tmp_path: Path
) -> None:
    storage = s3_server.settings(s3_endpoint=relay.url, s3_links="gateway")
    with running_app(write_app(tmp_path, APP), Settings(limits=_OFF, storage=storage)) as app:
        token = app.sign_in()
        upload(app, "shelf/x", b"hello", token)
        assert app.get("/readyz").status == 200
        relay.spoil = lambda method, path: 403

        refused = (
            download(app, "shelf/x"),
            upload(app, "shelf/x", b"new", token),
            app.post("/v1/storage/uploads", {"path": "shelf/y", "size": 1}, token),
        )
        app.app.storage.parts.blobs._checked = 0.0
        ready = app.get("/readyz")

        assert [answer.status for answer in refused] == [503, 503, 200]
        assert [answer.code for answer in (*refused[:2], ready)] == ["UNAVAILABLE"] * 3
        assert refused[0].headers["retry-after"] == "5"
        relay.spoil = lambda method, path: None
        assert download(app, "shelf/x").body == b"hello"
        assert app.get("/readyz").status == 200


def test_readiness_asks_once_however_many_ask(relay: Relay, s3_server: Server) -> None:
    release, arrived = threading.Event(), asyncio.Event()
    loop: asyncio.AbstractEventLoop

    def hang(method: str, path: str) -> None:
        loop.call_soon_threadsafe(arrived.set)
        release.wait(10)

    async def through() -> int:
        nonlocal loop
        loop = asyncio.get_running_loop()
        blobs = await started(s3_server.settings(s3_endpoint=relay.url))
        relay.spoil = hang
        before = relay.requests
        asking = [asyncio.create_task(blobs.check()) for _ in range(20)]
        await arrived.wait()
        for one in asking[:10]:
            one.cancel()
        release.set()
        await asyncio.gather(*asking[10:])
        await blobs.close()
        return relay.requests - before

    assert asyncio.run(through()) == 1


def test_a_refusal_later_on_is_unavailable_not_a_fault(s3_server: Server) -> None:
    """The bucket is taken away under a running gateway."""

    async def through() -> None:
        settings = s3_server.settings()
        blobs = await started(settings)
        s3_server.client().remove_bucket(settings.s3_bucket)
        with pytest.raises(Problem) as fault:
            await blobs.put(new_key(), pieces(b"x"))
        assert fault.value.code is Code.UNAVAILABLE
        assert settings.s3_bucket not in fault.value.detail
        await blobs.close()

    asyncio.run(through())


def test_a_fault_that_nobody_waited_for_makes_no_noise(
    relay: Relay, s3_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Asyncio would log a traceback for each readiness probe that gave up on a hanging store."""
    release = threading.Event()

    def hang(method: str, path: str) -> int:
        release.wait(10)
        return 403

    async def through() -> None:
        blobs = await started(s3_server.settings(s3_endpoint=relay.url))
        relay.spoil = hang
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(blobs.check(), 0.05)
        check = blobs._check
        assert check is not None
        release.set()
        await asyncio.wait([check])
        await blobs.close()

    asyncio.run(through())
    gc.collect()
    assert "never retrieved" not in caplog.text
