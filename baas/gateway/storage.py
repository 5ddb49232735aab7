"""Storage routes, but for downloads (`downloads.py`)."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from baas.auth.scopes import require_scope
from baas.database.bodies import BodyDecoder
from baas.database.idempotency import once
from baas.errors import Code, Problem, invalid
from baas.gateway.actor import settle
from baas.gateway.body import check_json_type, read_body
from baas.gateway.exchange import JSON, NO_STORE, Answer, Exchange
from baas.gateway.forms import MAX_HEAD_BYTES, UploadForm, body_pieces, is_form
from baas.gateway.route import Call, Endpoint
from baas.storage.attributes import Checksums
from baas.storage.bodies import (
    CompleteBody,
    DeleteFilesBody,
    FileName,
    ListBody,
    SignBody,
    TransferBody,
    UploadsBody,
)
from baas.storage.links import Signature, read_signature
from baas.storage.parts import Caller

READ: Final = "storage:read"
WRITE: Final = "storage:write"
MAX_QUERY: Final = 4096
#: What a form adds to its file.
FORM_BYTES: Final = MAX_HEAD_BYTES + 1024

T = TypeVar("T")
_encoder: Final = msgspec.json.Encoder()
_metadata: Final = BodyDecoder(Any)


class UploadFormBody(msgspec.Struct):
    """The fields of an upload's form, in this order; `file` last. `metadata` is a JSON object."""

    path: str
    file: Annotated[str, msgspec.Meta(extra_json_schema={"format": "binary"})]
    metadata: str | msgspec.UnsetType = msgspec.UNSET


class PartBody(msgspec.Struct):
    """A part as a form; or send its bytes as they are."""

    file: Annotated[str, msgspec.Meta(extra_json_schema={"format": "binary"})]


async def _caller(call: Call, scope: str) -> Caller:
    services, exchange = call.services, call.exchange
    actor = exchange.actor = await settle(services.callers.actor(exchange))
    take = services.limits.take_read if scope == READ else services.limits.take_write
    take(actor, exchange.ip)
    require_scope(actor, scope)
    return Caller(actor, exchange.ip)


async def _read(call: Call, decoder: BodyDecoder[T]) -> tuple[T, bytes]:
    check_json_type(call.exchange)
    body = await read_body(call.exchange, call.receive, call.services.body_bytes)
    return decoder(body), body


def _keyed(call: Call, caller: Caller, route: str, body: bytes) -> Caller:
    """With the request's Idempotency-Key, if it counts."""
    key = call.exchange.text(b"idempotency-key")
    limits = call.services.settings.limits

    def once_for(render: Any) -> Any:
        return once(key, caller.actor, route, body, limits, render)

    return Caller(caller.actor, caller.ip, once_for)


def _json(value: Any) -> Answer:
    return Answer(_encoder.encode(value), 200, (JSON, NO_STORE))


def _ready(body: bytes) -> Answer:
    return Answer(body, 200, (JSON, NO_STORE))


# -- uploads --------------------------------------------------------------------------------------


async def upload(call: Call) -> Answer:
    """`POST /v1/storage/upload`: a form with `path`, `metadata?` and, last, `file`."""
    storage = call.services.storage
    caller = await _caller(call, WRITE)
    form = UploadForm(call.exchange, call.receive, ("path", "metadata"))
    _check_length(call.exchange, call.services.settings.storage.file_bytes)
    await form.head()
    if "path" not in form.fields:
        raise invalid("path", "is required, before the file")
    call.exchange.noted = {"path": form.fields["path"]}
    assert form.file is not None
    declared = form.file.header("Content-Type")
    metadata = form.fields.get("metadata")
    wanted = storage.wanted(
        form.fields["path"],
        declared,
        None if metadata is None else _decoded(metadata),
        caller,
    )
    await storage.writing.admit(wanted, form.sizes, caller)
    checksums = Checksums(form.file.header("Content-Md5"), form.file.header("Content-Digest"))
    return _ready(await storage.writing.upload(wanted, form.data(), checksums, caller))


def _decoded(metadata: str) -> Any:
    try:
        return _metadata(metadata.encode())
    except Problem:
        raise invalid("metadata", "is not a JSON object") from None


def _check_length(exchange: Exchange, limit: int) -> None:
    given = exchange.text(b"content-length") or "0"
    if given.isdigit() and int(given) > limit + FORM_BYTES:
        raise Problem(Code.PAYLOAD_TOO_LARGE, f"A file may have {limit} bytes.")


_UPLOADS: Final = BodyDecoder(UploadsBody)
_COMPLETE: Final = BodyDecoder(CompleteBody)


