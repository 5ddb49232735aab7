"""Routes for those who run the gateway: alive, ready, numbers, keys, and the API's description."""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from baas.auth.scopes import require_scope
from baas.errors import Code, Problem, not_found
from baas.gateway.admin import admin_of
from baas.gateway.exchange import JSON, Answer, Header, matches_etag
from baas.gateway.route import Call
from baas.observe.metrics import CONTENT_TYPE
from baas.ports.documents import resolve

#: A store that takes longer than this to answer is not ready.
READY_SECONDS: Final = 2.0

_METRICS: Final = "settings:read"
_NO_STORE: Final[Header] = (b"cache-control", b"no-store")
_DOCS_CSP: Final[Header] = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
    b" base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
_DOCS_TYPES: Final = {
    "index.html": b"text/html; charset=utf-8",
    "docs.css": b"text/css; charset=utf-8",
    "docs.js": b"text/javascript; charset=utf-8",
}


class Health(msgspec.Struct):
    status: str = "ok"


async def healthz(call: Call) -> Answer:
    """The process runs and its loop turns."""
    return Answer(b'{"status":"ok"}', 200, (JSON, _NO_STORE))


async def readyz(call: Call) -> Answer:
    """Both stores answer, that of documents and that of files' bytes; UNAVAILABLE otherwise,
    without saying why to strangers."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            await resolve(call.services.store.ping())
            await call.services.storage.check()
    except (TimeoutError, OSError):
        raise Problem(Code.UNAVAILABLE, "The store does not answer.", retry_after=1) from None
    return Answer(b'{"status":"ok"}', 200, (JSON, _NO_STORE))


async def metrics(call: Call) -> Answer:
    """`observe.metrics: key`: UNAUTHENTICATED for all but admin keys."""
    if call.services.settings.observe.metrics == "key":
        require_scope(await admin_of(call.services, call.exchange), _METRICS)
    await call.services.metrics.refresh()
    body = call.services.metrics.render()
    return Answer(body, 200, ((b"content-type", CONTENT_TYPE.encode()), _NO_STORE))


async def jwks(call: Call) -> Answer:
    """The public keys of access tokens (RFC 7517)."""
    body = msgspec.json.encode(await resolve(call.services.auth.jwks()))
    return Answer(body, 200, (JSON, (b"cache-control", b"public, max-age=60")))


async def docs_page(call: Call) -> Answer:
    """A page that shows /openapi.json with what the package brings along; it loads from nowhere
    else."""
    name = call.params.get("file", "index.html")
    if name not in _DOCS_TYPES:
        raise not_found("There is no such page.")
    body, etag = _docs_file(name)
    headers: tuple[Header, ...] = (
        (b"content-type", _DOCS_TYPES[name]),
        (b"etag", etag.encode()),
        (b"cache-control", b"no-cache"),
        _DOCS_CSP,
    )
    wanted = call.exchange.text(b"if-none-match")
    if wanted is not None and matches_etag(wanted, etag):
        return Answer(b"", 304, headers)
    return Answer(body, 200, headers)


@cache
def _docs_file(name: str) -> tuple[bytes, str]:
    from hashlib import blake2b

    body = (files("baas.gateway") / "docs_page" / name).read_bytes()
    return body, f'"{blake2b(body, digest_size=9).hexdigest()}"'
