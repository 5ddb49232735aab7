"""The whole table: every route of the gateway.

What is not here does not exist. Paths outside of the API are the app's public files (`public.py`).
"""

from __future__ import annotations

from typing import Any, Final

from baas.database import bodies
from baas.database.verbs import VERBS, Verb
from baas.errors import Code
from baas.functions.invocations import Invocation
from baas.gateway import admin, database, functions, operations
from baas.gateway.adminroutes import (
    accounts,
    audit,
    backup,
    collections,
    files,
    home,
    pushes,
    rules,
    seeas,
    sources,
    users,
)
from baas.gateway.adminroutes import functions as adminfunctions
from baas.gateway.adminroutes import settings as adminsettings
from baas.gateway.auth import auth_routes
from baas.gateway.realtime import poll
from baas.gateway.route import Route
from baas.gateway.storageroutes import STORAGE
from baas.settings import Settings

_READING: Final = (Code.LIMIT_EXCEEDED, Code.QUERY_TIMEOUT)
_WRITING: Final = (
    Code.VALIDATION_FAILED,
    Code.LIMIT_EXCEEDED,
    Code.NOT_FOUND,
    Code.CONFLICT,
    Code.IDEMPOTENCY_MISMATCH,
    Code.IDEMPOTENCY_IN_PROGRESS,
    Code.QUERY_TIMEOUT,
)


_CODES: Final[dict[str, tuple[Code, ...]]] = {
    "find": (*_READING, Code.CURSOR_INVALID),
    "get": (*_READING, Code.NOT_FOUND),
}


def _verb(verb: Verb) -> Route:
    """The declared route of a verb; its text and Structs are the verb table's."""
    return Route(
        method="POST",
        path=f"/v1/database/{{collection:str}}/{verb.name}",
        name=f"database.{verb.name}",
        endpoint=database.verb_endpoint(verb.name),
        access="anyone",
        summary=verb.summary,
        description=verb.description,
        tag="database",
        body=verb.body,
        answer=verb.answer or dict[str, Any],
        codes=_CODES.get(verb.name, _WRITING if verb.writes else _READING),
        idempotent=verb.writes,
    )


DATABASE: Final[tuple[Route, ...]] = (
    *(_verb(verb) for verb in VERBS.values()),
    Route(
        method="GET",
        path="/v1/database/{collection:str}/documents/{id:str}",
        name="database.document",
        endpoint=database.get_document,
        access="anyone",
        summary="Get one document by id, with an entity tag",
        tag="database",
        answer=dict[str, Any],
        codes=(*_READING, Code.NOT_FOUND),
    ),
    Route(
        method="POST",
        path="/v1/database/transaction",
        name="database.transaction",
        endpoint=database.transaction,
        access="anyone",
        summary="Many operations, all or nothing",
        tag="database",
        body=bodies.TransactionBody,
        answer=bodies.TransactionAnswer,
        codes=(*_WRITING, Code.TRANSACTION_CONFLICT, Code.CURSOR_INVALID),
        idempotent=True,
        recorded=("expect",),
    ),
)

FUNCTIONS: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path="/v1/functions/{name:str}",
        name="functions.call",
        endpoint=functions.call_function,
        access="anyone",
        summary="Call a function",
        description=(
            "The body is the event, the answer the function's result. A function may answer with"
            " problems of its own: a code that is not in this description, and any status of 400"
            " and above."
        ),
        tag="functions",
        body=Any,
        answer=Any,
        accepted=functions.Accepted,
        codes=(
            Code.NOT_FOUND,
            Code.LIMIT_EXCEEDED,
            Code.IDEMPOTENCY_MISMATCH,
            Code.IDEMPOTENCY_IN_PROGRESS,
            Code.FUNCTION_FAILED,
            Code.FUNCTION_TIMEOUT,
            Code.LOOP_DETECTED,
            Code.NOT_SUPPORTED,
        ),
        idempotent=True,
        query=functions.QUERY,
    ),
    Route(
        method="GET",
        path="/v1/functions/invocations/{id:str}",
        name="functions.invocation",
        endpoint=functions.get_invocation,
        access="anyone",
        summary="What became of an asynchronous call",
        description="For its caller and for admin keys; nobody else can tell that it is there.",
        tag="functions",
        answer=Invocation,
        codes=(Code.NOT_FOUND,),
    ),
)

REALTIME: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path="/v1/realtime/poll",
        name="realtime.poll",
        endpoint=poll.poll,
        access="anyone",
        summary="The frames of the WebSocket at /v1/realtime, where sockets do not live",
        description=(
            "Says who it is, opens what it follows from the cursors that it has, and ends with its"
            " answer: as soon as there is news, at the latest after `wait` seconds."
        ),
        tag="realtime",
        body=poll.PollBody,
        answer=poll.PollAnswer,
    ),
)

ADMIN: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/v1/admin/rules",
        name="admin.rules",
        endpoint=admin.rules_status,
        access="admin",
        summary="Which rules are in force",
        tag="admin",
        answer=admin.RulesStatus,
    ),
    *accounts.ROUTES,
    *collections.ROUTES,
    *seeas.ROUTES,
    *rules.ROUTES,
    *home.ROUTES,
    *users.ROUTES,
    *adminsettings.ROUTES,
    *audit.ROUTES,
    *backup.ROUTES,
    *files.ROUTES,
    *pushes.ROUTES,
    *sources.ROUTES,
    *adminfunctions.ROUTES,
)

OPERATIONS: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/.well-known/jwks.json",
        name="operations.jwks",
        endpoint=operations.jwks,
        access="open",
        summary="Public keys of access tokens",
        tag="operations",
        answer=dict[str, Any],
    ),
    Route(
        method="GET",
        path="/healthz",
        name="operations.healthz",
        endpoint=operations.healthz,
        access="open",
        summary="Whether the process is alive",
        tag="operations",
        answer=operations.Health,
    ),
    Route(
        method="GET",
        path="/readyz",
        name="operations.readyz",
        endpoint=operations.readyz,
        access="open",
        summary="Whether the store answers",
        tag="operations",
        answer=operations.Health,
    ),
    Route(
        method="GET",
        path="/metrics",
        name="operations.metrics",
        endpoint=operations.metrics,
        access="open",
        summary="Numbers for Prometheus",
        tag="operations",
        media="text/plain",
    ),
    Route(
        method="GET",
        path="/docs",
        name="operations.docs",
        endpoint=operations.docs_page,
        access="open",
        summary="This description as a page",
        tag="operations",
        documented=False,
    ),
    Route(
        method="GET",
        path="/docs/{file:str}",
        name="operations.docs_file",
        endpoint=operations.docs_page,
        access="open",
        summary="A part of that page",
        tag="operations",
        documented=False,
    ),
)


def all_routes(settings: Settings) -> tuple[Route, ...]:
    return (
        *DATABASE,
        *auth_routes(settings.auth),
        *FUNCTIONS,
        *STORAGE,
        *REALTIME,
        *ADMIN,
        *OPERATIONS,
    )
