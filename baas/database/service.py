"""The database service: verbs on collections, transactions, a document with its ETag.

Framework-free: the dispatcher, the declared routes and other callers hand it bytes and get bytes.
A request goes straight down: body -> query -> guard -> store, and its answer straight back.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from baas.clock import Clock
from baas.database import reads
from baas.database.before import BeforeHooks, hooked, is_hooked
from baas.database.bodies import BodyDecoder, GetBody, TransactionBody
from baas.database.context import Call, Context, check_collection
from baas.database.cursors import KeySource
from baas.database.explain import Explained, explain_find
from baas.database.reads import Tagged
from baas.database.snapshot import at_moment
from baas.database.transaction import transaction
from baas.database.verbs import VERBS, Verb
from baas.errors import not_found
from baas.guard import Guard
from baas.ports.documents import (
    DocumentReader,
    DocumentStore,
    MaybeAwaitable,
    WriteInfo,
    resolve,
)
from baas.schema.actor import Actor
from baas.settings import Settings

__all__ = ["VERBS", "DatabaseService", "Tagged"]

#: Documents that a function's transaction may have read.
MOST_EXPECTED: Final = 2000

_decode_transaction: Final = BodyDecoder(TransactionBody)
_decode_get: Final = BodyDecoder(GetBody)


class DatabaseService:
    """One per process. Every method raises Problem, at once or from its awaitable."""

    def __init__(
        self,
        store: DocumentStore,
        guard: Guard,
        settings: Settings,
        clock: Clock,
        secret: KeySource,
    ) -> None:
        self._context = Context(store, guard, settings, clock, secret)

    def handle(
        self,
        verb: str,
        collection: str,
        body: bytes,
        actor: Actor,
        ip: str,
        idempotency_key: str | None = None,
    ) -> MaybeAwaitable[bytes]:
        """The answer's JSON to `POST /v1/database/{collection}/{verb}`, always a 200.

        Returned at once where nothing waits: reads that the store serves inline. `ip` is the
        caller's address as text, for rules.
        """
        entry = VERBS.get(verb)
        if entry is None:
            raise not_found("There is no such database verb.")
        check_collection(collection)
        call = self._call(collection, body, actor, ip, idempotency_key)
        if entry.writes and is_hooked(self._context, collection, verb):
            return self._hooked(entry, call, entry.decode(body))
        return entry.run(self._context, call, entry.decode(body))

    async def _hooked(self, entry: Verb, call: Call, parsed: Any) -> bytes:
        call = await hooked(self._context, call, entry.name, parsed)
        return await resolve(entry.run(self._context, call, parsed))

    @property
    def before(self) -> BeforeHooks | None:
        """The app's code before writes."""
        return self._context.before

    @before.setter
    def before(self, hooks: BeforeHooks | None) -> None:
        self._context.before = hooks

    def transaction(
        self, body: bytes, actor: Actor, ip: str, idempotency_key: str | None = None
    ) -> Awaitable[bytes]:
        """The answer to `POST /v1/database/transaction`."""
        call = self._call("", body, actor, ip, idempotency_key)
        return transaction(self._context, call, _decode_transaction(body))

    def perform(
        self,
        verb: str,
        collection: str,
        body: bytes,
        actor: Actor,
        ip: str,
        origin: WriteInfo,
        reader: DocumentReader | None = None,
    ) -> MaybeAwaitable[bytes]:
        """As `handle`, for a function: the feed names `origin` as the writer. With a `reader`, a
        read as of its moment."""
        entry = VERBS.get(verb)
        if entry is None or (reader is not None and entry.writes):
            raise not_found("There is no such database verb.")
        check_collection(collection)
        call = self._call(collection, body, actor, ip, None, origin)
        if entry.writes and is_hooked(self._context, collection, verb):
            return self._hooked(entry, call, entry.decode(body))
        context = self._context if reader is None else at_moment(self._context, reader)
        return entry.run(context, call, entry.decode(body))

    def commit(self, body: bytes, actor: Actor, ip: str, origin: WriteInfo) -> Awaitable[bytes]:
        """As `transaction`, for a function: what it found may all be expected unchanged."""
        call = self._call("", body, actor, ip, None, origin)
        parsed = _decode_transaction(body)
        return transaction(self._context, call, parsed, most_expected=MOST_EXPECTED)

    def snapshot(self) -> AbstractAsyncContextManager[DocumentReader]:
        """Reads of one moment, for `perform`."""
        return self._context.store.snapshot()

    def get_document(
        self, collection: str, id: str, actor: Actor, ip: str
    ) -> MaybeAwaitable[Tagged]:
        """The answer to `GET /v1/database/{collection}/documents/{id}`, with its ETag."""
        check_collection(collection)
        call = self._call(collection, b"", actor, ip, None)
        return reads.get_tagged(self._context, call, GetBody(id=id))

    async def explain_find(self, collection: str, body: bytes, actor: Actor, ip: str) -> Explained:
        """What `find` with this body comes to for `actor`; for admin keys, who may know."""
        check_collection(collection)
        call = self._call(collection, body, actor, ip, None)
        return await explain_find(self._context, call, VERBS["find"].decode(body))

    def get_tagged(
        self, collection: str, body: bytes, actor: Actor, ip: str
    ) -> MaybeAwaitable[Tagged]:
        """The answer of the verb `get`, with the ETag that `expect` in a transaction compares.

        The tag is of the whole document as the caller sees it, also where `fields` asks for less.
        """
        check_collection(collection)
        call = self._call(collection, body, actor, ip, None)
        return reads.get_tagged(self._context, call, _decode_get(body))

    def _call(
        self,
        collection: str,
        body: bytes,
        actor: Actor,
        ip: str,
        key: str | None,
        origin: WriteInfo | None = None,
    ) -> Call:
        return Call(
            collection=collection,
            actor=actor,
            ip=ip,
            now_ms=self._context.clock.now_ms(),
            body=body,
            idempotency_key=key,
            origin=origin,
        )
