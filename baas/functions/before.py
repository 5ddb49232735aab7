"""`@fn.before(...)`: functions before writes, as the database service's hooks."""

from __future__ import annotations

from typing import Any, Final

from baas.database.before import Planned, PlannedWrite
from baas.functions.invoke import Invoker
from baas.functions.model import BeforeTrigger, Call, Release, TriggerInfo
from baas.functions.registry import Registry, caller_of
from baas.observe.logs import REQUEST_ID
from baas.schema.actor import NOBODY
from baas.schema.values import Document

#: What a hook may answer with.
_PARTS: Final = ("document", "update")


class FunctionHooks:
    """Of the releases in force. A write meets the hooks of the version that serves its caller, one
    after the other in the order of their names, each seeing what the one before it made."""

    def __init__(self, registry: Registry, invoker: Invoker) -> None:
        self._registry = registry
        self._invoker = invoker
        self._covered: frozenset[tuple[str, str]] = frozenset()
        registry.listeners.append(self._changed)

    def _changed(self, release: Release | None) -> None:
        """Any release in force counts: which one serves a caller is seen when it writes."""
        self._covered = frozenset(
            (trigger.collection, trigger.operation)
            for one in self._registry.releases()
            for _, trigger in one.with_trigger(BeforeTrigger)
        )

    def covers(self, collection: str, operation: Planned) -> bool:
        return (collection, operation) in self._covered

    async def run(self, write: PlannedWrite) -> Document | None:
        name = "document" if write.update is None else "update"
        part: Document | None = getattr(write, name)
        event = _event(write)
        for function in self._functions(write):
            answer = await self._invoker.invoke(_call(function, write, event))
            made = part_of(answer, name)
            if made is not None and part is not None:
                part = event[name] = made
        return part

    def _functions(self, write: PlannedWrite) -> list[str]:
        serving = self._registry.pick(caller_of(_call("", write, None)))
        if serving is None:
            return []
        return [
            spec.name
            for spec, trigger in serving.release.with_trigger(BeforeTrigger)
            if (trigger.collection, trigger.operation) == (write.collection, write.operation)
        ]


def part_of(answer: Any, name: str) -> Document | None:
    """What a hook's answer says of the write: `{"document": ...}` or `{"update": ...}`, or the
    document or update itself."""
    if not isinstance(answer, dict):
        return None
    if answer and all(key in _PARTS for key in answer):
        answer = answer.get(name)
    return answer if isinstance(answer, dict) else None


def _event(write: PlannedWrite) -> dict[str, Any]:
    event = {
        "actor": write.origin.actor,
        "collection": write.collection,
        "operation": write.operation,
        "document": write.document,
        "update": write.update,
        "filter": write.filter,
        "id": write.id,
    }
    return {key: value for key, value in event.items() if value is not None}


def _call(function: str, write: PlannedWrite, event: Any) -> Call:
    """`ctx.auth` is null, as behind any trigger; so the address says which version serves."""
    details = {"collection": write.collection, "operation": write.operation}
    return Call(
        function=function,
        event=event,
        actor=NOBODY,
        trigger=TriggerInfo(kind="before", details=details),
        request_id=REQUEST_ID.get(),
        depth=write.origin.depth + 1,
        ip=write.ip,
    )
