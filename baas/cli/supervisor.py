"""Several gateway processes on one socket and one data folder.

The parent holds what must outlive a worker: the lock on the data folder and the listening socket.
It imports nothing of the gateway, so each worker starts from the files as they are now. A worker
that dies is replaced, with a pause that doubles while it keeps dying; where none ever came up, the
app itself is at fault and the whole ends.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final, Protocol

from baas.cli.watch import Watch

LEAST_PAUSE: Final = 0.5
MOST_PAUSE: Final = 30.0
#: A worker that lived this long starts the pauses anew.
STEADY_SECONDS: Final = 30.0
#: How often the parent looks at its workers and at watched files.
LOOK_SECONDS: Final = 0.5
#: Most bytes of what a worker says once it is ready, in one write.
MAX_TOLD: Final = 256


class Backoff:
    """How long to wait before a process that died is started again."""

    def __init__(self) -> None:
        self._pause = 0.0

    def after(self, lived: float) -> float:
        """Seconds to wait, given how many the last one lived."""
        if lived >= STEADY_SECONDS:
            self._pause = 0.0
        self._pause = min(MOST_PAUSE, max(LEAST_PAUSE, self._pause * 2))
        return self._pause


class Worker:
    """A started process and the pipe on which it says that it serves."""

    def __init__(self, command: list[str], plan: Callable[[int], bytes], keep: tuple[int, ...]):
        """`plan` makes its first line of input, given the descriptor to be ready on; `keep` are
        further descriptors that it inherits."""
        self.ready = False
        #: What it said beside being ready.
        self.told = ""
        self.started = time.monotonic()
        self._ready_end, theirs = os.pipe()
        self.process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            pass_fds=(theirs, *keep),
            process_group=0,  # Ctrl-C is for the parent alone, which then stops its workers
        )
        os.close(theirs)
        self._input: IO[bytes] | None = self.process.stdin
        self._write(plan(theirs))

    def _write(self, line: bytes) -> None:
        """One that is dead already is seen by the next look."""
        if self._input is not None:
            try:
                self._input.write(line + b"\n")
                self._input.flush()
            except BrokenPipeError:
                return

    def fileno(self) -> int:
        return self._ready_end

    def look(self) -> None:
        """Notes whether it has become ready."""
        if not self.ready and select.select([self._ready_end], [], [], 0)[0]:
            said = os.read(self._ready_end, MAX_TOLD)
            self.ready, self.told = said[:1] == b"1", said[1:].decode("ascii", "replace")

    def ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> None:
        if not self.ended():
            self.process.terminate()

    def close(self, deadline: float) -> int:
        """Waits until `deadline` (monotonic), then kills. Its exit code."""
        try:
            code = self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        os.close(self._ready_end)
        if self._input is not None:
            self._input.close()
        return code


class Spawn(Protocol):
    def __call__(self) -> Worker: ...


class Supervisor:
    """Keeps `count` workers running until a signal says stop."""

    def __init__(
        self,
        spawn: Spawn,
        count: int,
        *,
        announce: Callable[[], None],
        watch: Watch | None,
        stop_seconds: float,
        stop_listening: Callable[[], None] = lambda: None,
    ) -> None:
        """`announce` is called once the first worker serves, `stop_listening` before the last ones
        are stopped: connections that nobody will take are refused, not left waiting."""
        self._spawn = spawn
        self._announce = announce
        self._watch = watch
        self._stop_seconds = stop_seconds
        self._stop_listening = stop_listening
        self._workers: list[Worker] = []
        self._due: list[float] = [0.0] * count
        self._backoff = Backoff()
        self._came_up = False
        self._stopping = False

    def run(self) -> int:
        """The exit code: 0 after a stop on request, 1 where no worker could start."""
        with _signals(self._on_signal) as wake:
            while not self._stopping:
                self._start_due()
                starting = [worker.fileno() for worker in self._workers if not worker.ready]
                select.select([wake.fileno(), *starting], [], [], LOOK_SECONDS)
                _drain(wake)
                if not self._look():
                    self._stop_all()
                    return 1
            self._stop_listening()
            self._stop_all()
        return 0

    def _on_signal(self, number: int, _frame: object) -> None:
        if number != signal.SIGCHLD:
            self._stopping = True

    def _start_due(self) -> None:
        """The very first worker starts alone: it makes the tables, keys and secrets of the app."""
        if self._workers and not self._came_up:
            return
        now = time.monotonic()
        due = [moment for moment in self._due if moment <= now]
        for moment in due if self._came_up else due[:1]:
            self._due.remove(moment)
            self._workers.append(self._spawn())

    def _look(self) -> bool:
        """Notes who is ready and who died; False where the app cannot start at all."""
        for worker in self._workers:
            worker.look()
        if not self._came_up and any(worker.ready for worker in self._workers):
            self._came_up = True
            self._announce()
        for worker in [one for one in self._workers if one.ended()]:
            self._workers.remove(worker)
            code = worker.close(time.monotonic())
            if not self._came_up:
                return False
            if not self._stopping:
                self._replace(worker, code)
        if self._watch is not None and self._watch.changed():
            self._restart()
        return True

    def _replace(self, worker: Worker, code: int) -> None:
        now = time.monotonic()
        pause = self._backoff.after(now - worker.started)
        _say(f"worker {worker.process.pid} ended with {code}; starting another in {pause:g} s")
        self._due.append(now + pause)

    def _restart(self) -> None:
        """New workers take over what the drained ones leave; the socket stays open meanwhile."""
        _say("files changed; starting the workers again")
        count = len(self._workers) + len(self._due)
        self._stop_all()
        self._due = [0.0] * count

    def _stop_all(self) -> None:
        for worker in self._workers:
            worker.stop()
        deadline = time.monotonic() + self._stop_seconds
        for worker in self._workers:
            worker.close(deadline)
        self._workers = []


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _signals(handler: Callable[[int, object], None]) -> Iterator[socket.socket]:
    """Runs `handler` on the signals of a parent; yields a socket that wakes `select` for them."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = {number: signal.signal(number, handler) for number in numbers}
    old = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(old)
        for number, previous in before.items():
            signal.signal(number, previous)
        reader.close()
        writer.close()


def _drain(wake: socket.socket) -> None:
    try:
        while wake.recv(64):
            pass
    except BlockingIOError:
        return
