"""Structured logs, written in batches by one thread so that no request waits for a slow reader.

A request's line is a tuple in a list until the writer encodes it; the loop pays for the append.
The list is bounded: where the reader of the log stalls, lines are dropped and counted, never
the gateway stopped. Headers and bodies are never logged; what other code passes to `logging`
goes through `redact` first.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal, Protocol

import msgspec

from baas.clock import Clock, SystemClock

#: The id of the request that the current task serves; "" outside of one.
REQUEST_ID: Final[ContextVar[str]] = ContextVar("baas_request_id", default="")

#: Lines held for the writer; more are dropped and counted.
MAX_WAITING: Final = 50_000
FLUSH_SECONDS: Final = 0.1
_JOIN_SECONDS: Final = 2.0

_SECRETS = re.compile(
    r"(?i:(?P<word>bearer|basic)\s+)[^\s,;\"']+"
    r"|\bbak_[A-Za-z0-9_-]+"
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"
)


def redact(text: str) -> str:
    """`text` without bearer tokens, admin keys and JWTs."""
    return _SECRETS.sub(lambda m: f"{m['word']} [redacted]" if m["word"] else "[redacted]", text)


class Access(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One answered request, as it is written. `time` in ISO form, `ms` how long it took, `bytes`
    of the answer's body; `error` is the problem's code."""

    time: str
    level: str
    message: str
    id: str
    method: str
    path: str
    route: str
    status: int
    ms: float
    bytes: int
    ip: str = ""
    uid: str | None = None
    key: str | None = None
    error: str | None = None
    trace: str | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Anything else. `fields` are further members of the line."""

    time: int
    level: str
    message: str
    logger: str = ""
    id: str = ""
    trace: str | None = None
    fields: Mapping[str, Any] = {}
    stack: str = ""


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class DescriptorSink:
    """Writes whole buffers to a file descriptor; a reader that has gone is no reason to stop."""

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes, /) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            return


class LogWriter:
    """The one place where lines leave the process. `close()` writes what is left."""

    def __init__(
        self,
        sink: _Sink,
        *,
        form: Literal["text", "json"],
        level: str = "info",
        clock: Clock | None = None,
    ) -> None:
        self._sink = sink
        self._render = _json_lines if form == "json" else _text_lines
        self.level: Final[int] = logging.getLevelNamesMapping()[level.upper()]
        self._clock: Clock = clock or SystemClock()
        #: What takes secrets out of what other code says; who knows more of them replaces it.
        self.redact: Callable[[str], str] = redact
        self._waiting: deque[Access | Event] = deque()
        self.dropped = 0
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="baas-log", daemon=True)
            self._thread.start()

    def add(self, line: Access | Event) -> None:
        """Safe from any thread; never waits."""
        waiting = self._waiting
        if len(waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        waiting.append(line)
        if len(waiting) == 1:
            self._wake.set()

    def event(self, level: str, message: str, *, stack: str = "", **fields: Any) -> None:
        if logging.getLevelNamesMapping()[level.upper()] >= self.level:
            now = self._clock.now_ms()
            self.add(Event(now, level, message, "", REQUEST_ID.get(), None, fields, stack))

    def flush(self) -> None:
        lines = list(self._drain())
        if lines:
            self._sink.write(self._render(lines))

    def _drain(self) -> Iterator[Access | Event]:
        """What waits, until nothing does: whoever adds meanwhile need not wake the thread."""
        try:
            while True:
                yield self._waiting.popleft()
        except IndexError:
            if self.dropped:
                lost, self.dropped = self.dropped, 0
                now = self._clock.now_ms()
                yield Event(now, "warning", "log lines dropped", fields={"lines": lost})

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
        self.flush()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            time.sleep(FLUSH_SECONDS)  # gathers a batch; the line that woke us waits this long
            self.flush()


_encoder: Final = msgspec.json.Encoder()


@lru_cache(4)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


@lru_cache(4)
def stamp(ms: int) -> str:
    """ISO 8601 in UTC, of milliseconds since 1970. Many lines share one."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


def _json_lines(lines: list[Access | Event]) -> bytes:
    return _encoder.encode_lines(
        [line if isinstance(line, Access) else _members(line) for line in lines]
    )


def _members(line: Event) -> dict[str, Any]:
    members = msgspec.to_builtins(line)
    fields = members.pop("fields", {})
    return {**fields, **members, "time": stamp(line.time)}


def _text_lines(lines: list[Access | Event]) -> bytes:
    text = "".join(map(_text_line, lines))
    return text.encode("utf-8", "replace")


def _text_line(line: Access | Event) -> str:
    if isinstance(line, Access):
        who = line.uid or line.key or "-"
        return (
            f"{line.time} {line.level:<7} {line.method} {_printable(line.path)} {line.status}"
            f" {line.ms:.1f}ms {line.bytes}B {who} {line.ip} {line.id}"
            f"{' ' + line.error if line.error else ''}\n"
        )
    fields = "".join(f" {name}={_printable(str(value))}" for name, value in line.fields.items())
    request = f" id={line.id}" if line.id else ""
    text = f"{stamp(line.time)} {line.level:<7} {_printable(line.message)}{fields}{request}\n"
    return text + (line.stack.rstrip() + "\n" if line.stack else "")


def _printable(text: str) -> str:
    """One line whatever is in it: a path may hold a decoded line feed."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


class LoggingBridge(logging.Handler):
    """Takes what libraries and this kit say through `logging` into the writer, redacted."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__(writer.level)
        self._writer = writer
        self._traces = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        stack = self._traces.formatException(record.exc_info) if record.exc_info else ""
        self._writer.add(
            Event(
                int(record.created * 1000),
                record.levelname.lower(),
                self._writer.redact(record.getMessage()),
                record.name,
                REQUEST_ID.get(),
                stack=self._writer.redact(stack),
            )
        )


def install(writer: LogWriter) -> LoggingBridge:
    """Makes the writer the one handler of the root logger; `uninstall` takes it away again."""
    bridge = LoggingBridge(writer)
    root = logging.getLogger()
    root.addHandler(bridge)
    root.setLevel(min(root.level or logging.WARNING, max(writer.level, logging.INFO)))
    return bridge


def uninstall(bridge: LoggingBridge) -> None:
    logging.getLogger().removeHandler(bridge)
