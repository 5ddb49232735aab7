"""The composition root: settings to engines to services to the ASGI app.

The only module that names a concrete engine. Everything is made in `build`, opened in `start` and
let go of in `stop`, in the opposite order.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from baas import __version__
from baas.auth.collections import ADMIN_KEYS, AUTH_COLLECTIONS, KEYS, SESSIONS, USERS
from baas.auth.service import AuthService
from baas.clock import Clock, SystemClock
from baas.database.service import DatabaseService
from baas.engines.local.store import LocalBlobs
from baas.engines.s3.store import S3Blobs
from baas.engines.sqlite.store import SqliteStore
from baas.errors import ConfigurationError
from baas.functions.background import Background
from baas.functions.filehost import Files
from baas.functions.logs import Logs, Tail
from baas.functions.measures import measure_jobs
from baas.functions.once import Once
from baas.functions.records import RECORD_COLLECTIONS
from baas.functions.releases import Releases
from baas.functions.rules import FunctionGuard, FunctionRules, load_function_rules
from baas.functions.secrets import SECRET_COLLECTIONS, Secrets, SecretVault
from baas.functions.service import FunctionService
from baas.functions.versions import VERSION_COLLECTIONS, Versions
from baas.gateway.actor import Addresses, Callers
from baas.gateway.audit import AUDIT_COLLECTIONS, Audit
from baas.gateway.backups import Backups
from baas.gateway.cors import Cors
from baas.gateway.dispatch import Edge
from baas.gateway.history import SAMPLE_COLLECTIONS, History
from baas.gateway.realtime.admission import Admission
from baas.gateway.realtime.numbers import Sent
from baas.gateway.services import Functions, Panel, RateLimits, RealtimeServices, Services
from baas.gateway.sharedrates import RATE_COLLECTIONS, SharedRates
from baas.guard import ChannelGuard, FileGuard, RuleGuard
from baas.observe.logs import DescriptorSink, LoggingBridge, LogWriter, install, uninstall
from baas.observe.metrics import Metrics
from baas.ports.blobs import BlobStore
from baas.push.channels.orders import Orders
from baas.push.channels.rows import CHANNEL_COLLECTIONS
from baas.push.channels.service import Channels
from baas.push.follower import FeedFollower
from baas.push.live.service import LiveQueries
from baas.push.sessions import AuthCollections, Sessions
from baas.reload import RuleWatcher
from baas.rules.channelsfile import ChannelRules, load_channel_rules
from baas.rules.coverage import Coverage
from baas.rules.files import RuleFiles
from baas.rules.load import load_rules
from baas.rules.model import Advice, RuleBook
from baas.rules.storagefile import StorageRules, load_storage_rules
from baas.secret import MasterSecret
from baas.settings import ObserveSettings, Settings
from baas.storage.images.variants import Variants
from baas.storage.rows import FILES, STORAGE_COLLECTIONS, UPLOADS
from baas.storage.service import StorageService

if TYPE_CHECKING:
    from baas.engines.mongo.store import MongoStore

#: Documents, feed and jobs: one of the engines.
Store: TypeAlias = "SqliteStore | MongoStore"

log = logging.getLogger(__name__)

#: What the kit keeps for itself, beside the collections of the rule files.
SYSTEM_COLLECTIONS: Final = {
    **AUDIT_COLLECTIONS,
    **AUTH_COLLECTIONS,
    **CHANNEL_COLLECTIONS,
    **RATE_COLLECTIONS,
    **RECORD_COLLECTIONS,
    **SAMPLE_COLLECTIONS,
    **SECRET_COLLECTIONS,
    **STORAGE_COLLECTIONS,
    **VERSION_COLLECTIONS,
}
#: What the identity of an open connection rests on.
IDENTITY_COLLECTIONS: Final = AuthCollections(each=(USERS, SESSIONS, ADMIN_KEYS), all=(KEYS,))
#: Below the data folder: the files that releases of functions are imported from.
RELEASES_FOLDER: Final = "releases"
#: Below the data folder: the bytes of stored files.
STORAGE_FOLDER: Final = "storage"
#: Below the data folder; may be removed while nothing runs.
IMAGES_FOLDER: Final = "cache/images"


class Rules(msgspec.Struct, frozen=True):
    """Every rule file of the folder, of one moment."""

    book: RuleBook
    functions: FunctionRules
    storage: StorageRules
    channels: ChannelRules

    @property
    def revision(self) -> str:
        parts = (self.book, self.functions, self.storage, self.channels)
        return "".join(part.revision for part in parts)

    def advice(self) -> tuple[Advice, ...]:
        return (*self.book.advice, *self.storage.advice, *self.channels.advice)

    @classmethod
    def load(cls, folder: Path) -> Rules:
        """ConfigurationError at the first fault of any of them."""
        return cls(
            load_rules(folder),
            load_function_rules(folder),
            load_storage_rules(folder),
            load_channel_rules(folder),
        )


class App:
    """A whole gateway. `asgi` is the app for an ASGI server, its lifespan included; without one,
    `await start()` and `await stop()`."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        clock: Clock,
        logs: LogWriter,
        *,
        shared: bool = False,
    ) -> None:
        self.folder: Final = folder
        self.settings: Final = settings
        self.logs: Final = logs
        self.metrics: Final = Metrics(__version__)
        self.rules_folder: Final = folder / settings.app.rules
        self.data_folder: Final = folder / settings.database.data
        self.store: Final = document_store(self.data_folder, settings, clock, shared=shared)
        secret = MasterSecret.load(self.data_folder, settings.server.secret)
        self._rules = Rules.load(self.rules_folder)
        self.guard: Final = RuleGuard(self._rules.book)
        self.auth: Final = AuthService(self.store, settings, clock, secret)
        self.unused: Final = self.auth.unused_accounts({FILES: ("openid",), UPLOADS: ("openid",)})
        self.database: Final = DatabaseService(self.store, self.guard, settings, clock, secret)
        self.vault: Final = SecretVault(self.store, secret, clock)
        self.secrets: Final = Secrets(self.vault)
        self.functions: Final = FunctionService(
            self.store, self.database, clock, secrets=self.secrets, logs=logs
        )
        self.background: Final = Background(
            self.store,
            self.functions.registry,
            self.functions.invoke,
            self.functions.secrets,
            clock,
            settings,
            redactor=self.functions.redactor,
            as_of_now=self.auth.as_of_now,
        )
        self.functions.dispatch = self.background
        self.function_guard: Final = FunctionGuard(self._rules.functions, self.store)
        self.releases: Final = Releases(
            folder,
            settings.app.functions,
            self.data_folder / RELEASES_FOLDER,
            Versions(self.store, clock),
            self.functions.registry,
        )
        self.file_guard: Final = FileGuard(self._rules.storage)
        self.storage: Final = StorageService(
            self.store,
            blob_store(self.data_folder, settings),
            self.file_guard,
            settings,
            clock,
            secret,
        )
        self.images: Final = Variants(
            self.storage.reading, settings.storage, self.data_folder / IMAGES_FOLDER
        )
        self.storage.parts.forgetting.append(self.images.forget)
        self.storage.parts.sweeping.append(self.images.sweep)
        self.functions.files = Files(self.storage, settings.server.public_url)
        self.limits: Final = RateLimits(settings.limits, clock)
        self.rates: Final = SharedRates(self.limits.by_name, self.store, clock)
        self.follower: Final = FeedFollower(lambda: self.store.feed)
        self.live: Final = LiveQueries(
            self.store,
            lambda: self.store.feed,
            self.guard,
            self.follower,
            settings,
            clock,
            secret,
        )
        self.channel_guard: Final = ChannelGuard(self._rules.channels)
        self.channels: Final = Channels(
            self.store, self.channel_guard, self.follower, settings, clock, secret
        )
        self.orders: Final = Orders(self.channels)
        self.functions.channels = self.orders
        self.realtime: Final = Sessions(
            self.live,
            self.channels,
            self.follower,
            self.auth,
            Admission(self.limits),
            settings.push,
            clock,
            IDENTITY_COLLECTIONS,
            secret,
        )
        self.sent: Final = Sent()
        self.history: Final = History(
            self.store,
            self.metrics,
            clock,
            lambda: self.store.jobs,
            lambda: len(self.realtime),
            lambda: self.functions.records.totals,
            self.data_folder,
        )
        self.backups: Final = Backups(
            folder,
            self.data_folder,
            folder / settings.admin.backups,
            settings.app.name,
            clock,
        )
        self.watcher: Final = RuleWatcher(
            self.rules_folder, Rules.load, self.put_in_force, self.metrics, self._rules.revision
        )
        self.asgi: Final = Edge(self._services(clock), self._other_protocols)
        self.metrics.gauge(
            "baas_store_waiting_writes",
            "Writes that were accepted and are not durable yet.",
            lambda: self.store.waiting_writes,
        )
        self.metrics.gauge(
            "baas_log_dropped_lines",
            "Log lines dropped since the last that were reported.",
            lambda: self.logs.dropped,
        )
        self.functions.measure(self.metrics)
        measure_jobs(self.metrics, lambda: self.store.jobs, clock)
        self.metrics.gauge(
            "baas_function_load_errors",
            "Whether the functions of the folder are not in force because they do not load.",
            lambda: int(bool(self.releases.error)),
        )
        self.sent.measure(self.metrics, self.realtime)
        self._tasks: list[asyncio.Task[None]] = []
        self._bridge: LoggingBridge | None = None
        self._started = False
        #: Makes the first account of the panel; None where there was one at the start.
        self.set_up_code: str | None = None

    def drain(self) -> None:
        """A stop has begun: connections that would stay open are told to come again elsewhere."""
        self.realtime.drain()

    def _services(self, clock: Clock) -> Services:
        settings = self.settings
        return Services(
            settings=settings,
            auth=self.auth,
            database=self.database,
            store=self.store,
            callers=Callers(self.auth),
            addresses=Addresses(settings.server.trusted_proxies),
            limits=self.limits,
            cors=Cors(settings.server.origins),
            metrics=self.metrics,
            logs=self.logs,
            clock=clock,
            guard=self.guard,
            functions=Functions(
                service=self.functions,
                releases=self.releases,
                guard=self.function_guard,
                once=Once(lambda: self.store.jobs, clock, settings.limits),
                background=self.background,
                logs=Logs(self.store),
                tail=lambda: Tail(self.store.feed),
                jobs=lambda: self.store.jobs,
            ),
            storage=self.storage,
            images=self.images,
            realtime=RealtimeServices(self.realtime, self.sent, self.orders),
            panel=Panel(
                store=self.store,
                audit=Audit(self.store, clock, settings.admin.audit_days),
                folder=self.folder,
                rules=RuleFiles(
                    self.rules_folder,
                    Rules.load,
                    self.put_in_force,
                    self.watcher.look,
                    _run_rule_tests,
                ),
                recent=self.guard.recent,
                vault=self.vault,
                history=self.history,
                backups=self.backups,
            ),
            rules_stale=lambda: self.watcher.stale,
            body_bytes=settings.limits.body_bytes,
            public=self.folder / settings.app.public,
        )

    async def put_in_force(self, rules: Rules) -> None:
        """Declares the book's collections to the store, then lets the guards read from it.

        ConfigurationError where the store cannot fit them; then nothing has changed.
        """
        specs = {name: one.spec for name, one in rules.book.collections.items()}
        await self.store.declare({**specs, **SYSTEM_COLLECTIONS})
        self.guard.book = rules.book
        self.function_guard.rules = rules.functions
        self.file_guard.rules = rules.storage
        self.channel_guard.rules = rules.channels
        self.live.rules_changed()
        self.channels.rules_changed()

    async def _other_protocols(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(self, receive, send)

    async def start(self) -> None:
        """Opens the data folder and begins to work. ConfigurationError if another process has it,
        or a unique index meets duplicates."""
        self._bridge = install(self.logs)
        self.logs.start()
        try:
            await self.store.open()
            await self.put_in_force(self._rules)
            await self.auth.start()
            self.unused.start()
            self.set_up_code = await self.auth.admins.set_up_code()
            await self.secrets.start()
            await self.storage.start()
            await self.functions.start()
            await self.releases.start()
            await self.background.start()
            await self.follower.start()
            await self.channels.start()
            await self.realtime.start()
            if self.settings.server.workers > 1 or self.settings.database.engine == "mongo":
                self.rates.start()
        except BaseException:
            await self.stop()
            raise
        # Litestar is imported beside the first requests rather than before them.
        self._tasks.append(asyncio.create_task(self._warm(), name="baas-warm"))
        if self.settings.admin.panel:
            self._tasks.append(asyncio.create_task(self.history.run(), name="baas-history"))
        if self.settings.database.watch_rules:
            self._tasks.append(asyncio.create_task(self.watcher.run(), name="baas-rules"))
        self._started = True
        log.info("started, rules revision %s", self._rules.revision)

    async def _warm(self) -> None:
        await self.asgi.litestar()

    async def stop(self) -> None:
        """Ends the background work, finishes what was accepted, closes the store. Safe twice."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        await self.backups.stop()
        await self.rates.stop()
        await self.realtime.stop()
        await self.live.stop()
        await self.channels.stop()
        await self.follower.stop()
        await self.background.stop()
        await self.releases.stop()
        await self.functions.stop()
        await self.images.stop()
        await self.storage.stop()
        await self.secrets.stop()
        await self.unused.stop()
        await self.auth.close()
        await self.store.close()
        if self._started:
            self._started = False
            log.info("stopped")
        if self._bridge is not None:
            uninstall(self._bridge)
            self._bridge = None
        self.logs.close()


def build(
    folder: Path,
    settings: Settings,
    *,
    clock: Clock | None = None,
    logs: LogWriter | None = None,
    shared: bool = False,
) -> App:
    """The app of `folder`, not yet started. ConfigurationError for its rule files or secret.

    `shared`: a worker, whose parent holds the data folder.
    """
    writer = logs or _log_writer(settings.observe)
    return App(folder, settings, clock or SystemClock(), writer, shared=shared)


def blob_store(data_folder: Path, settings: Settings) -> BlobStore:
    """The store of files' bytes, not yet started. ConfigurationError for its settings."""
    if settings.storage.engine == "s3":
        return S3Blobs(settings.storage)
    return LocalBlobs(data_folder / STORAGE_FOLDER)


async def _run_rule_tests(rules: Rules, files: list[Path], coverage: Coverage) -> list[Any]:
    from baas.ruletests import run_tests  # not for every start

    return await run_tests(rules.book, files, coverage, rules.functions)


def document_store(
    data_folder: Path,
    settings: Settings,
    clock: Clock | None = None,
    *,
    shared: bool = False,
    guest: bool = False,
) -> Store:
    """The store of documents, not yet opened. ConfigurationError where gateways would each make a
    secret of their own."""
    if settings.database.engine == "sqlite":
        return SqliteStore(data_folder, settings.database, clock, shared=shared, guest=guest)
    from baas.engines.mongo.store import MongoStore  # a tenth of a second, for those who need it

    if not settings.server.secret:
        raise ConfigurationError(
            "server.secret is needed with the engine mongo: every gateway must have the same one"
        )
    return MongoStore(settings.database, clock, guest=guest)


def guest_store(folder: Path, settings: Settings) -> Store:
    """The store of the app in `folder`, not yet opened, for a command line tool: it may read and
    write beside a live gateway."""
    return document_store(folder / settings.database.data, settings, guest=True)


def _log_writer(settings: ObserveSettings) -> LogWriter:
    form = settings.log_format
    if form == "auto":
        form = "text" if sys.stderr.isatty() else "json"
    return LogWriter(DescriptorSink(2), form=form, level=settings.log_level)


async def _lifespan(
    app: App, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """The ASGI lifespan protocol: a fault at start is told to the server, which then exits."""
    await receive()
    try:
        await app.start()
    except Exception as fault:
        await send({"type": "lifespan.startup.failed", "message": str(fault)})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await app.stop()
    await send({"type": "lifespan.shutdown.complete"})
