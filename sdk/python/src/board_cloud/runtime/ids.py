"""Ids and keys made by the client."""

from __future__ import annotations

import secrets
import time
from typing import Final

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TIME_DIGITS: Final = 8
_CHANCE_DIGITS: Final = 12


def random_text(length: int) -> str:
    """That many digits of base 62, unguessable."""
    return "".join(secrets.choice(_DIGITS) for _ in range(length))


def new_id(now: int | None = None) -> str:
    """A document's `_id`: 20 characters, ordered by time (8 of milliseconds, 12 by chance)."""
    left = time.time_ns() // 1_000_000 if now is None else now
    digits = ""
    for _ in range(_TIME_DIGITS):
        left, digit = divmod(left, 62)
        digits = _DIGITS[digit] + digits
    return digits + random_text(_CHANCE_DIGITS)
