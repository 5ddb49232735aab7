"""A client cannot change a document's key, and the service sees every server field it names.

At this level `_id` is refused for everybody; who may write `_openid`, `_createTime` and
`_updateTime` is decided by the service from `paths_written`, which therefore must not miss one,
whatever operator or spelling names it.
"""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.query.limits import QueryLimits
from baas.query.update import apply_update, parse_update, paths_written

LIMITS = QueryLimits()
OPERANDS: dict[str, Any] = {
    "$set": "x",
    "$setOnInsert": "x",
    "$unset": "",
    "$inc": 1,
    "$mul": 2,
    "$min": 0,
    "$max": 9,
    "$bit": {"or": 1},
    "$rename": "elsewhere",
    "$currentDate": True,
    "$push": 1,
    "$addToSet": 1,
    "$pop": 1,
    "$pull": 1,
    "$pullAll": [1],
}
SERVER_FIELDS = ("_openid", "_createTime", "_updateTime")


@pytest.mark.parametrize("operator", OPERANDS)
@pytest.mark.parametrize("path", ["_id", "_id.x", "_id.0"])
def test_no_operator_writes_the_key(operator: str, path: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_update({operator: {path: OPERANDS[operator]}}, LIMITS, now_ms=0)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "_id" in caught.value.detail


@pytest.mark.parametrize("target", ["_id", "_id.x"])
def test_no_rename_ends_at_the_key(target: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_update({"$rename": {"a": target}}, LIMITS, now_ms=0)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("operator", OPERANDS)
@pytest.mark.parametrize("field", SERVER_FIELDS)
def test_every_operator_reports_the_server_field_that_it_writes(operator: str, field: str) -> None:
    update = parse_update({operator: {field: OPERANDS[operator]}}, LIMITS, now_ms=0)
    assert (field,) in paths_written(update)


@pytest.mark.parametrize("field", SERVER_FIELDS)
def test_a_rename_reports_the_server_field_at_either_end(field: str) -> None:
    for raw in ({"a": field}, {field: "a"}, {"a": f"{field}.x"}):
        update = parse_update({"$rename": raw}, LIMITS, now_ms=0)
        assert field in {path[0] for path in paths_written(update)}


@pytest.mark.parametrize(
    "spelling",
    ["_ID", " _id", "_id ", "＿id", "_i\u0131d", "_id\u200b"],
)
def test_other_spellings_are_other_fields(spelling: str) -> None:
    update = parse_update({"$set": {spelling: "x"}}, LIMITS, now_ms=0)
    assert apply_update(update, {"_id": "mine"}, now_ms=0)["_id"] == "mine"


@pytest.mark.parametrize("spelling", ["._id", "_id.", "_id\x00", "_id\ud800"])
def test_broken_spellings_are_refused(spelling: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_update({"$set": {spelling: "x"}}, LIMITS, now_ms=0)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_an_update_without_operators_never_replaces_the_document() -> None:
    with pytest.raises(Problem) as caught:
        parse_update({"_openid": "me", "role": "admin"}, LIMITS, now_ms=0)
    assert "replace" in caught.value.detail


def test_values_hold_no_operators_at_any_depth() -> None:
    for value in ({"$inc": 1}, {"a": {"$set": {"_openid": "me"}}}, [{"$where": "1"}]):
        for operator in ("$set", "$push", "$min", "$addToSet"):
            with pytest.raises(Problem):
                parse_update({operator: {"a": value}}, LIMITS, now_ms=0)
