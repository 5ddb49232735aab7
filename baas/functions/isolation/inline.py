"""Running a call in this process: on the loop, or in a thread where its handler is sync.

Used by the gateway for `inline` and `thread`, and by worker processes for what they are given.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import isawaitable
from typing import Any, Final

from baas.errors import Problem
from baas.functions.context import Context, Host, Settings
from baas.functions.events import BeforeWrite, decode_event
from baas.functions.host import ThreadHost, settler
from baas.functions.isolation.threads import Threads
from baas.functions.lifecycle import Lifecycle
from baas.functions.model import Call, FunctionSpec
from baas.functions.outcome import Refused, TimedOut
from baas.functions.records import Recording
from baas.functions.values import NotJson, to_wire
from baas.schema.values import Value

#: Answers to requests below `/http` may be more than JSON; the gateway knows what to do with them.
_REQUESTS: Final = ("http", "webhook")


class Run:
    """One call in this worker. `on_loop`: the handler is not put in a thread, whatever it is."""

    __slots__ = (
        "begun",
        "call",
        "context",
        "deadline",
        "host",
        "life",
        "loop",
        "on_loop",
        "recording",
        "secrets",
        "spec",
        "threads",
    )

    def __init__(
        self,
        spec: FunctionSpec,
        call: Call,
        life: Lifecycle,
        host: Host,
        recording: Recording,
        threads: Threads,
        secrets: Mapping[str, str],
        *,
        on_loop: bool,
    ) -> None:
        self.spec = spec
        self.call = call
        self.life = life
        self.host = host
        self.recording = recording
        self.threads = threads
        self.secrets = secrets
        self.on_loop = on_loop
        self.loop = asyncio.get_running_loop()
        self.deadline = limit_of(call, spec)
        self.context: Context | None = None
        #: Called when the function has started for this call, and its own time begins.
        self.begun: Callable[[], None] | None = None

    async def result(self) -> Value:
        """What the call gives, as JSON. Raises what the function raised, TimedOut, or Refused."""
        event = self._event()
        if not self.life.is_ready(self.spec):
            await self._prepare()
        began = time.perf_counter()
        try:
            result = await self._within_limit(event)
        finally:
            self.recording.phase("invoke", time.perf_counter() - began)
        return wire_result(self.call.trigger.kind, event, result)

    def _event(self) -> Any:
        try:
            return decode_event(self.spec, self.call.trigger.kind, self.call.event)
        except Problem as problem:
            raise Refused(problem) from None

    async def _prepare(self) -> None:
        """The start of the function has a time limit of its own: it is not this call's doing."""
        began = time.perf_counter()
        try:
            await self.life.prepare(self.spec, self.contexts)
        except TimeoutError as fault:
            raise TimedOut(self.spec.timeout) from fault
        finally:
            self.recording.phase("init", time.perf_counter() - began)
        self.deadline = limit_of(self.call, self.spec)
        self.context = None
        if self.begun is not None:
            self.begun()

    async def _within_limit(self, event: Any) -> Any:
        try:
            async with asyncio.timeout(self.deadline - time.monotonic()) as limit:
                return await self.life.run(self.spec, self.contexts, event, self._handle)
        except TimeoutError as fault:
            if limit.expired():
                raise TimedOut(self.spec.timeout) from fault
            raise

    async def _handle(self, event: Any) -> Any:
        spec = self.spec
        if self.on_loop:
            result = call_handler(spec, self.contexts(True), event)
            return await result if isawaitable(result) else result
        if spec.is_async:
            work = partial(_run_async, spec, self._elsewhere(), event)
        else:
            work = partial(_run_sync, spec, self.contexts(False), event)
        return await self.threads.run(work, nested=self.call.depth > 0)

    # -- contexts ----------------------------------------------------------------------------------

    def contexts(self, is_async: bool) -> Context:
        """For code on this loop, or for plain code in a thread."""
        if not is_async:
            return self._made(self.host, settler(self.loop))
        if self.context is None:
            self.context = self._made(self.host, None)
        return self.context

    def _elsewhere(self) -> Context:
        """For async code on a loop of its own, in a thread."""
        return self._made(ThreadHost(self.host, self.loop), None)

    def _made(self, host: Host, settle: Callable[[Awaitable[Any]], Any] | None) -> Context:
        settings = Settings(
            host,
            self.recording.log,
            self.deadline,
            self.life.state(self.spec),
            self.spec.env,
            self.secrets,
            settle,
        )
        return Context(self.call, settings)


def limit_of(call: Call, spec: FunctionSpec) -> float:
    """When this call must have ended, in seconds of the monotonic clock."""
    limit = time.monotonic() + spec.timeout
    return limit if call.deadline is None else min(limit, call.deadline)


def call_handler(spec: FunctionSpec, context: Context, event: Any) -> Any:
    """What the handler answers, or an awaitable of it."""
    if spec.contract != "native":
        # Late: few apps bring handlers from elsewhere.
        from baas.functions.contracts import call_foreign

        return call_foreign(spec, context, event)
    if spec.takes == 2:
        return spec.handler(context, event)
    return spec.handler(context) if spec.takes else spec.handler()


def _run_sync(spec: FunctionSpec, context: Context, event: Any) -> Any:
    result = call_handler(spec, context, event)
    return asyncio.run(_awaited(result)) if isawaitable(result) else result


def _run_async(spec: FunctionSpec, context: Context, event: Any) -> Any:
    return asyncio.run(_awaited(call_handler(spec, context, event)))


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def wire_result(kind: str, event: Any, result: Any) -> Any:
    """A result as JSON; NotJson for what has no such form, unless a request may be answered so."""
    if kind in _REQUESTS:
        if isinstance(result, (bytes, str)) or (
            isinstance(result, dict) and "statusCode" in result
        ):
            return result
        try:
            return to_wire(result)
        except NotJson:
            return result
    if kind == "before" and result is None and isinstance(event, BeforeWrite):
        # The hook may have changed the document in place.
        parts = {"document": event.document, "update": event.update}
        return to_wire({name: part for name, part in parts.items() if part is not None})
    return to_wire(result)
