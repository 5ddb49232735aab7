"""New documents: the create rule, defaults, server fields, and the check that they may be made."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from baas.database.context import Call, Context
from baas.database.paths import paths_of
from baas.database.serverfields import check_forms, refuse_stamps, stamped_new
from baas.errors import Code, FieldError, Problem, invalid
from baas.ids import is_id
from baas.ports.documents import Lookups
from baas.query.ast import ALWAYS
from baas.rules.model import Operation
from baas.schema.admit import admit_document
from baas.schema.values import Document, encode


class Creation(msgspec.Struct, frozen=True):
    """A new document with its server fields and defaults, and the check that it may be made."""

    document: Document
    body: bytes
    check: Callable[[Lookups], None]


def creation(
    context: Context,
    call: Call,
    sent: Document,
    lookups: Lookups,
    path: str,
    hooked: Document | None = None,
) -> Creation:
    """Asks the create rule for `sent`, which is what the client sent or would have sent; `hooked`
    is what before-hooks made of it."""
    decision = context.guard.write(
        Operation.CREATE,
        call.collection,
        call.actor,
        call.facts(data=sent, fields=tuple(sent)),
        ALWAYS,
        lookups,
    )
    refuse_stamps(call, sent, inserting=True)
    if call.actor.trusted:
        check_forms(sent, path)
    collection = context.collection(call.collection)
    given = sent if hooked is None else hooked
    filled = collection.validator.with_defaults(given, now_ms=call.now_ms)
    document = stamped_new(context, call, filled)

    def check(lookups: Lookups) -> None:
        if collection.is_masked:
            decision.masks.check_written(paths_of(sent), document, lookups)
        collection.validator.check(document, path=path)
        decision.check_result(None, document, lookups)

    return Creation(document, encoded(context, document, path), check)


def encoded(context: Context, document: Document, path: str) -> bytes:
    """The document as it is stored; LIMIT_EXCEEDED beyond `limits.document_bytes`."""
    body = encode(document)
    if len(body) > context.limits.document_bytes:
        message = f"a document has at most {context.limits.document_bytes} bytes"
        raise Problem(
            Code.LIMIT_EXCEEDED, f"{path}: {message}", errors=(FieldError(path, message),)
        )
    return body


def admitted(context: Context, call: Call, raw: Document, path: str) -> Document:
    document = admit_document(raw, context.query_limits, now_ms=call.now_ms, path=path)
    if "_id" in document and not is_id(document["_id"]):
        raise invalid(f"{path}._id", "an _id has 1 to 64 of A-Z a-z 0-9 _ -")
    return document
