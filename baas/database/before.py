"""Hooks before a write: code of the app that may change or refuse it.

They run outside of any transaction, after the form of the body is known to be right and the create
rule has not refused the caller as such; what they make of the body then meets masks, defaults,
schema and rule as it is written. Masks are asked about what the client sent, not about what a hook
added to it. No hook touches `_id` or a server field.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec

from baas.database.bodies import DeleteBody, InsertBody, ReplaceBody, UpdateBody
from baas.database.context import Call, Context
from baas.database.creation import admitted
from baas.database.lookups import NOTHING_KNOWN
from baas.database.serverfields import STAMPS
from baas.database.writes import otherwise_of
from baas.errors import Code, Problem
from baas.ports.documents import LookupNeeded, WriteInfo
from baas.query.ast import ALWAYS
from baas.query.update import parse_update, paths_written
from baas.rules.model import Operation
from baas.schema.admit import shown
from baas.schema.values import Document

Planned: TypeAlias = Literal["insert", "update", "delete"]

_PROTECTED: Final = ("_id", *STAMPS)
_RULES: Final = {
    "insert": Operation.CREATE,
    "update": Operation.UPDATE,
    "delete": Operation.DELETE,
}


class PlannedWrite(msgspec.Struct, frozen=True, kw_only=True):
    """A write about to happen, as the client sent it: `document` of an insert or a replace,
    `update` the operators; `id` or `filter` what it is aimed at. `origin` is who is behind it."""

    collection: str
    operation: Planned
    origin: WriteInfo
    ip: str
    document: Document | None = None
    update: Document | None = None
    id: str | None = None
    filter: Document | None = None


class BeforeHooks(Protocol):
    """The app's hooks. The service has none until it is given some."""

    def covers(self, collection: str, operation: Planned) -> bool:
        """Whether there is a hook; asked for every write, so quick."""
        ...

    async def run(self, write: PlannedWrite) -> Document | None:
        """The document, or update, in the place of the write's own; None leaves it. Raises
        Problem to refuse."""
        ...


def is_hooked(context: Context, collection: str, verb: str) -> bool:
    """Whether this verb has to do with hooks: its own, or for what may become an insert, those."""
    hooks = context.before
    if hooks is None or verb not in _OPERATIONS:
        return False
    return hooks.covers(collection, _OPERATIONS[verb]) or hooks.covers(collection, "insert")


_OPERATIONS: Final[dict[str, Planned]] = {
    "insert": "insert",
    "update": "update",
    "replace": "update",
    "delete": "delete",
}


async def hooked(context: Context, call: Call, verb: str, body: Any) -> Call:
    """The call with what the hooks made of its body; for a verb that `is_hooked`."""
    operation = _OPERATIONS[verb]
    assert context.before is not None
    upsert = isinstance(body, (UpdateBody, ReplaceBody)) and body.upsert
    if context.before.covers(call.collection, operation) and not (
        upsert and _is_refused(context, call, operation)
    ):
        _refuse_early(context, call, operation)
        call = await _before_each(context, call, operation, body, upsert=upsert)
    if upsert and context.before.covers(call.collection, "insert"):
        found = await _before_upsert(context, call, body)
        call = msgspec.structs.replace(call, hooked_insert=found)
    return call


async def _before_each(
    context: Context, call: Call, operation: Planned, body: Any, *, upsert: bool
) -> Call:
    planned = list(_planned(context, call, operation, body))
    try:
        made = [await _run(context, call, write, part) for write, part in planned]
    except Problem as refusal:
        if not upsert:
            raise
        # Whether it changes anything is known only once it meets the store.
        return msgspec.structs.replace(call, hooked_refusal=refusal)
    return msgspec.structs.replace(call, hooked=tuple(part or {} for part in made))


async def _run(
    context: Context, call: Call, write: PlannedWrite, part: Document | None
) -> Document | None:
    assert context.before is not None
    changed = await context.before.run(write)
    if changed is None or part is None:
        return part
    return _checked(context, call, write, part, changed)


