"""Uploads in parts: begun, sent piece by piece in any order, made a file by `complete` alone.

An upload is its owner's. One that nobody owns, where rules let strangers write, belongs to whoever
knows its id, which cannot be guessed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from baas.errors import Code, Problem, invalid, not_found
from baas.ports.blobs import MAX_PARTS, UPLOAD_PATTERN, BlobMissing, Digest, new_key, new_upload
from baas.ports.documents import (
    DELETE,
    Change,
    Find,
    Insert,
    Lookups,
    Outcome,
    resolve,
)
from baas.query.ast import Eq, Field
from baas.schema.values import Document, date_from_ms, date_to_ms, decode, encode
from baas.storage.attributes import Checksums
from baas.storage.bodies import PartAnswer, UploadsAnswer
from baas.storage.commit import Committer, over_quota
from baas.storage.links import UPLOAD, Links, Signature
from baas.storage.parts import Caller, Parts
from baas.storage.rows import UPLOADS
from baas.storage.writing import Wanted, Writing

_HOUR_MS: Final = 3_600_000
#: Every upload may have so many parts; more only where they are of some size on average, since
#: each part costs a file and a look at all the others.
FREE_PARTS: Final = 100
AVERAGE_PART_BYTES: Final = 256 * 1024
#: Uploads that one process puts together at once: each reads and writes a whole file.
JOINED_AT_ONCE: Final = 4


class Uploads:
    def __init__(self, parts: Parts, writing: Writing, committer: Committer, links: Links) -> None:
        self._parts = parts
        self._writing = writing
        self._committer = committer
        self._links = links
        self._arriving: dict[str, Arriving] = {}
        self._completing: dict[str, Turns] = {}
        self._joining = asyncio.Semaphore(JOINED_AT_ONCE)

    async def begin(
        self, wanted: Wanted, size: int, caller: Caller, *, whole: bool = False
    ) -> UploadsAnswer:
        """A new upload; the rule is asked now and again when it is completed. `whole`: its one
        part may be the file."""
        parts = self._parts
        await self._writing.admit(wanted, (size,), caller)
        least = size if whole else -(-size // MAX_PARTS)
        part_size = max(parts.settings.part_bytes, least)
        await self._check_open(wanted.openid, size, caller)
        upload = new_upload()
        expires = date_from_ms(parts.clock.now_ms() + parts.settings.upload_hours * _HOUR_MS)
        document = {
            "_id": upload,
            "path": wanted.path,
            "size": size,
            "contentType": wanted.content_type,
            "metadata": wanted.metadata,
            "openid": wanted.openid,
            "partSize": part_size,
            "expires": expires,
        }
        step = Insert(collection=UPLOADS, id=upload, document=document, body=encode(document))
        await parts.store.write((step,), caller.info)
        return UploadsAnswer(upload_id=upload, part_size=part_size, expires_at=expires)

    async def _check_open(self, openid: str | None, size: int, caller: Caller) -> None:
        """Unfinished uploads are bounded in number, and with what their owner holds already by
        the quota: their bytes are kept too."""
        settings, store = self._parts.settings, self._parts.store
        most, filter = settings.uploads_open, Field(("openid",), Eq(openid))
        open_ones = Find(collection=UPLOADS, filter=filter, limit=most)
        found = [decode(row) for row in await resolve(store.find(open_ones))]
        if len(found) >= most:
            raise Problem(Code.LIMIT_EXCEEDED, f"{most} uploads are unfinished; complete some.")
        quota = settings.quota_bytes
        if not quota or openid is None or caller.actor.trusted:
            return
        if size + sum(one["size"] for one in found) > quota:
            raise over_quota(quota)

    async def find(self, upload: str, caller: Caller, link: Signature | None = None) -> Document:
        """The upload; NOT_FOUND for what is not there, over, or another's."""
        now_ms = self._parts.clock.now_ms()
        if link is not None:
            self._links.check(UPLOAD, upload, link, now_ms)
        if not UPLOAD_PATTERN.fullmatch(upload):
            raise no_upload()
        found = await resolve(self._parts.store.get(UPLOADS, upload))
        document: Document | None = None if found is None else decode(found)
        if document is None or date_to_ms(document["expires"]) <= now_ms:
            raise no_upload()
        is_owner = document["openid"] == caller.actor.uid
        if not (link is not None or is_owner or caller.actor.trusted):
            raise no_upload()
        return document

    async def put_part(
        self,
        upload: Document,
        number: int,
        data: AsyncIterator[bytes],
        checksums: Checksums,
    ) -> PartAnswer:
        """One part; a repeat replaces it. INVALID_ARGUMENT where the parts would come to more
        than the file was to have, PAYLOAD_TOO_LARGE for a part beyond `partSize`."""
        most = _most_parts(upload["size"])
        if not 1 <= number <= most:
            raise invalid("n", f"the parts of this upload are numbered from 1 to {most}")
        with self._arrival(upload["_id"], number) as arriving:
            present = await self._parts.blobs.parts(upload["_id"])
            arriving.stored.update({part.number: part.size for part in present})
            bounded = _bounded(data, upload, number, arriving, checksums)
            digest = await self._parts.blobs.put_part(upload["_id"], number, bounded)
            arriving.stored[number] = digest.size
            return PartAnswer(number=number, size=digest.size, hash=digest.sha256)

    @contextmanager
    def _arrival(self, upload: str, number: int) -> Iterator[Arriving]:
        """What all who send parts of this upload now have in common, so that together they send
        no more than it may have."""
        arriving = self._arriving.setdefault(upload, Arriving())
        arriving.senders += 1
        try:
            yield arriving
        finally:
            arriving.coming.pop(number, None)
            arriving.senders -= 1
            if not arriving.senders:
                self._arriving.pop(upload, None)

    async def complete(self, upload: str, caller: Caller) -> bytes:
        """Makes the file; its JSON. INVALID_ARGUMENT unless all parts are there. Who completes an
        upload that is being completed waits: each try would make a copy of all its bytes."""
        turns = self._completing.setdefault(upload, Turns())
        turns.waiting += 1
        try:
            async with turns.lock:
                return await self._complete_once(upload, caller)
        finally:
            turns.waiting -= 1
            if not turns.waiting:
                self._completing.pop(upload, None)

    async def _complete_once(self, upload: str, caller: Caller) -> bytes:
        try:
            document = await self.find(upload, caller)
        except Problem as refusal:
            return await self._committer.replay(caller, refusal)
        key = new_key()
        async with self._committer.releasing(key):
            return await self._complete(document, key, caller)

    async def _complete(self, document: Document, key: str, caller: Caller) -> bytes:
        upload = document["_id"]
        blobs = self._parts.blobs
        wanted = _wanted(document)
        await self._check_whole(document)
        await self._writing.admit(wanted, (document["size"],), caller)
        if document["size"] == 0:
            digest = await blobs.put(key, _nothing())
        else:
            try:
                async with self._joining:
                    digest = await blobs.join(upload, key)
            except BlobMissing:
                raise no_upload() from None
        if digest.size != document["size"]:
            raise invalid("", "the parts changed while they were put together")
        taken = Change(collection=UPLOADS, id=upload, apply=_take)
        answer = await self._writing.commit(wanted, key, digest, caller, (taken,))
        await blobs.abort(upload)
        return answer

    async def _check_whole(self, document: Document) -> None:
        present = await self._parts.blobs.parts(document["_id"])
        if [part.number for part in present] != list(range(1, len(present) + 1)):
            raise invalid("", "parts are missing in between")
        size = sum(part.size for part in present)
        if size != document["size"]:
            raise invalid("", f"the parts have {size} bytes, the file has {document['size']}")


