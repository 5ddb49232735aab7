"""The main module of a worker process: `python -m baas.functions.isolation.worker FD PARENT`.

Loads the release itself, runs what the gateway sends, and asks the gateway for everything else. It
ends with the gateway: by the end of the pipe, and by a signal from the kernel even where a
function holds the interpreter. Started by `isolation.process` alone.
"""

from __future__ import annotations

import asyncio
import ctypes
import io
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final, TextIO

from baas.errors import ConfigurationError
from baas.functions.bundle import read_bundle
from baas.functions.isolation import frames
from baas.functions.isolation.frames import Channel, ToWorker
from baas.functions.isolation.inline import Run
from baas.functions.isolation.pipehost import PipeHost, raised_by
from baas.functions.isolation.responses import sendable
from baas.functions.isolation.threads import Threads
from baas.functions.lifecycle import Lifecycle
from baas.functions.load import load_release
from baas.functions.model import Call
from baas.functions.outcome import Fault, failed, fault_of
from baas.functions.records import Recording
from baas.functions.redact import Redactor

_log: Final = logging.getLogger("baas.functions")

#: Address space beside the cap: stacks and arenas of threads, which are reserved and not used. The
#: gateway watches what is used; this fence is for what allocates faster than it looks.
_RESERVED: Final = 192 * 1024**2
_LEAST_ROOM: Final = 16 * 1024**2
_PR_SET_PDEATHSIG: Final = 1
#: Made beforehand: there may be no room for it when it is needed.
OUT_OF_MEMORY: Final = failed("The function ran out of memory.", type="MemoryError")
#: The call whose code runs now, for what it prints.
_CURRENT: Final[ContextVar[Recording | None]] = ContextVar("baas_worker_call", default=None)


class Worker:
    """One release in one process."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self.channel: Final = Channel(frames.decode_to_worker, self._received, _end)
        self._life: Lifecycle | None = None
        self._threads: Final = Threads()
        self._secrets: Mapping[str, str] = {}
        self._redactor = Redactor()
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._numbers = count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def _received(self, frame: ToWorker) -> None:
        match frame:
            case frames.Run():
                task = self._loop.create_task(self._run(frame.n, frame.call))
                self._calls[frame.n] = task
                task.add_done_callback(partial(self._over, frame.n))
            case frames.Answer():
                self._answered(frame)
            case frames.Cancel():
                if frame.n in self._calls:
                    self._calls[frame.n].cancel()
            case frames.Secrets():
                self._secrets = frame.values
                self._redactor = Redactor(frame.values.values())
            case frames.Start():
                self._spawn(self._start(frame))
            case frames.Close():
                self._spawn(self._close())

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- start and end -----------------------------------------------------------------------------

    async def _start(self, start: frames.Start) -> None:
        began = time.perf_counter()
        folder = Path(start.folder)
        try:
            release = load_release(read_bundle(folder, start.config), folder)
        except ConfigurationError as fault:
            self.channel.send(frames.Broken(str(fault)))
            return
        if release.hash != start.hash:
            self.channel.send(frames.Broken("the release's files have changed"))
            return
        self._life = Lifecycle(release)
        if start.memory is not None:
            cap_memory(start.memory)
        self.channel.send(frames.Ready(time.perf_counter() - began))
        for name in start.functions:
            await self._warm(name)

    async def _warm(self, name: str) -> None:
        """Starts a function before its first call, which tries again where this fails."""
        run = self._prepared(0, Call(function=name))
        try:
            await run.life.prepare(run.spec, run.contexts)
        except Exception as fault:
            _log.warning("%s did not start: %s: %s", name, type(fault).__name__, fault)

    async def _close(self) -> None:
        if self._life is not None:
            await self._life.close()
        sys.stdout.flush()
        _end(0)

    # -- calls -------------------------------------------------------------------------------------

    def _prepared(self, n: int, call: Call) -> Run:
        assert self._life is not None
        spec = self._life.release.functions[call.function]
        recording = Recording(call, spec, time.time_ns() // 1_000_000, partial(self._logged, n))
        run = Run(
            spec,
            call,
            self._life,
            PipeHost(partial(self._ask, n)),
            recording,
            self._threads,
            self._secrets,
            on_loop=spec.is_async,
        )
        run.begun = partial(self.channel.send, frames.Begun(n))
        return run

    async def _run(self, n: int, call: Call) -> None:
        run = self._prepared(n, call)
        _CURRENT.set(run.recording)
        try:
            self._done(n, run, await sendable(await run.result()), None)
        except asyncio.CancelledError:
            self._done(n, run, None, failed("The call was given up."))
        except MemoryError:
            self._done(n, run, None, OUT_OF_MEMORY, spent=True)
        except BaseException as raised:
            fault = fault_of(raised, run.life.release.folder, self._redactor)
            # What has not started well is not started again in the same process.
            spent = fault.result != "refused" and not run.life.is_ready(run.spec)
            self._done(n, run, None, fault, spent=spent)

    def _over(self, n: int, task: asyncio.Task[None]) -> None:
        """A call that was given up before its first step has not said so itself."""
        if self._calls.pop(n, None) is not None:
            self.channel.send(frames.Done(n, {}, None, failed("The call was given up.")))
        if not task.cancelled() and (fault := task.exception()):
            _log.error("a call ended in a fault of the worker", exc_info=fault)

    def _done(
        self, n: int, run: Run, result: Any, fault: Fault | None, *, spent: bool = False
    ) -> None:
        self._calls.pop(n, None)
        phases = run.recording.phases or {}
        try:
            self.channel.send(frames.Done(n, phases, result, fault, spent))
        except (TypeError, OverflowError, ValueError) as unsendable:
            fault = fault_of(unsendable, run.life.release.folder, self._redactor)
            self.channel.send(frames.Done(n, phases, None, fault, spent))

    # -- the gateway -------------------------------------------------------------------------------

    async def _ask(self, n: int, method: str, arguments: tuple[Any, ...]) -> Any:
        """A coroutine, so that whatever thread asks, it is the loop's that writes to the pipe."""
        number = next(self._numbers)
        answer: asyncio.Future[Any] = self._loop.create_future()
        self.channel.send(frames.Ask(number, n, method, arguments))
        self._asked[number] = answer
        return await answer

    def _answered(self, frame: frames.Answer) -> None:
        answer = self._asked.pop(frame.ask)
        if answer.done():
            return
        if frame.fault is None:
            answer.set_result(frame.value)
        else:
            answer.set_exception(raised_by(frame.fault))

    def _logged(self, n: int, recording: Recording, line: Any) -> None:
        """Before its call's Done, or it would be nobody's: at once from the loop's own thread,
        and from others ahead of what tells the loop that they have ended."""
        if threading.get_ident() == self._thread:
            self.channel.send(frames.Logged(n, line))
        else:
            self._loop.call_soon_threadsafe(self.channel.send, frames.Logged(n, line))


