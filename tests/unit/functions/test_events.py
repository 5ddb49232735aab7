"""Events of the app's own: `ctx.emit`, and CloudEvents from outside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.functions.model import Call
from baas.functions.triggers.events import MAX_ATTRIBUTE, CloudEvent, parse, render
from baas.schema.actor import Actor
from tests.support.background import Yard, yard

STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BINARY = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-type": "app.order.paid",
    "ce-source": "/shop",
    "ce-id": "A1",
}
EVENT = {"specversion": "1.0", "type": "app.order.paid", "source": "/shop", "id": "A1"}


def structured(**more: Any) -> CloudEvent:
    return parse(STRUCTURED, json.dumps({**EVENT, **more}).encode())


# -- the format ------------------------------------------------------------------------------------


def test_both_modes_say_the_same() -> None:
    data = {"n": 1}
    expected = CloudEvent(type="app.order.paid", source="/shop", id="A1", data=data)
    assert structured(data=data) == expected
    assert parse(BINARY, b'{"n": 1}') == expected


def test_optional_attributes_and_extensions() -> None:
    event = structured(subject="o1", time="2026-03-01T12:00:00.5+08:00", traceparent="00-1")
    assert event.subject == "o1"
    assert event.time == {"$date": "2026-03-01T04:00:00.500Z"}
    binary = parse({**BINARY, "ce-subject": "caf%C3%A9", "ce-time": "2026-03-01T04:00:00Z"}, b"")
    assert (binary.subject, binary.data) == ("café", None)
    assert binary.time == {"$date": "2026-03-01T04:00:00.000Z"}


def test_text_is_data_as_well() -> None:
    assert parse({**BINARY, "content-type": "text/plain"}, b"hi").data == "hi"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"type": ""}, "type"),
        ({"id": "x" * (MAX_ATTRIBUTE + 1)}, "id"),
        ({"source": ""}, "source"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2026-03-01T12:00:00"}, "time"),
        ({"subject": 7}, "subject"),
    ],
)
def test_a_fault_names_its_attribute(change: dict[str, Any], path: str) -> None:
    with pytest.raises(Problem) as caught:
        structured(**change)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert [error.path for error in caught.value.errors] == [path]


@pytest.mark.parametrize("missing", ["ce-type", "ce-source", "ce-id"])
def test_a_header_that_is_missing_is_named(missing: str) -> None:
    headers = {name: value for name, value in BINARY.items() if name != missing}
    with pytest.raises(Problem) as caught:
        parse(headers, b"{}")
    assert [error.path for error in caught.value.errors] == [missing]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "application/json"}, b"{}"),
        ({"content-type": "application/cloudevents-batch+json"}, b"[]"),
        ({**BINARY, "content-type": "application/xml"}, b"<a/>"),
        (STRUCTURED, json.dumps({**EVENT, "data_base64": "AAAA"}).encode()),
    ],
)
def test_what_is_not_spoken_is_415(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        parse(headers, body)
    assert caught.value.code is Code.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"specversion": "1.0"}'])
def test_a_body_that_is_no_event_is_400(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        parse(STRUCTURED, body)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_what_goes_out_can_come_in() -> None:
    body = render(type="t", source="/s", id="1", now_ms=1_800_000_000_000, data={"a": [1]})
    event = parse(STRUCTURED, body)
    assert (event.type, event.source, event.id, event.data) == ("t", "/s", "1", {"a": [1]})
    assert event.time == {"$date": "2027-01-15T08:00:00.000Z"}


# -- what they start -------------------------------------------------------------------------------

LISTENING = """
@fn.event()
async def pay(ctx, event):
    await ctx.emit("app.order.paid", {"order": event})

@fn.on("app.order.paid")
async def ship(ctx, event):
    await note(ctx, who="ship", type=event.type, data=event.data, actor=event.actor,
               auth=ctx.auth, depth=ctx.depth, id=bool(event.id), source=event.source)

@fn.on("app.order.paid")
@fn.on("app.order.other")
async def thank(ctx, event):
    await note(ctx, who="thank")

@fn.on("app.order.lost")
async def unrelated(ctx, event):
    await note(ctx, who="unrelated")
"""


@yard(LISTENING)
async def test_every_function_that_listens_is_run(app: Yard) -> None:
    ann = Actor(uid="ann", cache_key="ann")
    await app.functions.invoke(Call(function="pay", event=7, actor=ann))
    await app.settle()
    seen = {one["who"]: one for one in await app.seen()}
    assert sorted(seen) == ["ship", "thank"]
    assert seen["ship"] == {
        "who": "ship",
        "type": "app.order.paid",
        "data": {"order": 7},
        "actor": "ann",
        "auth": None,
        "depth": 1,
        "id": True,
        "source": "/functions/pay",
    }


@yard(LISTENING)
async def test_an_event_that_is_sent_again_runs_nothing_twice(app: Yard) -> None:
    event = structured(data=1)
    assert await app.background.publish(event, "ann") == 2
    assert await app.background.publish(event, "ann") == 0
    await app.settle()
    assert len(await app.seen()) == 2
    assert await app.background.publish(structured(id="A2"), None) == 2
    assert await app.background.publish(structured(source="/other"), None) == 2
    assert await app.background.publish(structured(type="app.nobody.listens"), None) == 0


@yard(
    """
    @fn.on("app.again.please")
    async def again(ctx, event):
        await note(ctx, depth=ctx.depth)
        await ctx.emit("app.again.please", None)

    @fn.event()
    async def begin(ctx, event):
        await ctx.emit("app.again.please", None)
    """
)
async def test_a_circle_of_events_ends_at_depth_16(app: Yard) -> None:
    await app.functions.invoke(Call(function="begin"))
    await app.settle(1, 2, 4, 8)
    depths = {one["depth"] for one in await app.seen()}
    assert depths == set(range(1, 16))
    (letter,) = await app.dead()
    assert letter.error is not None
    assert letter.error["code"] == "LOOP_DETECTED"
