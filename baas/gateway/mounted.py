"""Mounted apps: ASGI or WSGI, with their lifespan, as long as their release serves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from baas.errors import Code, Problem
from baas.functions.isolation.threads import Threads
from baas.functions.lifecycle import MeantToEnd, contained
from baas.functions.model import Mount
from baas.functions.registry import Serving
from baas.gateway.exchange import Message, Receive, Scope, Send
from baas.gateway.wsgi import THREADS, WsgiToAsgi

_log: Final = logging.getLogger("baas.functions")

PREFIX: Final = "/http"
#: How long an app may take to say that it has started, and that it has stopped; a stop waits for
#: the second.
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0

AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class Mounted:
    """One mount of one release. Started by its first request, stopped with its release."""

    def __init__(self, mount: Mount, threads: Threads) -> None:
        self._mount = mount
        self._app: AsgiApp = WsgiToAsgi(mount.app, threads) if mount.wsgi else mount.app
        self._lifespan = None if mount.wsgi else _Lifespan(mount.app, f"at {mount.path or '/'}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`scope` as the server gave it; the app sees itself mounted (`root_path`)."""
        inner = {**scope, "root_path": f"{scope.get('root_path', '')}{PREFIX}{self._mount.path}"}
        if self._lifespan is not None:
            await self._lifespan.started()
            inner["state"] = self._lifespan.state.copy()
        await self._app(inner, receive, send)

    async def stop(self) -> None:
        if self._lifespan is not None:
            await self._lifespan.stop()


class MountedApps:
    """The apps of every release in force."""

    def __init__(self) -> None:
        self._apps: dict[tuple[str, str], Mounted] = {}
        self._threads: Final = Threads(THREADS)

    def of(self, serving: Serving, mount: Mount) -> Mounted:
        key = (serving.release.namespace, mount.path)
        found = self._apps.get(key)
        if found is None:
            found = self._apps[key] = Mounted(mount, self._threads)
            serving.closers.append(lambda: self._close(key))
        return found

    async def _close(self, key: tuple[str, str]) -> None:
        await self._apps.pop(key).stop()


class _Lifespan:
    """The ASGI lifespan protocol towards an app. One that does not speak it is left alone."""

    def __init__(self, app: AsgiApp, name: str) -> None:
        self._app = app
        self._name = name
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._is_up = False
        self.state: dict[str, Any] = {}

    async def started(self) -> None:
        """Once it is up. FUNCTION_FAILED where it says that it cannot; the next request asks
        again."""
        if self._is_up:
            return
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        starting = self._starting
        try:
            await asyncio.shield(starting)
        finally:
            if starting.done() and self._starting is starting:
                self._starting = None

    async def _start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="baas-mount-lifespan")
        answer = await self._ask("lifespan.startup", START_SECONDS)
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            _log.error("the app mounted %s did not start: %s", self._name, answer.get("message"))
            raise Problem(Code.FUNCTION_FAILED, "The mounted app did not start.")
        self._is_up = True

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        with contained():
            await self._app({**scope, "state": self.state}, self._to_app.get, self._from_app.put)

    async def _ask(self, type: str, seconds: float) -> Message | None:
        """The app's answer; None from one that ended without (it does not speak the protocol)."""
        assert self._task is not None
        await self._to_app.put({"type": type})
        answer = asyncio.create_task(self._from_app.get())
        waited: set[asyncio.Task[Any]] = {answer, self._task}
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        if not self._task.done():
            _log.error("the app mounted %s does not answer %s", self._name, type)
        elif isinstance(fault := self._task.exception(), MeantToEnd):
            _log.error("the app mounted %s would end its process: %s", self._name, fault)
        elif fault is not None:
            _log.debug("the app mounted %s has no lifespan: %r", self._name, fault)
        return None

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        self._task = task
        if not task.done():
            await self._ask("lifespan.shutdown", STOP_SECONDS)
        self._task = None
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
