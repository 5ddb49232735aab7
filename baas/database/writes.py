"""`insert`, `update`, `replace` and `delete`: each a form check, then a planner (see `plan`).

The callbacks that a plan gives to the store do the checks in the protocol's order, on the document
as it is in the write: visibility, rule on the stored document, masks, operators, schema, rule on
the result. So the check and the write are one step, whatever else is writing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import Final, TypeAlias

from baas.database.bodies import DeleteBody, InsertBody, ReplaceBody, UpdateBody, one_of
from baas.database.changes import Modification, Upsert
from baas.database.context import Call, Context, check_id
from baas.database.creation import Creation, admitted, creation
from baas.database.edits import Edit, ReplaceEdit, UpdateEdit
from baas.database.lookups import NOTHING_KNOWN
from baas.database.plan import Plan, Planner, Results
from baas.database.reads import client_filter
from baas.database.returned import Returned, documents_of
from baas.database.seed import seed_of
from baas.database.serverfields import check_forms
from baas.database.turns import Turns
from baas.errors import Code, FieldError, Problem, invalid
from baas.guard import WriteDecision
from baas.ports.documents import (
    DELETE,
    Change,
    ChangeMany,
    Insert,
    KnownLookups,
    LookupNeeded,
    Lookups,
    MaybeAwaitable,
    Outcome,
)
from baas.query.ast import ALWAYS, Filter
from baas.query.update import parse_update
from baas.rules.model import Operation
from baas.schema.values import Document, encode

# -- insert ---------------------------------------------------------------------------------------


#: Documents of a longer body are made ready in turns with other requests.
LARGE_BYTES: Final = 128 * 1024
#: Documents, each with its path in the body.
_Sent: TypeAlias = list[tuple[str, Document]]


def insert(context: Context, call: Call, body: InsertBody) -> MaybeAwaitable[Planner]:
    documents = _documents(context, body)
    if len(call.body) > LARGE_BYTES and len(documents) > 1:
        return _insert_in_turns(context, call, body, documents)
    sent = [(path, admitted(context, call, raw, path)) for path, raw in documents]

    def planner(lookups: KnownLookups) -> Plan:
        made = [_made(context, call, one, lookups) for one in _with_hooked(call, sent)]
        steps = [_insert_step(call, one) for one in made]
        return _insert_plan(context, call, body, made, steps, lookups)

    return planner


async def _insert_in_turns(
    context: Context, call: Call, body: InsertBody, documents: _Sent
) -> Planner:
    turns = Turns()
    sent: _Sent = []
    for path, raw in documents:
        sent.append((path, admitted(context, call, raw, path)))
        await turns.give()

    async def planner(lookups: KnownLookups) -> Plan:
        turns = Turns()
        made: list[Creation] = []
        for one in _with_hooked(call, sent):
            made.append(_made(context, call, one, lookups))
            await turns.give()
        steps: list[Insert] = []
        for one_made in made:
            steps.append(_insert_step(call, one_made))
            await turns.give()
        return _insert_plan(context, call, body, made, steps, lookups)

    return planner


def _insert_plan(
    context: Context,
    call: Call,
    body: InsertBody,
    made: list[Creation],
    steps: list[Insert],
    lookups: KnownLookups,
) -> Plan:
    returned = Returned.of(context, call, lookups) if body.return_ else None

    def render(results: Results, now: Lookups) -> bytes:
        ids = b",".join([b'"%b"' % one.document["_id"].encode() for one in made])
        return b'{"ids":[%b]%b}' % (ids, documents_of(returned, results, now))

    return Plan(steps=tuple(steps), render=render)


#: Path, what the client sent, and what before-hooks made of it.
_One: TypeAlias = tuple[str, Document, Document | None]


def _with_hooked(call: Call, sent: _Sent) -> Iterator[_One]:
    for (path, document), hooked in zip(sent, call.hooked or repeat(None), strict=False):
        yield path, document, hooked


def _made(context: Context, call: Call, one: _One, lookups: Lookups) -> Creation:
    path, document, hooked = one
    return creation(context, call, document, lookups, path, hooked)


def _documents(context: Context, body: InsertBody) -> _Sent:
    """As they were sent, each with its path in the body."""
    single, many = body.document, body.documents
    if isinstance(single, dict) and not isinstance(many, list):
        return [("document", single)]
    if isinstance(single, dict) or not isinstance(many, list):
        raise one_of("document", "documents")
    if not 1 <= len(many) <= context.limits.insert_max:
        if not many:
            raise invalid("documents", "must not be empty")
        message = f"at most {context.limits.insert_max}"
        fault = FieldError("documents", message)
        raise Problem(Code.LIMIT_EXCEEDED, f"documents: {message}", errors=(fault,))
    return [(f"documents.{place}", raw) for place, raw in enumerate(many)]


def _insert_step(call: Call, made: Creation) -> Insert:
    """A rule that looks nothing up is settled here; else the check runs inside the write."""
    check: Callable[[Lookups], None] | None = None
    try:
        made.check(NOTHING_KNOWN)
    except LookupNeeded:
        check = made.check
    return Insert(
        collection=call.collection,
        id=made.document["_id"],
        document=made.document,
        body=made.body,
        check=check,
    )


# -- changes --------------------------------------------------------------------------------------


def update(context: Context, call: Call, body: UpdateBody) -> Planner:
    edit = _update_edit(context, call, body)
    if body.multi and body.upsert:
        raise invalid("upsert", "never goes with multi")
    target = _target(context, call, body)
    if isinstance(target, str):
        return _change_one(context, call, target, edit, body)
    return _change_by_filter(context, call, target, edit, body)


def _update_edit(context: Context, call: Call, body: UpdateBody) -> UpdateEdit:
    sent = parse_update(body.update, context.query_limits, now_ms=call.now_ms)
    hooked = None
    if call.hooked is not None:
        hooked = parse_update(call.hooked[0], context.query_limits, now_ms=call.now_ms)
    return UpdateEdit(sent, hooked)


def otherwise_of(context: Context, call: Call, body: UpdateBody | ReplaceBody) -> Document:
    """What an upsert inserts where it finds nothing, as if it had been sent."""
    if isinstance(body, ReplaceBody):
        check_id(body.id)
        return _replace_edit(context, call, body).fresh(call, {"_id": body.id})
    target = _target(context, call, body)
    seed = {"_id": target} if isinstance(target, str) else seed_of(target)
    return _update_edit(context, call, body).fresh(call, seed)


def _target(context: Context, call: Call, body: UpdateBody | DeleteBody) -> str | Filter:
    """The id or the filter; INVALID_ARGUMENT unless there is exactly one."""
    if isinstance(body.id, str) is isinstance(body.filter, dict):
        raise one_of("id", "filter")
    if isinstance(body.filter, dict):
        return client_filter(context, call, body.filter)
    if body.multi:
        raise invalid("multi", "goes with filter, not with id")
    assert isinstance(body.id, str)
    check_id(body.id)
    return body.id


def replace(context: Context, call: Call, body: ReplaceBody) -> Planner:
    check_id(body.id)
    return _change_one(context, call, body.id, _replace_edit(context, call, body), body)


def _replace_edit(context: Context, call: Call, body: ReplaceBody) -> ReplaceEdit:
    document = admitted(context, call, body.document, "document")
    if document.get("_id", body.id) != body.id:
        raise invalid("document._id", "is not the `id` of this request; an _id never changes")
    if call.actor.trusted:
        check_forms(document, "document")
    validator = context.collection(call.collection).validator
    completed = partial(validator.with_defaults, now_ms=call.now_ms)
    hooked = None if call.hooked is None else call.hooked[0]
    return ReplaceEdit(body.id, document, completed, hooked)


def _change_one(
    context: Context, call: Call, id: str, edit: Edit, body: UpdateBody | ReplaceBody
) -> Planner:
    def planner(lookups: KnownLookups) -> Plan:
        change: Modification | Upsert
        if body.upsert:
            change = Upsert(context, call, edit, lookups, seed={"_id": id})
        else:
            change = Modification(context, call, edit, lookups)
        step = Change(collection=call.collection, id=id, apply=change.by_id)
        returned = Returned.of(context, call, lookups) if body.return_ else None
        return Plan(steps=(step,), render=lambda results, now: _changed(results, returned, now))

    return planner


def _change_by_filter(
    context: Context, call: Call, filter: Filter, edit: Edit, body: UpdateBody
) -> Planner:
    def planner(lookups: KnownLookups) -> Plan:
        change: Modification | Upsert
        if body.upsert:
            change = Upsert(context, call, edit, lookups, filter, seed=seed_of(filter))
        else:
            change = Modification(context, call, edit, lookups, filter)
        edit.check_form(call)
        step = ChangeMany(
            collection=call.collection,
            filter=change.filter,
            apply=change.by_filter,
            multi=body.multi,
            limit=context.limits.multi_max,
            otherwise=change.otherwise,
        )
        returned = Returned.of(context, call, lookups) if body.return_ else None
        return Plan(steps=(step,), render=lambda results, now: _changed(results, returned, now))

    return planner


def _changed(results: Results, returned: Returned | None, now: Lookups) -> bytes:
    written = results[0].written
    upserted = next((one.id for one in written if one.before is None), None)
    matched = 0 if upserted is not None else len(written)
    return b'{"matched":%d,"modified":%d,"upsertedId":%b%b}' % (
        matched,
        matched,
        encode(upserted),
        documents_of(returned, results, now),
    )


# -- delete ---------------------------------------------------------------------------------------


def delete(context: Context, call: Call, body: DeleteBody) -> Planner:
    target = _target(context, call, body)

    def planner(lookups: KnownLookups) -> Plan:
        filter = ALWAYS if isinstance(target, str) else target
        decision = context.guard.write(
            Operation.DELETE,
            call.collection,
            call.actor,
            call.facts(),
            filter,
            lookups,
            by_id=isinstance(target, str),
        )
        returned = Returned.of(context, call, lookups) if body.return_ else None
        step = _delete_step(context, call, body, target, decision)
        return Plan(steps=(step,), render=lambda results, now: _deleted(results, returned, now))

    return planner


def _deleted(results: Results, returned: Returned | None, now: Lookups) -> bytes:
    deleted = len(results[0].written)
    return b'{"deleted":%d%b}' % (deleted, documents_of(returned, results, now))


def _delete_step(
    context: Context, call: Call, body: DeleteBody, target: str | Filter, decision: WriteDecision
) -> Change | ChangeMany:
    def apply(stored: Document | None, lookups: Lookups) -> Outcome:
        decision.check_stored(stored, lookups)
        return DELETE

    if isinstance(target, str):
        return Change(collection=call.collection, id=target, apply=apply)
    return ChangeMany(
        collection=call.collection,
        filter=decision.filter,
        apply=lambda stored, lookups: DELETE,
        multi=body.multi,
        limit=context.limits.multi_max,
    )
