"""The life of functions in one worker: runtime start, function start, invoke, close.

A worker is the gateway process itself (isolation inline and thread) or a process of its own; each
has one Lifecycle per release. Every call passes `run`, whatever triggered it:

    runtime.before  runtime.after                    once per worker and release
    function.before initializers function.after      once per function there
    invoke.before   middleware( handler )  invoke.after        every call, failed ones too
    close.before    close.after                      each started function, when it is let go

What a stage raises fails the call that met it; the next call tries that stage afresh.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from baas.functions.isolation.threads import Threads
from baas.functions.model import FunctionSpec, Hook, Release

_log: Final = logging.getLogger("baas.functions")

#: How long a close hook may take, in seconds: a stop waits for it.
CLOSE_SECONDS: Final = 5.0
#: The rest of the onion: an event in, the result out.
Proceed: TypeAlias = Callable[[Any], Awaitable[Any]]
#: Contexts of one call: given True the one for async code, given False the one for plain code,
#: which runs in a thread.
Contexts: TypeAlias = Callable[[bool], Any]


class Stage(msgspec.Struct, kw_only=True):
    """What a hook is given. `function` is None for the runtime's own stages; `context` and `event`
    are there from function start and invoke on; `result` or `error` after an invoke; `state` is
    `ctx.state` of the function."""

    when: str
    version: str
    function: str | None = None
    context: Any = None
    event: Any = None
    result: Any = None
    error: BaseException | None = None
    state: dict[str, Any] = {}


class _Plan(msgspec.Struct, frozen=True):
    """What concerns one function, sorted out once."""

    middleware: tuple[Callable[..., Any], ...]
    initializers: tuple[Callable[..., Any], ...]
    hooks: dict[str, tuple[Callable[..., Any], ...]]


_SCOPES: Final = ("global", "group", "function")


class Lifecycle:
    """One release in one worker."""

    def __init__(self, release: Release) -> None:
        self.release: Final = release
        self._plans: dict[str, _Plan] = {}
        self._states: dict[str, dict[str, Any]] = {}
        #: Names of started functions, in the order of their start.
        self._ready: dict[str, None] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._started = False
        self._runtime: asyncio.Task[None] | None = None
        self._threads: Final = Threads()

    def state(self, spec: FunctionSpec) -> dict[str, Any]:
        """`ctx.state`: one dict per function and worker."""
        return self._states.setdefault(spec.name, {})

    def is_ready(self, spec: FunctionSpec) -> bool:
        """Whether the function has started here: then `run` begins with the invoke stage."""
        return spec.name in self._ready

    # -- starting ---------------------------------------------------------------------------------

    async def prepare(self, spec: FunctionSpec, contexts: Contexts) -> None:
        """Runtime and function start, once however many calls come at the same time; those that
        wait for one attempt share its failure."""
        if spec.name in self._ready:
            return
        if not self._started:
            await self._start_runtime()
        task = self._starting.get(spec.name)
        if task is None:
            task = asyncio.create_task(self._start_function(spec, contexts))
            self._starting[spec.name] = task
            task.add_done_callback(lambda done: self._settled(spec.name, done))
        await asyncio.shield(task)

    async def _start_runtime(self) -> None:
        if self._runtime is None:
            self._runtime = asyncio.create_task(self._run_runtime_hooks())
            self._runtime.add_done_callback(self._runtime_settled)
        await asyncio.shield(self._runtime)

    async def _run_runtime_hooks(self) -> None:
        for when in ("runtime.before", "runtime.after"):
            stage = Stage(when=when, version=self.release.hash)
            for hook in self.release.hooks:
                if hook.when == when:
                    await self._user(hook.run, stage)
        self._started = True

    def _runtime_settled(self, task: asyncio.Task[None]) -> None:
        self._runtime = None
        _seen(task)

    async def _start_function(self, spec: FunctionSpec, contexts: Contexts) -> None:
        """A fresh state each time: nothing of a failed start is left for the next one."""
        state = self._states[spec.name] = {}
        async with asyncio.timeout(spec.timeout):
            await self._hooks(spec, "function.before", contexts, state=state)
            for initializer in self._plan(spec).initializers:
                await self._user(initializer, contexts(is_async(initializer)))
            await self._hooks(spec, "function.after", contexts, state=state)
        self._ready[spec.name] = None

    def _settled(self, name: str, task: asyncio.Task[None]) -> None:
        self._starting.pop(name, None)
        _seen(task)

    # -- calls ------------------------------------------------------------------------------------

    async def run(self, spec: FunctionSpec, contexts: Contexts, event: Any, body: Proceed) -> Any:
        """One call: `body(event)` with all that stands around it. `prepare` came before."""
        plan = self._plan(spec)
        if not plan.middleware and not plan.hooks:
            return await body(event)
        await self._hooks(spec, "invoke.before", contexts, event=event)
        try:
            result = await _onion(plan.middleware, contexts, body)(event)
        except BaseException as fault:
            await self._after_failure(spec, contexts, event, fault)
            raise
        await self._hooks(spec, "invoke.after", contexts, event=event, result=result)
        return result

    async def _after_failure(
        self, spec: FunctionSpec, contexts: Contexts, event: Any, fault: BaseException
    ) -> None:
        """The after hooks of a call that failed; the call's own fault is the one that is told."""
        try:
            await self._hooks(spec, "invoke.after", contexts, event=event, error=fault)
        except Exception:
            _log.exception("a hook after a failed call of %s failed too", spec.name)

    async def _hooks(self, spec: FunctionSpec, when: str, contexts: Contexts, **facts: Any) -> None:
        hooks = self._plan(spec).hooks.get(when)
        if not hooks:
            return
        facts.setdefault("state", self.state(spec))
        stage = Stage(when=when, version=self.release.hash, function=spec.name, **facts)
        for hook in hooks:
            stage.context = contexts(is_async(hook))
            await self._user(hook, stage)

    def _plan(self, spec: FunctionSpec) -> _Plan:
        plan = self._plans.get(spec.name)
        if plan is None:
            plan = self._plans[spec.name] = _plan_of(self.release, spec)
        return plan

    # -- the end ----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close hooks of the functions that had started, the last started first. Their faults are
        logged: nobody waits for them. Safe to call twice."""
        ready, self._ready = list(self._ready), {}
        for name in reversed(ready):
            spec = self.release.functions.get(name)
            if spec is not None:
                await self._close(spec)
        self._states.clear()
        self._threads.close()

    async def _close(self, spec: FunctionSpec) -> None:
        for when in ("close.before", "close.after"):
            stage = Stage(
                when=when, version=self.release.hash, function=spec.name, state=self.state(spec)
            )
            for hook in self._plan(spec).hooks.get(when, ()):
                try:
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await self._user(hook, stage)
                except Exception:
                    _log.exception("a %s hook of %s failed", when, spec.name)

    async def _user(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Runs user code: async on this loop, plain in a thread that nobody has to wait for at the
        end of the process. It may run in a task of its own, so what it raises to end a process is
        MeantToEnd."""
        with contained():
            if is_async(function):
                return await function(*arguments)
            return await self._threads.run(partial(function, *arguments))


