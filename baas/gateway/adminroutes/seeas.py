"""`/v1/admin/collections/see-as`: the data as somebody else would see it."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from baas.auth.scopes import require_scope
from baas.database.lookups import FetchedLookups
from baas.errors import Code
from baas.gateway.adminroutes.table import Body, admin_route
from baas.gateway.route import Route
from baas.gateway.services import Services
from baas.guard import RequestFacts, rule_variables
from baas.guard.sight import Sight, sight
from baas.ports.documents import LookupNeeded, resolve
from baas.rules.explain import Explanation, explain
from baas.rules.model import Operation
from baas.schema.actor import NOBODY, Actor
from baas.schema.values import decode

MAX_IDS: Final = 1_000


class SeeAsBody(Body, frozen=True):
    """`uid` null: somebody who is not signed in."""

    collection: str
    uid: str | None = None
    ids: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_IDS)] = ()


class SeenAs(msgspec.Struct, frozen=True, kw_only=True):
    """The read rule for this caller, clause by clause, and what comes of it for each document that
    is there. `rule` None: no file names the collection, so all is denied."""

    rule: str | None
    place: str
    verdict: str
    reduced: str
    clauses: list[Any]
    documents: dict[str, Sight]


async def actor_named(services: Services, uid: str | None) -> Actor:
    """NOT_FOUND for a user who is not there, or is disabled."""
    return NOBODY if uid is None else await services.auth.actor_of(uid)


async def _see_as(services: Services, actor: Actor, body: SeeAsBody) -> SeenAs:
    require_scope(actor, "settings:read")  # it tells of rules
    caller = await actor_named(services, body.uid)
    facts = RequestFacts(time_ms=services.clock.now_ms())
    rules = services.guard.rules_of(body.collection)
    async with services.panel.store.snapshot() as reader:
        lookups = FetchedLookups(reader)
        found: Explanation | None = None
        seen: dict[str, Sight] = {}
        if rules is not None:
            variables = rule_variables(Operation.READ, caller, facts)
            while found is None:
                try:
                    found = explain(rules, Operation.READ, variables, lookups)
                except LookupNeeded as need:
                    await lookups.fetch(need)
        for id in body.ids:
            stored = await resolve(reader.get(body.collection, id))
            while stored is not None and id not in seen:
                try:
                    seen[id] = sight(
                        services.guard, body.collection, caller, facts, decode(stored), lookups
                    )
                except LookupNeeded as need:
                    await lookups.fetch(need)
    return SeenAs(
        rule=None if found is None else found.text.strip(),
        place="" if found is None else found.place,
        verdict="false" if found is None else found.verdict,
        reduced="false" if found is None else found.reduced,
        clauses=[] if found is None else list(found.clauses),
        documents=seen,
    )


ROUTES: Final[tuple[Route, ...]] = (
    admin_route(
        "collections/see-as",
        "What somebody may see of documents, and do with them",
        "database:read",
        _see_as,
        SeeAsBody,
        SeenAs,
        Code.NOT_FOUND,
    ),
)
