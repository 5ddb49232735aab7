"""What a session counts on from below: a way out, who a token is, and leave to go on.

The gateway supplies all three; the services of a process know each other through these alone.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, Protocol

import msgspec

from baas.push.contract import Caller, Outbox
from baas.schema.actor import Actor

#: The client sends `ping` this often, in seconds; `ready` says so.
PING_SECONDS: Final = 25
#: A client that says nothing for so long is gone.
SILENCE_SECONDS: Final = 60.0
#: From the connection to a good `auth` frame.
AUTH_SECONDS: Final = 10.0
#: From a token's expiry to the end of its connection.
GRACE_SECONDS: Final = 60.0


class Ending(msgspec.Struct, frozen=True):
    """Why a connection ends: the close code, and the `reason` of its `bye`."""

    code: int
    reason: str


DRAIN: Final = Ending(1001, "drain")
FAULT: Final = Ending(1011, "internal")
BAD_FRAME: Final = Ending(4400, "bad-frame")
NO_AUTH: Final = Ending(4401, "auth-timeout")
REFUSED: Final = Ending(4401, "unauthenticated")
EXPIRED: Final = Ending(4401, "expired")
REVOKED: Final = Ending(4401, "revoked")
SILENT: Final = Ending(4408, "silence")
TOO_MUCH: Final = Ending(4429, "limits")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one session. `frames` may come at once, refilled evenly over `frames_seconds`; 0 is no
    limit."""

    watches: int
    channels: int
    frames: int
    frames_seconds: float


class Wire(Outbox, Protocol):
    """A client's outbox, and the connection behind it. `transport` is `socket` or `poll`; `queued`
    the bytes that the client has not taken yet."""

    @property
    def transport(self) -> str: ...

    @property
    def queued(self) -> int: ...

    def close(self, ending: Ending) -> None:
        """Nothing is sent any more; the client sees the code. Safe twice."""
        ...


class Identity(Protocol):
    """Who a token is. `expires` in seconds since 1970, None for ever; `behind` the documents that
    it rests on, as (collection, id)."""

    @property
    def actor(self) -> Actor: ...

    @property
    def expires(self) -> float | None: ...

    @property
    def behind(self) -> tuple[tuple[str, str], ...]: ...


class Identities(Protocol):
    """The auth service, as far as connections use it."""

    def identify(self, token: str | None) -> Awaitable[Any]:
        """An Identity; 401 Problems."""
        ...

    def identify_again(self, identity: Any) -> Awaitable[Any]:
        """The same token with what its documents say now, whether it has expired or not. The same
        object where nothing has changed; 401 Problems where they no longer hold."""
        ...


class Admission(Protocol):
    """Rate limits and the scopes of admin keys. Each raises the Problem of a refusal."""

    def watch(self, caller: Caller) -> None: ...

    def join(self, caller: Caller) -> None: ...

    def publish(self, caller: Caller) -> None: ...

    def change(self, caller: Caller) -> None:
        """Something small is written: a presence, what an inbox need not keep."""
        ...

    def bad_token(self, ip: str) -> None:
        """One more token from this address did not hold; RATE_LIMITED where that is too many."""
        ...
