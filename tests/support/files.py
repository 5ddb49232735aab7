"""A storage service beside a bench, and files put into it without a gateway."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from baas.clock import Clock
from baas.engines.local.store import LocalBlobs
from baas.engines.sqlite.store import SqliteStore
from baas.guard import FileGuard
from baas.rules.storagefile import StorageRules, load_storage_rules
from baas.schema.actor import SERVER, Actor
from baas.settings import Settings
from baas.storage.attributes import Checksums
from baas.storage.parts import Caller
from baas.storage.service import StorageService
from tests.support.database import SECRET


def storage_of(
    store: SqliteStore, folder: Path, clock: Clock, settings: Settings | None = None
) -> StorageService:
    """Its blobs below `folder`; no rules, so that only the server's rights reach a file."""
    blobs = LocalBlobs(folder / "blobs")
    guard = FileGuard(StorageRules())
    return StorageService(store, blobs, guard, settings or Settings(), clock, SECRET)


def file_rules(text: str) -> StorageRules:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "_storage.yaml").write_text(text, encoding="utf-8")
        return load_storage_rules(Path(folder))


async def put(
    storage: StorageService, path: str, data: bytes, actor: Actor = SERVER, **named: Any
) -> dict[str, Any]:
    """The file, as an upload in one request makes it."""
    caller = Caller(actor)
    wanted = storage.wanted(path, named.get("content_type"), named.get("metadata"), caller)
    body = await storage.writing.upload(wanted, pieces(data), Checksums(), caller)
    answer: dict[str, Any] = json.loads(body)
    return answer


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece
