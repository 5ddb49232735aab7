"""`GET /v1/storage/files/{path}`: the bytes of a file, by rule or by link.

What strangers uploaded is sent so that a browser shows it at most: never run here, never taken for
something else. Types that cannot carry a script are shown, all others are saved.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from baas.auth.scopes import require_scope
from baas.errors import Code, Problem, invalid
from baas.gateway.actor import settle
from baas.gateway.exchange import Answer, Exchange, Header, Stream, matches_etag
from baas.gateway.ranges import byte_range
from baas.gateway.route import Call
from baas.gateway.storage import READ, fields_of
from baas.ports.blobs import BlobReader
from baas.schema.filepath import check_path
from baas.schema.values import Document
from baas.storage.images.spec import NAMES, Spec, is_negotiated, spec_of
from baas.storage.images.variants import variant_etag
from baas.storage.links import read_signature
from baas.storage.parts import Caller
from baas.storage.reading import Opened
from baas.storage.rows import disposition_of, etag_of

PREFIX: Final = "/v1/storage/files/"
_ATTEMPTS: Final = 5
#: Opened by itself, it is an origin of its own and loads nothing.
_CONFINED: Final[tuple[Header, ...]] = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)


def is_download(exchange: Exchange) -> bool:
    return exchange.method in ("GET", "HEAD") and exchange.path.startswith(PREFIX)


async def download(call: Call) -> Answer:
    """The file, or one range of it."""
    services, exchange = call.services, call.exchange
    actor = exchange.actor = await settle(services.callers.actor(exchange))
    services.limits.take_read(actor, exchange.ip)
    require_scope(actor, READ)
    path = check_path(_path_of(exchange))
    fields = fields_of(call.query)
    spec = None
    if any(name in fields for name in NAMES):
        spec = spec_of(fields, exchange.text(b"accept"), services.settings.storage)
    link = read_signature(fields)
    reading = services.storage.reading
    for _ in range(_ATTEMPTS):
        found = await reading.find(path, Caller(actor, exchange.ip), link)
        if spec is not None:
            variant = await _variant(call, found, spec, negotiated=is_negotiated(fields))
            if variant is not None:
                return variant
            continue
        answer = _unchanged(exchange, found, services.clock.now_ms())
        if answer is not None:
            return answer
        start, end, status = byte_range(exchange, found.row["size"], etag_of(found.row))
        if exchange.method == "HEAD":
            return _answer(found, start, end, status, None, services.clock.now_ms())
        reader = await reading.open(found.row, start, end)
        if reader is not None:
            return _answer(found, start, end, status, reader, services.clock.now_ms())
    raise Problem(Code.UNAVAILABLE, "The file keeps changing.", retry_after=1)


def _path_of(exchange: Exchange) -> str:
    """Servers put U+FFFD where an address is no UTF-8, so that two would name one file."""
    path = exchange.path.removeprefix(PREFIX)
    if "\ufffd" in path and b"%EF%BF%BD" not in exchange.raw_path.upper():
        raise invalid("path", "is not UTF-8")
    return path


async def _variant(call: Call, found: Opened, spec: Spec, *, negotiated: bool) -> Answer | None:
    """The picture as asked for, whole; None where the file has been replaced meanwhile."""
    exchange, services = call.exchange, call.services
    etag = variant_etag(found.row, spec)
    caching = _caching(found, services.clock.now_ms(), etag, b", Accept" if negotiated else b"")
    wanted = exchange.text(b"if-none-match")
    if wanted is not None and matches_etag(wanted, etag):
        return Answer(b"", 304, caching)
    made = await services.images.get(found.row, spec)
    if made is None:
        return None
    headers = (
        (b"content-type", made.content_type.encode()),
        *caching,
        (b"content-disposition", b"inline"),
        *_CONFINED,
    )
    pieces = _pieces(None) if exchange.method == "HEAD" else made.pieces()
    return Answer(b"", 200, headers, stream=Stream(made.size, pieces, _NOTHING))


def _unchanged(exchange: Exchange, found: Opened, now_ms: int) -> Answer | None:
    wanted = exchange.text(b"if-none-match")
    if wanted is None or not matches_etag(wanted, etag_of(found.row)):
        return None
    return Answer(b"", 304, (_type_of(found.row), *_caching(found, now_ms)))


def _answer(
    found: Opened, start: int, end: int, status: int, reader: BlobReader | None, now_ms: int
) -> Answer:
    headers: list[Header] = [
        _type_of(found.row),
        *_caching(found, now_ms),
        (b"accept-ranges", b"bytes"),
        (b"content-disposition", disposition_of(found.row).encode()),
        *_CONFINED,
    ]
    if status == 206:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, found.row["size"])))
    stream = Stream(end - start, _pieces(reader), _NOTHING if reader is None else reader.close)
    return Answer(b"", status, tuple(headers), stream=stream)


async def _nothing() -> None:
    """There is nothing to let go of."""


_NOTHING: Final = _nothing


async def _pieces(reader: BlobReader | None) -> AsyncIterator[bytes]:
    """None: a HEAD, whose body is its length alone."""
    if reader is None:
        return
    while piece := await reader.read():
        yield piece


def _type_of(row: Document) -> Header:
    return (b"content-type", row["contentType"].encode("ascii"))


def _caching(found: Opened, now_ms: int, etag: str = "", vary: bytes = b"") -> tuple[Header, ...]:
    """By rule: kept by the caller alone, and asked for each time, since rules and files change. By
    link: as long as that lasts, but looked at again after a minute."""
    control = "private, no-cache"
    if found.link_expires is not None:
        control = f"private, max-age={max(0, min(60, found.link_expires - now_ms // 1000))}"
    return (
        (b"etag", (etag or etag_of(found.row)).encode()),
        (b"cache-control", control.encode()),
        (b"vary", b"Authorization" + vary),
    )
