"""What is kept of invocations: one record each, written in batches behind their backs.

A sync call pays for an append to a list. Every asynchronous attempt, every failure and every call
that logged something is recorded; of the rest, as many as `MAX_PLAIN` a second, so that a busy app
does not turn each call into a write. Totals count all of them. Records and captures are documents
in reserved collections that forget them after a week.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from baas.clock import Clock
from baas.functions.capture import Failure, kept_event
from baas.functions.model import Call, FunctionSpec
from baas.functions.redact import Redactor
from baas.functions.values import NotJson, to_wire
from baas.ids import new_id
from baas.ports.documents import DocumentStore, Insert, WriteInfo
from baas.schema.model import CollectionSpec, IndexKey, IndexSpec
from baas.schema.values import Document, date_from_ms, encode

_log: Final = logging.getLogger("baas.functions")

INVOCATIONS: Final = "_invocations"
FAILURES: Final = "_function_failures"
KEEP_MS: Final = 7 * 86_400_000
FLUSH_SECONDS: Final = 1.0
#: Successful sync calls that logged nothing, recorded per flush.
MAX_PLAIN: Final = 100
#: Records waiting to be written; more are dropped and counted.
MAX_WAITING: Final = 10_000
#: Records in one write.
_BATCH: Final = 200
MAX_LINES: Final = 200
MAX_LINE: Final = 4000
#: As much of a line as is kept until it is redacted: half a secret would not be found any more.
_MAX_READ: Final = 64_000


def _by(*names: str) -> IndexSpec:
    return IndexSpec(name="_".join(names), keys=tuple(IndexKey((name,)) for name in names))


#: What the app declares to the store.
RECORD_COLLECTIONS: Final[dict[str, CollectionSpec]] = {
    INVOCATIONS: CollectionSpec(
        name=INVOCATIONS,
        indexes=(_by("function"), _by("requestId"), _by("invocation")),
        ttl=("expires",),
    ),
    FAILURES: CollectionSpec(
        name=FAILURES, indexes=(_by("function"), _by("invocation")), ttl=("expires",)
    ),
}


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of log. `time` in ms since 1970."""

    time: int
    level: str
    message: str
    fields: dict[str, Any] = {}


