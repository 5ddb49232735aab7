"""An app's engines, opened for a command that moves all they hold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from baas.app import SYSTEM_COLLECTIONS, blob_store, guest_store
from baas.auth.collections import USERS
from baas.cli.common import count, data_folder
from baas.engines.sqlite.lock import own_folder
from baas.engines.sqlite.store import SqliteStore
from baas.errors import ConfigurationError
from baas.functions.triggers.documents import FOLLOWER
from baas.ports.changes import CursorTooOld
from baas.ports.documents import resolve
from baas.rules.load import load_rules
from baas.schema.model import CollectionSpec
from baas.settings import Settings
from baas.storage.rows import FILES
from baas.transfer.place import Engine, Place

#: Events that are looked through at a time.
_PAGE: Final = 1000
#: Collections of the kit whose changes reach functions, as events of their own.
_TOLD: Final = frozenset((FILES, USERS))


def specs_of(folder: Path, settings: Settings) -> dict[str, CollectionSpec]:
    """Every collection that the app's gateway would declare."""
    book = load_rules(folder / settings.app.rules)
    return {**{name: one.spec for name, one in book.collections.items()}, **SYSTEM_COLLECTIONS}


@asynccontextmanager
async def open_place(
    folder: Path, settings: Settings, *, new: bool = False
) -> AsyncIterator[Place]:
    """ConfigurationError while a gateway works with it, and where there is nothing yet unless it
    may be `new`. Nothing expires and nothing is swept while it is open."""
    async with AsyncExitStack() as closers:
        place = data_folder(folder, settings)
        if settings.database.engine == "sqlite":
            if not new and not place.is_dir():
                raise ConfigurationError(f"there is no data folder {place}")
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            closers.callback(own_folder(place).close)
        store = guest_store(folder, settings)
        await store.open()
        closers.push_async_callback(store.close)
        if not isinstance(store, SqliteStore) and (living := await store.jobs.living()):
            raise ConfigurationError(
                f"{count(living, 'gateway')} of this database is still alive; stop it first (one"
                " that was killed counts for a minute)"
            )
        blobs = blob_store(place, settings)
        await blobs.start()
        closers.push_async_callback(blobs.close)
        yield Place(store, blobs)


async def unseen_changes(store: Engine) -> int:
    """Writes that the triggers of functions have not seen yet: they would never run."""
    cursor = await resolve(store.jobs.mark(FOLLOWER))
    if cursor is None:
        return 0
    unseen = 0
    while True:
        try:
            events = await resolve(store.feed.read(cursor, _PAGE))
        except CursorTooOld:
            return unseen
        if not events:
            return unseen
        cursor = events[-1].cursor
        # What the kit writes for itself meets no trigger; of its collections, files and users do.
        unseen += sum(one.collection[0] != "_" or one.collection in _TOLD for one in events)


async def check_seen(store: Engine) -> None:
    """ConfigurationError while there are unseen changes."""
    if unseen := await unseen_changes(store):
        raise ConfigurationError(
            f"{count(unseen, 'change')} have not reached the triggers of functions yet, and would"
            " not where the data goes: start the gateway for a moment, and stop it again"
        )
