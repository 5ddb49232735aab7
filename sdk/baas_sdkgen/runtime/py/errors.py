"""What went wrong, as the gateway says it (docs/errors.md) or as the network did."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

#: Codes that the client itself makes; every other `code` is the gateway's or a function's own.
NETWORK: Final = "NETWORK"
TIMEOUT: Final = "TIMEOUT"
ABORTED: Final = "ABORTED"
BAD_ANSWER: Final = "BAD_ANSWER"

#: An answer without a text, a proxy's for one.
_BY_STATUS: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    429: "RATE_LIMITED",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """A member of what was sent (dotted path), and what is wrong with it."""

    path: str
    message: str


class BaasError(Exception):
    """`status`: the HTTP status, 0 where no answer came. `request_id` finds the line in the logs.
    `retry_after`: seconds after which it may work. `operation`: which one of a transaction was
    refused, from 0."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int = 0,
        request_id: str = "",
        errors: tuple[FieldError, ...] = (),
        retry_after: float | None = None,
        operation: int | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.request_id = request_id
        self.errors = errors
        self.retry_after = retry_after
        self.operation = operation

    def __str__(self) -> str:
        fields = (f"{error.path}: {error.message}" for error in self.errors)
        # Of a body with faults the gateway's text is the first one.
        more = (f"; {field}" for field in fields if field != self.detail)
        return f"{self.code}: {self.detail}{''.join(more)}"


def error_of(status: int, body: bytes, headers: Any) -> BaasError:
    """The error of an answer that is a problem document (RFC 9457), or of one that is not."""
    retry_after = _seconds(headers.get("retry-after"))
    request_id = headers.get("x-request-id") or ""
    problem = _problem(body)
    if problem is None:
        silent = _BY_STATUS.get(status) if not body else None
        code = silent or ("UNAVAILABLE" if status in (502, 503) else BAD_ANSWER)
        detail = f"The server answered {status} without a problem."
        return BaasError(
            code, detail, status=status, retry_after=retry_after, request_id=request_id
        )
    return BaasError(
        problem["code"],
        str(problem.get("detail") or problem.get("title") or ""),
        status=status,
        request_id=str(problem.get("requestId") or request_id),
        errors=_fields(problem.get("errors")),
        retry_after=retry_after,
        operation=problem.get("operation"),
    )


def _problem(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("code"), str) else None


def _fields(errors: Any) -> tuple[FieldError, ...]:
    if not isinstance(errors, list):
        return ()
    return tuple(
        FieldError(str(one.get("path", "")), str(one.get("message", "")))
        for one in errors
        if isinstance(one, dict)
    )


def _seconds(text: str | None) -> float | None:
    """Dates, which the gateway never sends, count as nothing said."""
    return float(text) if text is not None and text.isdecimal() else None
