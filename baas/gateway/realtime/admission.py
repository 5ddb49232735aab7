"""What a session may ask of the gateway: admin keys' scopes, and the rate limits of all routes."""

from __future__ import annotations

from typing import Final

from baas.auth.scopes import require_scope
from baas.gateway.ratelimit import network_of
from baas.gateway.services import RateLimits
from baas.push.contract import Caller

WATCH: Final = "database:read"
JOIN: Final = "push:read"
PUBLISH: Final = "push:write"


class Admission:
    """See `baas.push.wire.Admission`. A watch or a join counts as a read, a message as a
    write, and so do a presence and an `ack`."""

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits

    def watch(self, caller: Caller) -> None:
        require_scope(caller.actor, WATCH)
        self._limits.take_read(caller.actor, caller.ip)

    def join(self, caller: Caller) -> None:
        require_scope(caller.actor, JOIN)
        self._limits.take_read(caller.actor, caller.ip)

    def publish(self, caller: Caller) -> None:
        require_scope(caller.actor, PUBLISH)
        self._limits.take_write(caller.actor, caller.ip)

    def change(self, caller: Caller) -> None:
        self._limits.take_write(caller.actor, caller.ip)

    def bad_token(self, ip: str) -> None:
        self._limits.read.take(f"401/{network_of(ip)}")
