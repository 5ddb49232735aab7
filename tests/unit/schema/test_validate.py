"""Schemas: what fits, what is said about what does not, and what is filled in."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, ConfigurationError, Problem
from baas.schema.validate import MAX_ERRORS, SchemaValidator
from baas.schema.values import date_from_ms

NOW = 1_800_000_000_000
STAMPED = {
    "_id": "a",
    "_openid": "u",
    "_createTime": date_from_ms(NOW),
    "_updateTime": date_from_ms(NOW),
}


def faults(schema: dict[str, Any], document: dict[str, Any], **options: Any) -> dict[str, str]:
    try:
        SchemaValidator(schema).check(document, **options)
    except Problem as problem:
        found = problem
    else:
        return {}
    assert found.code is Code.VALIDATION_FAILED
    return {error.path: error.message for error in found.errors}


def filled(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    return SchemaValidator(schema).with_defaults(document, now_ms=NOW)


def typed(type: Any) -> dict[str, Any]:
    return {"properties": {"x": {"type": type}}}


class TestFaults:
    def test_each_fault_names_its_path(self) -> None:
        schema = {
            "required": ["title"],
            "properties": {
                "title": {"type": "string"},
                "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}},
                "author": {"properties": {"age": {"minimum": 0}}},
            },
        }
        document = {"tags": ["abc", 5, "abcd"], "author": {"age": -1}}
        assert faults(schema, document) == {
            "document.title": "is required",
            "document.tags.1": "must be a string",
            "document.tags.2": "must have at most 3 characters",
            "document.author.age": "must be 0 or more",
        }

    def test_the_root_of_paths_is_the_callers_to_name(self) -> None:
        found = faults({"required": ["a"]}, {}, path="documents.3")
        assert list(found) == ["documents.3.a"]

    def test_an_unknown_field_is_named_where_the_schema_is_closed(self) -> None:
        schema = {"properties": {"a": True}, "additionalProperties": False}
        assert list(faults(schema, {"a": 1, "b": 2})) == ["document.b"]

    def test_messages_hold_no_value_of_the_document(self) -> None:
        secret = "hunter2secret"
        schema = {
            "properties": {
                "a": {"maxLength": 2},
                "b": {"enum": ["x", "y"]},
                "c": {"pattern": "^[0-9]+$"},
                "d": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                "e": {"format": "email"},
                "f": {"const": "x"},
                "g": {"not": {"type": "string"}},
                "h": {"type": "number"},
            },
            "allOf": [{"oneOf": [{"required": ["zz"]}]}],
        }
        found = faults(schema, dict.fromkeys("abcdefgh", secret))
        assert len(found) == 9
        assert not any("hunter2" in message for message in found.values())

    def test_the_number_of_faults_told_is_bounded(self) -> None:
        schema = {"items": {"type": "string"}}
        document = {"x": list(range(MAX_ERRORS * 3))}
        assert len(faults({"properties": {"x": schema}}, document)) == MAX_ERRORS

    def test_old_faults_in_hidden_fields_are_not_told(self) -> None:
        schema = {"properties": {"phone": {"maxLength": 3}, "title": {"maxLength": 3}}}
        document = {"phone": "12345", "title": "abc"}
        hidden = frozenset({("phone",)})
        assert faults(schema, document, hidden=lambda: hidden) == {}
        document["title"] = "abcd"
        assert list(faults(schema, document, hidden=lambda: hidden)) == ["document.title"]

    def test_hidden_fields_inside_arrays_are_not_told_either(self) -> None:
        item = {"properties": {"key": {"type": "string"}}}
        schema = {"properties": {"items": {"items": item}}}
        document = {"items": [{"key": 1}, {"key": "a"}]}
        hidden = frozenset({("items", "key")})
        assert faults(schema, document) != {}
        assert faults(schema, document, hidden=lambda: hidden) == {}


CLOSED: dict[str, Any] = {"properties": {"a": True}, "additionalProperties": False}


class TestServerFields:
    def test_a_closed_schema_does_not_refuse_them(self) -> None:
        assert faults(CLOSED, {**STAMPED, "a": 1}) == {}
        assert faults({"unevaluatedProperties": False}, dict(STAMPED)) == {}
        assert faults({"maxProperties": 1}, {**STAMPED, "a": 1}) == {}

    def test_a_schema_that_names_them_sees_them(self) -> None:
        assert faults({"required": ["_openid"]}, dict(STAMPED)) == {}
        assert list(faults({"required": ["_openid"]}, {"_id": "a"})) == ["document._openid"]
        assert list(faults({"properties": {"_id": {"maxLength": 0}}}, {"_id": "a"})) == [
            "document._id"
        ]


class TestKitTypes:
    @pytest.mark.parametrize("value", [date_from_ms(0), date_from_ms(NOW)])
    def test_a_date_is_a_date(self, value: Any) -> None:
        assert faults(typed("date"), {"x": value}) == {}

    @pytest.mark.parametrize("value", ["2026-01-01T00:00:00.000Z", 0, None, {}, {"date": 1}, []])
    def test_nothing_else_is_a_date(self, value: Any) -> None:
        assert faults(typed("date"), {"x": value}) == {"document.x": "must be a date"}

    def test_a_date_may_be_one_type_of_several(self) -> None:
        schema = typed(["date", "null"])
        assert faults(schema, {"x": None}) == {}
        assert faults(schema, {"x": date_from_ms(0)}) == {}
        assert faults(schema, {"x": "now"}) == {"document.x": "must be a date or null"}

    def test_true_is_no_number_beside_a_date(self) -> None:
        assert faults(typed(["date", "number"]), {"x": True}) != {}
        assert faults(typed(["date", "number"]), {"x": 1.5}) == {}

    def test_kit_types_work_at_any_depth(self) -> None:
        schema = {
            "$defs": {"when": {"type": "date"}},
            "properties": {
                "list": {"type": "array", "items": {"$ref": "#/$defs/when"}},
                "either": {"anyOf": [{"type": "geo"}, {"type": "null"}]},
            },
            "patternProperties": {"^at_": {"type": "date"}},
        }
        good = {"list": [date_from_ms(0)], "either": None, "at_x": date_from_ms(0)}
        assert faults(schema, good) == {}
        bad = {"list": [1], "either": 1, "at_x": 1}
        assert sorted(faults(schema, bad)) == [
            "document.at_x",
            "document.either",
            "document.list.0",
        ]

    def test_a_constant_that_spells_type_is_data(self) -> None:
        schema = {"properties": {"x": {"const": {"type": "date"}}}}
        assert faults(schema, {"x": {"type": "date"}}) == {}

    @pytest.mark.parametrize(
        "value",
        [
            {"type": "Point", "coordinates": [116.4, 39.9]},
            {"type": "Point", "coordinates": [116.4, 39.9, 50]},
            {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
            {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
            {"type": "MultiPoint", "coordinates": []},
            {
                "type": "GeometryCollection",
                "geometries": [{"type": "Point", "coordinates": [0, 0]}],
            },
        ],
    )
    def test_geometries_are_geo(self, value: Any) -> None:
        assert faults(typed("geo"), {"x": value}) == {}

    @pytest.mark.parametrize(
        "value",
        [
            None,
            [116.4, 39.9],
            {"type": "Point"},
            {"type": "Point", "coordinates": [181, 0]},
            {"type": "Point", "coordinates": [0, 91]},
            {"type": "Point", "coordinates": [True, 0]},
            {"type": "Point", "coordinates": ["0", 0]},
            {"type": "Point", "coordinates": [0]},
            {"type": "LineString", "coordinates": [[0, 0]]},
            {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]},
            {"type": "Circle", "coordinates": [0, 0]},
            {"type": ["Point"], "coordinates": [0, 0]},
            {"type": "GeometryCollection", "geometries": [{"type": "Point"}]},
        ],
    )
    def test_other_values_are_not_geo(self, value: Any) -> None:
        assert list(faults(typed("geo"), {"x": value})) == ["document.x"]


class TestDefaults:
    def test_a_missing_field_gets_its_default_and_a_sent_one_does_not(self) -> None:
        schema = {"properties": {"a": {"default": 1}, "b": {"default": [1]}}}
        assert filled(schema, {"b": None}) == {"b": None, "a": 1}

    def test_the_given_document_is_not_changed(self) -> None:
        schema = {"properties": {"a": {"properties": {"b": {"default": 1}}}}}
        document: dict[str, Any] = {"a": {}}
        assert filled(schema, document) == {"a": {"b": 1}}
        assert document == {"a": {}}

    def test_a_document_that_lacks_nothing_is_the_same_object(self) -> None:
        document = {"a": 5}
        assert filled({"properties": {"a": {"default": 1}}}, document) is document

    def test_two_documents_do_not_share_a_default(self) -> None:
        validator = SchemaValidator({"properties": {"a": {"default": {"b": [1]}}}})
        one = validator.with_defaults({}, now_ms=NOW)
        one["a"]["c"] = 2
        assert validator.with_defaults({}, now_ms=NOW) == {"a": {"b": [1]}}

    def test_defaults_inside_objects_wait_for_the_object(self) -> None:
        schema = {"properties": {"a": {"properties": {"b": {"default": 1}}}}}
        assert filled(schema, {}) == {}

    def test_defaults_reach_items_references_and_all_of(self) -> None:
        schema = {
            "$defs": {"item": {"properties": {"n": {"default": 0}}}},
            "allOf": [{"properties": {"c": {"default": True}}}],
            "properties": {"list": {"items": {"$ref": "#/$defs/item"}}},
        }
        assert filled(schema, {"list": [{}, {"n": 2}, 5]}) == {
            "list": [{"n": 0}, {"n": 2}, 5],
            "c": True,
        }

    def test_a_schema_that_contains_itself_ends(self) -> None:
        schema = {
            "properties": {"child": {"$ref": "#"}, "n": {"default": 0}},
        }
        assert filled(schema, {"child": {"child": {}}, "n": 1}) == {
            "child": {"child": {"n": 0}, "n": 0},
            "n": 1,
        }

    def test_a_default_may_be_server_time(self) -> None:
        schema = {"properties": {"at": {"type": "date", "default": {"$date": {"offset": 1000}}}}}
        assert filled(schema, {}) == {"at": date_from_ms(NOW + 1000)}


class TestUnusableSchemas:
    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "strin"},
            {"properties": {"a": {"type": "dates"}}},
            {"properties": {"a": {"type": ["date", "dates"]}}},
            {"minimum": "1"},
            {"$ref": "http://192.0.2.1/schema.json"},
            {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
            {"properties": {"a": {"$dynamicRef": "other#x"}}},
            {"$ref": "#/nowhere"},
            {"properties": {"a": {"pattern": "(a+)+\\1"}}},
            {"properties": {"a": {"pattern": "(?=x)"}}},
            {"properties": {"a": {"default": {"$where": 1}}}},
        ],
    )
    def test_they_are_refused_when_they_are_loaded(self, schema: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError):
            SchemaValidator(schema)

    def test_nothing_is_fetched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import socket

        def connect(*args: Any) -> None:
            raise AssertionError("a schema reached for the network")

        monkeypatch.setattr(socket.socket, "connect", connect)
        with pytest.raises(ConfigurationError, match="leaves the schema"):
            SchemaValidator({"allOf": [{"$ref": "https://json-schema.org/draft/2020-12/schema"}]})

    def test_a_pattern_that_would_backtrack_is_quick(self) -> None:
        schema = {"properties": {"a": {"pattern": "^(a+)+$"}}}
        assert list(faults(schema, {"a": "a" * 50_000 + "b"})) == ["document.a"]


def test_no_schema_takes_everything() -> None:
    validator = SchemaValidator(None)
    validator.check({"anything": [1]})
    assert validator.with_defaults({"a": 1}, now_ms=NOW) == {"a": 1}
