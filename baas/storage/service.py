"""The storage service: what the routes call, put together from its parts."""

from __future__ import annotations

from typing import Any, Final

from baas.clock import Clock
from baas.errors import Code, Problem, invalid
from baas.guard import FileGuard
from baas.ports.blobs import BlobStore, UploadForm
from baas.ports.documents import DocumentStore
from baas.schema.filepath import check_path, file_id, is_file_id, path_of
from baas.schema.values import date_from_ms
from baas.settings import Settings
from baas.storage.attributes import content_type_of, metadata_of
from baas.storage.bodies import (
    MAX_ITEMS,
    DeleteFilesBody,
    FileName,
    SignAnswer,
    SignBody,
    SignItem,
    SignResult,
    TransferBody,
    UploadsAnswer,
    UploadsBody,
)
from baas.storage.commit import Committer
from baas.storage.cursors import ListCursors
from baas.storage.links import UPLOAD, Links, part_address
from baas.storage.parts import Caller, KeySource, Parts
from baas.storage.reading import Reading
from baas.storage.sweep import Sweeper
from baas.storage.uploads import Uploads
from baas.storage.writing import Wanted, Writing


class StorageService:
    """`reading`, `writing` and `uploads` take checked values; the methods here check bodies."""

    def __init__(
        self,
        store: DocumentStore,
        blobs: BlobStore,
        guard: FileGuard,
        settings: Settings,
        clock: Clock,
        secret: KeySource,
    ) -> None:
        self.parts: Final = Parts(store, blobs, guard, settings, clock)
        self._links = Links(secret)
        committer = Committer(self.parts)
        self.reading: Final = Reading(self.parts, self._links, ListCursors(secret))
        self.writing: Final = Writing(self.parts, committer)
        self.uploads: Final = Uploads(self.parts, self.writing, committer, self._links)
        self.sweeper: Final = Sweeper(self.parts)

    async def start(self) -> None:
        await self.parts.blobs.start()
        self.sweeper.start()

    async def stop(self) -> None:
        await self.sweeper.stop()
        await self.parts.blobs.close()

    async def check(self) -> None:
        """Problem(UNAVAILABLE) unless the bytes of files can be reached now."""
        await self.parts.blobs.check()

    def wanted(self, path: str, content_type: str | None, metadata: Any, caller: Caller) -> Wanted:
        """A file that the caller wants to be; INVALID_ARGUMENT, LIMIT_EXCEEDED."""
        parts = self.parts
        now_ms = parts.clock.now_ms()
        return Wanted(
            path=check_path(path),
            content_type=content_type_of(content_type, path),
            metadata=metadata_of(metadata, parts.limits, now_ms=now_ms),
            openid=caller.actor.uid,
        )

    async def begin_upload(self, body: UploadsBody, caller: Caller) -> UploadsAnswer:
        path = self.parts.path_named(body.path, body.file_id)
        wanted = self.wanted(path, body.content_type, body.metadata, caller)
        return await self.uploads.begin(wanted, body.size, caller)

    async def transfer(self, body: TransferBody, caller: Caller, *, move: bool) -> bytes:
        source, target = self._named(body.from_, "from"), self._named(body.to, "to")
        return await self.writing.transfer(source, target, caller, move=move)

    def _named(self, name: str, where: str) -> str:
        return path_of(self.parts.app, name, where) if is_file_id(name) else check_path(name, where)

    async def delete(self, body: DeleteFilesBody, caller: Caller) -> bytes:
        return await self.writing.delete(self._paths(list(body.files)), caller)

    # -- links ------------------------------------------------------------------------------------

    async def sign(self, body: SignBody, caller: Caller, base: str) -> SignAnswer:
        """Each file by itself. `base` is the address of this gateway."""
        paths = self._paths(list(body.files))
        for place, item in enumerate(body.files):
            _check_form(item, f"files.{place}")
        found = []
        for path, item in zip(paths, body.files, strict=True):
            try:
                found.append(await self._sign(path, item, caller, base))
            except Problem as refusal:
                code, detail = refusal.public.name, refusal.detail
                found.append(SignResult(path=path, code=code, detail=detail))
        return SignAnswer(found)

    async def _sign(self, path: str, item: SignItem, caller: Caller, base: str) -> SignResult:
        if item.operation == "read":
            return await self.reading.sign(path, item, caller, base)
        return await self._sign_upload(path, item, caller, base)

    async def _sign_upload(
        self, path: str, item: SignItem, caller: Caller, base: str
    ) -> SignResult:
        """An upload whose one part anybody may send who has the link: to the store itself where
        it takes such forms, else to this gateway. The link dies with the upload at the latest."""
        assert item.size is not None
        wanted = self.wanted(path, item.content_type, item.metadata, caller)
        begun = await self.uploads.begin(wanted, item.size, caller, whole=True)
        expires = self.parts.clock.now_ms() // 1000 + item.expires
        form = self.parts.blobs.form_to_send(
            begun.upload_id,
            size=item.size,
            content_type=wanted.content_type,
            seconds=item.expires,
        )
        if form is None:
            query = self._links.query(UPLOAD, begun.upload_id, "", expires)
            form = UploadForm(f"{base}{part_address(begun.upload_id, 1)}?{query}", {})
        return SignResult(
            path=path,
            file_id=self.file_id(path),
            upload_id=begun.upload_id,
            url=form.url,
            method="POST",
            fields=form.fields,
            expires_at=date_from_ms(expires * 1000),
        )

    def file_id(self, path: str) -> str:
        return file_id(self.parts.app, path)

    def _paths(self, files: list[FileName]) -> list[str]:
        if len(files) > MAX_ITEMS:
            raise Problem(Code.LIMIT_EXCEEDED, f"files: at most {MAX_ITEMS} at once.")
        return [
            self.parts.path_named(item.path, item.file_id, f"files.{place}.")
            for place, item in enumerate(files)
        ]


def _check_form(item: SignItem, where: str) -> None:
    if item.operation == "upload":
        if item.size is None:
            raise invalid(f"{where}.size", "is required to upload")
        return
    for name, value in (
        ("size", item.size),
        ("contentType", item.content_type),
        ("metadata", item.metadata),
    ):
        if value is not None:
            raise invalid(f"{where}.{name}", "is for uploads")