class Printed(io.TextIOBase):
    """Standard output, or error, of a worker: lines that a call prints become lines of its log;
    what nobody prints goes to the gateway's log by way of `fallback`."""

    def __init__(self, level: str, fallback: TextIO) -> None:
        self._level = level
        self._fallback = fallback
        self._begun: dict[int, str] = {}

    def write(self, text: str) -> int:
        recording = _CURRENT.get()
        if recording is None:
            return self._fallback.write(text)
        *lines, rest = (self._begun.pop(id(recording), "") + text).split("\n")
        for line in lines:
            recording.log(self._level, line, {})
        if rest:
            self._begun[id(recording)] = rest
        return len(text)

    def flush(self) -> None:
        self._fallback.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fallback.fileno()


def cap_memory(memory: int) -> None:
    """`memory` is for the whole process, what it uses already included."""
    size, used = _usage()
    limit = size + max(memory - used, _LEAST_ROOM) + _RESERVED
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _usage() -> tuple[int, int]:
    """Address space and memory in use, in bytes. Nothing where the system does not say."""
    try:
        fields = Path("/proc/self/statm").read_text().split()
    except OSError:
        return 0, 0
    page = resource.getpagesize()
    return int(fields[0]) * page, int(fields[1]) * page


def _end(status: int = 1) -> None:
    """At once: threads of functions may never end."""
    os._exit(status)


def _die_with(parent: int) -> None:
    """The kernel ends this process when its parent ends, whatever it is doing then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        _end()


async def _serve(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    pipe = socket.socket(fileno=descriptor)
    worker = Worker(loop)
    await loop.create_unix_connection(lambda: worker.channel, sock=pipe)
    await asyncio.Event().wait()


def main() -> None:
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    _die_with(parent)
    # A terminal or a service manager signals the whole group: when to end is the gateway's
    # decision. Not SIG_IGN, which programs that a function starts would inherit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    sys.stdout = Printed("info", sys.stdout)
    sys.stderr = Printed("error", sys.stderr)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    asyncio.run(_serve(descriptor))


if __name__ == "__main__":
    main()