def _take(document: Document | None, lookups: Lookups) -> Outcome:
    """Of two who complete one upload, the second finds nothing."""
    if document is None:
        raise no_upload()
    return DELETE


def _wanted(document: Document) -> Wanted:
    return Wanted(
        path=document["path"],
        content_type=document["contentType"],
        metadata=document["metadata"],
        openid=document["openid"],
    )


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece


class Turns:
    """Those who complete one upload now, one after the other; `waiting` with who has the turn."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


class Arriving:
    """Parts of one upload that are being sent now: bytes by number, of those that have come
    whole and of those that are coming."""

    def __init__(self) -> None:
        self.senders = 0
        self.stored: dict[int, int] = {}
        self.coming: dict[int, int] = {}

    def total(self) -> int:
        """What there would be if each of them came to an end now."""
        return sum({**self.stored, **self.coming}.values())


def _most_parts(size: int) -> int:
    return min(MAX_PARTS, max(FREE_PARTS, -(-size // AVERAGE_PART_BYTES)))


async def _bounded(
    data: AsyncIterator[bytes],
    upload: Document,
    number: int,
    arriving: Arriving,
    checksums: Checksums,
) -> AsyncIterator[bytes]:
    """The bytes, held to their bounds; a false checksum breaks off before they are a part."""
    size, md5, sha256 = 0, hashlib.md5(usedforsecurity=False), hashlib.sha256()
    arriving.coming[number] = 0
    async for piece in data:
        size += len(piece)
        arriving.coming[number] = size
        if size > upload["partSize"]:
            raise Problem(Code.PAYLOAD_TOO_LARGE, f"A part has at most {upload['partSize']} bytes.")
        if arriving.total() > upload["size"]:
            raise invalid("", "the parts come to more than the size that was given")
        if checksums.wanted:
            md5.update(piece)
            sha256.update(piece)
        yield piece
    if checksums.wanted:
        checksums.verify(Digest(size, sha256.hexdigest(), md5.hexdigest()))


def no_upload() -> Problem:
    return not_found("There is no such upload.")
