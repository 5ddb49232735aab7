"""What functions are given: the events of each kind of trigger, and the way from JSON to types.

Attribute names are those of the wire. A client's event is typed by the handler's annotation; a
trigger's is the Struct of its kind unless the handler asks for another type.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from baas.database.bodies import explained
from baas.functions.model import FunctionSpec
from baas.schema.values import is_date


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    """`actor` is the uid behind it, None for the server's own doing."""

    actor: str | None = None


class DocumentEvent(_Event, frozen=True, kw_only=True):
    """A committed change. `document` is None after a delete, `before` None for an insert."""

    collection: str
    operation: str
    documentId: str
    document: dict[str, Any] | None = None
    before: dict[str, Any] | None = None
    updatedFields: dict[str, Any] = {}
    removedFields: list[str] = []
    time: datetime


class StorageEvent(_Event, frozen=True, kw_only=True):
    """A file written or deleted; `size` in bytes."""

    path: str
    size: int
    contentType: str
    hash: str
    openid: str | None = None
    operation: str
    time: datetime


class TimerEvent(_Event, frozen=True, kw_only=True):
    """`scheduled` is when it was due, `time` when it fired; `name` the function's."""

    time: datetime
    scheduled: datetime
    name: str
    payload: Any = None


class AuthEvent(_Event, frozen=True, kw_only=True):
    """`user` as `GET /v1/auth/me` shows it."""

    user: dict[str, Any]


class QueueMessage(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    body: Any = None
    attempt: int = 1


class QueueEvent(_Event, frozen=True, kw_only=True):
    """Answer `{"failed": [ids]}` where only some of the messages failed."""

    messages: list[QueueMessage]


class CustomEvent(_Event, frozen=True, kw_only=True):
    """A CloudEvent: `type`, `source`, `id`, `time`, `subject` are its attributes."""

    type: str
    data: Any = None
    id: str = ""
    source: str = ""
    subject: str | None = None
    time: datetime | None = None


class HttpRequest(_Event, frozen=True, kw_only=True):
    """A request below `/http`. `path` without that prefix; `headers` in lower case; `params` from
    the route's `{names}`; `body` is decoded JSON, a form's fields as a dict, text, or bytes."""

    method: str
    path: str
    params: dict[str, str] = {}
    query: dict[str, Any] = {}
    headers: dict[str, str] = {}
    body: Any = None


class BeforeWrite(_Event, frozen=True, kw_only=True):
    """A write about to happen. `document` is what it would store (insert, replace), `update` its
    operators, `filter` or `id` what it is aimed at. Answer with `{"document": ...}` or
    `{"update": ...}` to change it, None to let it be, `raise fn.Error` to refuse."""

    collection: str
    operation: str
    document: dict[str, Any] | None = None
    update: dict[str, Any] | None = None
    filter: dict[str, Any] | None = None
    id: str | None = None


#: The Struct that an unannotated handler is given, by kind of trigger.
EVENT_TYPES: Final[dict[str, Any]] = {
    "database": DocumentEvent,
    "storage": StorageEvent,
    "timer": TimerEvent,
    "auth": AuthEvent,
    "queue": QueueEvent,
    "custom": CustomEvent,
    "http": HttpRequest,
    "webhook": HttpRequest,
    "before": BeforeWrite,
}


def decode_event(spec: FunctionSpec, kind: str, event: Any) -> Any:
    """`event` (decoded JSON) as this function wants it from a trigger of this kind.

    INVALID_ARGUMENT with the field's path where it does not fit.
    """
    wanted = spec.event_type
    if wanted is None:
        wanted = EVENT_TYPES.get(kind)
    if wanted is None or wanted is Any or spec.contract != "native":
        return event
    try:
        return msgspec.convert(_with_dates(event), wanted)
    except msgspec.ValidationError as fault:
        raise explained(str(fault)) from None


def _with_dates(value: Any) -> Any:
    """A copy in which `{"$date": ...}` is a datetime."""
    if isinstance(value, dict):
        if is_date(value):
            return _moment(value["$date"], value)
        return {key: _with_dates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_dates(item) for item in value]
    return value


def _moment(text: Any, otherwise: Any) -> Any:
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return otherwise
