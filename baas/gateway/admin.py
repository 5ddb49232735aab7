"""`/v1/admin`: for admin keys alone.

The edge asks for the key before anything else is looked at, routes that do not exist included, so a
stranger learns nothing of what is there.
"""

from __future__ import annotations

from typing import Final

import msgspec

from baas.auth.scopes import require_scope
from baas.errors import Code, Problem
from baas.gateway.actor import settle
from baas.gateway.exchange import JSON, NO_STORE, Answer, Exchange
from baas.gateway.route import Call
from baas.gateway.services import Services
from baas.schema.actor import Actor

PREFIX: Final = "/v1/admin"


def is_admin_path(path: str) -> bool:
    return path == PREFIX or path.startswith(PREFIX + "/")


#: Where somebody becomes somebody: the only paths for which no token is needed.
ENTRANCES: Final = frozenset({f"{PREFIX}/auth/set-up", f"{PREFIX}/auth/sign-in"})


async def require_admin_key(services: Services, exchange: Exchange) -> None:
    """UNAUTHENTICATED for any other caller, a signed-in user too."""
    if exchange.path in ENTRANCES and b"authorization" not in exchange.headers:
        return
    await admin_of(services, exchange)


async def admin_of(services: Services, exchange: Exchange) -> Actor:
    """The admin key that calls; UNAUTHENTICATED for any other caller."""
    actor = exchange.actor = await settle(services.callers.actor(exchange))
    if actor.key is None or not actor.trusted:
        raise Problem(Code.UNAUTHENTICATED, "An admin key is needed here.")
    return actor


class RulesStatus(msgspec.Struct):
    """`revision` of the rules in force; `stale` while the files differ and could not be loaded."""

    revision: str
    stale: bool
    collections: list[str]


async def rules_status(call: Call) -> Answer:
    actor = call.exchange.actor
    if actor is None:  # the edge was gone round: better no answer than one to a stranger
        raise Problem(Code.UNAUTHENTICATED, "An admin key is needed here.")
    require_scope(actor, "settings:read")
    book = call.services.guard.book
    stale = call.services.rules_stale()
    status = RulesStatus(book.revision, stale, sorted(book.collections))
    return Answer(msgspec.json.encode(status), 200, (JSON, NO_STORE))
