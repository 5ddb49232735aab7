"""What every verb works with: the parts of the service, and the facts of one call."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from baas.clock import Clock
from baas.database.cursors import Cursors, KeySource
from baas.errors import Problem, denied, invalid
from baas.guard import Guard, RequestFacts
from baas.ids import is_collection_name, is_id
from baas.ports.documents import DocumentStore, WriteInfo
from baas.query.expr import Expr
from baas.query.limits import QueryLimits
from baas.rules.model import CollectionRules, Operation
from baas.schema.actor import Actor
from baas.schema.validate import SchemaValidator
from baas.schema.values import Document, Value, date_from_ms
from baas.settings import Settings

if TYPE_CHECKING:
    from baas.database.before import BeforeHooks


class Collection:
    """What follows from one version of a collection's rule file, computed once."""

    def __init__(self, rules: CollectionRules | None) -> None:
        self.rules: Final = rules
        self.validator: Final = SchemaValidator(None if rules is None else rules.spec.schema)
        #: Whether any field has a mask: without one, paths need not be looked at.
        self.is_masked: Final = rules is not None and bool(rules.masks)
        #: Names the read rule in force, for what must not outlive it.
        self.read_rule: Final = "" if rules is None else _digest(rules.rules[Operation.READ].expr)


def _digest(expr: Expr) -> str:
    return blake2b(msgspec.json.encode(expr), digest_size=8).hexdigest()


_UNNAMED: Final = Collection(None)

#: Pipelines that run at once. They hold the interpreter, so more would only slow everyone.
PIPELINES: Final = 2
#: The guard's words for a collection that no file names; reserved names get the same.
REFUSAL: Final = "The rules do not allow this."


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request: who asks, for which collection, when (ms since 1970).

    `origin` is whom the change feed names, None: the caller. `hooked` is what before-hooks made of
    the body's documents, one for each, or of its update. Of an upsert: `hooked_refusal` is why
    those before updates refuse it where it finds something, `hooked_insert` what those before
    inserts made of the document that it makes where it finds nothing, or why they refuse that.
    """

    collection: str
    actor: Actor
    ip: str
    now_ms: int
    body: bytes = b""
    idempotency_key: str | None = None
    origin: WriteInfo | None = None
    hooked: tuple[Document, ...] | None = None
    hooked_refusal: Problem | None = None
    hooked_insert: Document | Problem | None = None

    def facts(self, data: Value = None, fields: tuple[str, ...] | None = None) -> RequestFacts:
        return RequestFacts(time_ms=self.now_ms, ip=self.ip, data=data, fields=fields)

    def within(self, collection: str) -> Call:
        """The same caller and moment, for another collection (transactions, `$lookup`)."""
        check_collection(collection)
        return msgspec.structs.replace(self, collection=collection)


class Context:
    """The database service's parts. One per process; holds no request's state."""

    def __init__(
        self,
        store: DocumentStore,
        guard: Guard,
        settings: Settings,
        clock: Clock,
        secret: KeySource,
    ) -> None:
        self.store: Final = store
        self.guard: Final = guard
        self.clock: Final = clock
        self.limits: Final = settings.limits
        self.query_limits: Final = QueryLimits.of(settings.limits)
        self.read_timeout: Final = settings.database.read_timeout
        self.read_bytes: Final = settings.database.read_bytes
        self.cursors: Final = Cursors(secret)
        self.pipelines: Final = asyncio.Semaphore(PIPELINES)
        #: The app's code before writes, once there is some.
        self.before: BeforeHooks | None = None
        self._collections: dict[str, Collection] = {}
        self._stamp: tuple[int, Document] = (0, date_from_ms(0))

    def collection(self, name: str) -> Collection:
        """By the rules in force now; a reload shows at the next call."""
        rules = self.guard.rules_of(name)
        known = self._collections.get(name)
        if known is not None and known.rules is rules:
            return known
        if rules is None:
            # Not remembered: strangers choose these names.
            return _UNNAMED
        known = self._collections[name] = Collection(rules)
        return known

    def date(self, now_ms: int) -> Document:
        """`now_ms` as a date value: many writes share a millisecond, and so this object."""
        if self._stamp[0] != now_ms:
            self._stamp = (now_ms, date_from_ms(now_ms))
        return self._stamp[1]


def check_collection(collection: str) -> None:
    """A name that clients may use: INVALID_ARGUMENT for what is none.

    Reserved names answer like a collection that no file names, whether they exist or not, and to
    trusted callers too: there is no way to system data through this door.
    """
    if collection.startswith("_"):
        raise denied(REFUSAL)
    if not is_collection_name(collection):
        raise invalid(
            "collection", "a name has 1 to 64 of A-Z a-z 0-9 _ - and begins with a letter"
        )


def check_id(id: str, path: str = "id") -> None:
    """INVALID_ARGUMENT unless a document could have this `_id`."""
    if not is_id(id):
        raise invalid(path, "an _id has 1 to 64 of A-Z a-z 0-9 _ -")
