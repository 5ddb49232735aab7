"""Who calls: the client's address, the token's actor, and what an admin key may do.

A token is read from the Authorization header and nowhere else: what stands in a URL ends up in
logs, histories and Referer headers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable
from functools import lru_cache
from typing import Final, Protocol

from baas.errors import Code, Problem
from baas.gateway.exchange import Exchange, Scope
from baas.notation import Network, parse_networks
from baas.schema.actor import Actor

#: Hops of X-Forwarded-For that are looked at; more is not a chain of proxies.
MAX_HOPS: Final = 20

_TOKEN_PARAMETERS: Final = frozenset({"token", "access_token", "accesstoken", "authorization"})


class Authenticator(Protocol):
    """What the gateway needs of the auth service to know a caller."""

    def authenticate(self, header: str | None) -> Actor | Awaitable[Actor]:
        """The actor of an Authorization header, at once where it is cached. 401 Problems."""
        ...

    def authenticate_as(self, header: str | None, uid: str) -> Awaitable[Actor]:
        """A user, for an admin key that names him by X-Baas-As; the key's scopes still hold."""
        ...


class Addresses:
    """`request.ip`: the socket's address, or the last hop of X-Forwarded-For that is not one of
    our own proxies, read from the right; what a client wrote further left is never believed."""

    def __init__(self, trusted_proxies: tuple[str, ...]) -> None:
        self._trusted: tuple[Network, ...] = parse_networks(trusted_proxies)
        self._is_trusted = lru_cache(1024)(self._look_up)

    def of(self, exchange: Exchange, scope: Scope) -> str:
        client = scope.get("client")
        peer: str = client[0] if client else ""
        if not self._trusted or b"x-forwarded-for" not in exchange.headers:
            return peer
        if not self._is_trusted(peer):
            return peer
        return self._forwarded(exchange, peer)

    def _forwarded(self, exchange: Exchange, peer: str) -> str:
        lines = [value for name, value in exchange.raw_headers if name == b"x-forwarded-for"]
        hops = b",".join(lines).decode("latin-1").split(",")
        last = peer
        for hop in reversed(hops[-MAX_HOPS:]):
            address = _address(hop.strip())
            if address is None:  # not written by a proxy of ours: what we have is the best we know
                return last
            last = address
            if not self._is_trusted(address):
                return address
        return last

    def _look_up(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._trusted)


def _address(hop: str) -> str | None:
    """The address of `1.2.3.4`, `1.2.3.4:5678`, `::1` or `[::1]:5678`, in canonical form."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        address = ipaddress.ip_address(hop)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


class Callers:
    """Turns an exchange into an actor."""

    def __init__(self, auth: Authenticator) -> None:
        self._auth = auth

    def actor(self, exchange: Exchange) -> Actor | Awaitable[Actor]:
        """The caller; NOBODY without a token. At once where nothing waits."""
        headers = exchange.headers
        given = headers.get(b"authorization")
        header = None if given is None else given.decode("latin-1")
        if b"x-baas-as" in headers:
            return self._auth.authenticate_as(header, exchange.text(b"x-baas-as") or "")
        return self._auth.authenticate(header)


async def settle(actor: Actor | Awaitable[Actor]) -> Actor:
    return actor if isinstance(actor, Actor) else await actor


def refuse_query_token(scope: Scope) -> None:
    """UNAUTHENTICATED for a token in the URL, so that nobody comes to rely on one."""
    query: bytes = scope.get("query_string", b"")
    if not query:
        return
    for pair in query.decode("latin-1").split("&"):
        name = pair.partition("=")[0].lower()
        if name in _TOKEN_PARAMETERS:
            raise Problem(
                Code.UNAUTHENTICATED, "Send the token in the Authorization header, not in the URL."
            )
