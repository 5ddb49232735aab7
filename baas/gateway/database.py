"""Database routes. The verbs are answered by `answer_verb`, whoever routed to it."""

from __future__ import annotations

from typing import Final

import msgspec

from baas.auth.scopes import require_scope
from baas.database.verbs import VERBS
from baas.errors import Problem
from baas.gateway.actor import settle
from baas.gateway.audit import recorded
from baas.gateway.body import check_json_type, check_length, read_body, read_rest, whole_body
from baas.gateway.exchange import JSON, Answer, Exchange, Receive, matches_etag
from baas.gateway.route import Call, Endpoint
from baas.gateway.services import Services
from baas.ports.documents import resolve
from baas.schema.actor import Actor

#: verb -> the scope that an admin key needs.
_WRITE: Final = "database:write"
_READ: Final = "database:read"
SCOPES: Final = {name: _WRITE if verb.writes else _READ for name, verb in VERBS.items()}
_EXPLAIN: Final = b"x-baas-explain"
_NO_CACHE: Final = (b"cache-control", b"private, no-cache")


async def answer_verb(
    services: Services, exchange: Exchange, verb: str, collection: str, receive: Receive
) -> Answer:
    """One verb on one collection, from token to answer. Raises Problem.

    The caller is known, allowed and counted before the body is read.
    """
    actor = services.callers.actor(exchange)
    if not isinstance(actor, Actor):
        actor = await actor
    exchange.actor = actor
    ip = exchange.ip
    if SCOPES[verb] is _WRITE:
        services.limits.take_write(actor, ip)
    else:
        services.limits.take_read(actor, ip)
    if actor.key is not None:
        require_scope(actor, SCOPES[verb])
        if actor.operator is not None and SCOPES[verb] is _WRITE:
            return await _recorded(services, exchange, verb, collection, actor, receive)
    return await _answer(services, exchange, verb, collection, actor, receive)


#: What the audit log keeps of a person's write: which documents, not what is in them.
RECORDED: Final = ("id", "filter", "multi", "upsert")


async def _recorded(
    services: Services,
    exchange: Exchange,
    verb: str,
    collection: str,
    actor: Actor,
    receive: Receive,
) -> Answer:
    async def work(receive: Receive) -> Answer:
        return await _answer(services, exchange, verb, collection, actor, receive)

    audit = services.panel.audit
    return await recorded(audit, exchange.route, RECORDED, exchange, actor, receive, work)


async def _answer(
    services: Services,
    exchange: Exchange,
    verb: str,
    collection: str,
    actor: Actor,
    receive: Receive,
) -> Answer:
    ip = exchange.ip
    check_json_type(exchange)
    limit = services.body_bytes
    check_length(exchange, limit)
    message = await receive()
    body = whole_body(message, limit)
    if body is None:
        body = await read_rest(message, receive, limit)
    if verb == "get":
        tagged = services.database.get_tagged(collection, body, actor, ip)
        found, etag = tagged if isinstance(tagged, tuple) else await tagged
        return Answer(found, 200, (JSON, (b"etag", etag.encode())))
    if actor.key is not None and verb == "find" and exchange.headers.get(_EXPLAIN) == b"1":
        return await _explained(services, collection, body, actor, ip)
    key = exchange.text(b"idempotency-key")
    answer = services.database.handle(verb, collection, body, actor, ip, key)
    return Answer(answer if isinstance(answer, bytes) else await answer)


async def _explained(
    services: Services, collection: str, body: bytes, actor: Actor, ip: str
) -> Answer:
    """The answer of `find` with `explain` beside it; a refusal carries it too."""
    explained = await services.database.explain_find(collection, body, actor, ip)
    try:
        found = await resolve(services.database.handle("find", collection, body, actor, ip))
    except Problem as problem:
        problem.extra = {**(problem.extra or {}), "explain": explained}
        raise
    return Answer(found[:-1] + b',"explain":' + msgspec.json.encode(explained) + b"}")


def verb_endpoint(verb: str) -> Endpoint:
    """The declared route of a verb: where OpenAPI looks, and what answers without the hot path."""

    async def endpoint(call: Call) -> Answer:
        collection = call.params["collection"]
        return await answer_verb(call.services, call.exchange, verb, collection, call.receive)

    return endpoint


async def get_document(call: Call) -> Answer:
    """`get` as a GET, so that an entity tag saves the transfer."""
    exchange, services = call.exchange, call.services
    actor = exchange.actor = await settle(services.callers.actor(exchange))
    services.limits.take_read(actor, exchange.ip)
    require_scope(actor, _READ)
    collection, id = call.params["collection"], call.params["id"]
    body, etag = await resolve(services.database.get_document(collection, id, actor, exchange.ip))
    headers = (JSON, (b"etag", etag.encode()), _NO_CACHE)
    wanted = exchange.text(b"if-none-match")
    if wanted is not None and matches_etag(wanted, etag):
        return Answer(b"", 304, headers)
    return Answer(body, 200, headers)


async def transaction(call: Call) -> Answer:
    exchange, services = call.exchange, call.services
    actor = exchange.actor = await settle(services.callers.actor(exchange))
    services.limits.take_write(actor, exchange.ip)
    require_scope(actor, _WRITE)
    check_json_type(exchange)
    body = await read_body(exchange, call.receive, services.settings.limits.body_bytes)
    key = exchange.text(b"idempotency-key")
    return Answer(await resolve(services.database.transaction(body, actor, exchange.ip, key)))