def _plan_of(release: Release, spec: FunctionSpec) -> _Plan:
    hooks: dict[str, tuple[Callable[..., Any], ...]] = {}
    for hook in release.hooks:
        if _concerns(hook, spec):
            hooks[hook.when] = (*hooks.get(hook.when, ()), hook.run)
    covering = [m for m in release.middleware if m.reach.covers(spec)]
    return _Plan(
        middleware=tuple(m.run for scope in _SCOPES for m in covering if m.scope == scope),
        initializers=tuple(i.run for i in release.initializers if i.reach.covers(spec)),
        hooks=hooks,
    )


def _concerns(hook: Hook, spec: FunctionSpec) -> bool:
    return not hook.when.startswith("runtime.") and hook.reach.covers(spec)


def _onion(
    middleware: tuple[Callable[..., Any], ...], contexts: Contexts, body: Proceed
) -> Proceed:
    """The first of `middleware` outermost."""
    proceed = body
    for layer in reversed(middleware):
        proceed = _around(layer, contexts, proceed)
    return proceed


def _around(layer: Callable[..., Any], contexts: Contexts, inner: Proceed) -> Proceed:
    async def proceed(event: Any) -> Any:
        return await layer(contexts(True), event, inner)

    return proceed


def is_async(function: Callable[..., Any]) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004  an object may have an async one
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


class MeantToEnd(Exception):
    """User code raised SystemExit, KeyboardInterrupt or the like. Out of a task asyncio raises such
    an exception once more, to end the loop: one function would end the gateway."""


@contextmanager
def contained() -> Iterator[None]:
    """Turns what would end the loop into MeantToEnd, as if raised where it was."""
    try:
        yield
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as fault:
        text = f"{type(fault).__name__}: {fault}".rstrip(": ")
        raise MeantToEnd(text).with_traceback(fault.__traceback__) from None


def _seen(task: asyncio.Task[None]) -> None:
    """Takes note of a failure that all waiters may have left behind by their time limits."""
    if not task.cancelled():
        task.exception()
