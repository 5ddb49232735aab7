"""Sorting, paging and projecting, as the protocol says it."""

from __future__ import annotations

import base64
from typing import Any

from tests.support.outside import CURSOR, INVALID, LIMIT, MULTI_MAX, Caller, fresh


def test_sort_is_an_object_or_pairs_and_completed_by_id(ann: Caller) -> None:
    kind = fresh()
    ids = sorted(ann.put("open", *({"k": kind, "n": n // 2} for n in range(4))))
    for sort in ({"n": -1}, [["n", -1]]):
        assert ann.ids("open", filter={"k": kind}, sort=sort) == ids[2:] + ids[:2]


def test_the_order_across_types(ann: Caller) -> None:
    values = [None, ..., -1, 0.5, 2, "", "B", "a", "é", {"x": 1}, [], [9], False, True]
    date = {"$date": "2026-11-20T08:00:00.000Z"}
    rows = [{} if value is ... else {"v": value} for value in [*values, date]]
    ids = sorted(ann.put("orders", *rows))

    ascending = ann.do("orders", "find", sort={"v": 1})["documents"]

    kinds = [kind(one.get("v")) for one in ascending]
    # An array sorts by its least element: [] before everything, [9] among the numbers.
    assert [one.get("v") for one in ascending if kind(one.get("v")) == "number"] == [-1, 0.5, 2]
    without_arrays = [name for name in kinds if name != "array"]
    order = ["null", "number", "string", "object", "bool", "date"]
    assert list(dict.fromkeys(without_arrays)) == order
    strings = [one["v"] for one in ascending if isinstance(one.get("v"), str)]
    assert strings == ["", "B", "a", "é"]
    assert len(ids) == len(ascending)


def kind(value: Any) -> str:
    if isinstance(value, dict):
        return "date" if "$date" in value else "object"
    names = {type(None): "null", bool: "bool", int: "number", float: "number"}
    return {**names, str: "string", list: "array"}[type(value)]


def test_an_array_sorts_by_its_least_and_descending_by_its_greatest(ann: Caller) -> None:
    mark = fresh()
    ann.put("open", *({"k": mark, "v": v, "name": n} for n, v in [("x", [1, 9]), ("y", 5)]))

    def names(way: int) -> list[str]:
        found = ann.do("open", "find", filter={"k": mark}, sort={"v": way})["documents"]
        return [one["name"] for one in found]

    assert names(1) == ["x", "y"]
    assert names(-1) == ["x", "y"]


def test_a_cursor_is_bound_to_caller_collection_filter_and_sort(ann: Caller, bob: Caller) -> None:
    kind = fresh()
    ann.put("open", *({"k": kind, "n": n} for n in range(3)))
    query: dict[str, Any] = {"filter": {"k": kind}, "sort": {"n": 1}}
    after = ann.do("open", "find", **query, limit=1)["next"]

    assert len(ann.ids("open", **query, limit=5, after=after)) == 2
    assert ann.refused("open", "find", **{**query, "filter": {}}, after=after) == CURSOR
    assert ann.refused("open", "find", **{**query, "sort": {"n": -1}}, after=after) == CURSOR
    assert ann.refused("many", "find", **query, after=after) == CURSOR
    assert bob.refused("open", "find", **query, after=after) == CURSOR
    assert ann.refused("open", "find", **query, after=after[:-2] + "AA") == CURSOR
    assert ann.refused("open", "find", **query, after="") == CURSOR
    assert ann.refused("open", "find", **query, after=after, skip=1) == INVALID


def test_a_cursor_shows_nothing_of_what_is_in_it(ann: Caller) -> None:
    secret = "a-value-to-look-for"
    kind = fresh()
    ann.put("open", *({"k": kind, "v": secret} for _ in range(2)))
    after = ann.do("open", "find", filter={"k": kind}, sort={"v": 1}, limit=1)["next"]
    assert secret.encode() not in base64.urlsafe_b64decode(after + "=" * (-len(after) % 4))


def test_fields_are_all_1_or_all_0_dotted_with_id_unless_not(ann: Caller) -> None:
    [id] = ann.put("open", {"a": {"b": 1, "c": 2}, "d": 3})

    def get(**fields: int) -> Any:
        return ann.do("open", "get", id=id, fields=fields)

    assert get(**{"a.b": 1}) == {"_id": id, "a": {"b": 1}}
    without = get(**{"a.b": 0}, _openid=0, _createTime=0, _updateTime=0)
    assert without == {"_id": id, "a": {"c": 2}, "d": 3}
    assert get(d=1, _id=0) == {"d": 3}
    assert ann.refused("open", "get", id=id, fields={"a": 1, "d": 0}) == INVALID
    assert ann.refused("open", "find", fields={"a": 1, "d": 0}) == INVALID


def test_a_matched_document_always_gets_a_new_update_time(ann: Caller) -> None:
    [id] = ann.put("open", {"n": 1})
    before = ann.do("open", "get", id=id)
    same = ann.do("open", "update", id=id, update={"$set": {"n": 1}})
    after = ann.do("open", "get", id=id)
    assert same["modified"] == same["matched"] == 1
    assert after["_updateTime"]["$date"] > before["_updateTime"]["$date"]
    assert after["_createTime"] == before["_createTime"]


def test_more_than_multi_allows_is_refused_and_nothing_is_done(ann: Caller) -> None:
    kind = fresh()
    ann.put("open", *[{"k": kind}] * (MULTI_MAX + 1))
    change: dict[str, Any] = {"filter": {"k": kind}, "multi": True}
    assert ann.refused("open", "update", **change, update={"$set": {"n": 1}}) == LIMIT
    assert ann.refused("open", "delete", **change) == LIMIT
    assert ann.do("open", "count", filter={"k": kind, "n": 1}) == {"total": 0}
    assert ann.do("open", "count", filter={"k": kind}) == {"total": MULTI_MAX + 1}
