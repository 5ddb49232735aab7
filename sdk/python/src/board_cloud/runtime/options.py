"""What calls can be told besides what they are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypedDict


class CallOptions(TypedDict, total=False):
    """`timeout`: seconds for the whole call, its retries too. `retries`: tries after the first."""

    timeout: float | None
    retries: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes. `total` None: not known."""

    loaded: int
    total: int | None


class TransferOptions(CallOptions, total=False):
    on_progress: Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """One that says yes. Names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
