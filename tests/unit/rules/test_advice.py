"""Warnings: rules that load and still are not what their author meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.rules import book


def advice(folder: Path, text: str) -> list[str]:
    return [item.message for item in book(folder, posts=text).advice]


@pytest.mark.parametrize(
    "rule",
    [
        "auth.roles == 'admin'",
        "auth.loginType == 'anonymous'",
        "auth == null && auth.uid == doc.a",
        "doc.a == 1 && doc.a == 2",
        "size(doc.a)",
        "auth.uid == 5",
        "doc.a in 'abc'",
        "1 == 2",
        "size(doc.a) > '3'",
        "doc._openid == auth.uid || auth.uid == true",
    ],
)
def test_what_can_never_be_true_is_warned_of(tmp_path: Path, rule: str) -> None:
    found = advice(tmp_path, f'rules: {{delete: "{rule}"}}')
    assert any("can never be true" in message for message in found), found


def test_a_hidden_field_in_the_text_index_is_warned_of(tmp_path: Path) -> None:
    text = """
rules: {read: true}
indexes: [{text: [title, a.note]}, {geo: at}]
fields: {a: {read: 'false'}, at: {read: 'false'}, title: {read: true, write: 'false'}}
"""
    assert advice(tmp_path, text) == [
        "the text index has 'a.note': who may not read that cannot search at all"
    ]


@pytest.mark.parametrize(
    "rule",
    [
        "false",
        "true",
        "auth == null || auth.uid == doc.a",
        "auth != null && auth.uid == doc.a",
        "doc.a == 1 || doc.a == 2",
        "'admin' in auth.roles",
        "auth.loginType == 'ANONYMOUS'",
        "!(size(doc.a) == 1)",
        "doc._createTime > now",
        "doc.a == auth.claims.a",
        "doc._openid == null",
        "auth.uid != 5",
    ],
)
def test_what_can_be_true_is_not(tmp_path: Path, rule: str) -> None:
    found = advice(tmp_path, f'rules: {{delete: "{rule}"}}')
    assert not any("can never be true" in message for message in found), found


def test_writes_open_to_everyone_are_warned_of(tmp_path: Path) -> None:
    found = advice(tmp_path, "rules: {read: true, write: true}")
    assert len(found) == 3
    assert all("for everyone" in message for message in found)


def test_a_filtered_field_without_an_index_is_warned_of(tmp_path: Path) -> None:
    rules = "rules: {read: doc.open || doc._openid == auth.uid}"
    found = advice(tmp_path, rules)
    assert [message.split()[5].rstrip(",") for message in found] == ["open", "_openid"]
    assert advice(tmp_path, f"{rules}\nindexes: [[open, a], _openid]") == []


def test_one_indexed_field_of_a_conjunction_is_enough(tmp_path: Path) -> None:
    assert advice(tmp_path, "rules: {read: doc.a == 1 && doc.b == 2}\nindexes: [b]") == []


def test_request_data_on_update_is_advised_against(tmp_path: Path) -> None:
    assert any(
        "newDoc" in text for text in advice(tmp_path, "rules: {update: request.data.a == 1}")
    )
    assert advice(tmp_path, "rules: {create: request.data.a == 1}") == []


def test_length_is_a_field_here(tmp_path: Path) -> None:
    assert any("size(x)" in text for text in advice(tmp_path, "rules: {delete: doc.a.length > 1}"))


HIDDEN = """
rules: {read: true, update: auth != null}
indexes: [a]
fields: {secret.pin: {read: auth.uid == 'x'}, note: {read: auth.uid == 'x'}}
schema:
  properties:
    a: {}
    note: {}
    secret: {properties: {pin: {}, hint: {}}, %s}
  %s
"""


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ("title: t", "dependentRequired: {note: [a]}", ["dependentRequired note"]),
        ("title: t", "dependentRequired: {a: [note]}", ["dependentRequired note"]),
        ("title: t", "maxProperties: 9", ["maxProperties note", "maxProperties secret.pin"]),
        ("title: t", "oneOf: [{required: [note]}, {required: [a]}]", ["oneOf note"]),
        ("dependentSchemas: {pin: {}}", "title: t", ["dependentSchemas secret.pin"]),
        ("title: t", "dependentRequired: {a: [secret]}", ["dependentRequired secret.pin"]),
        ("title: t", "dependentRequired: {a: [b]}", []),
        ("title: t", "required: [note]", []),
    ],
)
def test_a_schema_that_gives_a_hidden_field_away(
    tmp_path: Path, inner: str, outer: str, expected: list[str]
) -> None:
    found = [
        text.split("'") for text in advice(tmp_path, HIDDEN % (inner, outer)) if "ties" in text
    ]
    assert sorted(f"{parts[1]} {parts[3]}" for parts in found) == expected
