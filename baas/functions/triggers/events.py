"""Events of the app's own, and CloudEvents 1.0 in and out.

Specification: CloudEvents 1.0.2, HTTP protocol binding (structured and binary content mode) and
JSON event format. Batches are not taken. Of extension attributes none reaches a function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from baas.errors import Code, Problem, invalid
from baas.functions.destinations import call_job
from baas.functions.model import Call, CustomTrigger, Release, TriggerInfo
from baas.ids import new_id
from baas.ports.jobs import NewJob
from baas.schema.values import date_from_ms

STRUCTURED: Final = "application/cloudevents+json"
_BATCHED: Final = "application/cloudevents-batch"
_PREFIX: Final = "ce-"
_VERSION: Final = "1.0"
MAX_ATTRIBUTE: Final = 1024


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The attributes that functions see. `time` is a date of the value model or None; `actor` the
    uid of whoever caused it."""

    type: str
    source: str
    id: str
    data: Any = None
    subject: str | None = None
    time: dict[str, str] | None = None


class _Structured(msgspec.Struct, frozen=True, kw_only=True):
    specversion: str
    type: str
    source: str
    id: str
    data: Any = None
    data_base64: str | None = None
    datacontenttype: str | None = None
    subject: str | None = None
    time: str | None = None


_DECODER: Final = msgspec.json.Decoder(_Structured)


def parse(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    """A request in either mode; `headers` in lower case. INVALID_ARGUMENT naming the attribute;
    UNSUPPORTED_MEDIA_TYPE where it is neither."""
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media.startswith(_BATCHED):
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "Batches of CloudEvents are not taken.")
    if media == STRUCTURED:
        return _checked(_structured(body))
    if f"{_PREFIX}specversion" in headers:
        return _checked(_binary(headers, body, media))
    detail = f"Send {STRUCTURED}, or the headers ce-specversion, ce-type, ce-source and ce-id."
    raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, detail)


def _structured(body: bytes) -> _Structured:
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        text, _, place = str(fault).partition(" - at `$.")
        raise invalid(place.rstrip("`"), text) from None


def _binary(headers: Mapping[str, str], body: bytes, media: str) -> _Structured:
    attributes = {
        name: _header(headers, name)
        for name in ("specversion", "type", "source", "id", "subject", "time")
        if f"{_PREFIX}{name}" in headers
    }
    for name in ("type", "source", "id"):
        if name not in attributes:
            raise invalid(f"{_PREFIX}{name}", "is missing")
    return _Structured(data=_payload(body, media), **attributes)


def _header(headers: Mapping[str, str], name: str) -> str:
    """Percent-encoded, as the HTTP binding says (3.1.3.2)."""
    return unquote(headers[f"{_PREFIX}{name}"].strip().strip('"'))


def _payload(body: bytes, media: str) -> Any:
    if not body:
        return None
    if media in ("", "application/json") or media.endswith("+json"):
        try:
            return msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise invalid("data", "is not JSON") from None
    if media.startswith("text/"):
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise invalid("data", "is not UTF-8") from None
    raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "The data of an event is JSON or text.")


def _checked(event: _Structured) -> CloudEvent:
    if event.specversion != _VERSION:
        raise invalid("specversion", f"only {_VERSION} is spoken here")
    if event.data_base64 is not None:
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "The data of an event is JSON or text.")
    for name in ("type", "source", "id", "subject"):
        value = getattr(event, name)
        if value is not None and not 1 <= len(value) <= MAX_ATTRIBUTE:
            raise invalid(name, f"must have 1 to {MAX_ATTRIBUTE} characters")
    return CloudEvent(
        type=event.type,
        source=event.source,
        id=event.id,
        data=event.data,
        subject=event.subject,
        time=_date(event.time),
    )


def _date(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("no zone")
    except ValueError:
        raise invalid("time", "must be a date as in RFC 3339") from None
    return date_from_ms(round(moment.timestamp() * 1000))


def render(*, type: str, source: str, id: str, now_ms: int, data: Any) -> bytes:
    """An event in structured mode."""
    return msgspec.json.encode(
        {
            "specversion": _VERSION,
            "type": type,
            "source": source,
            "id": id,
            "time": date_from_ms(now_ms)["$date"],
            "datacontenttype": "application/json",
            "data": data,
        }
    )


def own_event(type: str, data: Any, *, function: str, now_ms: int) -> CloudEvent:
    """What `ctx.emit` makes."""
    return CloudEvent(
        type=type,
        source=f"/functions/{function}",
        id=new_id(),
        data=data,
        time=date_from_ms(now_ms),
    )


def jobs_of(
    event: CloudEvent, release: Release | None, *, actor: str | None, depth: int, now_ms: int
) -> list[NewJob]:
    """A job for each function that listens. An event that is sent again, with its source and id,
    has the same jobs, so it runs once."""
    if release is None:
        return []
    found: dict[str, NewJob] = {}
    shown = {**msgspec.to_builtins(event), "actor": actor}
    for spec, trigger in release.with_trigger(CustomTrigger):
        if trigger.type != event.type or spec.name in found:
            continue
        call = Call(
            function=spec.name,
            event=shown,
            trigger=TriggerInfo(kind="custom", details={"type": event.type}),
            depth=depth + 1,
        )
        text = f"{event.source}\0{event.id}\0{spec.name}"
        id = f"event-{hashlib.sha256(text.encode()).hexdigest()[:40]}"
        found[spec.name] = call_job(call, now_ms=now_ms, policy=spec.retries, id=id)
    return list(found.values())
