"""`Idempotency-Key`: a write that is sent again happens once and answers the same bytes.

The record is kept by the store in the transaction of the write itself (`ports.documents.Once`), so
there is no moment in which one exists without the other. This module decides for whom a key counts
and what it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

import msgspec

from baas.errors import invalid
from baas.ports.documents import Once, StepResult
from baas.schema.actor import Actor
from baas.settings import LimitSettings

MAX_KEY_LENGTH: Final = 128
_HEADER: Final = "Idempotency-Key"


def is_honoured(actor: Actor) -> bool:
    """Keys are for callers with a name: strangers would share one scope and read each other's
    answers."""
    return actor.uid is not None or actor.key is not None


def check_key(key: str) -> None:
    """INVALID_ARGUMENT unless `key` is 1 to 128 printable ASCII characters."""
    if not 1 <= len(key) <= MAX_KEY_LENGTH:
        raise invalid(_HEADER, f"must have 1 to {MAX_KEY_LENGTH} characters")
    if not all(" " <= character <= "~" for character in key):
        raise invalid(_HEADER, "must be printable ASCII")


def once(
    key: str | None,
    actor: Actor,
    route: str,
    body: bytes,
    limits: LimitSettings,
    render: Callable[[tuple[StepResult, ...]], bytes],
) -> Once | None:
    """The store's instruction for this request; None where no key counts.

    Scope is caller, route and key, as one digest: no part can be chosen to look like another. The
    fingerprint is of the body's bytes.
    """
    if key is None or not is_honoured(actor):
        return None
    check_key(key)
    scope = msgspec.json.encode([actor.uid, actor.key, route, key])
    return Once(
        key=sha256(scope).hexdigest(),
        fingerprint=sha256(body).digest(),
        render=render,
        keep_seconds=limits.idempotency_hours * 3600,
        keep_records=limits.idempotency_records,
    )
