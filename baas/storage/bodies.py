"""Bodies and answers of the storage routes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

#: Files that one `sign` or `delete` may name.
MAX_ITEMS = 100
#: How long a link may live, in seconds.
MAX_LINK_SECONDS = 86_400
LINK_SECONDS = 900

Date: TypeAlias = dict[str, str]
_Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
_Limit: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
_LinkSeconds: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=MAX_LINK_SECONDS)]


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a client sends."""


class FileName(_Body, frozen=True, kw_only=True):
    """A file by its `path` or its `fileId`: exactly one of them."""

    path: str | None = None
    file_id: str | None = None


class ListBody(_Body, frozen=True, kw_only=True):
    """`prefix` is the beginning of paths; `after` the cursor of the page before."""

    prefix: str = ""
    limit: _Limit = 100
    after: str | None = None


class DeleteFilesBody(_Body, frozen=True, kw_only=True):
    files: Annotated[list[FileName], msgspec.Meta(min_length=1)]


class SignItem(FileName, frozen=True, kw_only=True):
    """`expires` in seconds from now. To upload: `size` and `contentType` of the file to be."""

    expires: _LinkSeconds = LINK_SECONDS
    operation: Literal["read", "upload"] = "read"
    size: _Size | None = None
    content_type: str | None = None
    metadata: dict[str, Any] | None = None


class SignBody(_Body, frozen=True, kw_only=True):
    files: Annotated[list[SignItem], msgspec.Meta(min_length=1)]


class TransferBody(_Body, frozen=True, kw_only=True):
    """Copy and move: paths, or fileIds."""

    from_: str = msgspec.field(name="from")
    to: str


class UploadsBody(_Body, frozen=True, kw_only=True):
    """An upload in parts to come; `size` of the whole file."""

    path: str | None = None
    file_id: str | None = None
    size: _Size
    content_type: str | None = None
    metadata: dict[str, Any] | None = None


class CompleteBody(_Body, frozen=True, kw_only=True):
    """Nothing: the parts are what they are."""


# -- answers --------------------------------------------------------------------------------------


class File(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A stored file. `hash` is the SHA-256 of its bytes; `openid` whose it is, null: the app's."""

    file_id: str
    path: str
    size: int
    content_type: str
    hash: str
    openid: str | None
    metadata: dict[str, Any]
    create_time: Date
    update_time: Date


class ListAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`next` is null at the end; a page may be short before it."""

    files: list[File]
    next: str | None


class FileResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One file of a `delete`: done, or why not."""

    path: str
    file_id: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


class SignResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One file of a `sign`. To upload: POST the bytes to `url`, then complete `uploadId`."""

    path: str
    file_id: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    expires_at: Date | UnsetType = UNSET
    upload_id: str | UnsetType = UNSET
    method: str | UnsetType = UNSET
    fields: dict[str, str] | UnsetType = UNSET
    code: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


class DeleteFilesAnswer(msgspec.Struct, frozen=True):
    files: list[FileResult]


class SignAnswer(msgspec.Struct, frozen=True):
    files: list[SignResult]


class UploadsAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Parts are numbered from 1 and have `partSize` bytes at most."""

    upload_id: str
    part_size: int
    expires_at: Date


class PartAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A part that is safe now; `hash` is its SHA-256."""

    number: int
    size: int
    hash: str
