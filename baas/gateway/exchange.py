"""One request and what is known of it on its way: id, headers, caller, outcome.

Made once per request by the edge (`dispatch.py`) and shared by the hot path and by Litestar's
handlers, which find it in the scope.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from itertools import count
from time import perf_counter
from typing import Any, Final, TypeAlias, cast

import msgspec

from baas.errors import Code, Problem, invalid
from baas.schema.actor import Actor

Scope: TypeAlias = Any
Message: TypeAlias = Any
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]

#: Where the edge leaves the exchange for handlers further in.
SCOPE_KEY: Final = "baas.exchange"

JSON: Final[Header] = (b"content-type", b"application/json")
NO_STORE: Final[Header] = (b"cache-control", b"no-store")
NO_SNIFF: Final[Header] = (b"x-content-type-options", b"nosniff")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_NO_TRACE = b"0" * 32

#: Sent twice, these could mean one thing to a proxy and another to us.
_SINGLE: Final = frozenset(
    {
        b"content-type",
        b"content-length",
        b"host",
        b"idempotency-key",
        b"origin",
        b"traceparent",
        b"x-baas-as",
        b"x-baas-explain",
        b"x-request-id",
    }
)


class Stream(msgspec.Struct, frozen=True, eq=False):
    """A body that is sent as it comes: its length, its pieces, and what lets go of their source,
    whether they were read or not."""

    length: int
    pieces: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]


class Answer(msgspec.Struct, frozen=True):
    """A whole answer. `headers` begins with the content type; the edge adds length, request id,
    CORS and `nosniff`."""

    body: bytes
    status: int = 200
    headers: tuple[Header, ...] = (JSON,)
    #: The problem's code, for the log.
    error: str | None = None
    #: In place of `body`.
    stream: Stream | None = None


_prefix = secrets.token_hex(6)
_numbers = count(1)


def new_request_id() -> str:
    """Unique over processes and restarts; not a secret."""
    return f"{_prefix}-{next(_numbers):x}"


class Exchange:
    """`headers` by lower-case name, the last of each; `raw_headers` all of them in order.

    `route` names the route table's entry once it is known; `status`, `size` and `error` are set
    as the answer leaves, `is_answered` once all of one that others made has left. `started` is in
    seconds of `perf_counter`. `noted` is what the audit log keeps of a body that is no JSON.
    """

    __slots__ = (
        "actor",
        "error",
        "headers",
        "id",
        "ip",
        "is_answered",
        "method",
        "noted",
        "path",
        "raw_headers",
        "raw_path",
        "route",
        "size",
        "started",
        "status",
        "trace",
    )

    def __init__(self, scope: Scope) -> None:
        self.started = perf_counter()
        self.raw_headers: list[Header] = scope["headers"]
        self.headers: dict[bytes, bytes] = dict(self.raw_headers)
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_path: bytes = scope.get("raw_path", b"")
        self.ip = ""
        self.route = "unknown"
        self.status = 0
        self.size = 0
        self.is_answered = False
        self.error: str | None = None
        self.actor: Actor | None = None
        self.trace: str | None = None
        self.noted: dict[str, str] | None = None
        given = self.headers.get(b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            self.id = given.decode("ascii")
        else:
            self.id = new_request_id()
        parent = self.headers.get(b"traceparent")
        if parent is not None:
            self.trace = trace_id(parent)

    def check_headers(self) -> None:
        """Refuses headers whose repetition would be ambiguous.

        UNAUTHENTICATED for a repeated Authorization, else INVALID_ARGUMENT. Only looks where
        something is repeated at all.
        """
        if len(self.headers) != len(self.raw_headers):
            _check_repeats(name for name, _ in self.raw_headers)

    def text(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


def _check_repeats(names: Iterable[bytes]) -> None:
    seen: set[bytes] = set()
    for name in names:
        if name in seen and name == b"authorization":
            raise Problem(Code.UNAUTHENTICATED, "The Authorization header is sent twice.")
        if name in seen and name in _SINGLE:
            raise invalid("", f"the header {name.decode('ascii')} is sent twice")
        seen.add(name)


def trace_id(traceparent: bytes) -> str | None:
    """The trace id of a W3C `traceparent` header, or None where it is not one (then a header is
    ignored, as the recommendation says)."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or traceparent.startswith(b"ff") or match[1] == _NO_TRACE:
        return None
    if traceparent.startswith(b"00") and len(traceparent) != 55:
        return None
    return match[1].decode("ascii")


def exchange_of(scope: Scope) -> Exchange:
    return cast("Exchange", scope[SCOPE_KEY])


def matches_etag(header: str, etag: str) -> bool:
    """Whether an If-None-Match names `etag`, by weak comparison (RFC 9110, 13.1.2)."""
    tags = (tag.strip().removeprefix("W/") for tag in header.split(","))
    return header.strip() == "*" or any(tag == etag for tag in tags)
