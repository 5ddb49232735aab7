"""From what a decorator or baas.yaml says to a trigger: each kind's fields checked.

Both say the same things in the same words, so both come through here. A fault is a ValueError
with a message; the caller knows the file and the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from baas.errors import Problem
from baas.functions.model import (
    MISSED_POLICIES,
    WEBHOOK_SCHEMES,
    AuthTrigger,
    BeforeTrigger,
    CustomTrigger,
    DocumentTrigger,
    EventTrigger,
    HttpTrigger,
    QueueTrigger,
    StorageTrigger,
    TimerTrigger,
    Trigger,
    WebhookTrigger,
)
from baas.functions.names import parse_before, parse_event_type, suggestion
from baas.functions.routes import check_method, parse_pattern
from baas.query.ast import ALWAYS
from baas.query.limits import QueryLimits
from baas.query.parse import parse_filter
from baas.schema.filepath import fault_of

MAX_BATCH: Final = 1000
_PARTS: Final = {"prefix": "avatars/", "suffix": ".jpg"}
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


def build_trigger(kind: str, fields: Mapping[str, Any], line: int = 0) -> Trigger:
    """The trigger that `@fn.<kind>(**fields)` declares."""
    trigger = _BUILDERS[kind](dict(fields))
    return msgspec.structs.replace(trigger, line=line)


def _event(fields: dict[str, Any]) -> Trigger:
    return EventTrigger()


def _http(fields: dict[str, Any]) -> Trigger:
    pattern = parse_pattern(fields["path"])
    return HttpTrigger(method=check_method(fields["method"]), path=pattern.text)


def _webhook(fields: dict[str, Any]) -> Trigger:
    scheme, secret = fields.get("scheme", "standard"), fields.get("secret")
    if scheme not in WEBHOOK_SCHEMES:
        raise ValueError(_choice("scheme", scheme, WEBHOOK_SCHEMES))
    if not isinstance(secret, str) or not secret:
        raise ValueError("a webhook needs the name of its secret")
    return WebhookTrigger(path=parse_pattern(fields["path"]).text, secret=secret, scheme=scheme)


def _timer(fields: dict[str, Any]) -> Trigger:
    missed = fields.get("missed", "skip")
    if missed not in MISSED_POLICIES:
        raise ValueError(_choice("missed", missed, MISSED_POLICIES))
    return TimerTrigger(
        cron=_checked_cron(fields["cron"]),
        tz=_checked_zone(fields.get("tz", "UTC")),
        missed=missed,
        payload=fields.get("payload"),
    )


def _checked_cron(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError(f"a cron expression is a text like '30 2 * * MON-FRI', not {text!r}")
    try:
        next(CronSim(text, _EPOCH))
    except CronSimError as fault:
        raise ValueError(f"{text!r} is no cron expression: {fault}") from None
    except StopIteration:
        raise ValueError(f"the time of {text!r} never comes") from None
    return text


def _checked_zone(name: Any) -> str:
    try:
        return ZoneInfo(name).key
    except (OSError, ValueError, TypeError, KeyError):
        raise ValueError(f"there is no time zone {name!r}; write it as Asia/Shanghai") from None


def _on(fields: dict[str, Any]) -> Trigger:
    source, rest = parse_event_type(fields.pop("type"))
    builder, allowed = _SOURCES[source]
    for name in fields:
        if name not in allowed:
            raise ValueError(f"'{name}' means nothing for {source} events{_allowed(allowed)}")
    return builder(rest, fields)


def _allowed(names: tuple[str, ...]) -> str:
    return f"; they take {', '.join(names)}" if names else ""


def _document(rest: tuple[str, ...], fields: dict[str, Any]) -> Trigger:
    where = fields.get("where")
    operation: Any = rest[1]
    ordered = _flag(fields, "ordered")
    if where is None:
        return DocumentTrigger(collection=rest[0], operation=operation, ordered=ordered)
    try:
        plain = msgspec.to_builtins(where)
        filter = parse_filter(plain, QueryLimits(), now_ms=0, path="where")
    except Problem as fault:
        raise ValueError(fault.detail) from None
    return DocumentTrigger(
        collection=rest[0],
        operation=operation,
        where=filter if plain else ALWAYS,
        raw_where=plain,
        ordered=ordered,
    )


def _storage(rest: tuple[str, ...], fields: dict[str, Any]) -> Trigger:
    operation: Any = rest[0]
    return StorageTrigger(
        operation=operation,
        prefix=_path_part(fields, "prefix"),
        suffix=_path_part(fields, "suffix"),
        ordered=_flag(fields, "ordered"),
    )


def _path_part(fields: Mapping[str, Any], name: str) -> str:
    """The beginning or end of paths. One that no path can have would never come."""
    part = fields.get(name, "")
    if not isinstance(part, str):
        raise ValueError(f"{name} is a text like {_PARTS[name]!r}, not {part!r}")
    outer = part.startswith("/") if name == "prefix" else part.endswith("/")
    fault = fault_of(f"x{part.removesuffix('/')}") if part else None
    if outer or fault:
        raise ValueError(f"no path has the {name} {part!r}; one is {_PARTS[name]!r}")
    return part


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise ValueError(f"{name} is true or false, not {value!r}")
    return value


def _auth(rest: tuple[str, ...], fields: dict[str, Any]) -> Trigger:
    return AuthTrigger(event=rest[0])


def _queue(rest: tuple[str, ...], fields: dict[str, Any]) -> Trigger:
    batch = fields.get("batch", 1)
    if type(batch) is not int or not 1 <= batch <= MAX_BATCH:
        raise ValueError(f"a batch is 1 to {MAX_BATCH} messages, not {batch!r}")
    return QueueTrigger(queue=rest[0], batch=batch)


def _custom(rest: tuple[str, ...], fields: dict[str, Any]) -> Trigger:
    return CustomTrigger(type=rest[0])


def _before(fields: dict[str, Any]) -> Trigger:
    collection, operation = parse_before(fields["type"])
    checked: Any = operation
    return BeforeTrigger(collection=collection, operation=checked)


def _choice(what: str, given: Any, known: tuple[str, ...]) -> str:
    hint = suggestion(str(given), known) or f"; there are {', '.join(known)}"
    return f"unknown {what} {given!r}{hint}"


_SOURCES: Final[dict[str, tuple[Callable[..., Trigger], tuple[str, ...]]]] = {
    "database": (_document, ("where", "ordered")),
    "storage": (_storage, ("prefix", "suffix", "ordered")),
    "auth": (_auth, ()),
    "queue": (_queue, ("batch",)),
    "custom": (_custom, ()),
}
_BUILDERS: Final[dict[str, Callable[[dict[str, Any]], Trigger]]] = {
    "event": _event,
    "http": _http,
    "webhook": _webhook,
    "timer": _timer,
    "on": _on,
    "before": _before,
}
