"""Token buckets, one number per caller.

A full bucket holds the rate's count and refills evenly. The generic cell rate algorithm (ITU-T
I.371) keeps only the moment at which the bucket would be full again, so a caller that has been
quiet needs no entry at all. Memory is bounded: beyond `MAX_CALLERS` those that are nearest to a
full bucket are forgotten, which errs on the side of letting someone in.

Each process counts for itself; `baas.gateway.sharedrates` tells the others of those that take much.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from baas.errors import Code, Problem
from baas.notation import parse_rate

MAX_CALLERS: Final = 50_000
_KEPT_SHARE: Final = 0.75
#: Of a full bucket: whoever took so much of it is worth a word to other processes.
_TELL_SHARE: Final = 0.05


class RateLimit:
    """One class of routes. `take(caller)` raises RATE_LIMITED with the seconds to wait."""

    def __init__(self, rate: str, monotonic: Callable[[], float]) -> None:
        parsed = parse_rate(rate)
        self.enabled = parsed is not None
        self._interval = parsed.seconds / parsed.count if parsed else 0.0
        self._burst = parsed.seconds - self._interval if parsed else 0.0
        self._monotonic = monotonic
        self._full_at: dict[str, float] = {}
        #: Taken since the other processes were last told, where there are others.
        self._untold: dict[str, int] | None = None
        self._much = max(1, round(parsed.count * _TELL_SHARE)) if parsed else 0
        self._tell: Callable[[], None] | None = None

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
        if self._untold is not None:
            self._count(caller)
        if len(self._full_at) > MAX_CALLERS:
            self._shrink(now)

    def give_back(self, caller: str) -> None:
        """What was taken turned out not to count."""
        full_at = self._full_at.get(caller)
        if full_at is not None:
            self._full_at[caller] = full_at - self._interval
            if self._untold is not None and self._untold.get(caller):
                self._untold[caller] -= 1

    def __len__(self) -> int:
        return len(self._full_at)

    # -- other processes ---------------------------------------------------------------------------

    def share(self, tell: Callable[[], None]) -> None:
        """From now on callers that take much are counted for others; `tell` when there is one."""
        if self.enabled:
            self._untold, self._tell = {}, tell

    def _count(self, caller: str) -> None:
        assert self._untold is not None
        assert self._tell is not None
        taken = self._untold[caller] = self._untold.get(caller, 0) + 1
        if taken >= self._much:
            self._tell()

    def untold(self, most: int) -> dict[str, float]:
        """Seconds of refilling that callers have taken and nobody was told of, at most so many
        callers; from now on they count as told."""
        if self._untold is None:
            return {}
        now = self._monotonic()
        # Whoever has a full bucket again is of no concern to the others.
        self._untold = {
            who: n for who, n in self._untold.items() if self._full_at.get(who, 0) > now
        }
        many = [who for who, taken in self._untold.items() if taken >= self._much][:most]
        return {who: self._untold.pop(who) * self._interval for who in many}

    @property
    def seconds(self) -> float:
        """How long an empty bucket takes to be full."""
        return self._burst + self._interval

    def heard(self, caller: str, until_full: float) -> None:
        """All processes together have taken so much that its bucket is full in so many seconds."""
        more = (self._untold or {}).get(caller, 0) * self._interval
        full_at = self._monotonic() + until_full + more
        self._full_at[caller] = max(full_at, self._full_at.get(caller, 0.0))

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
