"""Webhooks out: to public addresses alone, unless a setting allows others.

A name is resolved once and the connection made to the very address that was checked, so a name
that answers differently the second time gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from baas.clock import Clock
from baas.errors import Code, ConfigurationError, Problem
from baas.functions.delivery import Settlement, Work
from baas.functions.destinations import Delivery
from baas.functions.model import Backoff, RetryPolicy
from baas.functions.triggers import events, webhooks
from baas.notation import Network
from baas.ports.jobs import Job

#: Webhooks sent at once by one process.
AT_ONCE: Final = 8
MAX_URL: Final = 2048
#: Receivers are given a day to come back.
POLICY: Final = RetryPolicy(
    function=Backoff(tries=3, first=5.0, cap=60.0),
    system=Backoff(tries=None, first=5.0, factor=3.0, cap=3600.0),
    throttled=Backoff(tries=None, first=5.0, factor=3.0, cap=3600.0),
    max_age=86_400.0,
)
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_AGENT: Final = "baas-webhook/1"
_TOO_MANY: Final = 429
_LATER: Final = (408, 425)
_MAX_WAIT: Final = 3600.0
_DELIVERIES: Final = msgspec.json.Decoder(Delivery)
#: `socket.getaddrinfo`, or what stands for it.
Resolve = Callable[..., Any]


class Guarded:
    """Which addresses may be reached."""

    def __init__(
        self, allowed: tuple[Network, ...] = (), resolve: Resolve = socket.getaddrinfo
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve

    def address(self, host: str, port: int) -> str:
        """One address of `host`. Problem(INVALID_ARGUMENT) if any of them may not be reached;
        OSError where it has none."""
        found = self._resolve(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
        for address in addresses:
            if not self._may(ipaddress.ip_address(address)):
                detail = "Webhooks reach public addresses only; see jobs.webhook_private."
                raise Problem(Code.INVALID_ARGUMENT, detail)
        return addresses[0]

    def _may(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        address = _embedded(address)
        if any(address.version == net.version and address in net for net in self._allowed):
            return True
        return address.is_global and not address.is_multicast


def _embedded(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one only wraps."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def check_url(url: str) -> SplitResult:
    """ConfigurationError for what is no address of a webhook."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"{url!r} is no address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > MAX_URL:
        raise ConfigurationError(f"{url!r} is no http or https address")
    if parts.username is not None or port == 0 or any(char <= " " for char in url):
        raise ConfigurationError(f"{url!r} is not an address that webhooks go to")
    return parts


class WebhookRunner:
    """Handles jobs of kind WEBHOOK. `secrets` gives the secrets of now by name."""

    def __init__(
        self,
        settlement: Settlement,
        secrets: Callable[[], Mapping[str, str]],
        clock: Clock,
        guarded: Guarded,
        *,
        timeout: float,
        source: str,
    ) -> None:
        self._settlement = settlement
        self._secrets = secrets
        self._clock = clock
        self._guarded = guarded
        self._timeout = timeout
        self._source = source
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="baas-webhook")

    async def run(self, batch: list[Job]) -> None:
        (job,) = batch
        delivery = _DELIVERIES.decode(job.payload)
        work = Work(
            job=job,
            spec=None,
            policy=POLICY,
            function=f"webhook {urlsplit(delivery.url).hostname}",
            event=delivery.data,
            actor=None,
            depth=job.depth,
        )
        if job.is_overdue(self._clock.now_ms()):
            await self._settlement.expired(work)
            return
        try:
            await self._send(job, delivery)
        except Problem as problem:
            await self._settlement.failed(work, problem)
        else:
            await self._settlement.succeeded(work, None, None)

    async def _send(self, job: Job, delivery: Delivery) -> None:
        secret = ""
        if delivery.secret:
            secret = self._secrets().get(delivery.secret, "")
            if not secret:
                raise Problem(Code.UNAVAILABLE, f"There is no secret {delivery.secret!r}.")
        now = self._clock.now_ms()
        body = events.render(
            type=delivery.type,
            source=self._source,
            id=job.id,
            now_ms=job.created_ms,
            data=delivery.data,
        )
        headers = {
            "content-type": events.STRUCTURED,
            "user-agent": _AGENT,
            **webhooks.signed_headers(secret, job.id, now // 1000, body),
        }
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, self._post, delivery.url, headers, body)

    def _post(self, url: str, headers: dict[str, str], body: bytes) -> None:
        """In a thread. Problem unless the answer is 2xx."""
        try:
            parts = check_url(url)
            with closing(self._connect(parts)) as connection:
                target = parts.path or "/"
                connection.request(
                    "POST",
                    f"{target}?{parts.query}" if parts.query else target,
                    body=body,
                    headers={"host": parts.netloc, **headers},
                )
                answer = connection.getresponse()
                _check_answer(answer.status, answer.getheader("retry-after"))
        except ConfigurationError as fault:
            raise Problem(Code.INVALID_ARGUMENT, str(fault)) from None
        except (OSError, http.client.HTTPException) as fault:
            detail = f"The receiver cannot be reached: {type(fault).__name__}."
            raise Problem(Code.UNAVAILABLE, detail) from None

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = self._guarded.address(host, port)
        connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        raw = socket.create_connection((address, port), self._timeout)
        try:
            if parts.scheme == "https":
                raw = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        except BaseException:
            raw.close()
            raise
        connection.sock = raw
        return connection

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _check_answer(status: int, retry_after: str | None) -> None:
    if 200 <= status < 300:
        return
    detail = f"The receiver answered {status}."
    if status == _TOO_MANY:
        raise Problem(Code.RATE_LIMITED, detail, retry_after=_seconds(retry_after))
    later = status >= 500 or status in _LATER
    raise Problem(Code.UNAVAILABLE if later else Code.FUNCTION_FAILED, detail)


def _seconds(text: str | None) -> float | None:
    return min(float(text), _MAX_WAIT) if text and text.isascii() and text.isdigit() else None
