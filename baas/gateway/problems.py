"""Faults to answers, in one place: `application/problem+json` (RFC 9457).

Whatever is not a Problem is our fault: it is logged with its stack and answered INTERNAL, with
the request's id and nothing else.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from baas.errors import Code, OwnCode, Problem
from baas.gateway.exchange import Answer, Header

CONTENT_TYPE: Final[Header] = (b"content-type", b"application/problem+json")
CHALLENGE: Final[Header] = (b"www-authenticate", b"Bearer")
#: `type` of every problem; the code follows. A name, not an address: there is nothing to fetch.
TYPE_PREFIX: Final = "urn:baas:problem:"

#: A client that is told to come back without being told when waits this long, in seconds.
DEFAULT_RETRY_SECONDS: Final = 1

_encoder: Final = msgspec.json.Encoder()


def problem_type(code: Code | OwnCode) -> str:
    return TYPE_PREFIX + code.name.lower().replace("_", "-")


def render(problem: Problem, request_id: str) -> Answer:
    """The answer for one problem."""
    code = problem.public
    members: dict[str, Any] = dict(problem.extra or {})
    members |= {
        "type": problem_type(code),
        "title": code.title,
        "status": code.status,
        "code": code.name,
        "detail": problem.detail,
        "requestId": request_id,
    }
    if problem.errors:
        members["errors"] = problem.errors
    if problem.operation is not None:
        members["operation"] = problem.operation
    return Answer(_encoder.encode(members), code.status, _headers(problem), code.name)


def _headers(problem: Problem) -> tuple[Header, ...]:
    headers = [CONTENT_TYPE]
    wait = problem.retry_after
    if wait is None and problem.code in (Code.RATE_LIMITED, Code.UNAVAILABLE):
        wait = DEFAULT_RETRY_SECONDS
    if wait is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(wait))).encode()))
    if problem.code is Code.RANGE_NOT_SATISFIABLE and problem.extra is not None:
        headers.append((b"content-range", f"bytes */{problem.extra['size']}".encode()))
    if problem.status == 401:
        headers.append(CHALLENGE)
    return tuple(headers)


def internal() -> Problem:
    return Problem(Code.INTERNAL, "An unexpected fault; it has been logged under this request id.")
