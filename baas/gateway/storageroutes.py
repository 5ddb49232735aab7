"""The storage part of the route table."""

from __future__ import annotations

from typing import Any, Final

from baas.errors import Code
from baas.gateway import storage
from baas.gateway.downloads import download
from baas.gateway.route import Endpoint, Route
from baas.storage import bodies

_FORM: Final = "multipart/form-data"
_WRITING: Final = (Code.LIMIT_EXCEEDED, Code.TRANSACTION_CONFLICT, Code.QUERY_TIMEOUT)
_KEYED: Final = (Code.IDEMPOTENCY_MISMATCH, Code.IDEMPOTENCY_IN_PROGRESS)
_UPLOADING: Final = (*_WRITING, Code.QUOTA_EXCEEDED, Code.PAYLOAD_TOO_LARGE)

#: A link's parameters, for the description of routes that take one.
_SIGNATURE: Final[tuple[dict[str, Any], ...]] = tuple(
    {
        "name": name,
        "in": "query",
        "required": False,
        "description": "Of a link that `sign` made.",
        "schema": {"type": "string"},
    }
    for name in ("expires", "version", "signature")
)


def _post(
    path: str,
    name: str,
    endpoint: Endpoint,
    summary: str,
    body: Any,
    answer: Any,
    codes: tuple[Code, ...],
    **more: Any,
) -> Route:
    return Route(
        method="POST",
        path=f"/v1/storage/{path}",
        name=f"storage.{name}",
        endpoint=endpoint,
        access="anyone",
        summary=summary,
        tag="storage",
        body=body,
        answer=answer,
        codes=codes,
        **more,
    )


STORAGE: Final[tuple[Route, ...]] = (
    _post(
        "upload",
        "upload",
        storage.upload,
        "Upload a file",
        storage.UploadFormBody,
        bodies.File,
        _UPLOADING,
        body_media=_FORM,
        description=(
            "A form, as wx.uploadFile sends it: fields first, the file last. The file is there once"
            " it is whole, and replaces one of the same path in one step."
        ),
    ),
    _post(
        "uploads",
        "uploads",
        storage.begin_upload,
        "Begin an upload in parts",
        bodies.UploadsBody,
        bodies.UploadsAnswer,
        _UPLOADING,
        recorded=("path", "fileId"),
    ),
    _post(
        "uploads/{id:str}/parts/{n:str}",
        "part",
        storage.upload_part,
        "Send one part of an upload",
        storage.PartBody,
        bodies.PartAnswer,
        (*_WRITING, Code.NOT_FOUND),
        body_media=_FORM,
        query=_SIGNATURE,
        description=(
            "The bytes as a form's `file`, or as they are under any other content type. A repeat"
            " replaces the part."
        ),
    ),
    _post(
        "uploads/{id:str}/complete",
        "complete",
        storage.complete_upload,
        "Make a file of the parts",
        bodies.CompleteBody,
        bodies.File,
        (*_UPLOADING, *_KEYED, Code.NOT_FOUND),
        idempotent=True,
    ),
    _post(
        "sign",
        "sign",
        storage.sign,
        "Links that read or upload without a token",
        bodies.SignBody,
        bodies.SignAnswer,
        (Code.LIMIT_EXCEEDED,),
    ),
    Route(
        method="GET",
        path="/v1/storage/files/{path:path}",
        name="storage.download",
        endpoint=download,
        access="anyone",
        summary="Download a file",
        description="By rule, or by a link's signature. One range, entity tags, HEAD.",
        tag="storage",
        media="application/octet-stream",
        codes=(Code.NOT_FOUND, Code.RANGE_NOT_SATISFIABLE, Code.NOT_SUPPORTED),
        query=_SIGNATURE,
    ),
    _post(
        "stat",
        "stat",
        storage.stat,
        "What is known of a file",
        bodies.FileName,
        bodies.File,
        (Code.NOT_FOUND,),
    ),
    _post(
        "list",
        "list",
        storage.list_files,
        "Files whose paths begin alike",
        bodies.ListBody,
        bodies.ListAnswer,
        (Code.LIMIT_EXCEEDED, Code.CURSOR_INVALID, Code.QUERY_TIMEOUT),
    ),
    _post(
        "delete",
        "delete",
        storage.delete,
        "Delete files, each by itself",
        bodies.DeleteFilesBody,
        bodies.DeleteFilesAnswer,
        (*_WRITING, *_KEYED),
        idempotent=True,
        recorded=("files",),
    ),
    _post(
        "copy",
        "copy",
        storage.copy,
        "Copy a file",
        bodies.TransferBody,
        bodies.File,
        (*_UPLOADING, *_KEYED, Code.NOT_FOUND),
        idempotent=True,
        recorded=("from", "to"),
    ),
    _post(
        "move",
        "move",
        storage.move,
        "Move a file",
        bodies.TransferBody,
        bodies.File,
        (*_UPLOADING, *_KEYED, Code.NOT_FOUND),
        idempotent=True,
        recorded=("from", "to"),
    ),
)