async def begin_upload(call: Call) -> Answer:
    """`POST /v1/storage/uploads`."""
    caller = await _caller(call, WRITE)
    body, _ = await _read(call, _UPLOADS)
    return _json(await call.services.storage.begin_upload(body, caller))


async def upload_part(call: Call) -> Answer:
    """`POST /v1/storage/uploads/{id}/parts/{n}`: the bytes as they are, or a form's `file`."""
    caller = await _caller(call, WRITE)
    storage, exchange = call.services.storage, call.exchange
    number = _number(call.params["n"])
    document = await storage.uploads.find(call.params["id"], caller, link_of(call.query))
    checksums = Checksums(exchange.text(b"content-md5"), exchange.text(b"content-digest"))
    if is_form(exchange):
        form = UploadForm(exchange, call.receive, ())
        await form.head()
        data = form.data()
    else:
        _check_raw(exchange)
        data = body_pieces(call.receive)
    return _json(await storage.uploads.put_part(document, number, data, checksums))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise invalid("n", "is the number of a part, from 1")
    return int(text)


def _check_raw(exchange: Exchange) -> None:
    if exchange.text(b"content-encoding") not in (None, "identity"):
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "Compressed bodies are not accepted.")


async def complete_upload(call: Call) -> Answer:
    """`POST /v1/storage/uploads/{id}/complete`: now it is a file."""
    caller = await _caller(call, WRITE)
    check_json_type(call.exchange)
    body = await read_body(call.exchange, call.receive, call.services.body_bytes)
    _COMPLETE(body or b"{}")
    id = call.params["id"]
    keyed = _keyed(call, caller, f"storage/uploads/{id}/complete", body)
    return _ready(await call.services.storage.uploads.complete(id, keyed))


# -- files ----------------------------------------------------------------------------------------

_NAME: Final = BodyDecoder(FileName)
_LIST: Final = BodyDecoder(ListBody)
_SIGN: Final = BodyDecoder(SignBody)
_DELETE: Final = BodyDecoder(DeleteFilesBody)
_TRANSFER: Final = BodyDecoder(TransferBody)


async def stat(call: Call) -> Answer:
    """`POST /v1/storage/stat`."""
    storage = call.services.storage
    caller = await _caller(call, READ)
    body, _ = await _read(call, _NAME)
    path = storage.parts.path_named(body.path, body.file_id)
    return _json(await storage.reading.stat(path, caller))


async def list_files(call: Call) -> Answer:
    """`POST /v1/storage/list`."""
    caller = await _caller(call, READ)
    body, _ = await _read(call, _LIST)
    return _json(await call.services.storage.reading.page(body, caller))


async def sign(call: Call) -> Answer:
    """`POST /v1/storage/sign`. To sign an upload, an admin key needs `storage:write`."""
    caller = await _caller(call, READ)
    body, _ = await _read(call, _SIGN)
    if any(item.operation == "upload" for item in body.files):
        require_scope(caller.actor, WRITE)
    return _json(await call.services.storage.sign(body, caller, base_of(call)))


async def delete(call: Call) -> Answer:
    """`POST /v1/storage/delete`."""
    caller = await _caller(call, WRITE)
    body, raw = await _read(call, _DELETE)
    keyed = _keyed(call, caller, "storage/delete", raw)
    return _ready(await call.services.storage.delete(body, keyed))


async def _transfer(call: Call, *, move: bool) -> Answer:
    caller = await _caller(call, WRITE)
    require_scope(caller.actor, READ)
    body, raw = await _read(call, _TRANSFER)
    keyed = _keyed(call, caller, f"storage/{'move' if move else 'copy'}", raw)
    return _ready(await call.services.storage.transfer(body, keyed, move=move))


copy: Final[Endpoint] = partial(_transfer, move=False)
move: Final[Endpoint] = partial(_transfer, move=True)


# -- addresses ------------------------------------------------------------------------------------


def link_of(query: bytes) -> Signature | None:
    """The signature in a URL, if there is one."""
    return read_signature(fields_of(query))


def fields_of(query: bytes) -> dict[str, str]:
    if len(query) > MAX_QUERY:
        raise invalid("", "the query is too long")
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))


def base_of(call: Call) -> str:
    """The address that clients use: as set, else as this one did."""
    set_one = call.services.settings.server.public_url
    if set_one:
        return set_one.rstrip("/")
    host = call.exchange.text(b"host") or ""
    if not host or not all(c.isascii() and (c.isalnum() or c in ".-:[]_") for c in host):
        return ""
    secure = call.exchange.text(b"x-forwarded-proto") == "https"
    return f"{'https' if secure else 'http'}://{host}"
