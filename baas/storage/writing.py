"""Uploads in one request, and what happens to files afterwards: copy, move, delete."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable

import msgspec

from baas.errors import Code, Problem, invalid
from baas.guard import settled
from baas.ports.blobs import Digest, new_key
from baas.ports.documents import Lookups, Step, resolve
from baas.schema.filepath import file_id
from baas.schema.values import Document, decode
from baas.storage.attributes import Checksums
from baas.storage.bodies import DeleteFilesAnswer, FileResult
from baas.storage.commit import Committer, Plan, RowChange, over_quota
from baas.storage.parts import Caller, Parts
from baas.storage.rows import USAGE, file_of, new_row, usage_id

_encode = msgspec.json.Encoder().encode


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A file to be. `openid` is whose it becomes where it replaces none; `replaces` the hash of
    the one file that it may replace, None: any, or none."""

    path: str
    content_type: str
    metadata: Document
    openid: str | None
    replaces: str | None = None


class Writing:
    def __init__(self, parts: Parts, committer: Committer) -> None:
        self._parts = parts
        self._committer = committer
        self._coming: Counter[str] = Counter()

    # -- uploads ----------------------------------------------------------------------------------

    async def admit(self, wanted: Wanted, sizes: tuple[int, ...], caller: Caller) -> None:
        """Refuses an upload before its bytes: too large, over the quota, or against the rules for
        every one of the sizes that it may have."""
        parts = self._parts
        if min(sizes) > parts.settings.file_bytes:
            raise too_large(parts.settings.file_bytes)
        stored = await parts.row(wanted.path)
        refusal: Problem | None = None
        for size in sizes:
            try:
                await self._check_write(self._row(wanted, size, stored), stored, caller)
                await self._check_quota(wanted, min(sizes), stored, caller)
                return
            except Problem as problem:
                refusal = problem
        assert refusal is not None
        raise refusal

    async def upload(
        self,
        wanted: Wanted,
        data: AsyncIterator[bytes],
        checksums: Checksums,
        caller: Caller,
    ) -> bytes:
        """Stores the bytes, then makes the file, or replaces it. Until the last step nobody can
        see anything of it."""
        key = new_key()
        stored = await self._parts.row(wanted.path)
        owner = self._payer(wanted, stored, caller)
        room = 0 if owner is None else await self._room(owner, stored)
        async with self._committer.releasing(key):
            digest = await self._parts.blobs.put(key, self._bounded(data, owner, room))
            checksums.verify(digest)
            return await self.commit(wanted, key, digest, caller)

    async def commit(
        self,
        wanted: Wanted,
        key: str,
        digest: Digest,
        caller: Caller,
        others: tuple[Step, ...] = (),
    ) -> bytes:
        """The file, with bytes that are stored already; the answer's JSON."""
        parts = self._parts

        async def plan() -> Plan:
            stored = await parts.row(wanted.path)
            _check_replaced(wanted, stored)
            row = {
                **self._row(wanted, digest.size, stored),
                "hash": digest.sha256,
                "blob": key,
            }
            await self._check_write(row, stored, caller)
            change = RowChange(
                path=wanted.path,
                before=stored,
                after=row,
                ask=self._asking(row, stored, caller),
            )
            return Plan(rows=(change,), answer=_encode(file_of(parts.app, row)), others=others)

        return await self._committer.run(caller, plan)

    def _row(self, wanted: Wanted, size: int, stored: Document | None) -> Document:
        return new_row(
            stored,
            path=wanted.path,
            size=size,
            content_type=wanted.content_type,
            metadata=wanted.metadata,
            openid=wanted.openid,
            now_ms=self._parts.clock.now_ms(),
        )

    async def _bounded(
        self, data: AsyncIterator[bytes], owner: str | None, room: int
    ) -> AsyncIterator[bytes]:
        """The bytes, held to the limit of files and, with all else that comes for this owner now,
        to the room in the quota: each of many uploads at once would fit by itself."""
        size, limit = 0, self._parts.settings.file_bytes
        try:
            async for piece in data:
                size += len(piece)
                if owner is not None:
                    self._coming[owner] += len(piece)
                    if self._coming[owner] > room:
                        raise over_quota(self._parts.settings.quota_bytes)
                if size > limit:
                    raise too_large(limit)
                yield piece
        finally:
            if owner is not None:
                self._coming[owner] -= size
                self._coming += Counter()  # forgets those that are at 0

    def _asking(
        self, row: Document, stored: Document | None, caller: Caller
    ) -> Callable[[Lookups], object]:
        facts = self._parts.facts(caller)
        guard = self._parts.guard

        def ask(lookups: Lookups) -> None:
            guard.check_write(row, stored, caller.actor, facts, lookups)

        return ask

    async def _check_write(self, row: Document, stored: Document | None, caller: Caller) -> None:
        await settled(self._parts.store, self._asking(row, stored, caller))

    async def _check_quota(
        self, wanted: Wanted, size: int, stored: Document | None, caller: Caller
    ) -> None:
        owner = self._payer(wanted, stored, caller)
        freed = 0 if stored is None else stored["size"]
        if owner is not None and size > freed and size > await self._room(owner, stored):
            raise over_quota(self._parts.settings.quota_bytes)

    def _payer(self, wanted: Wanted, stored: Document | None, caller: Caller) -> str | None:
        """Whose quota the file counts against; None where there is none to be held to."""
        if not self._parts.settings.quota_bytes or caller.actor.trusted:
            return None
        owner: str | None = wanted.openid if stored is None else stored["openid"]
        return owner

    async def _room(self, owner: str, stored: Document | None) -> int:
        """What the owner may still have, with what the file that is replaced gives back."""
        found = await resolve(self._parts.store.get(USAGE, usage_id(owner)))
        held: int = 0 if found is None else decode(found)["bytes"]
        freed: int = 0 if stored is None else stored["size"]
        return max(self._parts.settings.quota_bytes - held, 0) + freed

    # -- copy and move ----------------------------------------------------------------------------

    async def transfer(self, source: str, target: str, caller: Caller, *, move: bool) -> bytes:
        """A copy, or a move; the new file's JSON. The bytes are not copied: both rows refer to
        one blob."""
        if source == target:
            raise invalid("to", "is the same file")

        async def plan() -> Plan:
            found = await self._parts.row(source)
            stored = await self._parts.row(target)
            asks_source = self._asking_source(found, caller, move=move)
            original = await settled(self._parts.store, asks_source)
            row = self._transferred(original, target, stored, caller)
            asks_target = self._asking(row, stored, caller)
            await settled(self._parts.store, asks_target)
            gone = None if move else original
            return Plan(
                rows=(
                    RowChange(path=source, before=original, after=gone, ask=asks_source),
                    RowChange(path=target, before=stored, after=row, ask=asks_target),
                ),
                answer=_encode(file_of(self._parts.app, row)),
            )

        return await self._committer.run(caller, plan)

    def _asking_source(
        self, found: Document | None, caller: Caller, *, move: bool
    ) -> Callable[[Lookups], Document]:
        facts = self._parts.facts(caller)
        guard = self._parts.guard

        def ask(lookups: Lookups) -> Document:
            original = guard.check_read(found, caller.actor, facts, lookups)
            if move:
                guard.check_delete(original, caller.actor, facts, lookups)
            return original

        return ask

    def _transferred(
        self, original: Document, target: str, stored: Document | None, caller: Caller
    ) -> Document:
        """Whose it becomes: as in an upload, but the server's own doing changes nobody's file."""
        trusted = caller.actor.trusted
        wanted = Wanted(
            path=target,
            content_type=original["contentType"],
            metadata=original["metadata"],
            openid=original["openid"] if trusted else caller.actor.uid,
        )
        row = self._row(wanted, original["size"], stored)
        return {**row, "hash": original["hash"], "blob": original["blob"]}

    # -- delete -----------------------------------------------------------------------------------

    async def delete(self, paths: list[str], caller: Caller) -> bytes:
        """Each file by itself: one that is refused does not keep the others."""

        async def plan() -> Plan:
            results: list[FileResult] = []
            rows: dict[str, RowChange] = {}
            for path in paths:
                try:
                    if path in rows:
                        await settled(self._parts.store, self._asking_delete(None, caller))
                    found = await self._parts.row(path)
                    ask = self._asking_delete(found, caller)
                    await settled(self._parts.store, ask)
                except Problem as refusal:
                    code, detail = refusal.public.name, refusal.detail
                    results.append(FileResult(path=path, code=code, detail=detail))
                    continue
                rows[path] = RowChange(path=path, before=found, after=None, ask=ask)
                results.append(FileResult(path=path, file_id=file_id(self._parts.app, path)))
            return Plan(rows=tuple(rows.values()), answer=_encode(DeleteFilesAnswer(results)))

        return await self._committer.run(caller, plan)

    def _asking_delete(
        self, found: Document | None, caller: Caller
    ) -> Callable[[Lookups], Document]:
        facts = self._parts.facts(caller)
        guard = self._parts.guard
        return lambda lookups: guard.check_delete(found, caller.actor, facts, lookups)


def _check_replaced(wanted: Wanted, stored: Document | None) -> None:
    if wanted.replaces is not None and (stored is None or stored["hash"] != wanted.replaces):
        raise Problem(Code.TRANSACTION_CONFLICT, "The file is another one by now, or gone.")


def too_large(limit: int) -> Problem:
    return Problem(Code.PAYLOAD_TOO_LARGE, f"A file may have {limit} bytes.")
