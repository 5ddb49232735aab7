"""`/v1/admin/metrics` and `/status`: how the gateway is, and how it was."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import msgspec

from baas import __version__
from baas.errors import Problem
from baas.gateway.adminroutes.table import Body, admin_route
from baas.gateway.history import MAX_MINUTES, MAX_TOP, Point, resident_bytes, top_calls
from baas.gateway.operations import READY_SECONDS
from baas.gateway.route import Route
from baas.gateway.services import Services
from baas.ports.documents import resolve
from baas.schema.actor import Actor

_READ: Final = "settings:read"


class MetricsBody(Body, frozen=True):
    minutes: Annotated[int, msgspec.Meta(ge=5, le=MAX_MINUTES)] = 60


class MetricsAnswer(msgspec.Struct, frozen=True):
    points: list[Point]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`healthy`: both stores answer. `data_bytes` is the size of the data folder; `functions`
    those called most since this process started; `stale` rules or functions whose files differ
    from what is in force."""

    app: str
    version: str
    healthy: bool
    started: int
    workers: int
    connections: int
    watches: int
    collections: int
    functions: list[dict[str, Any]]
    data_bytes: int
    memory_bytes: int
    stale_rules: bool
    functions_error: str


async def _metrics(services: Services, actor: Actor, body: MetricsBody) -> MetricsAnswer:
    return MetricsAnswer(await services.panel.history.points(body.minutes))


async def _status(services: Services, actor: Actor, body: None) -> Status:
    sessions = services.realtime.sessions
    calls = services.functions.service.records.totals
    settings = services.settings
    return Status(
        app=settings.app.name,
        version=__version__,
        healthy=await _healthy(services),
        started=int(services.metrics.started * 1000),
        workers=settings.server.workers,
        connections=len(sessions),
        watches=sessions.watches,
        collections=len(services.guard.book.collections),
        functions=top_calls(calls)[:MAX_TOP],
        data_bytes=await services.panel.history.data_bytes(),
        memory_bytes=resident_bytes(),
        stale_rules=services.rules_stale(),
        functions_error=services.functions.releases.error,
    )


async def _healthy(services: Services) -> bool:
    try:
        async with asyncio.timeout(READY_SECONDS):
            await resolve(services.store.ping())
            await services.storage.check()
    except (TimeoutError, OSError, Problem):
        return False
    return True


ROUTES: Final[tuple[Route, ...]] = (
    admin_route("metrics", "Numbers over time", _READ, _metrics, MetricsBody, MetricsAnswer),
    admin_route("status", "How the gateway is", _READ, _status, None, Status),
)
