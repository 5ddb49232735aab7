"""ChangeFeed: every write, in order, from a cursor on.

The feed is the only announcement of a write: push, triggers, the panel and the file index follow
it. Appended in the transaction of the write, so nothing that was acknowledged is missing, and
nothing that failed is in it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Literal, Protocol

import msgspec

from baas.ports.documents import MaybeAwaitable


class CursorTooOld(Exception):
    """The feed no longer reaches back to this cursor: the reader must start from a snapshot."""


class ChangeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One document's change. `cursor` is opaque text; events with one `transaction` were written
    together. `before` and `after` are canonical JSON; None where there was or is no document.
    `time` in milliseconds since 1970."""

    cursor: str
    transaction: str
    time: int
    collection: str
    operation: Literal["insert", "update", "delete"]
    id: str
    before: bytes | None
    after: bytes | None
    actor: str | None = None
    depth: int = 0


class ChangeFeed(Protocol):
    """Ordered per document (on one store: over all), at least once, resumable."""

    def head(self) -> MaybeAwaitable[str]:
        """The cursor behind the last event."""
        ...

    def read(self, after: str, limit: int = 1000) -> MaybeAwaitable[list[ChangeEvent]]:
        """Events behind `after`, oldest first; empty at the head. Raises CursorTooOld."""
        ...

    def order(self, cursor: str) -> Any:
        """What orders cursors of this feed: `order(a) < order(b)` where `b` is further on. Raises
        CursorTooOld for one of another feed."""
        ...

    def wait(self, after: str, timeout: float) -> Awaitable[bool]:
        """True as soon as there may be events behind `after`; False after `timeout` seconds.

        A hint, not a promise: a reader also looks by itself once a second.
        """
        ...
