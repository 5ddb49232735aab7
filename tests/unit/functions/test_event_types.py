"""Events by the handler's annotation: types, dates, and the path of what does not fit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.functions.events import DocumentEvent, QueueEvent, TimerEvent, decode_event
from baas.functions.model import FunctionSpec, Release
from tests.support.functions import released

SOURCE = """
from datetime import datetime
from typing import Any, TypedDict
from dataclasses import dataclass
import msgspec

class Line(msgspec.Struct):
    n: int

class Order(msgspec.Struct):
    lines: list[Line] = []
    by: dict[str, Line] = {}
    due: datetime | None = None
    note: Any = None

class Strict(msgspec.Struct, forbid_unknown_fields=True):
    a: int = 0

@dataclass
class Plain:
    a: int

class Typed(TypedDict):
    a: int

class Body(msgspec.Struct):
    n: int

class Request(msgspec.Struct):
    body: Body
    params: dict[str, str]

@fn.event()
async def order(ctx, event: Order): ...
@fn.event()
async def strict(ctx, event: Strict): ...
@fn.event()
async def plain(ctx, event: Plain): ...
@fn.event()
async def typed(ctx, event: Typed): ...
@fn.event()
async def number(ctx, event: int | None): ...
@fn.event()
@fn.timer("0 3 * * *")
async def untyped(ctx, event): ...
@fn.event()
async def anything(ctx, event: Any): ...
@fn.http("POST", "/x/{id}")
async def request(ctx, event: Request): ...
"""


@pytest.fixture(scope="module")
def release() -> Any:
    with released(SOURCE) as made:
        yield made


def spec(release: Release, name: str) -> FunctionSpec:
    return release.functions[name]


@pytest.mark.parametrize(
    ("name", "event", "path"),
    [
        ("order", {"lines": [{"n": 1}, {"n": "x"}]}, "lines.1.n"),
        ("order", {"lines": [{}]}, "lines.0.n"),
        ("order", {"by": {"k": {"n": None}}}, "by.*.n"),
        ("order", {"due": "yesterday"}, "due"),
        ("order", [], ""),
        ("strict", {"b": 1}, "b"),
        ("plain", {"a": 1.5}, "a"),
        ("typed", {"a": True}, "a"),
        ("number", "7", ""),
    ],
)
def test_what_does_not_fit_is_told_by_its_path(
    release: Release, name: str, event: Any, path: str
) -> None:
    with pytest.raises(Problem) as caught:
        decode_event(spec(release, name), "event", event)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert [fault.path for fault in caught.value.errors] == [path]


def test_dates_come_as_iso_or_as_the_kits_own_form(release: Release) -> None:
    wanted = datetime(2026, 11, 20, 8, tzinfo=UTC)
    for due in ("2026-11-20T08:00:00Z", {"$date": "2026-11-20T08:00:00.000Z"}):
        event = decode_event(spec(release, "order"), "event", {"due": due, "note": [due]})
        assert event.due == wanted
    assert event.note == [wanted], "where no type says otherwise, a date is a date"


def test_an_untyped_event_is_what_was_sent(release: Release) -> None:
    for name in ("untyped", "anything"):
        sent = {"a": [1, {"$date": "2026-11-20T08:00:00.000Z"}]}
        assert decode_event(spec(release, name), "event", sent) == sent


def test_a_triggers_event_is_the_struct_of_its_kind(release: Release) -> None:
    tick = {"time": "2026-11-20T08:00:01Z", "scheduled": "2026-11-20T08:00:00Z", "name": "f"}
    event = decode_event(spec(release, "untyped"), "timer", tick)
    assert isinstance(event, TimerEvent)
    assert (event.scheduled, event.actor) == (datetime(2026, 11, 20, 8, tzinfo=UTC), None)
    change = {
        "collection": "posts",
        "operation": "insert",
        "documentId": "p1",
        "document": {"_id": "p1", "at": {"$date": "2026-11-20T08:00:00.000Z"}},
        "time": {"$date": "2026-11-20T08:00:00.000Z"},
        "actor": "u1",
    }
    event = decode_event(spec(release, "untyped"), "database", change)
    assert isinstance(event, DocumentEvent)
    assert event.document is not None
    assert event.document["at"] == event.time
    queue = {"messages": [{"id": "m1", "body": {"to": "x"}, "attempt": 2}]}
    event = decode_event(spec(release, "untyped"), "queue", queue)
    assert isinstance(event, QueueEvent)
    assert event.messages[0].body == {"to": "x"}


def test_a_request_may_be_typed_in_part(release: Release) -> None:
    sent = {"method": "POST", "path": "/x/1", "params": {"id": "1"}, "body": {"n": 3}}
    event = decode_event(spec(release, "request"), "http", sent)
    assert (event.body.n, event.params) == (3, {"id": "1"})
    with pytest.raises(Problem) as caught:
        decode_event(spec(release, "request"), "http", {**sent, "body": {"n": "x"}})
    assert [fault.path for fault in caught.value.errors] == ["body.n"]


def test_a_field_that_is_missing_is_named_where_it_should_stand(release: Release) -> None:
    for event, path in (
        ({"params": {}, "body": {}}, "body.n"),
        ({"body": {"n": 1}}, "params"),
        ({"params": {}}, "body"),
    ):
        with pytest.raises(Problem) as caught:
            decode_event(spec(release, "request"), "http", event)
        (fault,) = caught.value.errors
        assert (fault.path, fault.message) == (path, "is required")
