"""The S3 engine where buckets are hosts, and with keys that somebody hands out for a while: the
environment, or the role of a container or of an instance."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from minio.credentials.credentials import Credentials
from minio.credentials.providers import AssumeRoleProvider, Provider

from baas.engines.s3.credentials import Fresh, NoCredentials, outlives, present
from baas.engines.s3.store import S3Blobs
from baas.errors import ConfigurationError
from baas.ports.blobs import new_key, new_upload
from baas.settings import LimitSettings, Settings, StorageSettings
from tests.support.app import running_app
from tests.support.gateway import write_app
from tests.support.s3 import Server, server_names, serving
from tests.support.storage import APP, download, upload

_OFF = LimitSettings(rate_auth="off", rate_read="off", rate_write="off")
DOMAIN = "s3.test"


async def started(settings: StorageSettings) -> S3Blobs:
    blobs = S3Blobs(settings)
    try:
        await blobs.start()
    except BaseException:
        await blobs.close()
        raise
    return blobs


# -- buckets as hosts -----------------------------------------------------------------------------


@pytest.fixture(params=[name for name in server_names() if name != "given"])
def by_host(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A store that knows a bucket by its host only, all hosts below DOMAIN being this machine."""
    real: Callable[..., Any] = socket.getaddrinfo

    def resolve(host: str | bytes, *rest: Any, **more: Any) -> Any:
        name = host if isinstance(host, str) else host.decode()
        known = name == DOMAIN or name.endswith(f".{DOMAIN}")
        return real("127.0.0.1" if known else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    folder = tmp_path / "s3" / request.param
    with serving(request.param, folder, domain=DOMAIN) as server:
        yield server


def test_buckets_can_be_hosts(by_host: Server, tmp_path: Path) -> None:
    bucket = by_host.bucket()
    port = urlsplit(by_host.url).port
    storage = by_host.settings(
        s3_bucket=bucket, s3_endpoint=f"http://{DOMAIN}:{port}", s3_addressing="virtual"
    )
    app = write_app(tmp_path / "app", APP)
    with (
        running_app(app, Settings(limits=_OFF, storage=storage)) as harness,
        httpx.Client(trust_env=False) as browser,
    ):
        token = harness.sign_in()
        large = bytes(range(256)) * 40_000  # more than one request
        assert upload(harness, "shelf/大", large, token).status == 200
        assert download(harness, "shelf/大").body == large
        asked = [
            {"path": "shelf/大"},
            {"path": "shelf/b", "operation": "upload", "size": 3, "contentType": "text/plain"},
        ]
        signed = harness.post("/v1/storage/sign", {"files": asked}, token).json()["files"]
        assert {urlsplit(one["url"]).hostname for one in signed} == {f"{bucket}.{DOMAIN}"}
        assert browser.get(signed[0]["url"]).content == large
        sent = browser.post(
            signed[1]["url"], data=signed[1]["fields"], files={"file": ("f", b"abc")}
        )
        assert sent.status_code in (200, 204), sent.text
        done = harness.post(f"/v1/storage/uploads/{signed[1]['uploadId']}/complete", {}, token)
        assert done.status == 200, done.body
        assert download(harness, "shelf/b").body == b"abc"
        gone = harness.post("/v1/storage/delete", {"files": [{"path": "shelf/b"}]}, token)
        assert "code" not in gone.json()["files"][0]


# -- keys that are handed out ---------------------------------------------------------------------


class Metadata:
    """What AWS puts beside its machines: version 2 of the instance's metadata at `/latest/`, and a
    container's keys at `/container`."""

    def __init__(self, keys: Credentials) -> None:
        self.keys: Credentials | None = keys
        self.asked = 0
        handler = type("Handler", (_Handler,), {"metadata": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self) -> bytes:
        self.asked += 1
        assert self.keys is not None
        ends = self.keys.expiration or datetime.now(UTC) + timedelta(hours=6)
        return json.dumps(
            {
                "Code": "Success",
                "AccessKeyId": self.keys.access_key,
                "SecretAccessKey": self.keys.secret_key,
                "Token": self.keys.session_token,
                "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        ).encode()


class _Handler(BaseHTTPRequestHandler):
    metadata: Metadata

    def do_PUT(self) -> None:
        ours = self.path == "/latest/api/token"
        self._send(b"session" if ours and "X-aws-ec2-metadata-token-ttl-seconds" in self.headers
                   else None)  # fmt: skip

    def do_GET(self) -> None:
        roles = "/latest/meta-data/iam/security-credentials/"
        known = self.headers.get("X-aws-ec2-metadata-token") == "session"
        if self.metadata.keys is None:
            self._send(None)
        elif self.path == "/container" or (known and self.path == f"{roles}the-role"):
            self._send(self.metadata.answer())
        else:
            self._send(b"the-role" if known and self.path == roles else None)

    def _send(self, body: bytes | None) -> None:
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


def handed_out(server: Server) -> Credentials:
    """Keys for a while, of the store itself where it has such, else those that it has."""
    if server.name != "minio":
        return Credentials(server.access_key, server.secret_key)
    source = AssumeRoleProvider(
        sts_endpoint=server.url, access_key=server.access_key, secret_key=server.secret_key
    )
    keys = source.retrieve()
    assert keys.session_token
    return keys


@pytest.fixture
def metadata(s3_server: Server) -> Iterator[Metadata]:
    made = Metadata(handed_out(s3_server))
    yield made
    made.close()


def aws(server: Server, **more: Any) -> StorageSettings:
    return server.settings(s3_access_key="", s3_secret_key="", s3_credentials="aws", **more)


@pytest.fixture(params=["environment", "container", "instance"])
def source(
    request: pytest.FixtureRequest, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> str:
    keys = metadata.keys
    assert keys is not None
    if request.param == "environment":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
        if keys.session_token:
            monkeypatch.setenv("AWS_SESSION_TOKEN", keys.session_token)
    elif request.param == "container":
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{metadata.url}/container")
    else:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"{metadata.url}/")
    return str(request.param)


def test_keys_are_found_as_awss_own_tools_find_them(
    s3_server: Server, metadata: Metadata, source: str, tmp_path: Path
) -> None:
    settings = Settings(limits=_OFF, storage=aws(s3_server))
    with (
        running_app(write_app(tmp_path, APP), settings) as app,
        httpx.Client(trust_env=False) as browser,
    ):
        token = app.sign_in()
        assert upload(app, "shelf/x", b"0123", token).status == 200
        asked = [
            {"path": "shelf/x"},
            {"path": "shelf/y", "operation": "upload", "size": 2},
        ]
        signed = app.post("/v1/storage/sign", {"files": asked}, token).json()["files"]
        assert [one["url"].startswith(s3_server.url) for one in signed] == [True, True]
        assert browser.get(signed[0]["url"]).content == b"0123"
        sent = browser.post(
            signed[1]["url"], data=signed[1]["fields"], files={"file": ("f", b"ab")}
        )
        assert sent.status_code in (200, 204), sent.text
    assert metadata.asked == (0 if source == "environment" else 1)


def test_a_link_that_would_outlive_its_keys_leads_to_the_gateway(
    s3_server: Server, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = metadata.keys
    assert keys is not None
    soon = datetime.now(UTC) + timedelta(minutes=30)
    metadata.keys = Credentials(keys.access_key, keys.secret_key, keys.session_token, soon)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)

    def link(blobs: S3Blobs, seconds: int) -> str | None:
        return blobs.link_to_read(
            new_key(), seconds=seconds, content_type="x/y", disposition="inline"
        )

    async def through() -> None:
        blobs = await started(aws(s3_server))
        assert link(blobs, 900) is not None
        assert link(blobs, 3600) is None
        for seconds, given in ((900, True), (3600, False)):
            form = blobs.form_to_send(new_upload(), size=1, content_type="x/y", seconds=seconds)
            assert (form is not None) is given
        await blobs.close()

    asyncio.run(through())


def test_without_a_role_the_start_says_so(
    s3_server: Server, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata.keys = None
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
    with pytest.raises(ConfigurationError, match=r"storage\.s3_credentials: nobody hands out"):
        asyncio.run(started(aws(s3_server)))


def test_keys_of_both_kinds_are_refused() -> None:
    both = StorageSettings(
        engine="s3", s3_endpoint="http://x", s3_bucket="b", s3_access_key="k", s3_credentials="aws"
    )
    with pytest.raises(ConfigurationError, match=r"storage\.s3_access_key: goes with"):
        S3Blobs(both)


# -- before they end ------------------------------------------------------------------------------


class Handing(Provider):
    """Hands out one after the other, and waits for leave where it is told to."""

    def __init__(self, *lifetimes: timedelta | None) -> None:
        self._lifetimes = list(lifetimes)
        self.leave, self.handed = threading.Event(), threading.Event()
        self.leave.set()
        self.times = 0
        self.ends: datetime | None = None

    def retrieve(self) -> Credentials:
        assert self.leave.wait(10)
        self.times += 1
        lifetime = self._lifetimes.pop(0)
        if lifetime is None:
            raise ValueError("none today")
        self.handed.set()
        ends = self.ends or datetime.now(UTC) + lifetime
        return Credentials(f"key{self.times}", "secret", None, ends)


def join_renewal() -> None:
    for thread in threading.enumerate():
        if thread.name == "baas-s3-credentials":
            thread.join(10)


def test_keys_are_renewed_before_they_end_and_nobody_waits() -> None:
    source = Handing(timedelta(minutes=4), timedelta(hours=6))
    fresh = Fresh(lambda: source)
    assert fresh.retrieve().access_key == "key1"
    source.leave.clear()
    source.handed.clear()
    assert [fresh.retrieve().access_key for _ in range(3)] == ["key1"] * 3, "while it is asked"
    source.leave.set()
    assert source.handed.wait(10)
    join_renewal()
    assert fresh.retrieve().access_key == "key2"
    assert source.times == 2


def test_keys_that_have_ended_are_not_used() -> None:
    source = Handing(timedelta(seconds=-1), None, timedelta(hours=6))
    fresh = Fresh(lambda: source, again=0)
    assert not outlives(fresh.retrieve(), 0)
    with pytest.raises(NoCredentials, match="ValueError"):
        fresh.retrieve()
    assert fresh.retrieve().access_key == "key3"


def test_who_signs_a_link_never_waits_for_keys() -> None:
    """It is done on the event loop."""
    source = Handing(timedelta(hours=6))
    source.leave.clear()
    fresh = Fresh(lambda: source)
    assert present(fresh) is None
    source.leave.set()
    join_renewal()
    found = present(fresh)
    assert found is not None
    assert found.access_key == "key1"


def test_where_nobody_hands_out_keys_not_every_request_asks() -> None:
    source = Handing(None, None)
    fresh = Fresh(lambda: source, again=1000)
    for _ in range(5):
        with pytest.raises(NoCredentials):
            fresh.retrieve()
        assert present(fresh) is None
    join_renewal()
    assert source.times == 1


def test_the_same_keys_again_are_not_asked_for_at_every_request() -> None:
    """AWS gives out the old ones until it has new ones."""
    source = Handing(timedelta(minutes=4), timedelta(minutes=4), None)
    fixed = datetime.now(UTC) + timedelta(minutes=4)
    source.ends = fixed
    fresh = Fresh(lambda: source, again=1000)
    for _ in range(5):
        assert fresh.retrieve().expiration == fixed.replace(tzinfo=None)
        join_renewal()
    assert source.times == 2
