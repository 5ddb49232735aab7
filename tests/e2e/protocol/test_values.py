"""What is a value, and how it comes out again."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.outside import FAILED, INVALID, LIMIT, Caller, fresh, ok, refusal


def raw(caller: Caller, text: str) -> Any:
    headers = {"authorization": f"Bearer {caller.token}", "content-type": "application/json"}
    body = '{"document": {"v": ' + text + "}}"
    return caller.gateway.client.post("/v1/database/open/insert", content=body, headers=headers)


@pytest.mark.parametrize(
    "text",
    [
        "9007199254740992",
        "-9007199254740992",
        "1" + "0" * 400,
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        '"\\u0000"',
        '"\\ud800"',
        '{"$date": "2026-11-20"}',
        '{"$date": "2026-11-20T08:00:00"}',
        '{"$date": "0000-01-01T00:00:00Z"}',
        '{"$date": "9999-12-31T23:59:59.999-01:00"}',
        '{"$date": 253402300800000}',
    ],
)
def test_values_that_are_none(ann: Caller, text: str) -> None:
    assert refusal(raw(ann, text)) in (INVALID, LIMIT)


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("9007199254740991", 2**53 - 1),
        ("-9007199254740991", -(2**53) + 1),
        ('{"$date": "2026-11-20T09:00:00+01:00"}', {"$date": "2026-11-20T08:00:00.000Z"}),
        ('{"$date": 0}', {"$date": "1970-01-01T00:00:00.000Z"}),
        ('{"$date": "0001-01-01T00:00:00Z"}', {"$date": "0001-01-01T00:00:00.000Z"}),
        ('{"$date": "9999-12-31T23:59:59.999Z"}', {"$date": "9999-12-31T23:59:59.999Z"}),
        ('"\\ud83d\\ude00"', "😀"),
    ],
)
def test_values_as_they_come_out(ann: Caller, text: str, out: Any) -> None:
    [id] = ok(raw(ann, text))["ids"]
    assert ann.do("open", "get", id=id)["v"] == out


def test_server_time_and_what_lies_beside_it(ann: Caller) -> None:
    [id] = ann.put("open", {"now": {"$date": {"offset": 0}}, "then": {"$date": {"offset": 1000}}})
    found = ann.do("open", "get", id=id)
    assert found["now"] == found["_createTime"]
    for name in ("now", "then", "_createTime", "_updateTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found[name]["$date"])


def test_one_is_one_point_zero_and_not_true(ann: Caller) -> None:
    kind = fresh()
    ids = sorted(ann.put("open", *({"k": kind, "v": v} for v in (1, 1.0, True))))
    assert ann.ids("open", filter={"k": kind, "v": 1}) == ids[:2]
    assert ann.ids("open", filter={"k": kind, "v": True}) == ids[2:]


def test_schemas_may_say_date_and_geo(ann: Caller) -> None:
    point = {"type": "Point", "coordinates": [121.5, 31.2]}
    ann.put("typed", {"at": {"$date": {"offset": 0}}, "place": point})
    assert ann.refused("typed", "insert", document={"at": "2026-11-20T08:00:00Z"}) == FAILED
    assert ann.refused("typed", "insert", document={"place": {"type": "Point"}}) == FAILED


@pytest.mark.parametrize("name", ["number", "string", "bool", "null", "object", "array", "date"])
def test_the_names_of_types(ann: Caller, name: str) -> None:
    value = {
        "number": 1,
        "string": "a",
        "bool": True,
        "null": None,
        "object": {},
        "array": [],
        "date": {"$date": {"offset": 0}},
    }[name]
    [id] = ann.put("open", {"v": value})
    assert ann.ids("open", filter={"_id": id, "v": {"$type": name}}) == [id]


@pytest.mark.parametrize(
    "regex",
    [
        {"$regex": "a" * 257},
        {"$regex": "(?=a)"},
        {"$regex": r"(a)\1"},
        {"$regex": "("},
        {"$regex": "a", "$options": "x"},
    ],
    ids=str,
)
def test_regexes_are_re2_with_flags_ims_and_256_characters(ann: Caller, regex: Any) -> None:
    assert ann.refused("open", "find", filter={"v": regex}) in (INVALID, LIMIT)
    assert ann.do("open", "count", filter={"v": {"$regex": "a" * 256, "$options": "ims"}})


def test_a_bad_body_says_where(ann: Caller) -> None:
    answer = ann.ask("open", "find", filter={"a": {"$or": [1]}}, colour=1)
    assert refusal(answer) == INVALID
    assert answer.json()["errors"] == [{"path": "colour", "message": "is not a known field"}]
    inner = ann.ask("open", "find", filter={"a": {"b": {"$nope": 1}}}).json()
    assert inner["errors"][0]["path"].startswith("filter.a.b")


def test_nothing_of_the_engine_is_in_an_answer(ann: Caller) -> None:
    bodies = [{"filter": {"a'b": 1}}, {"filter": {"$where": "1"}}, {"sort": {"a;--": 1}}]
    for body in [*bodies, {"filter": {"a": {"$regex": "("}}}]:
        shown = json.dumps(ann.ask("open", "find", **body).json()).lower()
        for word in ("sqlite", "select ", "apsw", "traceback", ".py", "site-packages"):
            assert word not in shown
