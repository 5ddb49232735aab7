"""Requests for files to one gateway, over one connection that is opened anew where it broke."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from secrets import token_hex
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import click
import msgspec

T = TypeVar("T")

SECONDS: Final = 120.0
#: Tries of one request that broke off, or that the gateway asked to wait with.
ATTEMPTS: Final = 6
_WAIT_SECONDS: Final = 0.25
_MOST_SECONDS: Final = 60.0
_PASSING: Final = (429, 502, 503, 504)
_PAGE: Final = 100


class Refused(Exception):
    """The gateway's answer is a problem."""

    def __init__(self, status: int, code: str, detail: str, wait: float | None) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.wait = wait


class Broken(Exception):
    """No answer, or half of one."""


class Stored(msgspec.Struct, frozen=True, rename="camel"):
    """A file as the gateway tells of it; `update_time` is `{"$date": ...}`."""

    path: str
    size: int
    hash: str
    content_type: str
    update_time: dict[str, str]


class Wire:
    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise click.UsageError(f"a gateway's address begins with https:// or http://: {url}")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self.url: Final = url.rstrip("/")
        self._base = parts.path.rstrip("/")
        self._key = key
        self._connection = kind(parts.hostname, parts.port, timeout=SECONDS)
        self._reached = False

    def close(self) -> None:
        self._connection.close()

    # -- calls ------------------------------------------------------------------------------------

    def call(self, path: str, body: Any) -> Any:
        """POST of JSON to `/v1/storage/{path}`; the answer. Tried again where it broke off, with
        the same Idempotency-Key."""
        data = json.dumps(body).encode()
        headers = {"content-type": "application/json", "idempotency-key": token_hex(16)}
        return self.patiently(lambda: self.post(path, lambda: [data], len(data), headers))

    def post(
        self,
        path: str,
        pieces: Callable[[], Iterable[bytes]],
        length: int,
        headers: dict[str, str],
    ) -> Any:
        """One POST of `length` bytes. Raises Refused, Broken."""
        headers = {**headers, "content-length": str(length)}
        with self._exchange("POST", f"/v1/storage/{path}", headers, pieces()) as answer:
            return json.loads(answer.read())

    @contextmanager
    def fetch(self, path: str, headers: dict[str, str]) -> Iterator[HTTPResponse]:
        """The answer to a GET of a file. Raises Refused, Broken, also while it is read."""
        address = f"/v1/storage/files/{quote(path, safe='/')}"
        with self._exchange("GET", address, headers, None) as answer:
            yield answer

    def files(self, prefix: str) -> Iterator[Stored]:
        """All whose paths begin so, in order of path."""
        body: dict[str, Any] = {"prefix": prefix, "limit": _PAGE}
        while True:
            answer = self.call("list", body)
            yield from msgspec.convert(answer["files"], list[Stored])
            if answer["next"] is None:
                return
            body["after"] = answer["next"]

    def stat(self, path: str) -> Stored:
        return msgspec.convert(self.call("stat", {"path": path}), Stored)

    def patiently(self, work: Callable[[], T]) -> T:
        """What `work` makes, tried again as long as it may help: the gateway's wish to wait is
        granted up to a minute."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return work()
            except Refused as refusal:
                if refusal.status not in _PASSING or attempt == ATTEMPTS:
                    raise
                wait = refusal.wait
            except Broken:
                # An address at which nobody ever answered will not do so in a second.
                if not self._reached or attempt == ATTEMPTS:
                    raise
                wait = None
            time.sleep(min(_MOST_SECONDS, wait or _WAIT_SECONDS * 2**attempt))
        raise AssertionError("the last attempt has returned or raised")

    # -- within -----------------------------------------------------------------------------------

    @contextmanager
    def _exchange(
        self, method: str, path: str, headers: dict[str, str], body: Iterable[bytes] | None
    ) -> Iterator[HTTPResponse]:
        headers = {**headers, "authorization": f"Bearer {self._key}"}
        try:
            self._send(method, f"{self._base}{path}", headers, body)
            answer = self._connection.getresponse()
            self._reached = True
            if answer.status >= 400:
                raise _refusal(answer)
            yield answer
        except (OSError, HTTPException) as fault:
            self._connection.close()
            raise Broken(f"no gateway answers at {self.url}: {_words(fault)}") from fault
        except BaseException:
            self._connection.close()
            raise
        if not answer.isclosed():
            self._connection.close()

    def _send(
        self, method: str, path: str, headers: dict[str, str], body: Iterable[bytes] | None
    ) -> None:
        try:
            self._connection.request(method, path, body=body, headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            # A gateway that refuses does not wait for the rest: its answer may be there to read.
            if body is None:
                raise


def _refusal(answer: HTTPResponse) -> Refused:
    wait = answer.headers.get("retry-after", "")
    seconds = float(wait) if wait.isdigit() else None
    try:
        problem = json.loads(answer.read())
        return Refused(answer.status, problem["code"], problem["detail"], seconds)
    except (ValueError, KeyError, TypeError):
        return Refused(answer.status, f"HTTP {answer.status}", answer.reason, seconds)


def _words(fault: Exception) -> str:
    return str(fault) or type(fault).__name__
