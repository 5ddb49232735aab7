"""What conditions and updates of the Python client become on the wire."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from baas_sdkgen.runtime.py.command import command as _
from baas_sdkgen.runtime.py.command import to_filter, to_update
from baas_sdkgen.runtime.py.ids import new_id
from baas_sdkgen.runtime.py.values import Geo, RegExp, ServerDate, decode, encode

HOME = Geo.Point(121.5, 31.2)


@pytest.mark.parametrize(
    ("where", "wire"),
    [
        ({}, {}),
        ({"a": 1, "b": None}, {"a": 1, "b": None}),
        ({"a": {"b": {"c": 1}, "d": 2}}, {"a.b.c": 1, "a.d": 2}),
        ({"a": {}}, {"a": {"$eq": {}}}),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}),
        ({"a": _.gt(1).and_(_.lt(5))}, {"a": {"$gt": 1, "$lt": 5}}),
        ({"a": _.gt(1).lt(5)}, {"a": {"$gt": 1, "$lt": 5}}),
        ({"a": _.gt(1) & _.lt(5)}, {"a": {"$gt": 1, "$lt": 5}}),
        ({"a": _.gt(1) | _.lt(-1)}, {"$or": [{"a": {"$gt": 1}}, {"a": {"$lt": -1}}]}),
        ({"a": ~_.eq(1)}, {"$nor": [{"a": {"$eq": 1}}]}),
        ({"a": _.gt(1).gt(2)}, {"$and": [{"a": {"$gt": 1}}, {"a": {"$gt": 2}}]}),
        ({"a": _.or_(1, _.gt(5))}, {"$or": [{"a": 1}, {"a": {"$gt": 5}}]}),
        ({"a": _.in_((1, 2))}, {"a": {"$in": [1, 2]}}),
        ({"a": _.elem_match({"b": _.gt(1)})}, {"a": {"$elemMatch": {"b": {"$gt": 1}}}}),
        ({"a": _.elem_match(_.gt(1).lt(3))}, {"a": {"$elemMatch": {"$gt": 1, "$lt": 3}}}),
        ({"a": re.compile("x", re.I | re.S)}, {"a": {"$regex": "x", "$options": "is"}}),
        ({"a": RegExp("x")}, {"a": {"$regex": "x"}}),
        ({"a": HOME}, {"a": {"$eq": {"type": "Point", "coordinates": [121.5, 31.2]}}}),
        ({"a": {"$gt": 1}}, {"a": {"$gt": 1}}),
        ({"$or": [{"a": _.gt(1)}, {"b": 1}]}, {"$or": [{"a": {"$gt": 1}}, {"b": 1}]}),
        (_.or_({"a": 1}, {"b": _.gt(2)}), {"$or": [{"a": 1}, {"b": {"$gt": 2}}]}),
        (_.and_([{"a": 1}, _.not_({"b": 2})]), {"$and": [{"a": 1}, {"$nor": [{"b": 2}]}]}),
        (
            {"a": _.geo_near(HOME, max_distance=10)},
            {"a": {"$near": {"$geometry": HOME, "$maxDistance": 10}}},
        ),
        (
            {"a": _.geo_within(center_sphere=(HOME, 0.1))},
            {"a": {"$geoWithin": {"$centerSphere": [[121.5, 31.2], 0.1]}}},
        ),
        (
            {"a": _.geo_within(box=([0, 0], HOME))},
            {"a": {"$geoWithin": {"$box": [[0, 0], [121.5, 31.2]]}}},
        ),
    ],
)
def test_conditions(where: Any, wire: Any) -> None:
    assert to_filter(where) == wire


@pytest.mark.parametrize(
    ("data", "wire"),
    [
        ({"a": 1}, {"$set": {"a": 1}}),
        ({"a": {"b": 1, "c": {"d": 2}}}, {"$set": {"a.b": 1, "a.c.d": 2}}),
        ({"a": _.set({"b": 1})}, {"$set": {"a": {"b": 1}}}),
        ({"a": {}}, {"$set": {"a": {}}}),
        ({"a": HOME}, {"$set": {"a": HOME}}),
        ({"a": {"b": _.inc(2)}, "c": _.remove()}, {"$inc": {"a.b": 2}, "$unset": {"c": ""}}),
        ({"a": _.push(1, 2)}, {"$push": {"a": {"$each": [1, 2]}}}),
        ({"a": _.push([1, 2], slice=-3)}, {"$push": {"a": {"$each": [1, 2], "$slice": -3}}}),
        ({"a": _.unshift("x")}, {"$push": {"a": {"$each": ["x"], "$position": 0}}}),
        ({"a": _.pull(_.gt(3))}, {"$pull": {"a": {"$gt": 3}}}),
        ({"a": _.pull({"b": 1})}, {"$pull": {"a": {"b": 1}}}),
        ({"a": _.pull(1)}, {"$pull": {"a": 1}}),
        ({"a": _.add_to_set(1, 2)}, {"$addToSet": {"a": {"$each": [1, 2]}}}),
        ({"a": _.bit(and_=1, xor=2)}, {"$bit": {"a": {"and": 1, "xor": 2}}}),
        ({"a": ServerDate(5)}, {"$set": {"a": {"$date": {"offset": 5}}}}),
        ({"$inc": {"a": 1}, "b": 2}, {"$inc": {"a": 1}, "$set": {"b": 2}}),
    ],
)
def test_updates(data: Any, wire: Any) -> None:
    assert to_update(data) == wire


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (_.gt(1), "belongs to a field"),
        ([1], "a dict or a command"),
    ],
)
def test_conditions_that_mean_nothing(where: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        to_filter(where)


def test_inside_a_list_conditions_are_joined_by_and() -> None:
    with pytest.raises(TypeError, match='joined by "and"'):
        _.elem_match(_.or_(1, 2))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "no such number"),
        (-math.inf, "no such number"),
        (datetime(2026, 1, 1), "needs a time zone"),
        (date(2026, 1, 1), "a date needs a time and a zone"),
        ({1: 2}, "names of members are strings, not 1"),
        ({1, 2}, "a set cannot be sent"),
        (b"x", "a bytes cannot be sent"),
        (object(), "a object cannot be sent"),
        (re.compile(b"x"), "of bytes"),
    ],
)
def test_values_that_cannot_be_sent(value: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        encode({"a": [value]})


def test_moments_are_sent_in_utc_to_the_millisecond() -> None:
    moment = datetime(2026, 11, 21, 16, 0, 0, 123_987, timezone(timedelta(hours=8)))
    assert encode(moment) == {"$date": "2026-11-21T08:00:00.123Z"}
    assert decode(encode(moment)) == datetime(2026, 11, 21, 8, 0, 0, 123_000, UTC)
    assert encode(datetime(1, 1, 1, tzinfo=UTC)) == {"$date": "0001-01-01T00:00:00.000Z"}


@pytest.mark.parametrize("value", [{"$date": 5}, {"$date": "x", "y": 1}, {"x": [None, True, 1.5]}])
def test_what_is_no_date_is_left_as_it_is(value: Any) -> None:
    assert decode(value) == value


def test_ids_are_ordered_by_time() -> None:
    ids = [new_id(moment) for moment in (0, 1, 61, 62, 1_700_000_000_000, 1_700_000_000_001)]
    assert ids == sorted(ids)
    assert {len(one) for one in ids} == {20}
    assert len({new_id(5) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(("longitude", "latitude"), [(181, 0), (0, -91), (math.nan, 0)])
def test_places_that_are_nowhere(longitude: float, latitude: float) -> None:
    with pytest.raises(ValueError, match=r"itude is -"):
        Geo.Point(longitude, latitude)
