"""One worker process, as the gateway sees it: started, given calls, watched, killed.

A call ends at its limit whatever the function does. First the worker is asked to give it up; an
async function that heeds that costs nothing more. Else the worker is lost: it takes no more calls,
and is killed at once, or, where it runs other calls too, as soon as those are done.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final

from baas.functions.host import LocalHost
from baas.functions.isolation import frames
from baas.functions.isolation.frames import Channel, ToGateway
from baas.functions.isolation.pipehost import answer
from baas.functions.model import Call, FunctionSpec, Release
from baas.functions.outcome import Failed, Fault, TimedOut, failed
from baas.functions.records import Recording
from baas.schema.values import Value

_log: Final = logging.getLogger("baas.functions")

#: A worker has so long, in seconds, to say that a call which ran past its limit was given up.
GRACE: Final = 0.1
#: Longest that starting the interpreter and importing the release may take.
START_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 5.0
#: How often memory in use is looked at while calls run.
MEMORY_SECONDS: Final = 0.05
_MODULE: Final = "baas.functions.isolation.worker"
_ROOT: Final = Path(__file__).resolve().parents[3]
_MAX_PRINTED: Final = 8192


class State(Enum):
    STARTING = "starting"
    SERVING = "serving"
    LEAVING = "takes no more calls"
    GONE = "gone"


class _Running:
    """A call in the worker."""

    __slots__ = ("done", "fault", "host", "recording", "spec", "timer")

    def __init__(self, spec: FunctionSpec, host: LocalHost, recording: Recording) -> None:
        self.spec = spec
        self.host = host
        self.recording = recording
        self.done: asyncio.Future[frames.Done] = asyncio.get_running_loop().create_future()
        self.timer: asyncio.TimerHandle | None = None
        #: What it comes to if the worker ends now.
        self.fault: Fault | None = None


class WorkerProcess:
    """Made and used on the event loop. `idle` is told whenever a call has ended, `gone` once."""

    def __init__(
        self,
        release: Release,
        functions: tuple[FunctionSpec, ...],
        *,
        warm: bool,
        idle: Callable[[WorkerProcess], None],
        gone: Callable[[WorkerProcess], None],
    ) -> None:
        self._functions = functions
        self._idle = idle
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, _Running] = {}
        self._taken = 0
        self._number = 0
        self._secrets: Mapping[str, str] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reason: Fault | None = None
        self._memory = _memory_of(functions)
        self._is_watched = False
        self.state = State.STARTING
        #: Settled when it serves; a Failed where it cannot.
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.ready.add_done_callback(lambda done: done.exception())
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._output: asyncio.ReadTransport | None = None
        self.phases: dict[str, float] = {}
        self._begun = time.perf_counter()
        self._channel = Channel(frames.decode_to_gateway, self._received, self._lost)
        self._process = self._spawn()
        self._started = self._loop.create_task(self._start(release, warm))

    @property
    def load(self) -> int:
        """Calls under way, and those that wait for the start."""
        return self._taken

    @property
    def running(self) -> int:
        """Calls that the worker has not yet said the end of."""
        return len(self._calls)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Room for one call."""
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
            if not self._taken and self.state is State.SERVING:
                self._idle(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    # -- start -------------------------------------------------------------------------------------

    def _spawn(self) -> subprocess.Popen[bytes]:
        """On this thread: the kernel ties the worker's life to the thread that made it."""
        self._ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-m", _MODULE, str(theirs.fileno()), str(os.getpid())]
            return subprocess.Popen(  # noqa: S603  our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                # Of its own: what its functions start is in it, and is killed with it.
                process_group=0,
                env=_environment(self._functions),
            )

    async def _start(self, release: Release, warm: bool) -> None:
        try:
            await self._connect(release, warm)
            await asyncio.sleep(START_SECONDS)
            _log.error("a worker did not start in %g s", START_SECONDS)
        except Exception:
            _log.exception("a worker could not be started")
            self._ours.close()
        if self.state is State.STARTING:
            self.kill(failed("The function's worker did not start."))

    async def _connect(self, release: Release, warm: bool) -> None:
        self._ours.setblocking(False)
        await self._loop.create_unix_connection(lambda: self._channel, sock=self._ours)
        assert self._process.stdout is not None
        self._output, _ = await self._loop.connect_read_pipe(
            partial(_Printed, self._printed), self._process.stdout
        )
        names = tuple(spec.name for spec in self._functions) if warm else ()
        self._channel.send(
            frames.Start(str(release.folder), release.config, release.hash, self._memory, names)
        )

    # -- calls -------------------------------------------------------------------------------------

    async def run(
        self,
        spec: FunctionSpec,
        call: Call,
        host: LocalHost,
        recording: Recording,
        secrets: Mapping[str, str],
    ) -> Value:
        """The call's result, of a worker that serves and has room (`taken`). Raises Failed or
        TimedOut; cancelled, it gives the call up."""
        seconds = _remaining(call, spec)
        if seconds <= 0:
            raise TimedOut(spec.timeout)
        if secrets is not self._secrets:
            self._channel.send(frames.Secrets(dict(secrets)))
            self._secrets = secrets
        self._number += 1
        number, running = self._number, _Running(spec, host, recording)
        # OverflowError and the like: the event has no form on the pipe. The function failed.
        self._channel.send(frames.Run(number, call))
        self._calls[number] = running
        self._limit(number, running, seconds)
        self._watch_memory()
        try:
            done = await running.done
        except asyncio.CancelledError:
            self._give_up(number, running)
            raise
        return self._result(done, recording)

    def _result(self, done: frames.Done, recording: Recording) -> Value:
        for name, ms in done.phases.items():
            recording.phase(name, ms / 1000)
        if done.fault is not None:
            raise Failed(done.fault)
        return done.result

    def _limit(self, number: int, running: _Running, seconds: float) -> None:
        if running.timer is not None:
            running.timer.cancel()
        running.timer = self._loop.call_later(
            max(seconds, 0) + GRACE, self._overrun, number, running
        )

    def _overrun(self, number: int, running: _Running) -> None:
        """The worker itself ends a call at its limit, or when it is given up; that it did not
        says that it cannot."""
        if number not in self._calls:
            return
        if not running.done.done():
            running.done.set_exception(TimedOut(running.spec.timeout))
        self._end(number)
        self._leave()

    def _give_up(self, number: int, running: _Running) -> None:
        """Its caller has gone. A sync function cannot be stopped but by ending its process."""
        if not running.spec.is_async:
            self._end(number)
            self._leave()
            return
        self._channel.send(frames.Cancel(number))
        if running.timer is not None:
            running.timer.cancel()
        running.timer = self._loop.call_later(GRACE, self._overrun, number, running)

    def _end(self, number: int) -> None:
        running = self._calls.pop(number, None)
        if running is None:
            return
        if running.timer is not None:
            running.timer.cancel()
        if self.state is State.LEAVING and not self._calls:
            self.kill()

    def _leave(self) -> None:
        """No more calls here; the process ends with the last one."""
        if self.state in (State.STARTING, State.SERVING):
            self.state = State.LEAVING
        if not self._calls:
            self.kill()

    # -- frames ------------------------------------------------------------------------------------

    def _received(self, frame: ToGateway) -> None:
        match frame:
            case frames.Done():
                self._done(frame)
            case frames.Ask():
                self._spawn_task(self._answer(frame))
            case frames.Logged():
                self._logged(frame)
            case frames.Begun():
                running = self._calls.get(frame.n)
                if running is not None:
                    self._limit(frame.n, running, _remaining(running.recording.call, running.spec))
            case frames.Ready():
                self._is_ready(frame)
            case frames.Broken():
                _log.error("a worker cannot load the functions: %s", frame.message)
                self.kill(failed("The function's worker did not start."))

    def _is_ready(self, frame: frames.Ready) -> None:
        spawned = time.perf_counter() - self._begun - frame.seconds
        self.phases = {"spawn": spawned, "import": frame.seconds}
        self._started.cancel()
        if self.state is State.STARTING:
            self.state = State.SERVING
        if not self.ready.done():
            self.ready.set_result(None)
        if not self._taken:
            self._idle(self)

    def _done(self, frame: frames.Done) -> None:
        running = self._calls.get(frame.n)
        if running is None:
            return
        overran = frame.fault is not None and frame.fault.result == "timeout"
        if not running.done.done():
            running.done.set_result(frame)
        if frame.spent or (overran and not running.spec.is_async):
            self.state = State.LEAVING if self.state is State.SERVING else self.state
        self._end(frame.n)

    async def _answer(self, ask: frames.Ask) -> None:
        running = self._calls.get(ask.n)
        if running is None:
            fault = failed("The call has ended.")
            self._channel.send(frames.Answer(ask.ask, None, fault))
            return
        value, refusal = await answer(running.host, ask.method, ask.arguments)
        self._channel.send(frames.Answer(ask.ask, value, refusal))

    def _logged(self, frame: frames.Logged) -> None:
        running = self._calls.get(frame.n)
        if running is None:
            _log.log(logging.INFO, "%s", frame.line.message)
        else:
            running.recording.log(frame.line.level, frame.line.message, frame.line.fields)

    def _printed(self, line: str) -> None:
        """What came out of the process by itself: of the one call that runs, if it is one."""
        if len(self._calls) == 1:
            (running,) = self._calls.values()
            running.recording.log("info", line, {})
        else:
            _log.info("%s", line)

    def _spawn_task(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- memory ------------------------------------------------------------------------------------

    def _watch_memory(self) -> None:
        if self._memory is not None and not self._is_watched:
            self._is_watched = True
            self._loop.call_later(MEMORY_SECONDS, self._look_at_memory, self._memory)

    def _look_at_memory(self, most: int) -> None:
        if not self._calls or self.state is State.GONE:
            self._is_watched = False
            return
        if _memory_in_use(self.pid) > most:
            detail = f"The function used more than {most // 1024**2} MiB of memory."
            self.kill(failed(detail, type="MemoryLimitExceeded"))
            return
        self._loop.call_later(MEMORY_SECONDS, self._look_at_memory, most)

    # -- end ---------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close hooks, then the end; by force where that takes too long. Safe to call twice."""
        if self.state is State.STARTING:
            self.kill()
        if self.state is not State.GONE:
            self.state = State.LEAVING
            self._channel.send(frames.Close())
            self._loop.call_later(CLOSE_SECONDS, self._too_slow)
        await asyncio.shield(self._ended)

    def _too_slow(self) -> None:
        if self.state is not State.GONE:
            _log.warning("a worker did not close in %g s and is killed", CLOSE_SECONDS)
            self.kill()

    def kill(self, fault: Fault | None = None) -> None:
        """At once. Calls under way fail with `fault`."""
        if self.state is State.GONE:
            return
        self._reason = self._reason or fault
        self._kill_group()
        self._channel.close()
        self._over()

    def _kill_group(self) -> None:
        """The process, and the programs that its functions started, unless they left its group.
        While it is not waited for, the number is its own; macOS refuses what has ended."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _lost(self) -> None:
        """The pipe has ended: the worker is gone, if by itself, it crashed."""
        if self.state is not State.GONE:
            self._kill_group()
            self._over()

    def _over(self) -> None:
        self.state = State.GONE
        self._started.cancel()
        fault = self._reason or failed("The function's worker ended unexpectedly.")
        if not self.ready.done():
            self.ready.set_exception(Failed(fault))
        for running in self._calls.values():
            if running.timer is not None:
                running.timer.cancel()
            if not running.done.done():
                running.done.set_exception(Failed(fault))
        self._calls.clear()
        self._spawn_task(self._reap())
        self._gone(self)

    async def _reap(self) -> None:
        await asyncio.to_thread(self._process.wait)
        if self._output is not None:
            self._output.close()
        self._ended.set_result(None)


class _Printed(asyncio.Protocol):
    """Lines that a process writes."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._tell(line[:_MAX_PRINTED].decode("utf-8", "replace"))
        self._rest = rest[:_MAX_PRINTED]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._rest:
            self._tell(self._rest.decode("utf-8", "replace"))


def _remaining(call: Call, spec: FunctionSpec) -> float:
    if call.deadline is None:
        return spec.timeout
    return min(spec.timeout, call.deadline - time.monotonic())


def _memory_of(functions: tuple[FunctionSpec, ...]) -> int | None:
    """The cap of a shared process is that of its largest function; one without has no cap."""
    caps = [spec.memory for spec in functions]
    known = [cap for cap in caps if cap is not None]
    return max(known) if known and len(known) == len(caps) else None


def _environment(functions: tuple[FunctionSpec, ...]) -> dict[str, str]:
    """The gateway's own, without its settings (its master secret may be among them), with what
    the functions declare."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("BAAS_")}
    path = [str(_ROOT), *filter(None, [found.get("PYTHONPATH")])]
    found |= {
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONUNBUFFERED": "1",
        # Arenas per thread are address space that the memory cap would have to allow for.
        "MALLOC_ARENA_MAX": "2",
    }
    for spec in functions:
        found |= spec.env
    return found


def _memory_in_use(pid: int) -> int:
    """Bytes; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return 0
