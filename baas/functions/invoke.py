"""The one way in: every call of every function, whatever triggered it, goes through `Invoker`.

    registry -> room for it -> event by its type -> middleware -> handler -> result as JSON

and each leaves a record. What a function raises becomes a Problem here and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from baas.clock import Clock
from baas.errors import Code, Problem
from baas.functions.blocking import Watch
from baas.functions.capture import Failure
from baas.functions.host import Kit, LocalHost
from baas.functions.isolation.inline import Run, limit_of
from baas.functions.isolation.threads import Threads
from baas.functions.limits import Slots
from baas.functions.model import MAX_DEPTH, Call, FunctionSpec
from baas.functions.outcome import Fault, fault_of
from baas.functions.records import Line, Recording, Records
from baas.functions.redact import Redactor
from baas.functions.registry import Held, Registry, caller_of
from baas.ids import new_id
from baas.schema.values import Value

_log: Final = logging.getLogger("baas.functions")
#: Told every line that a function logs, as it does.
Tell = Callable[[Recording, Line], None]


class Workers(Protocol):
    """Functions in processes of their own."""

    async def run(self, held: Held, call: Call, host: LocalHost, recording: Recording) -> Value: ...


class Invoker:
    """One per gateway process. `redactor` gives the one for the secrets of now."""

    def __init__(
        self,
        registry: Registry,
        kit: Kit,
        records: Records,
        clock: Clock,
        redactor: Callable[[], Redactor],
        workers: Workers,
        watch: Watch,
        tell: Tell | None = None,
    ) -> None:
        self._registry = registry
        self._kit = kit
        self._records = records
        self._clock = clock
        self._redactor = redactor
        self._workers = workers
        self._watch = watch
        self._tell = tell
        self.threads: Final = Threads()
        self._slots: dict[str, tuple[FunctionSpec, Slots]] = {}
        kit.invoke = self.invoke

    async def invoke(self, call: Call) -> Any:
        """The function's result, as JSON (to a request below `/http` it may be a response object).

        Raises Problem: NOT_FOUND, LOOP_DETECTED, INVALID_ARGUMENT with the field's path where the
        event does not fit, UNAVAILABLE without room, FUNCTION_TIMEOUT, the function's own code, or
        FUNCTION_FAILED. Cancelling it stops the function as far as its isolation can.
        """
        if call.depth >= MAX_DEPTH:
            detail = f"Calls and triggers form a chain of {MAX_DEPTH}."
            raise Problem(Code.LOOP_DETECTED, detail)
        with self._registry.hold(call.function, caller_of(call), call.alias) as held:
            recording = Recording(call, held.spec, self._clock.now_ms(), self._tell)
            try:
                result = await self._run(held, call, recording)
            except asyncio.CancelledError as stopped:
                if _was_cancelled():
                    self._records.done(recording, "stopped")
                    raise
                raise self._failed(held, recording, stopped) from stopped
            except GeneratorExit:
                raise
            except BaseException as raised:
                # SystemExit, KeyboardInterrupt, a panic of an extension: of the function as well.
                raise self._failed(held, recording, raised) from raised
            self._records.done(recording, "ok")
            return result

    async def enqueue(self, call: Call, delay: float = 0.0) -> str:
        """Has it run asynchronously; the invocation id, once that is durable. NOT_FOUND,
        LOOP_DETECTED at once; NOT_SUPPORTED where no queue is behind this gateway."""
        if call.depth >= MAX_DEPTH:
            raise Problem(Code.LOOP_DETECTED, f"Calls and triggers form a chain of {MAX_DEPTH}.")
        self._registry.current(call.function, caller_of(call), call.alias)
        if self._kit.dispatch is None:
            raise Problem(Code.NOT_SUPPORTED, "There is no queue behind this gateway.")
        id = call.invocation_id or new_id()
        queued = msgspec.structs.replace(call, mode="async", invocation_id=id)
        return await self._kit.dispatch.enqueue(queued, delay)

    # -- running -----------------------------------------------------------------------------------

    async def _run(self, held: Held, call: Call, recording: Recording) -> Any:
        spec = held.spec
        if spec.concurrency is None or spec.isolation == "process":
            return await self._isolated(held, call, recording)
        slots = self._slots_of(spec)
        await slots.take(limit_of(call, spec) - time.monotonic())
        try:
            return await self._isolated(held, call, recording)
        finally:
            slots.give()

    async def _isolated(self, held: Held, call: Call, recording: Recording) -> Any:
        spec = held.spec
        host = LocalHost(self._kit, call, limit_of(call, spec))
        on_loop = spec.isolation == "inline"
        if on_loop:
            self._watch.enter()
        try:
            if spec.isolation == "process":
                return await self._workers.run(held, call, host, recording)
            secrets = self._kit.secrets.current()
            run = Run(
                spec,
                call,
                held.serving.lifecycle,
                host,
                recording,
                self.threads,
                secrets,
                on_loop=on_loop,
            )
            return await run.result()
        finally:
            if on_loop:
                self._watch.leave()
            host.ended = True
            if host.is_open:
                await host.close()

    def _slots_of(self, spec: FunctionSpec) -> Slots:
        """Of this version: calls on an older one have theirs."""
        known = self._slots.get(spec.name)
        if known is None or known[0] is not spec:
            assert spec.concurrency is not None
            known = self._slots[spec.name] = (spec, Slots(spec.concurrency))
        return known[1]

    def free(self, function: str) -> int | None:
        """How many more calls could run at once; None where nothing bounds them."""
        known = self._slots.get(function)
        return None if known is None else known[1].free

    # -- failing -----------------------------------------------------------------------------------

    def _failed(self, held: Held, recording: Recording, raised: BaseException) -> Problem:
        fault = fault_of(raised, held.serving.release.folder, self._redactor())
        problem = fault.problem()
        if fault.failure is not None and _is_kept(fault, recording.call):
            _tell(recording.call, fault.failure, self._records.capture(recording, fault.failure))
        self._records.done(recording, fault.result, problem.public.name)
        if fault.failure is not None and _is_admin(recording.call):
            problem.extra = {"errorType": fault.failure.type, "stack": fault.failure.stack()}
        return problem


def _is_kept(fault: Fault, call: Call) -> bool:
    """An `fn.Error` to a caller who waits for it is an answer, not a failure."""
    return fault.result in ("failed", "timeout") or call.mode == "async"


def _tell(call: Call, failure: Failure, id: str) -> None:
    """One line in the gateway's log: what failed, where, and what shows the rest."""
    own = [one for one in failure.frames if one.locals] or failure.frames
    at = f" at {own[-1].file}:{own[-1].line}" if own else ""
    said = f"{failure.type}: {failure.message}".splitlines()[0]
    level = logging.WARNING if call.mode == "async" else logging.ERROR
    _log.log(level, "%s failed%s: %s (baas fn failure %s)", call.function, at, said, id)


def _is_admin(call: Call) -> bool:
    return call.actor.key is not None or call.actor.trusted


def _was_cancelled() -> bool:
    """Whether this task was asked to stop; else some inner task's cancellation leaked out."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
