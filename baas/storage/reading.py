"""Reading: one file's row, its bytes, lists, links. Every way asks the same rule, or a link."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from baas.errors import Code, Problem, denied
from baas.guard import settled
from baas.guard.files import no_file
from baas.guard.plans import REFUSAL
from baas.ports.blobs import BlobMissing, BlobReader
from baas.ports.documents import Find, KnownLookups, resolve
from baas.query.ast import Field, Range, SortKey
from baas.query.expr import FALSE
from baas.rules.storagefile import FileOperation
from baas.schema.filepath import check_prefix
from baas.schema.values import Document, date_from_ms, decode
from baas.storage.bodies import File, ListAnswer, ListBody, SignItem, SignResult
from baas.storage.cursors import ListCursors, binding_of
from baas.storage.links import READ, Links, Signature, file_address
from baas.storage.parts import Caller, Parts
from baas.storage.rows import FILES, disposition_of, file_of

log = logging.getLogger("baas.storage")

#: Files that one page of a list looks at, visible or not.
MAX_EXAMINED: Final = 2_000
_FETCH: Final = 500
_BY_PATH: Final = (SortKey(("path",)), SortKey(("_id",)))
_ATTEMPTS: Final = 5


class Opened(msgspec.Struct, frozen=True, eq=False):
    """A file to be sent. `link_expires` where a link opened it, in seconds since 1970."""

    row: Document
    link_expires: int | None = None


class Reading:
    def __init__(self, parts: Parts, links: Links, cursors: ListCursors) -> None:
        self._parts = parts
        self._links = links
        self._cursors = cursors

    async def row(self, path: str, caller: Caller) -> Document:
        """NOT_FOUND alike for what is not there and what the rules hide."""
        parts = self._parts
        stored = await parts.row(path)
        facts = parts.facts(caller)
        return await settled(
            parts.store, lambda known: parts.guard.check_read(stored, caller.actor, facts, known)
        )

    async def stat(self, path: str, caller: Caller) -> File:
        return file_of(self._parts.app, await self.row(path, caller))

    # -- bytes ------------------------------------------------------------------------------------

    async def find(self, path: str, caller: Caller, link: Signature | None) -> Opened:
        """The row of a file that may be downloaded, by rule or by link."""
        if link is None:
            return Opened(await self.row(path, caller))
        self._links.check(READ, path, link, self._parts.clock.now_ms())
        row = await self._parts.row(path)
        if row is None or row["generation"] != link.version:
            raise no_file()
        return Opened(row, link.expires)

    async def open(self, row: Document, start: int, end: int) -> BlobReader | None:
        """The bytes of this very row; None where it has been replaced since it was read."""
        try:
            return await self._parts.blobs.open(row["blob"], start, end)
        except BlobMissing:
            now = await self._parts.row(row["path"])
            if now is not None and now["blob"] == row["blob"]:
                log.error("the bytes of a file are missing: blob %s", row["blob"])
                raise Problem(Code.INTERNAL, "The file's bytes cannot be read.") from None
            return None

    # -- lists ------------------------------------------------------------------------------------

    async def page(self, body: ListBody, caller: Caller) -> ListAnswer:
        """Files that the caller may list, in order of path."""
        parts = self._parts
        prefix = check_prefix(body.prefix)
        if body.limit > parts.limits.find_max:
            raise Problem(Code.LIMIT_EXCEEDED, f"limit: at most {parts.limits.find_max}.")
        self._check_any(caller)
        binding = binding_of(caller.actor, prefix, parts.guard.rules.revision)
        position = None if body.after is None else self._cursors.open(body.after, binding)
        page = _Page(body.limit)
        lookups = KnownLookups()
        while True:
            rows = await self._rows(prefix, position)
            for row in rows:
                if not row["path"].startswith(prefix):
                    return ListAnswer(files=page.files, next=None)
                if await self._listed(row, caller, lookups):
                    page.files.append(file_of(parts.app, row))
                position = row["path"]
                page.examined += 1
                if page.is_full:
                    return ListAnswer(files=page.files, next=self._cursors.seal(position, binding))
            if len(rows) < _FETCH:
                return ListAnswer(files=page.files, next=None)

    def _check_any(self, caller: Caller) -> None:
        """PERMISSION_DENIED where no file at all could be listed, whatever it is called."""
        operation = FileOperation.LIST
        rules = [entry.rules.get(operation) for entry in self._parts.guard.rules.entries]
        if not caller.actor.trusted and all(
            rule is None or rule.rule.expr == FALSE for rule in rules
        ):
            raise denied(REFUSAL)

    async def _rows(self, prefix: str, position: str | None) -> list[Document]:
        begin = Field(("path",), Range("gte" if position is None else "gt", position or prefix))
        found = await resolve(
            self._parts.store.find(
                Find(collection=FILES, filter=begin, sort=_BY_PATH, limit=_FETCH)
            )
        )
        return [decode(body) for body in found]

    async def _listed(self, row: Document, caller: Caller, lookups: KnownLookups) -> bool:
        parts = self._parts
        facts = parts.facts(caller)
        return await settled(
            parts.store,
            lambda known: parts.guard.allows(FileOperation.LIST, row, caller.actor, facts, known),
            lookups,
        )

    # -- links ------------------------------------------------------------------------------------

    async def sign(self, path: str, item: SignItem, caller: Caller, base: str) -> SignResult:
        """A link to a file that the caller may read now."""
        row = await self.row(path, caller)
        expires = self._parts.clock.now_ms() // 1000 + item.expires
        url = self._parts.blobs.link_to_read(
            row["blob"],
            seconds=item.expires,
            content_type=row["contentType"],
            disposition=disposition_of(row),
        )
        if url is None:
            query = self._links.query(READ, path, row["generation"], expires)
            url = f"{base}{file_address(path)}?{query}"
        return SignResult(
            path=path,
            file_id=file_of(self._parts.app, row).file_id,
            url=url,
            expires_at=date_from_ms(expires * 1000),
        )


class _Page:
    def __init__(self, limit: int) -> None:
        self.files: list[File] = []
        self.examined = 0
        self._limit = limit

    @property
    def is_full(self) -> bool:
        return len(self.files) >= self._limit or self.examined >= MAX_EXAMINED
