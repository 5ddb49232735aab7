"""Every error that a client can meet: one table, one exception.

`Code` is the closed list of protocol version 1. A module that finds a fault raises
`Problem(code, detail)`; the gateway alone turns it into `application/problem+json`
(RFC 9457). `detail` is read by strangers: it names fields, limits and operators of
the request, never a table, a path of this machine, a driver's text or a stack.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec


class Code(Enum):
    """A public error: its name on the wire, its HTTP status and its title."""

    INVALID_ARGUMENT = (400, "The request is not well formed")
    VALIDATION_FAILED = (400, "The document does not fit the collection's schema")
    CURSOR_INVALID = (400, "The cursor cannot be used here")
    LIMIT_EXCEEDED = (400, "A limit was exceeded")
    UNAUTHENTICATED = (401, "A valid token is needed")
    TOKEN_EXPIRED = (401, "The token has expired")
    INVALID_CREDENTIALS = (401, "The credentials are wrong")
    SESSION_REVOKED = (401, "The session has ended")
    PERMISSION_DENIED = (403, "The rules do not allow this")
    QUOTA_EXCEEDED = (403, "A quota was exceeded")
    NOT_FOUND = (404, "There is nothing here")
    METHOD_NOT_ALLOWED = (405, "The method is not allowed here")
    CONFLICT = (409, "The name or key is taken")
    TRANSACTION_CONFLICT = (409, "Another write came between; try again")
    IDEMPOTENCY_MISMATCH = (409, "The idempotency key was used with another body")
    IDEMPOTENCY_IN_PROGRESS = (409, "The first request with this key is still running")
    PAYLOAD_TOO_LARGE = (413, "The body is too large")
    UNSUPPORTED_MEDIA_TYPE = (415, "The content type is not supported")
    RANGE_NOT_SATISFIABLE = (416, "The range is outside the file")
    RATE_LIMITED = (429, "Too many requests")
    INTERNAL = (500, "Something went wrong on this side")
    FUNCTION_FAILED = (500, "The function failed")
    NOT_SUPPORTED = (501, "This is not supported")
    UNAVAILABLE = (503, "The service cannot answer now")
    FUNCTION_TIMEOUT = (504, "The function took too long")
    QUERY_TIMEOUT = (504, "The query took too long")
    LOOP_DETECTED = (508, "Calls and triggers form a loop")

    def __init__(self, status: int, title: str) -> None:
        self.status: Final = status
        self.title: Final = title


class FieldError(msgspec.Struct, frozen=True):
    """One fault in a body. `path` is dotted, list positions as numbers: `document.tags.2`."""

    path: str
    message: str


class OwnCode(msgspec.Struct, frozen=True):
    """An error of an app's own (`fn.Error`): its name on the wire and its HTTP status."""

    name: str
    status: int
    title: str


class Problem(Exception):
    """A public error on its way to a client.

    `own` takes the place of `code` in what the client sees: an app's functions may have codes that
    the table does not know.

    `errors` name the fields at fault; `retry_after` is in seconds; `operation` is the
    position of the failing operation in a transaction; `extra` holds further members of
    the problem document (never any that the standard or this class defines).
    """

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after: float | None = None,
        operation: int | None = None,
        extra: dict[str, object] | None = None,
        own: OwnCode | None = None,
    ) -> None:
        super().__init__(f"{(own or code).name}: {detail}")
        self.code = code
        self.own = own
        self.detail = detail
        self.errors = errors
        self.retry_after = retry_after
        self.operation = operation
        self.extra = extra

    @property
    def public(self) -> Code | OwnCode:
        """What the client is told: `name`, `status` and `title`."""
        return self.own or self.code

    @property
    def status(self) -> int:
        return self.public.status


def invalid(path: str, message: str) -> Problem:
    """INVALID_ARGUMENT for one field: the usual answer to a malformed body."""
    where = f"{path}: {message}" if path else message
    return Problem(Code.INVALID_ARGUMENT, where, errors=(FieldError(path, message),))


def denied(detail: str) -> Problem:
    return Problem(Code.PERMISSION_DENIED, detail)


def not_found(detail: str = "No such document.") -> Problem:
    return Problem(Code.NOT_FOUND, detail)


class ConfigurationError(Exception):
    """A fault in the operator's own files or settings: shown at start, never to clients.

    Always says where: `file`, and `line` and `column` from 1 where they are known.
    """

    def __init__(
        self, message: str, *, file: str = "", line: int | None = None, column: int | None = None
    ) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        super().__init__(self.__str__())

    def __str__(self) -> str:
        spot = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return f"{spot}: {self.message}" if spot else self.message
