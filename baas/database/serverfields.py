"""`_id`, `_openid`, `_createTime`, `_updateTime`: who may set them, and how they are set.

Clients choose an `_id` once and nothing else. Trusted callers may also set `_openid`, and
`_createTime` on insert. A stored document has `_id` first, then the client's fields in the order
they were sent, then the server's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from baas.database.context import Call, Context
from baas.errors import Problem, denied, invalid
from baas.ids import new_id
from baas.schema.admit import shown
from baas.schema.values import DATE, MAX_DATE_MS, Document, Value, date_from_ms, date_to_ms, is_date

OWNER: Final = "_openid"
CREATED: Final = "_createTime"
UPDATED: Final = "_updateTime"
STAMPS: Final = (OWNER, CREATED, UPDATED)

#: `_updateTime` runs at most so far ahead of the clock when one document is written faster than
#: once a millisecond; beyond it, writes share a time rather than drift.
MAX_AHEAD_MS: Final = 1000


def refuse_stamps(call: Call, names: Iterable[str], *, inserting: bool = False) -> None:
    """PERMISSION_DENIED naming the first server field that this caller may not set."""
    settable = _settable(call, inserting)
    for name in names:
        if name in STAMPS and name not in settable:
            raise not_writable(name)


def _settable(call: Call, inserting: bool) -> tuple[str, ...]:
    if not call.actor.trusted:
        return ()
    return (OWNER, CREATED) if inserting else (OWNER,)


def not_writable(name: str) -> Problem:
    return denied(f"{shown(name)} is set by the server and cannot be written.")


def check_forms(document: Document, path: str) -> None:
    """INVALID_ARGUMENT for a server field of the wrong type (trusted callers alone get here)."""
    owner = document.get(OWNER, "-")
    if type(owner) is not str or not owner:
        raise invalid(f"{path}.{OWNER}", "must be a uid")
    if CREATED in document and not is_date(document[CREATED]):
        raise invalid(f"{path}.{CREATED}", "must be a date")


def stamped_new(context: Context, call: Call, fields: Document) -> Document:
    """A new document of `fields`, which hold no server field that the caller may not set."""
    now = context.date(call.now_ms)
    document: Document = {"_id": fields.get("_id") or new_id()}
    document.update(fields)
    owner = document.pop(OWNER, None) or (None if call.actor.trusted else call.actor.uid)
    created = document.pop(CREATED, now)
    document.pop(UPDATED, None)
    if owner is not None:
        document[OWNER] = owner
    document[CREATED] = created
    document[UPDATED] = now
    return document


def stamped_change(context: Context, call: Call, before: Document, after: Document) -> Document:
    """`after` with its new time and in the order of fields that all documents have."""
    document = {name: value for name, value in after.items() if name not in STAMPS}
    for name in (OWNER, CREATED):
        if name in after:
            document[name] = after[name]
    document[UPDATED] = _next_time(context, call, before.get(UPDATED))
    return document


def _next_time(context: Context, call: Call, previous: Value) -> Value:
    """Later than the previous time, so that a reader can tell any two versions apart."""
    now = context.date(call.now_ms)
    # Canonical texts compare as times do.
    if not is_date(previous) or previous[DATE] < now[DATE]:
        return now
    last = date_to_ms(previous)
    return date_from_ms(max(last, min(last + 1, call.now_ms + MAX_AHEAD_MS, MAX_DATE_MS)))
