"""Cross-origin rules: `/v1` for the origins of `server.origins`, without credentials; nothing else.

`/v1/admin` is never opened to another origin, and neither are pages and files: those answer
without CORS headers, and a preflight is refused.
"""

from __future__ import annotations

from typing import Final

from baas.gateway.exchange import Answer, Exchange, Header

_METHODS: Final[Header] = (b"access-control-allow-methods", b"GET, POST")
_ALLOWED: Final[Header] = (
    b"access-control-allow-headers",
    b"Authorization, Content-Digest, Content-MD5, Content-Type, Idempotency-Key, If-None-Match, "
    b"If-Range, Range, traceparent, X-Baas-As, X-Baas-Explain, X-Request-Id",
)
_EXPOSED: Final[Header] = (
    b"access-control-expose-headers",
    b"Accept-Ranges, Content-Disposition, Content-Range, ETag, Retry-After, X-Request-Id",
)
_MAX_AGE: Final[Header] = (b"access-control-max-age", b"86400")
_VARY: Final[Header] = (b"vary", b"Origin")
_ANY: Final = (b"access-control-allow-origin", b"*")


def is_open(path: str) -> bool:
    """Whether other origins may call this path at all."""
    return path.startswith("/v1/") and path != "/v1/admin" and not path.startswith("/v1/admin/")


class Cors:
    def __init__(self, origins: tuple[str, ...]) -> None:
        self._any = "*" in origins
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, exchange: Exchange) -> tuple[Header, ...]:
        """What to add to the answer of an open path."""
        origin = exchange.headers.get(b"origin")
        if origin is None:
            return () if self._any else (_VARY,)
        if self._any:
            return (_ANY, _EXPOSED)
        if origin in self._origins:
            return ((b"access-control-allow-origin", origin), _EXPOSED, _VARY)
        return (_VARY,)

    def allows(self, exchange: Exchange) -> bool:
        """Whether the page that this comes from may open a socket, for which browsers make no
        preflight: an open origin, the gateway's own pages, or no browser at all."""
        origin = exchange.headers.get(b"origin")
        if self._any or origin is None or origin in self._origins:
            return True
        return origin.partition(b"://")[2] == exchange.headers.get(b"host")

    def preflight(self, exchange: Exchange) -> Answer | None:
        """The answer to a preflight of an open path; None where the request is not one.

        An origin that is not allowed gets the same 204 without the headers that would let it in.
        """
        headers = exchange.headers
        if exchange.method != "OPTIONS" or b"access-control-request-method" not in headers:
            return None
        allowed = self._any or headers.get(b"origin") in self._origins
        return Answer(b"", 204, (_METHODS, _ALLOWED, _MAX_AGE) if allowed else ())
