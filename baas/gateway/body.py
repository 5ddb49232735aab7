"""Reading request bodies, within limits."""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import Final

from baas.errors import Code, Problem
from baas.gateway.exchange import Exchange, Message, Receive

#: The auth routes' bodies are small; their largest part is a profile.
AUTH_BODY_BYTES: Final = 64 * 1024

#: An answer to someone who hung up is logged with this status, as nginx does; it is never sent.
CLIENT_CLOSED: Final = 499
#: How long a body may take that does not come with its head.
BODY_SECONDS: Final = 60.0

_JSON_TYPE = re.compile(r"application/json|text/plain|application/[a-z0-9.+-]+\+json", re.ASCII)
_UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii"})


class ClientGone(Exception):
    """The client hung up before its request was whole: nobody is there to be answered."""


async def read_body(exchange: Exchange, receive: Receive, limit: int) -> bytes:
    """The whole body. PAYLOAD_TOO_LARGE beyond `limit` bytes, told from Content-Length before a
    byte is read where there is one, else as soon as more has come."""
    check_length(exchange, limit)
    message = await receive()
    body = whole_body(message, limit)
    return body if body is not None else await read_rest(message, receive, limit)


def check_length(exchange: Exchange, limit: int) -> None:
    declared = exchange.headers.get(b"content-length")
    if declared is not None and _exceeds(declared, limit):
        raise _too_large(limit)


def whole_body(message: Message, limit: int) -> bytes | None:
    """The body, if the first message brought all of it, as it nearly always does."""
    if message["type"] != "http.request":
        raise ClientGone
    if message.get("more_body", False):
        return None
    body: bytes = message.get("body", b"")
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def read_rest(message: Message, receive: Receive, limit: int) -> bytes:
    """A body that begins with `message` and goes on."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_parts(message.get("body", b""), receive, limit)
    except TimeoutError:
        raise Problem(Code.INVALID_ARGUMENT, "The body did not arrive in time.") from None


def _exceeds(declared: bytes, limit: int) -> bool:
    """A length that is no number, or longer than any number that could fit, is too large too."""
    return not declared.isdigit() or len(declared) > 15 or int(declared) > limit


async def _read_parts(first: bytes, receive: Receive, limit: int) -> bytes:
    parts = [first]
    size = len(first)
    more = True
    while more:
        if size > limit:
            raise _too_large(limit)
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        more = message.get("more_body", False)
    if size > limit:
        raise _too_large(limit)
    return b"".join(parts)


def _too_large(limit: int) -> Problem:
    return Problem(Code.PAYLOAD_TOO_LARGE, f"The body may have {limit} bytes.")


def check_json_type(exchange: Exchange) -> None:
    """UNSUPPORTED_MEDIA_TYPE unless the body says it is JSON, plain text, or nothing at all."""
    given = exchange.headers.get(b"content-type")
    if given is not None and given != b"application/json" and not _is_json_type(given):
        raise Problem(
            Code.UNSUPPORTED_MEDIA_TYPE,
            "Add the header Content-Type: application/json "
            "(curl: -H 'Content-Type: application/json'); text/plain is taken too, both in UTF-8.",
        )
    encoding = exchange.headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        raise Problem(
            Code.UNSUPPORTED_MEDIA_TYPE,
            "Compressed bodies are not taken: leave out the header Content-Encoding.",
        )


@lru_cache(256)
def _is_json_type(header: bytes) -> bool:
    media, *parameters = header.decode("latin-1").lower().split(";")
    if not _JSON_TYPE.fullmatch(media.strip()):
        return False
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _UTF8:
            return False
    return True
