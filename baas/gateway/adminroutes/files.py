"""`/v1/admin/storage`: files as folders, for the panel."""

from __future__ import annotations

from typing import Final

from baas.errors import invalid
from baas.gateway.adminroutes.table import Body, admin_route
from baas.gateway.route import Route
from baas.gateway.services import Services
from baas.schema.actor import Actor
from baas.storage.folders import FolderPage, folder_page


class FolderBody(Body, frozen=True):
    """`folder` is empty or ends in `/`; `after` the `next` of the page before."""

    folder: str = ""
    after: str | None = None


async def _folder(services: Services, actor: Actor, body: FolderBody) -> FolderPage:
    if body.folder and not body.folder.endswith("/"):
        raise invalid("folder", "ends in /")
    if body.after is not None and not body.after.startswith(body.folder):
        raise invalid("after", "is not of this folder")
    parts = services.storage.parts
    return await folder_page(parts.store, parts.app, body.folder, body.after)


ROUTES: Final[tuple[Route, ...]] = (
    admin_route(
        "storage/folder",
        "What lies in a folder: files and folders",
        "storage:read",
        _folder,
        FolderBody,
        FolderPage,
    ),
)
