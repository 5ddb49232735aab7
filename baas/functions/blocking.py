"""Names the function that blocks the event loop.

An inline function that computes or waits without `await` stops every request of the gateway. While
inline functions run, a thread asks the loop for a sign of life; where none comes for a while, it
looks at what the loop's thread is doing and says so in the log: function, file and line, once per
stall. Outside of inline calls it sleeps and costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Final

_log: Final = logging.getLogger("baas.functions")

#: How often the loop is asked, and how late it may answer, in seconds.
ASK_SECONDS: Final = 0.05
LATE_SECONDS: Final = 0.1
#: Without inline calls for so long, the watch goes to sleep.
_IDLE_SECONDS: Final = 1.0


class Stall:
    """Where the loop stood. `function` is None for code that no inline call is behind."""

    __slots__ = ("file", "function", "line")

    def __init__(self, function: str | None, file: str, line: int) -> None:
        self.function = function
        self.file = file
        self.line = line


class Watch:
    """`stalls` are the last ones seen."""

    def __init__(self, *, late: float = LATE_SECONDS) -> None:
        self._active = 0
        self._asleep = False
        self._wake = threading.Event()
        self.stalls: list[Stall] = []
        self._late = late
        self._answered = threading.Event()
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Called on the loop that is watched."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="baas-loop-watch", daemon=True)
        self._thread.start()

    def enter(self) -> None:
        """An inline call begins; called on the loop. Wakes the watch only where it sleeps."""
        self._active += 1
        if self._asleep:
            self._asleep = False
            self._wake.set()

    def leave(self) -> None:
        self._active -= 1

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(1.0)
            self._thread = None

    def _run(self) -> None:
        idle = _IDLE_SECONDS
        while not self._stop.is_set():
            if idle >= _IDLE_SECONDS:
                self._sleep()
                idle = 0.0
            if not self._ask():
                self._tell()
                # Once per stall: the next question waits for the answer to this one.
                while not self._answered.wait(self._late) and not self._stop.is_set():
                    pass
            idle = 0.0 if self._active else idle + ASK_SECONDS
            self._stop.wait(ASK_SECONDS)

    def _sleep(self) -> None:
        self._wake.clear()
        self._asleep = True
        # A call that began before the line above did not wake anybody.
        if not self._active and not self._stop.is_set():
            self._wake.wait()
        self._asleep = False

    def _ask(self) -> bool:
        self._answered.clear()
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._answered.set)
        except RuntimeError:  # the loop is closed
            self._stop.set()
            return True
        return self._answered.wait(self._late)

    def _tell(self) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        stall = None if frame is None else _stall(frame)
        if stall is None or self._answered.is_set():
            return
        self.stalls = [*self.stalls[-99:], stall]
        _log.warning(
            "the function %s blocks the event loop at %s:%d; await instead, or give it isolation"
            " 'thread' or 'process'",
            stall.function,
            stall.file,
            stall.line,
        )


def _stall(frame: FrameType) -> Stall | None:
    """From the innermost frame outwards to the call; the place told is the innermost one of the
    app's own code."""
    place: tuple[str, int] | None = None
    inner: FrameType | None = frame
    while inner is not None:
        found = _function_of(inner)
        if found is not None:
            file, line = place or (frame.f_code.co_filename, frame.f_lineno)
            name, folder = found
            return Stall(name, _shown(file, folder), line)
        if place is None and _is_apps(inner.f_code.co_filename):
            place = (inner.f_code.co_filename, inner.f_lineno)
        inner = inner.f_back
    return None


def _function_of(frame: FrameType) -> tuple[str, Path] | None:
    """The function that this frame calls or starts, and the folder of its release."""
    from baas.functions.isolation.inline import Run
    from baas.functions.lifecycle import Lifecycle

    known = frame.f_locals
    if frame.f_code in (Run._handle.__code__, Run._within_limit.__code__):
        run: Run = known["self"]
        return run.spec.name, run.life.release.folder
    if frame.f_code is Lifecycle._start_function.__code__:
        return known["spec"].name, known["self"].release.folder
    return None


_KIT: Final = str(Path(__file__).resolve().parent.parent)
_LIBRARIES: Final = tuple(sorted({str(Path(path)) for path in sys.path if "lib" in path}))


def _is_apps(file: str) -> bool:
    return not file.startswith((_KIT, "<", *_LIBRARIES))


def _shown(file: str, folder: Path) -> str:
    try:
        return Path(file).relative_to(folder).as_posix()
    except ValueError:
        return file
