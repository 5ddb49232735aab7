"""Token buckets, one number per caller.

A full bucket holds the rate's count and refills evenly. The generic cell rate algorithm (ITU-T
I.371) keeps only the moment at which the bucket would be full again, so a caller that has been
quiet needs no entry at all. Memory is bounded: beyond `MAX_CALLERS` those that are nearest to a
full bucket are forgotten, which errs on the side of letting someone in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from baas.errors import Code, Problem
from baas.settings import parse_rate

MAX_CALLERS: Final = 50_000
_KEPT_SHARE: Final = 0.75


class RateLimit:
    """One class of routes. `take(caller)` raises RATE_LIMITED with the seconds to wait."""

    def __init__(self, rate: str, monotonic: Callable[[], float]) -> None:
        parsed = parse_rate(rate)
        self.enabled = parsed is not None
        self._interval = parsed.seconds / parsed.count if parsed else 0.0
        self._burst = parsed.seconds - self._interval if parsed else 0.0
        self._monotonic = monotonic
        self._full_at: dict[str, float] = {}

    def take(self, caller: str) -> None:
        if not self.enabled:
            return
        now = self._monotonic()
        full_at = self._full_at.get(caller, 0.0)
        if full_at < now:
            full_at = now
        # The slack keeps a rounding error in the sum from refusing a bucket's last token.
        wait = full_at - now - self._burst
        if wait > 1e-6:
            raise Problem(
                Code.RATE_LIMITED, "Too many requests; wait and try again.", retry_after=wait
            )
        self._full_at[caller] = full_at + self._interval
        if len(self._full_at) > MAX_CALLERS:
            self._shrink(now)

    def give_back(self, caller: str) -> None:
        """What was taken turned out not to count."""
        full_at = self._full_at.get(caller)
        if full_at is not None:
            self._full_at[caller] = full_at - self._interval

    def __len__(self) -> int:
        return len(self._full_at)

    def _shrink(self, now: float) -> None:
        """Forgets full buckets; if that is not enough, also the fullest of the others."""
        self._full_at = {who: at for who, at in self._full_at.items() if at > now}
        keep = int(MAX_CALLERS * _KEPT_SHARE)
        if len(self._full_at) > keep:
            emptiest = sorted(self._full_at.items(), key=lambda item: item[1], reverse=True)
            self._full_at = dict(emptiest[:keep])


@lru_cache(4096)
def network_of(ip: str) -> str:
    """What counts as one address: an IPv6 customer has at least a /64 to pick from."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if address.version == 4:
        return ip
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
