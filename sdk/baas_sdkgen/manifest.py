"""The manifest as it comes: JSON that `baas manifest` printed, of this or of another machine."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

#: The newest form that is understood.
VERSION: Final = 1

#: Also the name of packages and files.
_AppName: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
Verdict: TypeAlias = Literal["always", "never", "depends"]


class ManifestError(Exception):
    """It is no manifest, or a newer one; the text says which and where."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Access(_Struct, frozen=True):
    """What one audience could ever do with a collection. Dotted paths."""

    operations: dict[str, Verdict]
    unreadable: tuple[str, ...] = ()
    unwritable: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()


class Collection(_Struct, frozen=True):
    """`schema` None: documents of any shape. `access` by audience."""

    access: dict[str, Access]
    schema: dict[str, Any] | None = None


class Function(_Struct, frozen=True):
    """`event`, `result`: JSON Schemas; None: anything."""

    summary: str = ""
    description: str = ""
    event: dict[str, Any] | None = None
    result: dict[str, Any] | None = None


class Channel(_Struct, frozen=True):
    """A pattern: `room:{id}`."""

    channel: str


class Manifest(_Struct, frozen=True):
    manifest: int
    app: _AppName
    audiences: tuple[str, ...]
    collections: dict[str, Collection]
    functions: dict[str, Function]
    schemas: dict[str, Any] = {}
    channels: tuple[Channel, ...] = ()


class _Version(msgspec.Struct):
    manifest: int


def read_manifest(text: bytes) -> Manifest:
    """ManifestError for anything else."""
    try:
        version = msgspec.json.decode(text, type=_Version).manifest
        if version > VERSION:
            raise ManifestError(
                f"the manifest has form {version}, this generator knows {VERSION}: update it"
            )
        return msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as fault:
        raise ManifestError(f"this is no manifest of an app: {fault}") from None
