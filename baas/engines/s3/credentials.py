"""Keys of the store: those of the settings, or such as AWS hands to what runs on it.

The latter end after some hours. They are fetched anew some minutes before, in a thread of its own,
while requests are still signed with the old ones; so neither a request nor the event loop, which
signs links, waits for them but where nothing at all was asked for that long.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from baas.settings import StorageSettings

if TYPE_CHECKING:
    from minio.credentials.credentials import Credentials
    from minio.credentials.providers import Provider

log = logging.getLogger("baas.storage")

#: New ones are there five minutes before the old ones end (AWS, "Retrieve security credentials
#: from instance metadata").
_AHEAD: Final = timedelta(minutes=5)
_AGAIN_SECONDS: Final = 10.0
_ASK_SECONDS: Final = 2.0
_RETRIES: Final = 2


class NoCredentials(Exception):
    """Nobody hands out keys; says where they were asked for."""


def provider_for(settings: StorageSettings) -> Provider:
    """Of the keys that `settings` name. No request is made yet."""
    from minio.credentials.providers import StaticProvider

    if settings.s3_credentials == "keys":
        return StaticProvider(settings.s3_access_key, settings.s3_secret_key)
    return cast("Provider", Fresh(lambda: _aws_provider(os.environ)))


def outlives(credentials: Credentials, seconds: int) -> bool:
    """Whether what is signed now is good for so long: a signature ends with its key."""
    ends = _end_of(credentials)
    return ends is None or ends - datetime.now(UTC) >= timedelta(seconds=seconds)


def _end_of(credentials: Credentials) -> datetime | None:
    ends = credentials.expiration
    return None if ends is None else ends.replace(tzinfo=UTC)


def _aws_provider(environ: Mapping[str, str]) -> Provider:
    """As AWS's own tools look for them: the environment, else a web identity (EKS), a container's
    (ECS) or an instance's role (EC2)."""
    import urllib3
    from minio.credentials.providers import EnvAWSProvider, IamAwsProvider

    if environ.get("AWS_ACCESS_KEY_ID"):
        return EnvAWSProvider()
    if environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        endpoint = environ.get("AWS_ENDPOINT_URL_STS")
    elif any(environ.get(f"AWS_CONTAINER_CREDENTIALS_{way}_URI") for way in ("RELATIVE", "FULL")):
        endpoint = None
    else:
        endpoint = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
    return IamAwsProvider(
        custom_endpoint=endpoint.rstrip("/") if endpoint else None,
        http_client=urllib3.PoolManager(
            timeout=_ASK_SECONDS, retries=urllib3.Retry(total=_RETRIES, backoff_factor=0.2)
        ),
    )


class Fresh:
    """A Provider that asks a new `source` each time, and ahead of time: the SDK's own keep what
    they have to its last seconds. Safe from any thread. `again` is the least time in seconds from
    one question to the next, where nothing came of it."""

    def __init__(self, source: Callable[[], Provider], again: float = _AGAIN_SECONDS) -> None:
        self._source = source
        self._again = again
        self._held: Credentials | None = None
        self._asking = threading.Lock()
        self._failed = float("-inf")

    def retrieve(self) -> Credentials:
        """Waits only where there are none that hold. NoCredentials."""
        held = self.present()
        if held is not None:
            return held
        with self._asking:
            if self._held is None or not outlives(self._held, 0):
                self._fetch()
            assert self._held is not None
            return self._held

    def present(self) -> Credentials | None:
        """Those that hold now, without waiting for any."""
        held = self._held
        if held is None or not outlives(held, 0):
            return None
        if not outlives(held, int(_AHEAD.total_seconds())):
            self.renew()
        return held

    def renew(self) -> None:
        """Asks for the next ones, in a thread, unless somebody does."""
        if self._just_failed() or not self._asking.acquire(blocking=False):
            return
        threading.Thread(target=self._renew, name="baas-s3-credentials", daemon=True).start()

    def _renew(self) -> None:
        try:
            self._fetch()
        except NoCredentials as fault:
            log.warning("the store's keys were not renewed yet: %s", fault)
        finally:
            self._asking.release()

    def _just_failed(self) -> bool:
        return monotonic() - self._failed < self._again

    def _fetch(self) -> None:
        """Only with the lock. Many who wait for it while nobody answers learn so at once."""
        if self._just_failed():
            raise NoCredentials("asked a moment ago")
        before = self._held
        try:
            self._held = self._source().retrieve()
        except Exception as fault:
            self._failed = monotonic()
            raise NoCredentials(type(fault).__name__) from fault
        if before is not None and before.expiration == self._held.expiration:
            self._failed = monotonic()  # the next ones are not there yet


def present(keys: Provider) -> Credentials | None:
    """The keys to sign a link with on the event loop, which must not wait for any: None where
    new ones would have to be asked for first."""
    if not isinstance(keys, Fresh):
        return keys.retrieve()
    held = keys.present()
    if held is None:
        keys.renew()
    return held