class Recording:
    """One invocation while it runs. `phases` are ms by name: spawn, import, init, invoke."""

    __slots__ = (
        "call",
        "dropped",
        "id",
        "lines",
        "phases",
        "spec",
        "started",
        "started_ms",
        "tell",
    )

    def __init__(
        self, call: Call, spec: FunctionSpec, started_ms: int, tell: Callable[..., None] | None
    ) -> None:
        self.call = call
        self.spec = spec
        self.id = call.invocation_id
        self.started_ms = started_ms
        self.started = time.perf_counter()
        self.lines: list[Line] | None = None
        self.phases: dict[str, float] | None = None
        self.dropped = 0
        self.tell = tell

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        """Safe from any thread: appends to a list."""
        if self.lines is None:
            self.lines = []
        if len(self.lines) >= MAX_LINES:
            self.dropped += 1
            return
        line = Line(time.time_ns() // 1_000_000, level, message[:_MAX_READ], _plain(fields))
        self.lines.append(line)
        if self.tell is not None:
            self.tell(self, line)

    def phase(self, name: str, seconds: float) -> None:
        if self.phases is None:
            self.phases = {}
        self.phases[name] = self.phases.get(name, 0.0) + seconds * 1000


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = to_wire(fields)
    except NotJson:
        return {name: str(value)[:_MAX_READ] for name, value in fields.items()}
    return plain


class _Done(msgspec.Struct, frozen=True):
    recording: Recording
    result: str
    code: str | None
    ms: float


class Records:
    """Takes what ended, writes it soon. `redactor` gives the one for the secrets of now."""

    def __init__(
        self, store: DocumentStore, clock: Clock, redactor: Callable[[], Redactor]
    ) -> None:
        self._store = store
        self._clock = clock
        self._redactor = redactor
        self._waiting: list[_Done] = []
        self._failures: list[Document] = []
        self._plain = 0
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0
        #: Invocations by function and result, since the start.
        self.totals: Counter[tuple[str, str]] = Counter()

    def done(self, recording: Recording, result: str, code: str | None = None) -> None:
        """`result`: ok, error (the function's own `fn.Error`), failed, timeout or refused."""
        name = recording.spec.name
        self.totals[name, result] += 1
        is_plain = result == "ok" and recording.lines is None and recording.call.mode == "sync"
        if is_plain:
            self._plain += 1
            if self._plain > MAX_PLAIN:
                return
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        ms = (time.perf_counter() - recording.started) * 1000
        self._waiting.append(_Done(recording, result, code, ms))

    def capture(self, recording: Recording, failure: Failure) -> str:
        """Keeps a failure; the id it is found by (`baas fn replay ID`)."""
        if not recording.id:
            recording.id = new_id()
        if len(self._failures) >= MAX_WAITING:
            self.dropped += 1
            return ""
        document = self._failure_document(recording, failure)
        self._failures.append(document)
        id: str = document["_id"]
        return id

    # -- writing -----------------------------------------------------------------------------------

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="baas-invocation-records")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self.flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Writes what waits. A store that refuses loses records, never calls."""
        self._plain = 0
        waiting, self._waiting = self._waiting, []
        failures, self._failures = self._failures, []
        redactor = self._redactor()
        for at in range(0, len(waiting), _BATCH):
            documents = [self._document(done, redactor) for done in waiting[at : at + _BATCH]]
            await self._write(INVOCATIONS, documents)
        for at in range(0, len(failures), _BATCH):
            await self._write(FAILURES, failures[at : at + _BATCH])
        if self.dropped:
            _log.warning("%d invocations were not recorded: too many at once", self.dropped)
            self.dropped = 0

    async def _write(self, collection: str, documents: list[Document]) -> None:
        steps = tuple(
            Insert(collection=collection, id=one["_id"], document=one, body=encode(one))
            for one in documents
        )
        try:
            await self._store.write(steps, WriteInfo())
        except Exception as fault:
            _log.warning("%d records were not written: %s", len(steps), fault)

    def _document(self, done: _Done, redactor: Redactor) -> Document:
        recording = done.recording
        document = {
            "_id": new_id(),
            **_facts(recording),
            "result": done.result,
            "code": done.code,
            "ms": round(done.ms, 3),
            "phases": {name: round(ms, 3) for name, ms in (recording.phases or {}).items()},
            "logs": _lines(recording, redactor),
        }
        return {**document, **_times(recording)}

    def _failure_document(self, recording: Recording, failure: Failure) -> Document:
        redactor = self._redactor()
        call = recording.call
        return {
            "_id": new_id(),
            **_facts(recording),
            "error": {"type": failure.type, "message": failure.message, "cause": failure.cause},
            "traceback": msgspec.to_builtins(failure.frames),
            "event": kept_event(call.event, redactor),
            "details": redactor.value(call.trigger.details),
            "logs": _lines(recording, redactor),
            **_times(recording),
        }


def _facts(recording: Recording) -> Document:
    call, spec = recording.call, recording.spec
    return {
        "function": spec.name,
        "version": spec.version,
        "invocation": recording.id or None,
        "requestId": call.request_id,
        "trigger": call.trigger.kind,
        "mode": call.mode,
        "attempt": call.attempt,
        "depth": call.depth,
        "uid": call.actor.uid,
    }


def _times(recording: Recording) -> Document:
    return {
        "time": date_from_ms(recording.started_ms),
        "expires": date_from_ms(recording.started_ms + KEEP_MS),
    }


def _lines(recording: Recording, redactor: Redactor) -> list[Any]:
    lines: list[Any] = [_shown(line, redactor) for line in recording.lines or ()]
    if recording.dropped:
        lines.append({"level": "warning", "message": f"{recording.dropped} more lines"})
    return lines


def _shown(line: Line, redactor: Redactor) -> Document:
    shown: Document = {
        "time": line.time,
        "level": line.level,
        "message": redactor.text(line.message)[:MAX_LINE],
    }
    if line.fields:
        fields = redactor.value(line.fields)
        if len(encode(fields)) > MAX_LINE:
            fields = {"omitted": f"more than {MAX_LINE} bytes"}
        shown["fields"] = fields
    return shown
