"""One rule tried on one case: caller, operation, documents; the verdict clause by clause, and how
the engine would serve the read."""

from __future__ import annotations

from typing import Any

import msgspec

from baas.guard.contract import RequestFacts
from baas.guard.ruleguard import rule_variables
from baas.ports.documents import DocumentStore, Find, KnownLookups, LookupNeeded, resolve
from baas.query.conditions import Env, evaluate
from baas.rules.explain import Clause, Explanation, clauses, explain
from baas.rules.model import CollectionRules, Operation
from baas.schema.actor import Actor
from baas.schema.values import Document, Value, decode


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """`document` the stored one, `new_document` what it would become, `data` what was sent."""

    actor: Actor
    operation: Operation
    document: Document | None
    new_document: Document | None
    data: Value
    now_ms: int


class TriedClause(msgspec.Struct, frozen=True, kw_only=True):
    """`verdict` and `rest` before any document is known; `value` with those given: true, false, or
    None where it cannot be told or no document was given."""

    text: str
    verdict: str
    rest: str
    value: bool | None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """`allowed` with the documents given; None where none was. `plan`: the engine's lines, with
    the indexes that it would use for a read."""

    text: str
    place: str
    verdict: str
    reduced: str
    allowed: bool | None
    clauses: list[TriedClause]
    plan: list[str]


async def try_rule(store: DocumentStore, rules: CollectionRules, given: Given) -> Tried:
    """Documents that the rule looks up are read from `store`."""
    lookups = KnownLookups()
    while True:
        try:
            explained, allowed, tried = _attempt(rules, given, lookups)
            break
        except LookupNeeded as need:
            stored = await resolve(store.get(need.collection, need.id))
            lookups.known[need.collection, need.id] = None if stored is None else decode(stored)
    query = Find(collection=explained.collection, filter=explained.filter)
    return Tried(
        text=explained.text.strip(),
        place=explained.place,
        verdict=explained.verdict,
        reduced=explained.reduced,
        allowed=allowed,
        clauses=tried,
        plan=await resolve(store.explain(query)),
    )


def _attempt(
    rules: CollectionRules, given: Given, lookups: KnownLookups
) -> tuple[Explanation, bool | None, list[TriedClause]]:
    sent = given.data if isinstance(given.data, dict) else None
    fields = None if sent is None else tuple(sent)
    facts = RequestFacts(time_ms=given.now_ms, data=given.data, fields=fields)
    variables = rule_variables(given.operation, given.actor, facts)
    explained = explain(rules, given.operation, variables, lookups)
    rule = rules.rules[given.operation]
    if given.document is None and given.new_document is None:
        return explained, None, [_clause(clause, None) for clause in explained.clauses]
    env = Env(given.document, given.new_document, variables, lookups)
    values = [evaluate(expr, env) for expr in clauses(rule)]
    tried = [_clause(*pair) for pair in zip(explained.clauses, values, strict=True)]
    return explained, evaluate(rule.expr, env) is True, tried


def _clause(clause: Clause, value: Any) -> TriedClause:
    known = value if type(value) is bool else None
    return TriedClause(text=clause.text, verdict=clause.verdict, rest=clause.rest, value=known)
