"""Sample events, for `baas fn event NAME` and for tests of one's own: what a function is given by
each kind of trigger, and what handlers of other clouds are given for the like.

The foreign ones are made by the contracts themselves, so they cannot differ from what runs.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from baas.functions.context import Context, Settings
from baas.functions.contracts import CONTRACTS
from baas.functions.model import Call, TriggerInfo

_TIME: Final = {"$date": "2026-11-20T08:00:00.000Z"}
_USER: Final = {
    "uid": "u1",
    "loginType": "USERNAME",
    "username": "mei",
    "roles": [],
    "profile": {"nickname": "Mei"},
}
_POST: Final = {
    "_id": "p1",
    "_openid": "u1",
    "title": "Hello",
    "published": True,
    "_createTime": _TIME,
    "_updateTime": _TIME,
}

_FILE: Final = {
    "path": "avatars/u1/me.jpg",
    "size": 48_213,
    "contentType": "image/jpeg",
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "openid": "u1",
    "time": _TIME,
    "actor": "u1",
}


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` is the trigger's; `details` are `ctx.trigger.details`."""

    what: str
    kind: str
    event: Any
    details: dict[str, Any] = {}
    contract: str = "native"


_REQUEST: Final = Sample(
    what="a request below /http",
    kind="http",
    event={
        "method": "POST",
        "path": "/orders/7",
        "params": {"id": "7"},
        "query": {"verbose": "1"},
        "headers": {"content-type": "application/json", "host": "app.example"},
        "body": {"count": 2},
    },
    details={"method": "POST", "path": "/orders/{id}"},
)
_TIMER: Final = Sample(
    what="a tick of a timer",
    kind="timer",
    event={"time": _TIME, "scheduled": _TIME, "name": "report", "payload": {"days": 7}},
    details={"cron": "30 2 * * MON-FRI", "tz": "Asia/Shanghai"},
)
_QUEUE: Final = Sample(
    what="messages of a queue",
    kind="queue",
    event={"messages": [{"id": "m1", "body": {"to": "mei@app.example"}, "attempt": 1}]},
    details={"queue": "mails"},
)
_NATIVE: Final[dict[str, Sample]] = {
    "event": Sample(
        what="what a client sends: any JSON", kind="event", event={"title": "Hello", "body": ""}
    ),
    "http": _REQUEST,
    "timer": _TIMER,
    "database.insert": Sample(
        what="a document that was inserted",
        kind="database",
        event={
            "collection": "posts",
            "operation": "insert",
            "documentId": "p1",
            "document": _POST,
            "before": None,
            "updatedFields": {},
            "removedFields": [],
            "time": _TIME,
            "actor": "u1",
        },
    ),
    "database.update": Sample(
        what="a document that was updated",
        kind="database",
        event={
            "collection": "posts",
            "operation": "update",
            "documentId": "p1",
            "document": {**_POST, "title": "Hello again"},
            "before": {**_POST, "draft": True},
            "updatedFields": {"title": "Hello again"},
            "removedFields": ["draft"],
            "time": _TIME,
            "actor": "u1",
        },
    ),
    "database.delete": Sample(
        what="a document that was deleted",
        kind="database",
        event={
            "collection": "posts",
            "operation": "delete",
            "documentId": "p1",
            "document": None,
            "before": _POST,
            "updatedFields": {},
            "removedFields": [],
            "time": _TIME,
            "actor": "u1",
        },
    ),
    "storage.put": Sample(
        what="a file that was written",
        kind="storage",
        event={**_FILE, "operation": "put"},
        details={"operation": "put", "prefix": "avatars/"},
    ),
    "storage.delete": Sample(
        what="a file that was deleted: what it was",
        kind="storage",
        event={**_FILE, "operation": "delete"},
        details={"operation": "delete", "prefix": "avatars/"},
    ),
    "before.insert": Sample(
        what="a document about to be inserted",
        kind="before",
        event={
            "collection": "posts",
            "operation": "insert",
            "document": {"title": "Hello"},
            "actor": "u1",
        },
    ),
    "before.update": Sample(
        what="an update about to happen",
        kind="before",
        event={
            "collection": "posts",
            "operation": "update",
            "update": {"$set": {"title": "Hello again"}},
            "id": "p1",
            "actor": "u1",
        },
    ),
    "auth": Sample(
        what="an account: signed_up, signed_in, signed_out, deleted",
        kind="auth",
        event={"user": _USER, "actor": "u1"},
    ),
    "queue": _QUEUE,
    "custom": Sample(
        what="an event of ctx.emit, or a CloudEvent",
        kind="custom",
        event={
            "type": "app.order.paid",
            "source": "/functions/checkout",
            "id": "e1",
            "data": {"order": "o1"},
            "subject": None,
            "time": _TIME,
            "actor": "u1",
        },
    ),
}

SAMPLES: Final[dict[str, Sample]] = {
    **_NATIVE,
    **{
        f"{contract}.{name}": msgspec.structs.replace(
            native, contract=contract, what=f"{native.what}, as contract {contract} gives it"
        )
        for contract in CONTRACTS
        for name, native in (("http", _REQUEST), ("timer", _TIMER), ("queue", _QUEUE))
    },
    **{
        f"{contract}.storage": msgspec.structs.replace(
            _NATIVE["storage.put"],
            contract=contract,
            what=f"a file, as contract {contract} gives it",
        )
        for contract in CONTRACTS
    },
}


def sample(name: str) -> Any:
    """The event of that name, as JSON (what `fc` gives as bytes, decoded); None for no such."""
    found = SAMPLES.get(name)
    if found is None or found.contract == "native":
        return None if found is None else found.event
    call = Call(
        function="report",
        event=found.event,
        trigger=TriggerInfo(kind=found.kind, details=found.details),
        request_id="r1",
        ip="198.51.100.7",
        raw_event={"rawQuery": "verbose=1", "ip": "198.51.100.7", "rawBody": b'{"count": 2}'}
        if found.kind == "http"
        else None,
        invocation_id="i1",
    )
    nothing: Any = None
    settings = Settings(nothing, nothing, 0.0, {}, {}, {})
    shaped = CONTRACTS[found.contract].event(Context(call, settings), found.event)
    return msgspec.json.decode(shaped) if isinstance(shaped, bytes) else cast("Any", shaped)
