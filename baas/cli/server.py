"""One gateway process: the app, a listening socket and uvicorn between them."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import uvicorn

from baas.app import App
from baas.gateway.protocol import GatewayProtocol
from baas.gateway.realtime.socket import RealtimeSocket
from baas.settings import ServerSettings

#: Seconds that an idle connection is kept: longer than the 60 s of common proxies, so that it is
#: the proxy that closes and no request meets a closing socket.
KEEP_ALIVE_SECONDS: Final = 75
#: Beyond `server.drain_seconds`, how long a stop may take: what is left then is code of the app
#: that does not let itself be cancelled. What was acknowledged is durable, so the process can end.
STOP_SECONDS: Final = 10.0
#: Exit code of a stop that had to be forced.
FORCED: Final = 1

log = logging.getLogger("baas.cli")


class _Server(uvicorn.Server):
    """uvicorn, with signals left to `run` (so that a stop on request is exit code 0)."""

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        drain: Callable[[], None],
        overdue: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._drain = drain
        self._overdue = overdue

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Drains; the second time does not wait for requests under way."""
        self.force_exit = self.should_exit
        if not self.should_exit:
            # A thread: the loop itself may be what stands still, and is gone before the end.
            seconds = (self.config.timeout_graceful_shutdown or 0) + STOP_SECONDS
            watch = threading.Timer(seconds, self._overdue)
            watch.daemon = True
            watch.start()
        self.should_exit = True
        self._drain()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where there is one (it is not made for Windows)."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


async def run(
    app: App,
    settings: ServerSettings,
    listener: Callable[[], socket.socket],
    ready: Callable[[socket.socket], None],
    life: int | None = None,
) -> None:
    """Starts `app`, then listens, until SIGTERM or SIGINT; stops both in turn.

    `life` is a file descriptor whose end of file also means stop: the parent is gone.
    """
    await app.start()
    try:
        sock = listener()
        server = _Server(
            _config(app, settings), lambda: ready(sock), app.drain, lambda: _force(app)
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stop)
        if life is not None:
            loop.add_reader(life, _once, loop, life, server.stop)
        # What lives since the start lives to the end: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.enable()
        await server.serve([sock])
    finally:
        await app.stop()


def _force(app: App) -> None:
    """Ends the process at once, as a kill would."""
    log.error("the stop took too long: something of the app does not end, and is left where it is")
    with suppress(Exception):
        app.logs.flush()
    os._exit(FORCED)


def _once(loop: asyncio.AbstractEventLoop, fd: int, call: Callable[[], None]) -> None:
    loop.remove_reader(fd)
    call()


def _config(app: App, settings: ServerSettings) -> uvicorn.Config:
    """Logs and forwarded addresses are the gateway's own: see shared performance numbers."""
    return uvicorn.Config(
        app.asgi,
        http=GatewayProtocol,
        ws=RealtimeSocket,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
    )
