"""`/v1/admin/audit`: who changed what."""

from __future__ import annotations

from typing import Final

import msgspec

from baas.gateway.adminroutes.table import admin_route
from baas.gateway.audit import MAX_LISTED, AuditEntry, AuditQuery
from baas.gateway.route import Route
from baas.gateway.services import Services
from baas.schema.actor import Actor


class AuditList(msgspec.Struct, frozen=True):
    """The newest first. `next` None: that was the last page."""

    entries: list[AuditEntry]
    next: str | None


async def _list(services: Services, actor: Actor, body: AuditQuery) -> AuditList:
    entries = await services.panel.audit.list(body)
    full = len(entries) >= max(1, min(body.limit, MAX_LISTED))
    return AuditList(entries, entries[-1].id if full else None)


ROUTES: Final[tuple[Route, ...]] = (
    admin_route("audit", "Who changed what", "settings:read", _list, AuditQuery, AuditList),
)
