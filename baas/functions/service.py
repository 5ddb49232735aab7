"""The functions of one gateway: everything that runs them, put together.

`app.py` makes one, starts it after the store is open and stops it before the store is closed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

from baas.clock import Clock
from baas.database.service import DatabaseService
from baas.functions.before import FunctionHooks
from baas.functions.blocking import Watch
from baas.functions.context import Dispatch
from baas.functions.filehost import Files
from baas.functions.host import Kit, NoSecrets, SecretSource
from baas.functions.invoke import Invoker
from baas.functions.isolation.pool import Pools
from baas.functions.model import Release
from baas.functions.records import Line, Recording, Records
from baas.functions.redact import Redactor
from baas.functions.registry import Registry, Serving, close
from baas.observe.logs import Event, LogWriter
from baas.observe.metrics import Metrics
from baas.ports.documents import DocumentStore
from baas.push.channels.orders import Orders


class FunctionService:
    """`registry` says what there is to run: install releases into it. `dispatch`, once set, is
    what makes `ctx.emit`, `ctx.queue` and asynchronous calls durable."""

    def __init__(
        self,
        store: DocumentStore,
        database: DatabaseService,
        clock: Clock,
        *,
        secrets: SecretSource | None = None,
        logs: LogWriter | None = None,
    ) -> None:
        self._kit: Final = Kit(database, secrets or NoSecrets())
        self._logs = logs
        self._redactor: tuple[Any, Redactor] = (None, Redactor())
        if logs is not None:
            # Functions also speak through `logging`, and so do their failures.
            logs.redact = lambda text: self.redactor().text(text)
        self.registry: Final = Registry(self._retire)
        self.registry.listeners.append(self._warm)
        self.records: Final = Records(store, clock, self.redactor)
        self.watch: Final = Watch()
        self.workers: Final = Pools(self._kit.secrets.current)
        self.invoker: Final = Invoker(
            self.registry,
            self._kit,
            self.records,
            clock,
            self.redactor,
            self.workers,
            self.watch,
            None if logs is None else self._tell,
        )
        #: Functions before writes: the database service's hooks.
        self.hooks: Final = FunctionHooks(self.registry, self.invoker)
        database.before = self.hooks
        #: The result of a call as JSON; see `Invoker.invoke`.
        self.invoke: Final = self.invoker.invoke
        self.enqueue: Final = self.invoker.enqueue

    @property
    def secrets(self) -> SecretSource:
        return self._kit.secrets

    @property
    def dispatch(self) -> Dispatch | None:
        return self._kit.dispatch

    @dispatch.setter
    def dispatch(self, dispatch: Dispatch) -> None:
        self._kit.dispatch = dispatch

    @property
    def files(self) -> Files | None:
        """The files that functions work with; None where there is no storage service."""
        return self._kit.files

    @files.setter
    def files(self, files: Files) -> None:
        self._kit.files = files

    @property
    def channels(self) -> Orders | None:
        """The channels that functions send to; None where there is no push service."""
        return self._kit.channels

    @channels.setter
    def channels(self, channels: Orders) -> None:
        self._kit.channels = channels

    @property
    def snapshots(self) -> int:
        """How many more transactions of functions could be open at once."""
        return self._kit.snapshots.free

    def measure(self, metrics: Metrics) -> None:
        """Makes known what /metrics shows of functions."""
        metrics.table(
            "baas_function_calls_total", "Calls of functions, by how they ended.", self._calls
        )
        metrics.gauge(
            "baas_function_workers",
            "Worker processes of functions.",
            lambda: len(self.workers.workers()),
        )
        metrics.gauge(
            "baas_function_lingering_threads",
            "Threads whose function runs on past its time limit.",
            lambda: self.invoker.threads.lingering,
        )

    def _calls(self) -> Iterator[tuple[str, float]]:
        for (name, result), count in self.records.totals.items():
            yield f'function="{name}",result="{result}"', count

    async def start(self) -> None:
        self.records.start()
        self.watch.start()

    async def stop(self) -> None:
        """Closes what has no calls left and writes the last records. Safe to call twice."""
        await self.registry.close()
        await self.workers.close()
        self.watch.stop()
        self.invoker.threads.close()
        await self.records.stop()

    async def _retire(self, serving: Serving) -> None:
        await self.workers.close(serving.release.hash)
        await close(serving)

    def _warm(self, release: Release | None) -> None:
        if release is not None:
            self.workers.warm(release)

    def redactor(self) -> Redactor:
        """For the secrets as they are now."""
        secrets = self._kit.secrets.current()
        if self._redactor[0] is not secrets:
            self._redactor = (secrets, Redactor(secrets.values()))
        return self._redactor[1]

    def _tell(self, recording: Recording, line: Line) -> None:
        """Safe from any thread, as the writer is."""
        assert self._logs is not None
        if logging.getLevelNamesMapping()[line.level.upper()] < self._logs.level:
            return
        redactor = self.redactor()
        self._logs.add(
            Event(
                line.time,
                line.level,
                redactor.text(line.message),
                "function",
                recording.call.request_id,
                fields={**redactor.value(line.fields), "function": recording.spec.name},
            )
        )
