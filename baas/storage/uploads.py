"""Uploads in parts: begun, sent piece by piece in any order, made a file by `complete` alone.

An upload is its owner's. One that nobody owns, where rules let strangers write, belongs to whoever
knows its id, which cannot be guessed.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Final

from baas.errors import Code, Problem, invalid, not_found
from baas.ports.blobs import MAX_PARTS, UPLOAD_PATTERN, BlobMissing, Digest, new_key, new_upload
from baas.ports.documents import (
    DELETE,
    Change,
    Insert,
    Lookups,
    Outcome,
    resolve,
)
from baas.query.ast import Eq, Field
from baas.schema.values import Document, date_from_ms, date_to_ms, decode, encode
from baas.storage.attributes import Checksums
from baas.storage.bodies import PartAnswer, UploadsAnswer
from baas.storage.commit import Committer
from baas.storage.links import UPLOAD, Links, Signature
from baas.storage.parts import Caller, Parts
from baas.storage.rows import UPLOADS
from baas.storage.writing import Wanted, Writing

_HOUR_MS: Final = 3_600_000


class Uploads:
    def __init__(self, parts: Parts, writing: Writing, committer: Committer, links: Links) -> None:
        self._parts = parts
        self._writing = writing
        self._committer = committer
        self._links = links

    async def begin(
        self, wanted: Wanted, size: int, caller: Caller, *, whole: bool = False
    ) -> UploadsAnswer:
        """A new upload; the rule is asked now and again when it is completed. `whole`: its one
        part may be the file."""
        parts = self._parts
        await self._writing.admit(wanted, (size,), caller)
        least = size if whole else -(-size // MAX_PARTS)
        part_size = max(parts.settings.part_bytes, least)
        await self._check_open(wanted.openid)
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

    async def _check_open(self, openid: str | None) -> None:
        most = self._parts.settings.uploads_open
        filter = Field(("openid",), Eq(openid))
        if await resolve(self._parts.store.count(UPLOADS, filter)) >= most:
            raise Problem(Code.LIMIT_EXCEEDED, f"{most} uploads are unfinished; complete some.")

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
        if not 1 <= number <= MAX_PARTS:
            raise invalid("n", f"parts are numbered from 1 to {MAX_PARTS}")
        present = await self._parts.blobs.parts(upload["_id"])
        others = sum(part.size for part in present if part.number != number)
        bounded = _bounded(data, upload["partSize"], upload["size"] - others, checksums)
        digest = await self._parts.blobs.put_part(upload["_id"], number, bounded)
        return PartAnswer(number=number, size=digest.size, hash=digest.sha256)

    async def complete(self, upload: str, caller: Caller) -> bytes:
        """Makes the file; its JSON. INVALID_ARGUMENT unless all parts are there."""
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


async def _bounded(
    data: AsyncIterator[bytes], part_size: int, room: int, checksums: Checksums
) -> AsyncIterator[bytes]:
    """The bytes, held to their bounds; a false checksum breaks off before they are a part."""
    size, md5, sha256 = 0, hashlib.md5(usedforsecurity=False), hashlib.sha256()
    async for piece in data:
        size += len(piece)
        if size > part_size:
            raise Problem(Code.PAYLOAD_TOO_LARGE, f"A part has at most {part_size} bytes.")
        if size > room:
            raise invalid("", "the parts come to more than the size that was given")
        if checksums.wanted:
            md5.update(piece)
            sha256.update(piece)
        yield piece
    if checksums.wanted:
        checksums.verify(Digest(size, sha256.hexdigest(), md5.hexdigest()))


def no_upload() -> Problem:
    return not_found("There is no such upload.")
