"""`/v1/admin/backup`: a backup now, and those that were made so."""

from __future__ import annotations

from typing import Final

import msgspec

from baas.errors import Code
from baas.gateway.adminroutes.table import Nothing, admin_route
from baas.gateway.backups import BackupStatus
from baas.gateway.route import Route
from baas.gateway.services import Services
from baas.schema.actor import Actor


class BackupStarted(msgspec.Struct, frozen=True):
    name: str


async def _status(services: Services, actor: Actor, body: None) -> BackupStatus:
    return await services.panel.backups.status()


async def _start(services: Services, actor: Actor, body: Nothing) -> BackupStarted:
    return BackupStarted(services.panel.backups.start())


ROUTES: Final[tuple[Route, ...]] = (
    admin_route("backup", "Backups on the server", "settings:read", _status, None, BackupStatus),
    admin_route(
        "backup/start",
        "Begin a backup",
        "settings:write",
        _start,
        Nothing,
        BackupStarted,
        Code.CONFLICT,
    ),
)
