"""What a client says of a file: its type, its metadata, its checksums."""

from __future__ import annotations

import re
from base64 import b64encode
from mimetypes import MimeTypes
from typing import Any, Final

import msgspec

from baas.errors import invalid
from baas.ports.blobs import Digest
from baas.schema.admit import DepthLimit, admit_document
from baas.schema.values import Document, encode

MAX_TYPE: Final = 255
MAX_METADATA_BYTES: Final = 2048
UNKNOWN_TYPE: Final = "application/octet-stream"

_WORD: Final = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
_TYPE: Final = re.compile(
    rf'({_WORD}/{_WORD})((?:[ \t]*;[ \t]*{_WORD}=(?:{_WORD}|"[ !#-\[\]-~]*"))*)', re.ASCII
)
# Only the library's own table: what a type means must not depend on the host's files.
_types: Final = MimeTypes()
_types.add_type("image/webp", ".webp")
_types.add_type("image/avif", ".avif")


def content_type_of(given: str | None, path: str, where: str = "contentType") -> str:
    """The type that was said, its name in lower case, else the one that the path's ending means.
    INVALID_ARGUMENT for what is no type."""
    if not given:
        guessed, encoding = _types.guess_type(path.rpartition("/")[2])
        return guessed if guessed is not None and encoding is None else UNKNOWN_TYPE
    match = _TYPE.fullmatch(given.strip())
    if match is None or len(given) > MAX_TYPE:
        raise invalid(where, "is no media type, such as image/png")
    return match[1].lower() + match[2]


def metadata_of(given: Any, limits: DepthLimit, *, now_ms: int) -> Document:
    """The app's own words on a file: a JSON object of at most 2 KiB."""
    if given is None:
        return {}
    admitted = admit_document(given, limits, now_ms=now_ms, path="metadata")
    if len(encode(admitted)) > MAX_METADATA_BYTES:
        raise invalid("metadata", f"has at most {MAX_METADATA_BYTES} bytes of JSON")
    return admitted


class Checksums(msgspec.Struct, frozen=True):
    """What the bytes should come to: the values of Content-MD5 (RFC 1864) and of Content-Digest
    (RFC 9530), where they were sent."""

    md5: str | None = None
    digest: str | None = None

    @property
    def wanted(self) -> bool:
        return self.md5 is not None or self.digest is not None

    def verify(self, found: Digest) -> None:
        """INVALID_ARGUMENT unless the bytes are those meant. Algorithms other than SHA-256 are
        not looked at, as that standard lets us."""
        if self.md5 is not None and self.md5.strip() != _base64(found.md5):
            raise invalid("Content-MD5", "the bytes that came are others")
        wanted = _SHA256.search(self.digest) if self.digest is not None else None
        if wanted is not None and wanted[1] != _base64(found.sha256):
            raise invalid("Content-Digest", "the bytes that came are others")


_SHA256: Final = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]*):", re.ASCII)


def _base64(digest: str) -> str:
    return b64encode(bytes.fromhex(digest)).decode()
