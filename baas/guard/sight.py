"""What the rules let one caller see of one document and do with it: for operators who look on."""

from __future__ import annotations

import msgspec

from baas.errors import Code, Problem
from baas.guard.contract import Guard, RequestFacts
from baas.ports.documents import Lookups
from baas.query.ast import ALWAYS, BY_ID
from baas.query.evaluate import matches
from baas.rules.model import Operation
from baas.schema.actor import Actor
from baas.schema.values import Document


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """`hidden` are the masked paths that may not be read. `update` is as far as it can be told
    without what would be written: a rule on `newDoc` may still refuse."""

    read: bool
    update: bool
    delete: bool
    hidden: list[str]


def sight(
    guard: Guard,
    collection: str,
    actor: Actor,
    facts: RequestFacts,
    document: Document,
    lookups: Lookups,
) -> Sight:
    """May raise LookupNeeded: fetch and ask again."""
    readable, hidden = _reading(guard, collection, actor, facts, document, lookups)
    may = {
        operation: _writing(guard, operation, collection, actor, facts, document, lookups)
        for operation in (Operation.UPDATE, Operation.DELETE)
    }
    return Sight(
        read=readable,
        update=may[Operation.UPDATE],
        delete=may[Operation.DELETE],
        hidden=hidden,
    )


def _reading(
    guard: Guard,
    collection: str,
    actor: Actor,
    facts: RequestFacts,
    document: Document,
    lookups: Lookups,
) -> tuple[bool, list[str]]:
    try:
        decision = guard.read(
            Operation.READ, collection, actor, facts, ALWAYS, BY_ID, lookups, by_id=True
        )
    except Problem as problem:
        if problem.code is not Code.PERMISSION_DENIED:
            raise
        return False, []
    paths = decision.masks.unreadable(document, lookups)
    return matches(decision.rule, document, lookups), sorted(".".join(path) for path in paths)


def _writing(
    guard: Guard,
    operation: Operation,
    collection: str,
    actor: Actor,
    facts: RequestFacts,
    document: Document,
    lookups: Lookups,
) -> bool:
    try:
        decision = guard.write(operation, collection, actor, facts, ALWAYS, lookups, by_id=True)
        decision.check_stored(document, lookups)
    except Problem as problem:
        if problem.code not in (Code.PERMISSION_DENIED, Code.NOT_FOUND):
            raise
        return False
    return True
