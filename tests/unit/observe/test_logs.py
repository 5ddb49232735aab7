"""Log lines: whole, in order, without secrets, and never in the way of a request."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from baas.clock import ManualClock
from baas.observe import logs
from baas.observe.logs import (
    REQUEST_ID,
    Access,
    DescriptorSink,
    LogWriter,
    install,
    redact,
    stamp,
    uninstall,
)


class Memory:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    @property
    def lines(self) -> list[Any]:
        return [msgspec.json.decode(line) for line in self.data.splitlines()]


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def writer(memory: Memory) -> LogWriter:
    return LogWriter(memory, form="json", clock=ManualClock(1_763_683_200_123))


@pytest.fixture
def bridged(writer: LogWriter) -> Iterator[LogWriter]:
    bridge = install(writer)
    yield writer
    uninstall(bridge)


def access(**changes: Any) -> Access:
    members: dict[str, Any] = {
        "time": stamp(1_763_683_200_123),
        "level": "info",
        "message": "request",
        "id": "r-1",
        "method": "POST",
        "path": "/v1/database/posts/find",
        "route": "database.find",
        "status": 200,
        "ms": 1.25,
        "bytes": 17,
        "ip": "192.0.2.1",
        "uid": "u1",
    }
    return Access(**(members | changes))


def test_a_request_is_one_line_of_json(writer: LogWriter, memory: Memory) -> None:
    writer.add(access())
    writer.flush()

    assert memory.lines == [
        {
            "time": "2025-11-21T00:00:00.123Z",
            "level": "info",
            "message": "request",
            "id": "r-1",
            "method": "POST",
            "path": "/v1/database/posts/find",
            "route": "database.find",
            "status": 200,
            "ms": 1.25,
            "bytes": 17,
            "ip": "192.0.2.1",
            "uid": "u1",
        }
    ]


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_path_with_line_breaks_stays_one_line(memory: Memory, form: Any) -> None:
    writer = LogWriter(memory, form=form)
    writer.add(access(path="/x\n2026 info forged\r\x1b[31m"))
    writer.event("info", "a\nb", name="c\nd")
    writer.flush()

    assert memory.data.count(b"\n") == 2
    assert b"\x1b" not in memory.data
    assert b"\r" not in memory.data


def test_lines_keep_their_order(writer: LogWriter, memory: Memory) -> None:
    for number in range(100):
        writer.event("info", f"line {number}")
    writer.flush()

    assert [line["message"] for line in memory.lines] == [f"line {n}" for n in range(100)]


def test_what_is_below_the_level_is_not_written(memory: Memory) -> None:
    writer = LogWriter(memory, form="json", level="warning")
    writer.event("info", "no")
    writer.event("error", "yes")
    writer.flush()

    assert [line["message"] for line in memory.lines] == ["yes"]


def test_when_nobody_reads_lines_are_dropped_and_counted(
    writer: LogWriter, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_WAITING", 10)
    for _ in range(25):
        writer.add(access())
    writer.flush()

    *kept, last = memory.lines
    assert len(kept) == 10
    assert (last["message"], last["lines"]) == ("log lines dropped", 15)


def test_closing_writes_what_is_left_and_ends_the_thread(writer: LogWriter, memory: Memory) -> None:
    before = threading.active_count()
    writer.start()
    for _ in range(500):
        writer.add(access())
    writer.close()

    assert len(memory.lines) == 500
    assert threading.active_count() == before


def test_nothing_is_lost_while_many_threads_write(memory: Memory) -> None:
    writer = LogWriter(memory, form="json")
    writer.start()
    threads = [
        threading.Thread(target=lambda: [writer.event("info", "x") for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()

    assert len(memory.lines) == 2000


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer eyJhbGciOi.eyJzdWIiOi.c2ln",
        "authorization=bearer  s3cr3t-s3cr3t",
        "key bak_0123_s3cr3t",
        "token eyJhbGciOi.eyJzdWIiOi.s3cr3t here",
        "Basic dXNlcjpzM2NyM3Q=",
    ],
)
def test_tokens_and_keys_are_taken_out(text: str) -> None:
    shown = redact(text)

    assert "[redacted]" in shown
    for secret in ("s3cr3t", "eyJzdWIiOi", "dXNlcjpzM2NyM3Q"):
        assert secret not in shown


def test_other_text_is_left_alone() -> None:
    assert redact("the bear eats 3 posts at /v1/x") == "the bear eats 3 posts at /v1/x"


def test_what_libraries_log_arrives_redacted_with_the_request_id(
    bridged: LogWriter, memory: Memory
) -> None:
    token = REQUEST_ID.set("r-7")
    logging.getLogger("some.library").warning("refused %s", "Bearer s3cr3t")
    REQUEST_ID.reset(token)
    bridged.flush()

    (line,) = memory.lines
    assert line["message"] == "refused Bearer [redacted]"
    assert (line["id"], line["logger"], line["level"]) == ("r-7", "some.library", "warning")


def test_a_stack_is_logged_redacted(bridged: LogWriter, memory: Memory) -> None:
    try:
        raise RuntimeError("with Bearer s3cr3t inside")
    except RuntimeError:
        logging.getLogger("x").exception("went wrong")
    bridged.flush()

    (line,) = memory.lines
    assert "RuntimeError" in line["stack"]
    assert "s3cr3t" not in line["stack"]


def test_a_reader_that_has_gone_is_no_fault() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    DescriptorSink(writing).write(b"anyone?\n")

    os.close(writing)
