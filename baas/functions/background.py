"""Everything of functions that happens without a caller waiting, put together.

`app.py` makes one beside the FunctionService, gives it to that as its `dispatch`, starts it after
the store and the registry and stops it before them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from baas.clock import Clock
from baas.errors import Code, Problem
from baas.functions.context import check_delay
from baas.functions.deadletters import DeadLetters
from baas.functions.delivery import AsOfNow, CallRunner, Invoke, Settlement
from baas.functions.destinations import (
    CALLS,
    WEBHOOKS,
    Message,
    call_job,
    called_from,
    message_job,
)
from baas.functions.fair import FairPump, most_at_once
from baas.functions.host import SecretSource, uid_behind
from baas.functions.model import MAX_DEPTH, Call, FunctionSpec, Release
from baas.functions.outbound import AT_ONCE, Guarded, WebhookRunner
from baas.functions.pump import Pump
from baas.functions.queues import Queues
from baas.functions.redact import Redactor
from baas.functions.registry import Registry, caller_of
from baas.functions.triggers import events
from baas.functions.triggers.documents import Follower, Source
from baas.functions.triggers.timers import Timers
from baas.notation import parse_networks
from baas.ports.jobs import JobQueue
from baas.schema.actor import Actor
from baas.schema.values import Value
from baas.settings import Settings

_log: Final = logging.getLogger("baas.functions")
#: Seconds between two rounds of housekeeping.
_INTERVAL: Final = 5.0
_DAY_MS: Final = 86_400_000
#: What still runs so long after a stop began is handed back, to be run again: it is durable. Less
#: than the grace that a supervisor gives beyond the drain of requests, which comes before.
_DRAIN_SECONDS: Final = 4.0


class Backing(Source, Protocol):
    """The parts of the store that this needs."""

    @property
    def jobs(self) -> JobQueue: ...


class Background:
    """Implements `context.Dispatch`. `letters`, once started, lists, stops and redrives jobs."""

    def __init__(
        self,
        store: Backing,
        registry: Registry,
        invoke: Invoke,
        secrets: SecretSource,
        clock: Clock,
        settings: Settings,
        guarded: Guarded | None = None,
        redactor: Callable[[], Redactor] = Redactor,
        as_of_now: AsOfNow | None = None,
    ) -> None:
        self._store = store
        self._as_of_now = as_of_now or _as_he_was
        self._registry = registry
        self._invoke = invoke
        self._secrets = secrets
        self._clock = clock
        self._settings = settings
        self._guarded = guarded or Guarded(parse_networks(settings.jobs.webhook_private))
        self._redactor = redactor
        self._started = False
        #: Whether background tasks do the work, rather than `run_once`.
        self._loops = False
        self._keeper: asyncio.Task[None] | None = None

    def _make(self) -> None:
        """Once the store is open: its parts are made then."""
        self._jobs = jobs = self._store.jobs
        clock, settings = self._clock, self._settings
        settlement = Settlement(jobs, clock, self._functions)
        calls = CallRunner(jobs, self._invoke, self._functions, settlement, clock, self._as_of_now)
        self._webhooks = WebhookRunner(
            settlement,
            self._secrets.current,
            clock,
            self._guarded,
            timeout=settings.jobs.webhook_timeout,
            source=f"/apps/{settings.app.name}",
        )
        self._pumps = (
            FairPump(
                jobs,
                (f"{CALLS}*",),
                calls.run,
                at_once=settings.jobs.concurrency,
                most=self._most_at_once,
            ),
            Pump(jobs, (WEBHOOKS,), self._webhooks.run, at_once=AT_ONCE),
        )
        self._queues = Queues(jobs, self._invoke, self._functions, settlement, clock)
        self._timers = Timers(jobs, clock)
        self._follower = Follower(self._store, jobs, clock)
        self.letters: DeadLetters = DeadLetters(
            jobs, self._functions, clock, self._pumps[0].hasten, self._redactor
        )

    async def start(self) -> None:
        self._loops = True
        await self.prepare()
        for pump in self._pumps:
            pump.start()
        self._timers.start()
        self._follower.start()
        loop = asyncio.get_running_loop()
        self._keeper = loop.create_task(self._keep(), name="baas-jobs-keeper")

    async def prepare(self) -> None:
        """Everything but the background tasks: `run_once` does what they would."""
        self._make()
        self._started = True
        await self._jobs.recover()
        self._registry.listeners.append(self._fit)
        self._fit(self._release)

    @property
    def _release(self) -> Release | None:
        primary = self._registry.primary
        return primary.release if primary else None

    async def run_once(self) -> None:
        """Does what there is to do now, and what comes of it, until nothing is due."""
        while True:
            await self._timers.fire()
            while await self._follower.step():
                pass
            done = [await pump.run_once() for pump in self._pumps]
            if not sum(done) + await self._queues.run_once() and not await self._follower.step():
                return

    async def stop(self) -> None:
        """Takes up nothing more, lets what runs end in time, hands the rest back. Safe twice."""
        if not self._started:
            return
        self._started = False
        with suppress(ValueError):  # it may have stopped half way through its start
            self._registry.listeners.remove(self._fit)
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await asyncio.gather(self._timers.stop(), self._follower.stop())
        drain = self._drain
        await asyncio.gather(*(pump.stop(drain) for pump in self._pumps), self._queues.stop(drain))
        self._webhooks.close()

    def _fit(self, release: Release | None) -> None:
        self._timers.fit(release)
        self._follower.fit(release)
        self._queues.fit(release, self._drain, start=self._loops)

    @property
    def _drain(self) -> float:
        return min(self._settings.server.drain_seconds, _DRAIN_SECONDS)

    def _functions(self) -> Mapping[str, FunctionSpec]:
        return self._release.functions if self._release else {}

    def _most_at_once(self, queue: str) -> int | None:
        """What a function can run at once here: more would only wait for each other."""
        spec = self._functions().get(called_from(queue))
        return None if spec is None else most_at_once(spec)

    # -- Dispatch ----------------------------------------------------------------------------------

    async def enqueue(self, call: Call, delay: float = 0.0) -> str:
        """Its invocation id, once that is durable: the call's own where it has one, so that one
        which is sent twice runs once. NOT_FOUND, LOOP_DETECTED, INVALID_ARGUMENT for the delay."""
        try:
            check_delay(delay)
        except ValueError as fault:
            raise Problem(Code.INVALID_ARGUMENT, str(fault)) from None
        _check_depth(call.depth)
        _, spec = self._registry.current(call.function, caller_of(call), call.alias)
        job = call_job(call, now_ms=self._clock.now_ms(), policy=spec.retries, delay=delay)
        await self._jobs.add((job,))
        return job.id

    async def emit(self, type: str, data: Value, origin: Call) -> None:
        _check_depth(origin.depth + 1)
        now = self._clock.now_ms()
        event = events.own_event(type, data, function=origin.function, now_ms=now)
        await self._publish(event, uid_behind(origin), origin.depth)

    async def publish(self, event: events.CloudEvent, actor: str | None) -> int:
        """An event from outside; how many functions it newly started. A repeat starts none."""
        return await self._publish(event, actor, 0)

    async def _publish(self, event: events.CloudEvent, actor: str | None, depth: int) -> int:
        found = events.jobs_of(
            event,
            self._release,
            actor=actor,
            depth=depth,
            now_ms=self._clock.now_ms(),
        )
        return len(await self._jobs.add(found)) if found else 0

    async def send(
        self, queue: str, body: Value, *, delay: float, ordering: str | None, origin: Call
    ) -> str:
        _check_depth(origin.depth + 1)
        job = message_job(
            queue,
            Message(body=body, actor=uid_behind(origin)),
            now_ms=self._clock.now_ms(),
            delay=delay,
            ordering=ordering,
            depth=origin.depth + 1,
        )
        await self._jobs.add((job,))
        return job.id

    # -- housekeeping ------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            try:
                await self.keep_once()
            except Problem as problem:
                _log.error("housekeeping of jobs will be tried again: %s", problem)

    async def keep_once(self) -> None:
        """One round: leases of the dead end, what is older than the settings say goes."""
        await self._jobs.recover()
        before = self._clock.now_ms() - self._settings.jobs.keep_days * _DAY_MS
        await self._jobs.purge(before)


async def _as_he_was(actor: Actor) -> Actor:
    """Where there are no accounts to look at."""
    return actor


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        detail = f"Calls and triggers form a chain of {MAX_DEPTH}."
        raise Problem(Code.LOOP_DETECTED, detail)