async def _before_upsert(
    context: Context, call: Call, body: UpdateBody | ReplaceBody
) -> Document | Problem:
    """Whether an upsert inserts is known only once it meets the store, too late for hooks. So
    they run on what it would insert; what they make of it, or their refusal, counts if it does."""
    try:
        _refuse_early(context, call, "insert")
        document = otherwise_of(context, call, body)
        write = PlannedWrite(
            collection=call.collection,
            operation="insert",
            origin=_origin(call),
            ip=call.ip,
            document=document,
        )
        return await _run(context, call, write, document) or document
    except Problem as refusal:
        return refusal


def _is_refused(context: Context, call: Call, operation: Planned) -> bool:
    try:
        _refuse_early(context, call, operation)
    except Problem:
        return True
    return False


def _refuse_early(context: Context, call: Call, operation: Planned) -> None:
    """Strangers whom the rule refuses whatever they send must not make the app's code run."""
    rule, facts = _RULES[operation], call.facts()
    try:
        context.guard.write(
            rule, call.collection, call.actor, facts, ALWAYS, NOTHING_KNOWN, by_id=True
        )
    except LookupNeeded:
        return


def _planned(
    context: Context, call: Call, operation: Planned, body: Any
) -> Iterator[tuple[PlannedWrite, Document | None]]:
    """Each write of the body, and the part of it that hooks may change."""
    write = PlannedWrite(
        collection=call.collection, operation=operation, origin=_origin(call), ip=call.ip
    )
    replace = msgspec.structs.replace
    match body:
        case InsertBody():
            for document in _documents(context, call, body):
                yield replace(write, document=document), document
        case UpdateBody():
            parse_update(body.update, context.query_limits, now_ms=call.now_ms)
            yield replace(write, update=body.update, **_aim(body)), body.update
        case ReplaceBody():
            document = admitted(context, call, body.document, "document")
            yield replace(write, document=document, id=body.id), document
        case DeleteBody():
            yield replace(write, **_aim(body)), None


def _origin(call: Call) -> WriteInfo:
    return call.origin or WriteInfo(actor=call.actor.uid)


def _documents(context: Context, call: Call, body: InsertBody) -> list[Document]:
    """As far as their form is right; where not, the verb itself says so."""
    single = [body.document] if isinstance(body.document, dict) else []
    many = body.documents if isinstance(body.documents, list) else []
    if len(many) > context.limits.insert_max:
        return []
    sent = [*single, *many]
    path = "document" if single else "documents.{}"
    return [admitted(context, call, one, path.format(at)) for at, one in enumerate(sent)]


def _aim(body: UpdateBody | DeleteBody) -> dict[str, Any]:
    aim: dict[str, Any] = {}
    if isinstance(body.id, str):
        aim["id"] = body.id
    if isinstance(body.filter, dict):
        aim["filter"] = body.filter
    return aim


def _checked(
    context: Context, call: Call, write: PlannedWrite, sent: Document, changed: Document
) -> Document:
    """What a hook made of `sent`, in the value model; FUNCTION_FAILED where it may not be so."""
    try:
        if write.update is None:
            after = admitted(context, call, changed, "document")
            _refuse_protected({name for name in _PROTECTED if after.get(name) != sent.get(name)})
        else:
            after = changed
            _refuse_protected(_names(context, call, after) - _names(context, call, sent))
    except Problem as problem:
        if problem.code is Code.FUNCTION_FAILED:
            raise
        raise _failed(
            f"what a function made of this write is not right: {problem.detail}"
        ) from None
    return after


def _names(context: Context, call: Call, update: Document) -> set[str]:
    parsed = parse_update(update, context.query_limits, now_ms=call.now_ms)
    return {path[0] for path in paths_written(parsed)}


def _refuse_protected(names: set[str]) -> None:
    for name in _PROTECTED:
        if name in names:
            raise _failed(f"a function before a write may not set {shown(name)}")


def _failed(detail: str) -> Problem:
    return Problem(Code.FUNCTION_FAILED, f"{detail[0].upper()}{detail[1:]}")
