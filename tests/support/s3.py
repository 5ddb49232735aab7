"""Real S3 servers on the loopback, and settings that name a bucket of theirs.

`BAAS_TEST_S3` chooses among them (`versitygw,minio`); `BAAS_TEST_S3_URL`, with `..._KEY` and
`..._SECRET`, is any other server, which is then the only one.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import warnings
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from time import monotonic
from typing import Any, Final

import msgspec

from baas.settings import StorageSettings
from scripts.s3servers import binary

ACCESS_KEY: Final = "baas-test-access"
SECRET_KEY: Final = "baas-test-secret-key"
START_SECONDS: Final = 30.0


class Server(msgspec.Struct, frozen=True):
    """A running S3 store. `name` tells what it is, for what one of them cannot do."""

    name: str
    url: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    def bucket(self) -> str:
        """The name of a new bucket."""
        name = f"b-{secrets.token_hex(8)}"
        self.client().make_bucket(name)
        return name

    def client(self) -> Any:
        """The SDK's client: to look at the store beside the kit."""
        from minio import Minio

        scheme, _, host = self.url.partition("://")
        return Minio(host, self.access_key, self.secret_key, secure=scheme == "https")

    def settings(self, **more: Any) -> StorageSettings:
        """An engine on a bucket of its own, unless `s3_bucket` names one."""
        given: dict[str, Any] = {
            "engine": "s3",
            "s3_endpoint": self.url,
            "s3_access_key": self.access_key,
            "s3_secret_key": self.secret_key,
            **more,
        }
        given.setdefault("s3_bucket", "" if "s3_bucket" in more else self.bucket())
        return StorageSettings(**given)

    def environment(self, **more: str) -> dict[str, str]:
        """The same for a gateway process."""
        settings = self.settings(**more)
        names = ("engine", "s3_endpoint", "s3_access_key", "s3_secret_key", "s3_bucket", *more)
        return {f"BAAS_STORAGE__{name.upper()}": str(getattr(settings, name)) for name in names}


def open_to_pages(server: Server, bucket: str) -> None:
    """A CORS rule on the bucket, as docs/storage.md asks for where pages use links to the store.
    MinIO has none and lets every origin."""
    from minio.error import S3Error

    rule = (
        b"<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin>"
        b"<AllowedMethod>GET</AllowedMethod><AllowedMethod>POST</AllowedMethod>"
        b"<AllowedHeader>*</AllowedHeader></CORSRule></CORSConfiguration>"
    )
    headers = {"Content-MD5": b64encode(md5(rule, usedforsecurity=False).digest()).decode()}
    try:
        server.client()._execute(
            "PUT", bucket, body=rule, headers=headers, query_params={"cors": ""}
        )
    except S3Error as fault:
        if fault.code != "NotImplemented":
            raise


def server_names() -> list[str]:
    if "BAAS_TEST_S3_URL" in os.environ:
        return ["given"]
    return os.environ.get("BAAS_TEST_S3", "versitygw,minio").split(",")


@contextmanager
def serving(
    name: str,
    folder: Path,
    certificate: tuple[Path, Path] | None = None,
    domain: str | None = None,
) -> Iterator[Server]:
    """The server of that name with its data in `folder`, for the length of a `with`. With a
    certificate and its key it speaks TLS (versitygw); below a `domain` buckets are hosts."""
    if name == "given":
        env = os.environ
        keys = env["BAAS_TEST_S3_KEY"], env["BAAS_TEST_S3_SECRET"]
        yield Server("given", env["BAAS_TEST_S3_URL"].rstrip("/"), *keys)
        return
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    log = folder.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            _command(name, binary(name), port, folder),
            env={**os.environ, **_VARIABLES, **_tls(certificate), **_domain(domain)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        scheme = "http" if certificate is None else "https"
        server = Server(name, f"{scheme}://127.0.0.1:{port}")
        _wait(server, process, log)
        yield server
    finally:
        process.kill()
        process.wait()


_VARIABLES: Final = {
    "ROOT_ACCESS_KEY_ID": ACCESS_KEY,
    "ROOT_SECRET_ACCESS_KEY": SECRET_KEY,
    "MINIO_ROOT_USER": ACCESS_KEY,
    "MINIO_ROOT_PASSWORD": SECRET_KEY,
    "MINIO_BROWSER": "off",
    "MINIO_UPDATE": "off",
    "MINIO_CI_CD": "on",  # lets it use the disk that the system is on
}


def _command(name: str, program: Path, port: int, folder: Path) -> tuple[str, ...]:
    address = f"127.0.0.1:{port}"
    if name == "versitygw":
        return (str(program), "--port", address, "--quiet", "--keep-alive", "posix", str(folder))
    return (str(program), "server", "--quiet", "--address", address, str(folder))


def _tls(certificate: tuple[Path, Path] | None) -> dict[str, str]:
    if certificate is None:
        return {}
    return {"VGW_CERT": str(certificate[0]), "VGW_KEY": str(certificate[1])}


def _domain(domain: str | None) -> dict[str, str]:
    return {} if domain is None else {"VGW_VIRTUAL_DOMAIN": domain, "MINIO_DOMAIN": domain}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    from minio.error import MinioException
    from urllib3 import PoolManager
    from urllib3.exceptions import HTTPError, InsecureRequestWarning

    until = monotonic() + START_SECONDS
    client = server.client()
    client._http = PoolManager(retries=False, timeout=2, cert_reqs="CERT_NONE")
    while monotonic() < until and process.poll() is None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InsecureRequestWarning)
                client.list_buckets()
            return
        except (MinioException, HTTPError):
            try:  # waits for the port without a sleep of its own
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
    raise AssertionError(f"{server.name} did not start:\n{log.read_text()[-2000:]}")
