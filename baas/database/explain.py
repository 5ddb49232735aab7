"""What a `find` comes to for one caller: the read rule, clause by clause, and how it is served.

For operators: it tells of rules and indexes, which are not a caller's to know.
"""

from __future__ import annotations

from typing import Any

import msgspec

from baas.database import lookups as looked_up
from baas.database.bodies import FindBody
from baas.database.context import Call, Context
from baas.database.reads import decide, read_query, store_query
from baas.errors import Code, Problem
from baas.guard import rule_variables
from baas.ports.documents import DocumentReader, Find, Lookups, resolve
from baas.rules.explain import Explanation, explain
from baas.rules.model import Operation


class Explained(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`rule` None: no file names the collection. `clauses` are `{text, verdict, rest}`, verdict
    one of true, false, depends; `reduced` what is left of the rule for this caller. `trusted`: no
    rule is asked. `plan`: the engine's lines with the indexes used; empty where all is denied."""

    rule: str | None
    place: str = ""
    verdict: str = ""
    reduced: str = ""
    clauses: list[Any] = []
    trusted: bool = False
    plan: list[str] = []


async def explain_find(context: Context, call: Call, body: FindBody) -> Explained:
    """INVALID_ARGUMENT and the like for a body that `find` would refuse too."""
    query = read_query(context, call, body)
    rules = context.guard.rules_of(call.collection)
    variables = rule_variables(Operation.READ, call.actor, call.facts())

    def attempt(reader: DocumentReader, lookups: Lookups) -> tuple[Explanation | None, Find | None]:
        found = None if rules is None else explain(rules, Operation.READ, variables, lookups)
        try:
            return found, store_query(call, query, decide(context, call, query, lookups))
        except Problem as problem:
            if problem.code is not Code.PERMISSION_DENIED:
                raise
            return found, None

    found, wanted = await looked_up.read_snapshot(context, attempt)
    plan = [] if wanted is None else await resolve(context.store.explain(wanted))
    if found is None:
        return Explained(rule=None, trusted=call.actor.trusted, plan=plan)
    return Explained(
        rule=found.text,
        place=found.place,
        verdict=found.verdict,
        reduced=found.reduced,
        clauses=list(found.clauses),
        trusted=call.actor.trusted,
        plan=plan,
    )
