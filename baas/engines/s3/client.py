"""A client of one bucket, made from settings, and what its faults mean.

The SDK is imported late: a gateway that keeps its files in a folder does not pay for it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from baas.engines.s3.credentials import NoCredentials, provider_for
from baas.errors import Code, ConfigurationError, Problem
from baas.ports.blobs import BlobMissing
from baas.settings import StorageSettings

if TYPE_CHECKING:
    from minio import Minio
    from minio.credentials.providers import Provider
    from minio.error import S3Error

log = logging.getLogger("baas.storage")

_CONNECT_SECONDS: Final = 5.0
_RETRIES: Final = 4
_BACKOFF: Final = 0.2
#: Worth another try: the store is busy or being restarted.
_PASSING: Final = (500, 502, 503, 504)
_GONE: Final = "NoSuchKey"

#: What a refused first request means, in terms of the settings.
_FAULTS: Final = {
    "NoSuchBucket": "storage.s3_bucket: there is no bucket of this name; make it first",
    "InvalidBucketName": "storage.s3_bucket: this is no bucket's name",
    "InvalidAccessKeyId": "storage.s3_access_key: the store does not know this key",
    "XAdminUserNotFound": "storage.s3_access_key: the store does not know this key",  # versitygw
    "SignatureDoesNotMatch": "storage.s3_secret_key: does not belong to storage.s3_access_key",
    "AccessDenied": (
        "storage.s3_access_key: this key may not list storage.s3_bucket; it needs to list the"
        " bucket and to read, write and delete its objects"
    ),
    "RequestTimeTooSkewed": "this machine's clock differs from the store's (storage.s3_endpoint)",
    "AuthorizationHeaderMalformed": "storage.s3_region: the bucket is in another region",
    "PermanentRedirect": "storage.s3_region: the bucket is in another region",
}


class Address(msgspec.Struct, frozen=True):
    """Where a store is: `host[:port]`, and whether by TLS."""

    host: str
    secure: bool


def address_of(url: str, setting: str) -> Address:
    """Of `https://s3.example.com`; ConfigurationError naming `setting`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{setting}: an address such as https://s3.example.com is needed")
    if parts.path.strip("/") or parts.query or parts.username:
        raise ConfigurationError(f"{setting}: only scheme, host and port belong here")
    return Address(parts.netloc, parts.scheme == "https")


def make_client(
    settings: StorageSettings, address: Address, region: str | None, keys: Provider
) -> Minio:
    """A client for `address`. No request is made yet."""
    import certifi
    import urllib3
    from minio import Minio

    timeout = urllib3.Timeout(
        connect=min(_CONNECT_SECONDS, settings.s3_timeout), read=settings.s3_timeout
    )
    pool = urllib3.PoolManager(
        maxsize=settings.s3_connections,
        timeout=timeout,
        cert_reqs="CERT_REQUIRED",
        ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
        # Every request here may be repeated: objects are written whole, under names of their own.
        retries=urllib3.Retry(
            total=_RETRIES,
            backoff_factor=_BACKOFF,
            backoff_jitter=_BACKOFF,
            status_forcelist=_PASSING,
            allowed_methods=None,
        ),
    )
    client = Minio(
        address.host,
        credentials=keys,
        secure=address.secure,
        region=region,
        http_client=pool,
    )
    if settings.s3_addressing == "virtual":
        client.enable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
    elif settings.s3_addressing == "path":
        client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
    return client


def make_bucket(settings: StorageSettings) -> bool:
    """Makes the bucket of the settings, private, unless it is there; whether it was made. Blocks.
    ConfigurationError."""
    check_settings(settings)
    client = make_client(
        settings,
        address_of(settings.s3_endpoint, "storage.s3_endpoint"),
        settings.s3_region or None,
        provider_for(settings),
    )
    try:
        if client.bucket_exists(settings.s3_bucket):
            return False
        client.make_bucket(settings.s3_bucket, settings.s3_region or None)
    except Exception as fault:
        raise as_configuration(fault, settings) from fault
    return True


def check_settings(settings: StorageSettings) -> None:
    """ConfigurationError where something is missing that no request has to be made for."""
    keys = ("s3_access_key", "s3_secret_key")
    own = settings.s3_credentials == "keys"
    for name in keys:
        if not own and getattr(settings, name):
            raise ConfigurationError(f"storage.{name}: goes with storage.s3_credentials keys only")
    for name in ("s3_endpoint", "s3_bucket", *(keys if own else ())):
        if not getattr(settings, name):
            variable = f"BAAS_STORAGE__{name.upper()}"
            raise ConfigurationError(f"storage.{name}: is needed for engine s3 (or {variable})")


def as_configuration(fault: Exception, settings: StorageSettings) -> Exception:
    """The fault of a first request, as one of the settings."""
    from minio.error import InvalidResponseError, S3Error, ServerError
    from urllib3.exceptions import HTTPError

    if isinstance(fault, S3Error):
        code = fault.code or ""
        meant = _FAULTS.get(code, f"storage.s3_endpoint: the store refused with {code}")
        return ConfigurationError(meant)
    if isinstance(fault, NoCredentials):
        return ConfigurationError(
            f"storage.s3_credentials: nobody hands out keys here ({fault}); is a role attached?"
        )
    if isinstance(fault, HTTPError):
        return ConfigurationError(
            f"storage.s3_endpoint: {settings.s3_endpoint} cannot be reached ({_cause(fault)})"
        )
    if isinstance(fault, InvalidResponseError | ServerError):
        return ConfigurationError(
            f"storage.s3_endpoint: what answers at {settings.s3_endpoint} does not speak S3"
        )
    if isinstance(fault, ValueError):  # the SDK's own check of names
        return ConfigurationError(f"storage.s3_bucket: {fault}")
    return fault


def _cause(fault: Exception) -> str:
    reason = getattr(fault, "reason", None) or fault
    return type(reason).__name__


@contextmanager
def told_apart() -> Iterator[None]:
    """BlobMissing for what is not there, UNAVAILABLE for all else that a store may answer; what
    it was is logged, never told."""
    from minio.error import MinioException, S3Error
    from urllib3.exceptions import HTTPError

    try:
        yield
    except S3Error as fault:
        if fault.code == _GONE:
            raise BlobMissing(fault.object_name) from None
        log.error("the S3 store refused: %s", _described(fault))
        raise unavailable() from fault
    except NoCredentials as fault:
        log.error("nobody hands out the S3 store's keys: %s", fault)
        raise unavailable() from fault
    except (MinioException, HTTPError) as fault:
        log.error("the S3 store does not answer: %s", type(fault).__name__)
        raise unavailable() from fault
    except OSError as fault:  # of the temporary file that waits for the store
        log.error("the disk takes no more of stored files: %s", fault.strerror or fault)
        raise unavailable() from fault


def _described(fault: S3Error) -> str:
    return f"{fault.code} ({fault.message}), request {fault.request_id}"


def unavailable() -> Problem:
    return Problem(Code.UNAVAILABLE, "Stored files cannot be reached now.", retry_after=5)
