"""Requests below `/http` as the events of functions, and what functions return as answers."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from baas.database.bodies import BodyDecoder
from baas.errors import Problem, invalid
from baas.functions.values import NotJson, to_wire
from baas.gateway.exchange import JSON, Answer, Exchange, Header

MAX_QUERY_FIELDS: Final = 1000

_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json", re.ASCII)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_FORM: Final = "application/x-www-form-urlencoded"
_TEXT: Final[Header] = (b"content-type", b"text/plain; charset=utf-8")
_BYTES: Final[Header] = (b"content-type", b"application/octet-stream")
#: Of the connection or the edge, never a function's to say.
_NOT_THEIRS: Final = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

_decode_json: Final = BodyDecoder(Any)
_encoder: Final = msgspec.json.Encoder()


class Unsendable(Exception):
    """What a function returned cannot be an answer; says why, for the log."""


# -- in -------------------------------------------------------------------------------------------


def event_of(
    exchange: Exchange,
    path: str,
    params: dict[str, str],
    query: bytes,
    body: bytes,
    *,
    strict: bool = True,
) -> dict[str, Any]:
    """The event of an HTTP function; see docs/functions.md. INVALID_ARGUMENT for a body that is
    not what its content type says, or (not `strict`) the bytes as they came."""
    return {
        "method": exchange.method,
        "path": path,
        "params": params,
        "query": fields_of(query.decode("latin-1"), "query"),
        "headers": headers_of(exchange.raw_headers),
        "body": body_of(exchange, body, strict=strict),
    }


def headers_of(raw: Iterable[Header]) -> dict[str, str]:
    """By lower-case name; repeated ones joined as RFC 9110 (5.3) and RFC 6265 (5.4) do."""
    found: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in found:
            value = f"{found[name]}{'; ' if name == 'cookie' else ', '}{value}"
        found[name] = value
    return found


def fields_of(text: str, where: str) -> dict[str, Any]:
    """Fields of a query or a form: text, or a list of texts where a name is repeated."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise invalid(where, f"has more than {MAX_QUERY_FIELDS} fields") from None
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def body_of(exchange: Exchange, body: bytes, *, strict: bool = True) -> Any:
    """JSON decoded, a form's fields, text, or the bytes as they came (uploads, compressed ones)."""
    if not body:
        return None
    media = (exchange.text(b"content-type") or "").partition(";")[0].strip().lower()
    if (exchange.text(b"content-encoding") or "identity").lower() != "identity":
        return body
    if _JSON_TYPE.fullmatch(media):
        return _json(body, strict)
    try:
        if media == _FORM:
            return fields_of(body.decode("ascii"), "body")
        return body.decode() if media.startswith("text/") else body
    except UnicodeDecodeError:
        return body


def _json(body: bytes, strict: bool) -> Any:
    try:
        return _decode_json(body)
    except Problem:
        if strict:
            raise
        return body


# -- out ------------------------------------------------------------------------------------------


def answer_of(result: Any) -> Answer:
    """A function's result as an answer: a value is JSON, bytes are bytes, and
    `{"statusCode", "headers", "body", "isBase64Encoded"}` says all of it. Unsendable."""
    if isinstance(result, bytes):
        return Answer(result, 200, (_BYTES,))
    if isinstance(result, Mapping) and "statusCode" in result:
        return _spelt_out(result)
    try:
        return Answer(_encoder.encode(to_wire(result)), 200, (JSON,))
    except (NotJson, TypeError, ValueError):
        raise Unsendable(f"a {type(result).__name__} cannot be sent") from None


def _spelt_out(result: Mapping[str, Any]) -> Answer:
    status = result["statusCode"]
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise Unsendable("its statusCode is not 200 to 599")
    body, kind = _body(result)
    headers = list(_headers(result.get("headers")))
    types = [header for header in headers if header[0] == b"content-type"]
    others = [header for header in headers if header[0] != b"content-type"]
    return Answer(body, status, (types[-1] if types else kind, *others))


def _body(result: Mapping[str, Any]) -> tuple[bytes, Header]:
    body = result.get("body")
    if body is None:
        return b"", _TEXT
    if isinstance(body, bytes):
        return body, _BYTES
    if not isinstance(body, str):
        try:
            return _encoder.encode(to_wire(body)), JSON
        except (NotJson, TypeError, ValueError):
            raise Unsendable(f"a {type(body).__name__} cannot be its body") from None
    if result.get("isBase64Encoded") is not True:
        return body.encode("utf-8", "replace"), _TEXT
    try:
        return b64decode(body, validate=True), _BYTES
    except NotBase64:
        raise Unsendable("its body is not base64") from None


def _headers(given: Any) -> Iterator[Header]:
    """A list gives several of one name (Set-Cookie). What a header cannot hold is refused: a line
    break in a value would let whoever chose it write headers of their own."""
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise Unsendable("its headers are not an object")
    for name, values in given.items():
        lower = str(name).lower()
        if not _HEADER_NAME.fullmatch(lower):
            raise Unsendable("a header has a bad name")
        if lower in _NOT_THEIRS:
            continue
        for value in values if isinstance(values, (list, tuple)) else (values,):
            yield lower.encode(), _header_value(value)


def _header_value(value: Any) -> bytes:
    text = str(value)
    if not _HEADER_VALUE.fullmatch(text):
        raise Unsendable("a header has a bad value")
    return text.encode("latin-1")
