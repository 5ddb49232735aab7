"""Client JSON on its way in: what is refused, what is brought into canonical form."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.errors import Code, Problem
from baas.schema.admit import admit_document, admit_value
from baas.schema.values import MAX_DATE_MS, MIN_DATE_MS, date_from_ms, encode
from baas.settings import LimitSettings
from tests.support.strategies import NOW_MS, documents

LIMITS = LimitSettings()


def admitted(value: Any) -> Any:
    return admit_document({"a": value}, LIMITS, now_ms=NOW_MS)["a"]


def fault_of(raw: object, limits: LimitSettings = LIMITS) -> Problem:
    with pytest.raises(Problem) as caught:
        admit_document(raw, limits, now_ms=NOW_MS)
    return caught.value


@given(documents())
def test_a_canonical_document_is_itself(document: dict[str, Any]) -> None:
    result = admit_document(document, LIMITS, now_ms=NOW_MS)
    assert encode(result) == encode(document)
    assert result is not document


@pytest.mark.parametrize("raw", [None, 1, "a", [], True, {"$date": 0}, {"$date": 0, "a": 1}])
def test_a_document_is_an_object(raw: object) -> None:
    fault = fault_of(raw)
    assert (fault.code, fault.errors[0].path) == (Code.INVALID_ARGUMENT, "document")


def test_the_input_is_not_modified() -> None:
    raw = {"a": [{"b": 1.0, "at": {"$date": 0}}, -0.0], "c": {"d": {"$date": {"offset": 5}}}}
    before = copy.deepcopy(raw)
    result = admit_document(raw, LIMITS, now_ms=NOW_MS)
    assert encode(raw) == encode(before)
    assert result == {
        "a": [{"b": 1, "at": date_from_ms(0)}, 0],
        "c": {"d": date_from_ms(NOW_MS + 5)},
    }


class TestNumbers:
    @pytest.mark.parametrize(
        ("raw", "expected"),
        [(1.0, 1), (-0.0, 0), (2.5, 2.5), (1e300, 1e300), (2**53 - 1, 2**53 - 1), (1e16, 1e16)],
    )
    def test_are_canonical(self, raw: float, expected: float) -> None:
        result = admitted(raw)
        assert (type(result), result) == (type(expected), expected)

    @pytest.mark.parametrize(
        "raw", [2**53, -(2**53), 10**400, float("nan"), float("inf"), float("-inf")]
    )
    def test_outside_what_json_clients_keep_are_refused(self, raw: float) -> None:
        fault = fault_of({"a": [raw]})
        assert (fault.code, fault.errors[0].path) == (Code.INVALID_ARGUMENT, "document.a.0")

    def test_booleans_stay_booleans(self) -> None:
        assert admitted(True) is True


class TestStrings:
    @pytest.mark.parametrize("text", ["", "é", "中文", "😀", "\n\t\x01", "$x", "a.b", "\ufffe"])
    def test_of_any_text(self, text: str) -> None:
        assert admitted(text) == text

    @pytest.mark.parametrize("text", ["\0", "a\0", "中\0", "\ud800", "a\udfff", "\udc00\ud800"])
    @pytest.mark.parametrize("wrap", [lambda t: t, lambda t: [t], lambda t: {"b": t}])
    def test_that_cannot_be_stored_are_refused(self, text: str, wrap: Any) -> None:
        fault = fault_of({"a": wrap(text)})
        assert fault.code is Code.INVALID_ARGUMENT
        assert fault.errors[0].path.startswith("document.a")

    @pytest.mark.parametrize("value", [b"x", (1,), {1, 2}, object(), 1j])
    def test_what_is_no_json_is_refused(self, value: object) -> None:
        assert fault_of({"a": value}).code is Code.INVALID_ARGUMENT


class TestNames:
    @pytest.mark.parametrize("name", ["a", "0", "_x", "a$", "中文", " ", "__proto__", "a" * 128])
    def test_good(self, name: str) -> None:
        assert admit_document({name: 1}, LIMITS, now_ms=0) == {name: 1}

    @pytest.mark.parametrize("name", ["", "$a", "$", "a.b", ".", "a\0", "\ud800", "a" * 129])
    def test_bad(self, name: str) -> None:
        for raw, path in (({name: 1}, "document"), ({"x": [{name: 1}]}, "document.x.0")):
            fault = fault_of(raw)
            assert (fault.code, fault.errors[0].path) == (Code.INVALID_ARGUMENT, path)

    def test_a_message_stays_short_however_long_the_name(self) -> None:
        assert len(fault_of({"x" * 1_000_000: 1}).detail) < 200

    def test_a_name_that_is_no_string_is_refused(self) -> None:
        assert fault_of({1: 2}).code is Code.INVALID_ARGUMENT


class TestDepth:
    @staticmethod
    def nested(levels: int, wrap: Any) -> dict[str, Any]:
        value: Any = 1
        for _ in range(levels - 1):
            value = wrap(value)
        return {"a": value}

    @pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"b": v}])
    def test_the_document_is_the_first_of_twenty_levels(self, wrap: Any) -> None:
        admit_document(self.nested(20, wrap), LIMITS, now_ms=0)
        assert fault_of(self.nested(21, wrap)).code is Code.LIMIT_EXCEEDED

    def test_a_date_is_no_level(self) -> None:
        raw = self.nested(20, lambda v: {"b": {"$date": 0}} if v == 1 else {"b": v})
        admit_document(raw, LIMITS, now_ms=0)

    def test_no_depth_exhausts_the_stack(self) -> None:
        assert fault_of(self.nested(100_000, lambda v: [v])).code is Code.LIMIT_EXCEEDED

    def test_is_a_setting(self) -> None:
        fault = fault_of({"a": {"b": {}}}, LimitSettings(document_depth=2))
        assert (fault.code, fault.errors[0].path) == (Code.LIMIT_EXCEEDED, "document.a.b")


class TestDates:
    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            ("2026-11-20T08:00:00.000Z", "2026-11-20T08:00:00.000Z"),
            ("2026-11-20T08:00:00Z", "2026-11-20T08:00:00.000Z"),
            ("2026-11-20T08:00Z", "2026-11-20T08:00:00.000Z"),
            ("2026-11-20t08:00:00z", "2026-11-20T08:00:00.000Z"),
            ("2026-11-20T08:00:00.5Z", "2026-11-20T08:00:00.500Z"),
            ("2026-11-20T16:00:00.1239999+08:00", "2026-11-20T08:00:00.123Z"),
            ("2026-11-20T08:00:00.123456789Z", "2026-11-20T08:00:00.123Z"),
            ("2026-11-19T23:30:00-08:30", "2026-11-20T08:00:00.000Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
            (0, "1970-01-01T00:00:00.000Z"),
            (1.0, "1970-01-01T00:00:00.001Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            ({"offset": 0}, "2026-11-20T08:00:00.000Z"),
            ({"offset": -1500}, "2026-11-20T07:59:58.500Z"),
        ],
    )
    def test_become_utc_with_milliseconds(self, raw: Any, expected: str) -> None:
        assert admitted({"$date": raw}) == {"$date": expected}

    @pytest.mark.parametrize(
        "raw",
        [
            *("", "now", "2026-11-20", "2026-11-20T08:00:00", "2026-11-20 08:00:00Z"),
            *("20261120T080000Z", "2026-W47-5T08:00:00Z", "2026-11-20T08Z", "2026-1-2T08:00:00Z"),
            *("2026-11-20T08:00:00+0800", "2026-11-20T08:00:00+08", "2026-11-20T08:00:00.Z"),
            *("2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-20T24:00:00Z"),
            *("2026-11-20T23:59:60Z", "2026-11-20T08:00:00+25:00", "0000-01-01T00:00:00Z"),
            *("10000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00"),
            *("٢٠٢٦-11-20T08:00:00Z", " 2026-11-20T08:00:00Z", "2026-11-20T08:00:00Z\n"),
            *(None, True, 1.5, [], {}, {"offset": "1"}, {"offset": True}, {"offset": 1.5}),
            *({"offset": 1, "x": 1}, {"$date": 0}, 1e300, 10**400, {"offset": 10**400}),
            *(MIN_DATE_MS - 1, MAX_DATE_MS + 1, {"offset": MAX_DATE_MS}, float("nan")),
        ],
    )
    def test_that_are_none_are_refused(self, raw: Any) -> None:
        fault = fault_of({"a": {"$date": raw}})
        assert fault.code is Code.INVALID_ARGUMENT
        assert fault.errors[0].path.startswith("document.a")
        assert len(fault.detail) < 300

    def test_stand_alone(self) -> None:
        assert fault_of({"a": {"$date": 0, "b": 1}}).code is Code.INVALID_ARGUMENT
        assert fault_of({"a": {"b": 1, "$date": 0}}).code is Code.INVALID_ARGUMENT

    @given(
        st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)),
        st.integers(-23 * 60, 23 * 60),
    )
    def test_every_zone_gives_the_same_moment(self, local: datetime, offset: int) -> None:
        moment = local.replace(tzinfo=timezone(timedelta(minutes=offset)))
        cut = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        text = moment.isoformat(timespec="microseconds")
        assert admitted({"$date": text}) == date_from_ms(cut)


def test_geojson_is_an_object_like_others() -> None:
    point = {"type": "Point", "coordinates": [121.5, 31.0]}
    assert admitted(point) == {"type": "Point", "coordinates": [121.5, 31]}


def test_a_single_value() -> None:
    assert admit_value([1.0], LIMITS, now_ms=0, path="update.$set.a") == [1]
    with pytest.raises(Problem) as caught:
        admit_value({"$inc": 1}, LIMITS, now_ms=0, path="update.$set.a")
    assert caught.value.errors[0].path == "update.$set.a"
