"""What the clouds' shapes have in common: a request in parts, times, names."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from baas.functions.context import Context
from baas.functions.model import FunctionSpec
from baas.schema.values import is_date

#: Kinds of triggers that are requests below `/http`.
REQUESTS: Final = ("http", "webhook")
_MIB: Final = 1024**2


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as clouds pass it on: a body in text, or in base64 where it is none."""

    method: str
    path: str
    route: str
    params: dict[str, str]
    query: dict[str, list[str]]
    raw_query: str
    raw_path: str
    headers: dict[str, str]
    body: str | None
    is_base64: bool
    ip: str

    @property
    def joined_query(self) -> dict[str, str]:
        return {name: ",".join(values) for name, values in self.query.items()}


def request_of(context: Context, event: Mapping[str, Any]) -> Request:
    """Of an HTTP function's event. The gateway sends along the body's own bytes: what a signature
    covers must not be decoded and encoded on the way."""
    raw = context.raw_event
    came = raw if isinstance(raw, dict) and "rawBody" in raw else {}
    body, is_base64 = _body(came.get("rawBody"), event.get("body"))
    return Request(
        method=event["method"],
        path=event["path"],
        route=context.trigger.details.get("path", event["path"]),
        params=event.get("params") or {},
        query={
            name: value if isinstance(value, list) else [value]
            for name, value in (event.get("query") or {}).items()
        },
        raw_query=came.get("rawQuery", ""),
        raw_path=came.get("rawPath") or quote(event["path"]),
        headers=event.get("headers") or {},
        body=body,
        is_base64=is_base64,
        ip=came.get("ip", ""),
    )


def _body(raw: bytes | None, decoded: Any) -> tuple[str | None, bool]:
    if raw is None:
        if decoded is None or isinstance(decoded, str):
            return decoded, False
        raw = decoded if isinstance(decoded, bytes) else msgspec.json.encode(decoded)
    if not raw:
        return None, False
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        return b64encode(raw).decode(), True


def moment(event: Any, name: str) -> datetime:
    """A time of a trigger's event; now where it has none."""
    value = event.get(name) if isinstance(event, Mapping) else None
    text = value["$date"] if is_date(value) else value
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)


def seconds_text(time: datetime) -> str:
    """`2026-11-20T08:00:00Z`"""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def memory_mb(spec: FunctionSpec) -> int:
    """The limit in MiB; what the clouds begin with where there is none."""
    return 128 if spec.memory is None else max(1, spec.memory // _MIB)


def handler_name(spec: FunctionSpec) -> str:
    """`orders.list.main` of `orders.list:main`."""
    return spec.target.replace(":", ".")
