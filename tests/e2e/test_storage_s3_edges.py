"""The S3 engine over TLS, in a shared bucket, and after a crash that left uploads half sent."""

from __future__ import annotations

import asyncio
import errno
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from baas.engines.s3.store import S3Blobs
from baas.errors import ConfigurationError, Problem
from baas.ports.blobs import new_key, new_upload
from baas.settings import LimitSettings, Settings, StorageSettings
from baas.storage.sweep import FEW_ORPHANS
from tests.support.app import running_app
from tests.support.gateway import write_app
from tests.support.s3 import Server, serving
from tests.support.storage import APP, download, pieces, upload

_OFF = LimitSettings(rate_auth="off", rate_read="off", rate_write="off")


async def started(settings: StorageSettings) -> S3Blobs:
    blobs = S3Blobs(settings)
    try:
        await blobs.start()
    except BaseException:
        await blobs.close()
        raise
    return blobs


async def read(blobs: S3Blobs, key: str) -> bytes:
    reader = await blobs.open(key)
    found = b""
    while piece := await reader.read():
        found += piece
    await reader.close()
    return found


# -- half sent ------------------------------------------------------------------------------------


def test_what_a_dead_gateway_left_half_sent_is_aborted(s3_server: Server) -> None:
    async def through() -> None:
        settings = s3_server.settings(s3_prefix="app")
        blobs = await started(settings)
        client = s3_server.client()
        for name in ("app/blobs/" + new_key(), f"app/parts/{new_upload()}/00001", "other/x"):
            upload = client._create_multipart_upload(settings.s3_bucket, name, {})
            client._upload_part(settings.s3_bucket, name, b"x", None, upload, 1)
        assert await blobs.sweep(0) == 0
        assert await blobs.sweep(2**60) == 2
        assert await blobs.sweep(2**60) == 0
        left = client._list_multipart_uploads(settings.s3_bucket).uploads
        assert [one.object_name for one in left] == ["other/x"]
        await blobs.close()

    asyncio.run(through())


def test_two_apps_in_one_bucket_do_not_see_each_other(s3_server: Server) -> None:
    async def through() -> None:
        bucket = s3_server.bucket()
        one = await started(s3_server.settings(s3_bucket=bucket, s3_prefix="a"))
        other = await started(s3_server.settings(s3_bucket=bucket, s3_prefix="a/b/"))
        key, upload = new_key(), new_upload()
        await one.put(key, pieces(b"x"))
        await one.put_part(upload, 1, pieces(b"x"))
        assert [found.key async for found in other.listing()] == []
        assert [found.key async for found in other.uploads()] == []
        assert [found.key async for found in one.listing()] == [key]
        assert [found.key async for found in one.uploads()] == [upload]
        await one.close()
        await other.close()

    asyncio.run(through())


def test_a_disk_here_that_is_full_is_unavailable_and_leaves_nothing(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client has sent waits in a temporary file until the store is given it."""
    most = 9_000_000  # more than one part, so that an upload to the store has begun
    written = 0
    real = tempfile.SpooledTemporaryFile.write

    def write(file: Any, data: bytes) -> int:
        nonlocal written
        written += len(data)
        if written > most:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data)

    async def through() -> None:
        settings = s3_server.settings()
        blobs = await started(settings)
        with monkeypatch.context() as full:
            full.setattr(tempfile.SpooledTemporaryFile, "write", write)
            with pytest.raises(Problem) as refused:
                await blobs.put(new_key(), pieces(*[b"x" * 1_000_000] * 12))
        assert refused.value.public.name == "UNAVAILABLE"
        assert [found.key async for found in blobs.listing()] == []
        left = s3_server.client()._list_multipart_uploads(settings.s3_bucket).uploads
        assert list(left) == []
        await blobs.close()

    asyncio.run(through())


# -- TLS ------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(addresses, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


@pytest.fixture
def tls_server(tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[Server]:
    with serving("versitygw", tmp_path / "s3" / "tls", certificate) as server:
        yield server


def test_over_tls_with_a_certificate_that_is_trusted(
    tls_server: Server, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(256)) * 50_000  # two parts

    async def through(settings: StorageSettings) -> None:
        blobs = await started(settings)
        key, upload, joined = new_key(), new_upload(), new_key()
        await blobs.put(key, pieces(data[:9_000_000], data[9_000_000:]))
        assert await read(blobs, key) == data
        await blobs.put_part(upload, 1, pieces(data))
        await blobs.put_part(upload, 2, pieces(b"end"))
        assert (await blobs.join(upload, joined)).size == len(data) + 3
        url = blobs.link_to_read(key, seconds=60, content_type="x/y", disposition="attachment")
        assert url is not None
        async with httpx.AsyncClient(verify=False, trust_env=False) as browser:
            assert (await browser.get(url)).content == data
        await blobs.close()

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    settings = tls_server.settings()
    asyncio.run(through(settings))
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ConfigurationError, match=r"s3_endpoint: .* cannot be reached"):
        asyncio.run(started(settings))


def test_a_bucket_full_of_another_apps_files_is_not_swept(
    s3_server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = s3_server.settings()
    mine, other = (write_app(tmp_path / name, APP) for name in ("mine", "other"))
    with running_app(mine, Settings(limits=_OFF, storage=storage)) as app:
        token = app.sign_in()
        for number in range(FEW_ORPHANS + 1):
            assert upload(app, f"shelf/{number}", b"x", token).status == 200
    with running_app(other, Settings(limits=_OFF, storage=storage)) as copy:
        upload(copy, "shelf/own", b"x", copy.sign_in())
        assert copy.run(copy.app.storage.sweeper.run_once(2**50)) == 0
    assert "nothing was swept" in caplog.text
    with running_app(mine, Settings(limits=_OFF, storage=storage)) as app:
        assert download(app, "shelf/0").body == b"x"
        # The other's one file is what a crash may leave.
        assert app.run(app.app.storage.sweeper.run_once(2**50)) == 1
