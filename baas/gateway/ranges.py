"""One range of a file's bytes (RFC 9110, 14), as players and resumed downloads ask for."""

from __future__ import annotations

import re
from typing import Final

from baas.errors import Code, Problem
from baas.gateway.exchange import Exchange

_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)


def byte_range(exchange: Exchange, size: int, etag: str) -> tuple[int, int, int]:
    """(start, end, status). RANGE_NOT_SATISFIABLE beyond the file. A form other than one range of
    bytes is ignored, as the standard lets us; If-Range holds only by the same tag."""
    header = exchange.text(b"range")
    match = _RANGE.fullmatch(header.strip()) if header else None
    condition = exchange.text(b"if-range")
    if match is None or not (match[1] or match[2]) or condition not in (None, etag):
        return 0, size, 200
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        end = min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return 0, size, 200
    if start >= end:
        detail = f"The file has {size} bytes."
        raise Problem(Code.RANGE_NOT_SATISFIABLE, detail, extra={"size": size})
    return start, end, 206
