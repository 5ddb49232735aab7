"""What every call works with: the parts of the service, and the facts of one call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

import msgspec

from baas.clock import Clock
from baas.errors import Code, FieldError, Problem
from baas.guard import FileGuard, RequestFacts
from baas.ports.blobs import BlobStore
from baas.ports.documents import DocumentStore, Once, StepResult, WriteInfo, resolve
from baas.schema.actor import Actor
from baas.schema.filepath import check_path, path_of, row_id
from baas.schema.values import Document, decode
from baas.settings import Settings
from baas.storage.rows import FILES

#: Makes the store's instruction for an Idempotency-Key out of how the answer is rendered; None
#: where no key counts.
OnceFor: TypeAlias = Callable[[Callable[[tuple[StepResult, ...]], bytes]], Once | None]


#: Those of some blobs to which no row refers.
Unused: TypeAlias = Callable[[list[str]], Awaitable[set[str]]]


class KeySource(Protocol):
    """`baas.secret.MasterSecret`, as far as it is needed here."""

    def derive(self, purpose: str) -> bytes: ...


class Caller(msgspec.Struct, frozen=True):
    """Who asks, from where, and the Idempotency-Key of the request. `origin` is who is behind it
    where that is not the actor: functions write with rights that are not their caller's."""

    actor: Actor
    ip: str = ""
    once: OnceFor | None = None
    origin: WriteInfo | None = None

    @property
    def info(self) -> WriteInfo:
        """For the change feed."""
        return self.origin or WriteInfo(actor=self.actor.uid)


class Parts:
    """The storage service's parts. One per process; holds no request's state."""

    def __init__(
        self,
        store: DocumentStore,
        blobs: BlobStore,
        guard: FileGuard,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.store: Final = store
        self.blobs: Final = blobs
        self.guard: Final = guard
        self.clock: Final = clock
        self.limits: Final = settings.limits
        self.settings: Final = settings.storage
        self.app: Final = settings.app.name
        #: Told of each blob that is gone: what was made of it goes too.
        self.forgetting: Final[list[Callable[[str], Awaitable[None]]]] = []
        #: Asked by the sweep to remove what they keep of blobs that are `Unused`.
        self.sweeping: Final[list[Callable[[Unused], Awaitable[int]]]] = []

    async def drop(self, blob: str) -> None:
        """Deletes a blob to which no row refers."""
        await self.blobs.delete(blob)
        for forget in self.forgetting:
            await forget(blob)

    def facts(self, caller: Caller) -> RequestFacts:
        return RequestFacts(time_ms=self.clock.now_ms(), ip=caller.ip)

    async def row(self, path: str) -> Document | None:
        found = await resolve(self.store.get(FILES, row_id(path)))
        return None if found is None else decode(found)

    def path_named(self, path: str | None, file_id: str | None, where: str = "") -> str:
        """The one path that a body names; INVALID_ARGUMENT."""
        if (path is None) == (file_id is None):
            raise one_of(where)
        if path is not None:
            return check_path(path, f"{where}path")
        assert file_id is not None
        return path_of(self.app, file_id, f"{where}fileId")


def one_of(where: str) -> Exception:
    message = "exactly one of path and fileId is needed"
    faults = tuple(FieldError(f"{where}{name}", message) for name in ("path", "fileId"))
    return Problem(Code.INVALID_ARGUMENT, f"{message[0].upper()}{message[1:]}.", errors=faults)
