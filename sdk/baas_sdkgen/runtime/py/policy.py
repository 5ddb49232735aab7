"""What is said again, and after how long: the same for every face of the client."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from .errors import BAD_ANSWER, NETWORK, TIMEOUT, BaasError

#: How a repeat is safe: `read` changes nothing; `key` is once by Idempotency-Key; `once` is never
#: repeated unless the server says that it did nothing.
Safety: TypeAlias = Literal["read", "key", "once"]

#: Seconds.
TIMEOUT_SECONDS: Final = 15.0
#: Files are large and networks slow.
TRANSFER_SECONDS: Final = 600.0
RETRIES: Final = 3
KEY: Final = "Idempotency-Key"
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0

#: Answers that say that nothing was done.
_UNTOUCHED: Final = frozenset(("RATE_LIMITED", "UNAVAILABLE", "IDEMPOTENCY_IN_PROGRESS"))
#: The same call would take as long again.
_LONG: Final = frozenset(("FUNCTION_TIMEOUT", "QUERY_TIMEOUT"))
_STALE: Final = frozenset(("TOKEN_EXPIRED", "UNAUTHENTICATED"))
#: Refusals of a refresh after which the session is over; any other fault (no network) keeps it.
_OVER: Final = frozenset(
    ("SESSION_REVOKED", "UNAUTHENTICATED", "TOKEN_EXPIRED", "INVALID_CREDENTIALS")
)


def may_repeat(fault: BaasError, safety: Safety, headers: Mapping[str, str]) -> bool:
    """Whether saying it again can do no harm, and may help."""
    if fault.code in _UNTOUCHED:
        return True
    unknown = fault.code in (NETWORK, BAD_ANSWER) or fault.status >= 502
    if not unknown or fault.code in _LONG or fault.code == TIMEOUT:
        return False
    return safety == "read" or (safety == "key" and KEY in headers)


def is_stale(fault: BaasError) -> bool:
    """Whether another token might do."""
    return fault.code in _STALE


def is_over(fault: BaasError) -> bool:
    """Whether a refused refresh has ended the session."""
    return fault.code in _OVER


def pause_of(fault: BaasError | None, tried: int) -> float:
    """Seconds: what the server asks for; else doubling, with half of it by chance, so that many do
    not come back at once."""
    if fault is not None and fault.retry_after is not None:
        return fault.retry_after
    pause = min(_FIRST_PAUSE * 2.0**tried, _LONGEST_PAUSE)
    return pause / 2 + random.random() * pause / 2  # noqa: S311
