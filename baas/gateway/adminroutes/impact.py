"""What an edit of the rules would change of the decisions that were really made of late."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from baas.errors import Code, Problem
from baas.gateway.services import Services
from baas.guard import RequestFacts, RuleGuard, rule_variables
from baas.guard.ruleguard import Decided
from baas.ports.documents import KnownLookups, LookupNeeded, resolve
from baas.query.ast import ALWAYS, BY_ID
from baas.rules.explain import explain
from baas.rules.model import Operation, RuleBook
from baas.schema.values import decode

#: Decisions that are made again: those of different callers, the newest first.
MAX_DECISIONS: Final = 60
_READS: Final = frozenset((Operation.READ, Operation.COUNT, Operation.AGGREGATE, Operation.WATCH))


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """`before` and `after`: `denied`, how many documents the caller may read, or for writes what is
    left of the rule."""

    collection: str
    operation: str
    uid: str | None
    roles: tuple[str, ...]
    before: str
    after: str


async def impact(services: Services, book: RuleBook) -> tuple[int, list[Changed]]:
    """How many decisions were looked at, and those that would come out differently."""
    now = services.guard.book
    different = {
        name
        for name in {*now.collections, *book.collections}
        if now.collections.get(name) != book.collections.get(name)
    }
    latest: dict[Any, Decided] = {}
    for decided in reversed(services.panel.recent):
        if decided.collection in different and len(latest) < MAX_DECISIONS:
            key = (decided.operation, decided.collection, decided.actor.cache_key)
            latest.setdefault(key, decided)
    changed = []
    for decided in latest.values():
        before = await _outcome(services, now, decided)
        after = await _outcome(services, book, decided)
        if before != after:
            changed.append(_changed(decided, before, after))
    return len(latest), changed


def _changed(decided: Decided, before: str, after: str) -> Changed:
    return Changed(
        collection=decided.collection,
        operation=decided.operation.value,
        uid=decided.actor.uid,
        roles=decided.actor.roles,
        before=before,
        after=after,
    )


async def _outcome(services: Services, book: RuleBook, decided: Decided) -> str:
    lookups = KnownLookups()
    while True:
        try:
            return await _decide(services, book, decided, lookups)
        except LookupNeeded as need:
            stored = await resolve(services.panel.store.get(need.collection, need.id))
            lookups.known[need.collection, need.id] = None if stored is None else decode(stored)


async def _decide(
    services: Services, book: RuleBook, decided: Decided, lookups: KnownLookups
) -> str:
    rules = book.collections.get(decided.collection)
    if rules is None:
        return "denied"
    facts = RequestFacts(time_ms=services.clock.now_ms(), ip=decided.ip)
    if decided.operation not in _READS:
        variables = rule_variables(decided.operation, decided.actor, facts)
        reduced = explain(rules, decided.operation, variables, lookups).reduced
        return "denied" if reduced == "false" else reduced
    try:
        decision = RuleGuard(book).read(
            decided.operation,
            decided.collection,
            decided.actor,
            facts,
            ALWAYS,
            BY_ID,
            lookups,
            by_id=True,
        )
        found = await resolve(services.panel.store.count(decided.collection, decision.filter))
    except Problem as problem:
        if problem.code is Code.PERMISSION_DENIED:
            return "denied"
        raise
    return f"{found} documents"
