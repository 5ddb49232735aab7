"""Files that were written or deleted, read off the change feed: `storage.put`, `storage.delete`.

A file is its row, so what happens to rows is what happens to files: an upload, a completed upload
in parts and a copy put one; a move puts one and deletes another. A row that changes without being
written anew (nothing of `updateTime` or its bytes) is the service's own bookkeeping and no event.
"""

from __future__ import annotations

from typing import Any

from baas.functions.model import Call, FunctionSpec, Release, StorageTrigger, TriggerInfo
from baas.ports.changes import ChangeEvent
from baas.schema.values import Document, date_from_ms, decode
from baas.storage.rows import FILES


class StorageEvents:
    """The calls that an event of the feed means to functions with `@fn.on("storage....")`."""

    def __init__(self) -> None:
        self._triggers: list[tuple[FunctionSpec, StorageTrigger]] = []

    def fit(self, release: Release | None) -> None:
        self._triggers = [] if release is None else release.with_trigger(StorageTrigger)

    @property
    def wanted(self) -> bool:
        """Whether any function in force asks for what happens to files."""
        return bool(self._triggers)

    def calls(self, event: ChangeEvent) -> list[tuple[FunctionSpec, Call, bool]]:
        """Each with whether it waits for the one before it of the same file."""
        if not self._triggers or event.collection != FILES:
            return []
        told = storage_event(event)
        if told is None:
            return []
        return [
            (spec, _call(spec, trigger, told, event), trigger.ordered)
            for spec, trigger in self._triggers
            if _meets(trigger, told)
        ]


def storage_event(event: ChangeEvent) -> dict[str, Any] | None:
    """What happened to a file, as functions see it: `events.StorageEvent` on the wire. Of a deleted
    file, what it was. None where nothing happened to it."""
    before = None if event.before is None else decode(event.before)
    after = None if event.after is None else decode(event.after)
    row: Document | None = before if after is None else after
    if row is None or (before is not None and after is not None and not _rewritten(before, after)):
        return None
    return {
        "path": row["path"],
        "size": row["size"],
        "contentType": row["contentType"],
        "hash": row["hash"],
        "openid": row["openid"],
        "operation": "delete" if after is None else "put",
        "time": date_from_ms(event.time),
        "actor": event.actor,
    }


def _rewritten(before: Document, after: Document) -> bool:
    return any(before.get(name) != after.get(name) for name in ("updateTime", "blob"))


def _meets(trigger: StorageTrigger, told: dict[str, Any]) -> bool:
    path: str = told["path"]
    return (
        trigger.operation == told["operation"]
        and path.startswith(trigger.prefix)
        and path.endswith(trigger.suffix)
    )


def _call(
    spec: FunctionSpec, trigger: StorageTrigger, told: dict[str, Any], event: ChangeEvent
) -> Call:
    details: dict[str, Any] = {"operation": trigger.operation}
    for name, part in (("prefix", trigger.prefix), ("suffix", trigger.suffix)):
        if part:
            details[name] = part
    return Call(
        function=spec.name,
        event=told,
        trigger=TriggerInfo(kind="storage", details=details),
        depth=event.depth + 1,
    )
