"""Small languages in the values of settings: rates, networks, origins."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, TypeAlias

import msgspec


class Rate(msgspec.Struct, frozen=True):
    """`count` requests in `seconds`, evenly refilled; as many may come at once."""

    count: int
    seconds: float


_RATE = re.compile(r"([0-9]{1,9})\s*/\s*([0-9]{0,6})\s*([smhd])", re.ASCII)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_rate(text: str) -> Rate | None:
    """`30/m`, `5/10s`, `1000/h`; `off` or `0` is no limit: None. Else ValueError."""
    if text.strip() in ("off", "0"):
        return None
    match = _RATE.fullmatch(text.strip())
    if match is None or int(match[1]) == 0 or match[2].strip("0") == "" != match[2]:
        raise ValueError("a rate is a count per s, m, h or d, like 30/m or 5/10s; or off")
    return Rate(int(match[1]), int(match[2] or 1) * _UNITS[match[3]])


Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Addresses and networks (`10.0.0.0/8`, `::1`); ValueError naming the first bad one."""
    return tuple(ipaddress.ip_network(text) for text in texts)


_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#@]+", re.ASCII)


def check_origins(origins: tuple[str, ...]) -> None:
    """ValueError naming the first that is no origin of web pages, nor `*`."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin; write https://app.example.com, or *")
