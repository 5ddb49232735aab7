"""What the gateway is given to work with: the services behind the routes, and its own tools.

The protocols say what the gateway uses of a service, no more; the composition root (`app.py`)
supplies the real ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec

from baas.auth.service import AuthService
from baas.clock import Clock
from baas.database.explain import Explained
from baas.functions.background import Background
from baas.functions.logs import Logs, Tail
from baas.functions.once import Once
from baas.functions.releases import Releases
from baas.functions.rules import FunctionGuard
from baas.functions.secrets import SecretVault
from baas.functions.service import FunctionService
from baas.gateway.actor import Addresses, Callers
from baas.gateway.audit import Audit
from baas.gateway.backups import Backups
from baas.gateway.cors import Cors
from baas.gateway.history import History
from baas.gateway.ratelimit import RateLimit, network_of
from baas.gateway.realtime.numbers import Sent
from baas.guard import Guard
from baas.guard.ruleguard import Decided
from baas.observe.logs import LogWriter
from baas.observe.metrics import Metrics
from baas.ports.documents import DocumentStore, MaybeAwaitable
from baas.ports.jobs import JobQueue
from baas.push.channels.orders import Orders
from baas.push.sessions import Sessions
from baas.rules.files import RuleFiles
from baas.schema.actor import Actor
from baas.settings import LimitSettings, Settings
from baas.storage.images.variants import Variants
from baas.storage.service import StorageService


class Database(Protocol):
    """`baas.database.service.DatabaseService`, as far as routes use it."""

    def handle(
        self,
        verb: str,
        collection: str,
        body: bytes,
        actor: Actor,
        ip: str,
        idempotency_key: str | None = None,
    ) -> bytes | Awaitable[bytes]: ...

    def get_tagged(
        self, collection: str, body: bytes, actor: Actor, ip: str
    ) -> MaybeAwaitable[tuple[bytes, str]]:
        """The verb `get`, with the entity tag of the whole document as this caller may see it."""
        ...

    def explain_find(
        self, collection: str, body: bytes, actor: Actor, ip: str
    ) -> Awaitable[Explained]:
        """What `find` with this body comes to for this caller."""
        ...

    def get_document(
        self, collection: str, id: str, actor: Actor, ip: str
    ) -> MaybeAwaitable[tuple[bytes, str]]:
        """The document as this caller may see it, and its entity tag."""
        ...

    def transaction(
        self, body: bytes, actor: Actor, ip: str, idempotency_key: str | None = None
    ) -> Awaitable[bytes]: ...


class Pingable(Protocol):
    def ping(self) -> MaybeAwaitable[None]: ...


class RateLimits:
    """One bucket per caller and class of routes. Admin keys are the operator's own and are not
    counted; a token that does not hold is counted against its address, as a read. `password` is
    counted per account, and wrong ones alone (see `guesses`)."""

    def __init__(self, settings: LimitSettings, clock: Clock) -> None:
        self.auth = RateLimit(settings.rate_auth, clock.monotonic)
        self.password = RateLimit(settings.rate_password, clock.monotonic)
        self.read = RateLimit(settings.rate_read, clock.monotonic)
        self.write = RateLimit(settings.rate_write, clock.monotonic)

    @property
    def by_name(self) -> dict[str, RateLimit]:
        return {
            "auth": self.auth,
            "password": self.password,
            "read": self.read,
            "write": self.write,
        }

    def take_read(self, actor: Actor, ip: str) -> None:
        if actor.key is None:
            self.read.take(actor.uid or network_of(ip))

    def take_write(self, actor: Actor, ip: str) -> None:
        if actor.key is None:
            self.write.take(actor.uid or network_of(ip))

    def take_auth(self, ip: str) -> None:
        self.auth.take(network_of(ip))


class Functions(msgspec.Struct, frozen=True, kw_only=True):
    """Cloud functions: what runs them, what is in force, who may call, which calls were made
    before, and what they logged. `jobs` and `tail` are there once the store is open."""

    service: FunctionService
    releases: Releases
    guard: FunctionGuard
    once: Once
    background: Background
    logs: Logs
    tail: Callable[[], Tail]
    jobs: Callable[[], JobQueue]


class RealtimeServices(msgspec.Struct, frozen=True):
    """The sessions of this process, what they were sent, and channels as the server side uses
    them."""

    sessions: Sessions
    sent: Sent
    orders: Orders


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """What the admin API works with, beside the services: the store itself, the audit log, the
    app's folder, its rule files, the guard's latest decisions, functions' secrets, numbers over
    time, and backups."""

    store: DocumentStore
    audit: Audit
    folder: Path
    rules: RuleFiles
    recent: deque[Decided]
    vault: SecretVault
    history: History
    backups: Backups


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a route may use. `body_bytes` is the largest body, `public` the folder served at
    `/`, if there is one."""

    settings: Settings
    auth: AuthService
    database: Database
    store: Pingable
    callers: Callers
    addresses: Addresses
    limits: RateLimits
    cors: Cors
    metrics: Metrics
    logs: LogWriter
    clock: Clock
    guard: Guard
    functions: Functions
    storage: StorageService
    images: Variants
    realtime: RealtimeServices
    panel: Panel
    rules_stale: Callable[[], bool]
    body_bytes: int
    public: Path | None = None
