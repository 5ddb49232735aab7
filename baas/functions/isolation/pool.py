"""Worker processes by release and group: how many, which one takes a call, when one goes.

Functions named together in `aggregate:` share workers; any other function has its own. A pool
never runs more than `max_workers`, keeps `min_workers` warm, and lets idle ones go. All numbers
are per gateway process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from baas.functions.host import LocalHost
from baas.functions.isolation.process import State, WorkerProcess
from baas.functions.limits import Slots
from baas.functions.model import Call, FunctionSpec, Release
from baas.functions.records import Recording
from baas.functions.registry import Held
from baas.schema.values import Value

_log: Final = logging.getLogger("baas.functions")

#: A pool whose workers do not start tries no more often than this to keep its minimum.
_RESPAWN_SECONDS: Final = 1.0


class Pool:
    """The workers of one group of functions of one release."""

    def __init__(self, release: Release, functions: tuple[FunctionSpec, ...]) -> None:
        self._release = release
        self._functions = functions
        self._per_worker = max(spec.concurrency or 1 for spec in functions)
        self._least = max(spec.min_workers for spec in functions)
        self._most = max(1, self._least, *(spec.max_workers for spec in functions))
        self._idle_seconds = max(spec.idle_timeout for spec in functions)
        self._slots = Slots(self._per_worker * self._most)
        self._loop = asyncio.get_running_loop()
        self._timers: dict[WorkerProcess, asyncio.TimerHandle] = {}
        self._closed = False
        self.workers: list[WorkerProcess] = []

    def warm(self) -> None:
        """Starts what is missing to the minimum."""
        while not self._closed and len(self.workers) < self._least:
            self._spawn(warm=True)

    async def run(
        self,
        spec: FunctionSpec,
        call: Call,
        host: LocalHost,
        recording: Recording,
        secrets: Mapping[str, str],
    ) -> Value:
        """As `WorkerProcess.run`; Busy where too many calls wait."""
        patience = spec.timeout
        if call.deadline is not None:
            patience = min(patience, call.deadline - time.monotonic())
        await self._slots.take(patience)
        try:
            while True:
                worker = self._worker()
                with worker.taken():
                    await self._ready(worker, recording)
                    if worker.state is State.SERVING:
                        return await worker.run(spec, call, host, recording, secrets)
        finally:
            self._slots.give()

    async def _ready(self, worker: WorkerProcess, recording: Recording) -> None:
        self._timer_off(worker)
        if worker.state is State.STARTING:
            await asyncio.shield(worker.ready)
            for name, seconds in worker.phases.items():
                recording.phase(name, seconds)

    def _worker(self) -> WorkerProcess:
        """One with room: the busiest of those, so that the others may become idle and go."""
        free = [one for one in self._usable() if one.load < self._per_worker]
        if free:
            return max(free, key=lambda one: (one.state is State.SERVING, one.load))
        return self._spawn(warm=False)

    def _usable(self) -> Iterator[WorkerProcess]:
        return (one for one in self.workers if one.state in (State.STARTING, State.SERVING))

    def _spawn(self, *, warm: bool) -> WorkerProcess:
        worker = WorkerProcess(
            self._release, self._functions, warm=warm, idle=self._idle, gone=self._gone
        )
        self.workers.append(worker)
        return worker

    # -- idle, gone, closed ------------------------------------------------------------------------

    def _idle(self, worker: WorkerProcess) -> None:
        self._timer_off(worker)
        if not worker.load and not self._closed:
            self._timers[worker] = self._loop.call_later(self._idle_seconds, self._reap, worker)

    def _timer_off(self, worker: WorkerProcess) -> None:
        timer = self._timers.pop(worker, None)
        if timer is not None:
            timer.cancel()

    def _reap(self, worker: WorkerProcess) -> None:
        self._timers.pop(worker, None)
        if worker.load or len(list(self._usable())) <= self._least:
            return
        self._loop.create_task(worker.close())

    def _gone(self, worker: WorkerProcess) -> None:
        self._timer_off(worker)
        if worker in self.workers:
            self.workers.remove(worker)
        if self._least and not self._closed:
            self._loop.call_later(_RESPAWN_SECONDS, self.warm)

    async def close(self) -> None:
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        await asyncio.gather(*(worker.close() for worker in list(self.workers)))


class Pools:
    """All worker processes of one gateway. `secrets` gives those of now."""

    def __init__(self, secrets: Callable[[], Mapping[str, str]]) -> None:
        self._secrets = secrets
        self._pools: dict[str, dict[str, Pool]] = {}

    async def run(self, held: Held, call: Call, host: LocalHost, recording: Recording) -> Value:
        """One call in a process. Raises Failed, TimedOut or Busy."""
        pool = self._pool(held.serving.release, held.spec)
        return await pool.run(held.spec, call, host, recording, self._secrets())

    def warm(self, release: Release) -> None:
        """Starts the workers that a release wants before its first call."""
        for spec in release.functions.values():
            if spec.isolation == "process" and spec.min_workers:
                self._pool(release, spec).warm()

    def workers(self) -> list[WorkerProcess]:
        return [
            worker
            for pools in self._pools.values()
            for pool in set(pools.values())
            for worker in pool.workers
        ]

    def _pool(self, release: Release, spec: FunctionSpec) -> Pool:
        pools = self._pools.setdefault(release.hash, {})
        pool = pools.get(spec.name)
        if pool is None:
            members = _together(release, spec)
            pool = Pool(release, members)
            pools |= {member.name: pool for member in members}
        return pool

    async def close(self, version: str | None = None) -> None:
        """Lets go of the workers of one release, or of all."""
        versions = list(self._pools) if version is None else [version]
        pools = [pool for one in versions for pool in self._pools.pop(one, {}).values()]
        await asyncio.gather(*(pool.close() for pool in set(pools)))


def _together(release: Release, spec: FunctionSpec) -> tuple[FunctionSpec, ...]:
    """The functions that share its workers, itself among them."""
    for names in release.aggregate.values():
        if spec.name in names:
            return tuple(release.functions[name] for name in names if name in release.functions)
    return (spec,)
