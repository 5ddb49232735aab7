"""Names made to break something behind the parser: a path, a prototype, a log line, an encoder."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.ids import is_collection_name, is_id
from baas.query.evaluate import matches
from baas.query.limits import QueryLimits
from baas.query.parse import parse_filter, parse_projection, parse_sort
from baas.query.project import project
from baas.schema.admit import admit_document
from baas.settings import LimitSettings

LIMITS = QueryLimits()

REFUSED = (
    *("", "$", "$a", "$where", "\0", "a\0b", "\ud800", "a\udfff", "x" * 129, "😀" * 129),
    *("a.$b", "a..b", ".a", "a.", ".", "..", "a.b\0", "a.\ud800", "a." + "x" * 129),
)
#: Odd, but only names: they must find what was stored under them and nothing else.
ALLOWED = (
    *(
        "__proto__",
        "constructor",
        "prototype",
        "toString",
        "__class__",
        "__dict__",
        "hasOwnProperty",
    ),
    *(
        '"',
        "'",
        "\\",
        "`",
        ";",
        "--",
        "/*",
        "[0]",
        "#",
        "?",
        "%s",
        "{0}",
        "{uid}",
        "a b",
        " ",
        "\t",
    ),
    *("\n", "\r\n", "\x1b[31m", "\u202e", "\u2028", "\ufeff", "é", "中文", "😀", "NULL", "rowid"),
    *(
        "a$b",
        "a$",
        "0",
        "-1",
        "1e3",
        "true",
        "x" * 128,
        "😀" * 128,
        "'; DROP TABLE x; --",
        "e\u0301",
    ),
)


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_is_refused_wherever_a_path_may_stand(name: str) -> None:
    reads: tuple[Any, ...] = (
        lambda: parse_filter({name: 1}, LIMITS, now_ms=0),
        lambda: parse_filter({"a": {"$elemMatch": {name: 1, "b": 1}}}, LIMITS, now_ms=0),
        lambda: parse_sort({name: 1}),
        lambda: parse_sort([[name, 1]]),
        lambda: parse_projection({name: 1}),
    )
    for read in reads:
        with pytest.raises(Problem) as caught:
            read()
        assert caught.value.code is Code.INVALID_ARGUMENT
        caught.value.detail.encode()  # The answer itself can be sent.


@pytest.mark.parametrize("name", [name for name in REFUSED if name != "."], ids=ascii)
def test_is_refused_as_a_field_of_a_document_or_of_a_value(name: str) -> None:
    for raw in ({name: 1}, {"a": {name: 1}}, {"a": [{name: 1}]}):
        with pytest.raises(Problem) as caught:
            admit_document(raw, LimitSettings(), now_ms=0)
        assert caught.value.code is Code.INVALID_ARGUMENT
        caught.value.detail.encode()


@pytest.mark.parametrize("name", ALLOWED, ids=ascii)
def test_an_odd_name_is_a_name(name: str) -> None:
    document = admit_document({name: 1, "other": 2}, LimitSettings(), now_ms=0)
    assert document == {name: 1, "other": 2}
    assert matches(parse_filter({name: 1}, LIMITS, now_ms=0), document)
    assert not matches(parse_filter({name: 1}, LIMITS, now_ms=0), {"other": 1})
    assert not matches(parse_filter({name: {"$exists": True}}, LIMITS, now_ms=0), {})
    projection = parse_projection({name: 1})
    assert projection is not None
    assert project(document, projection) == {name: 1}


def test_names_that_look_alike_are_not_the_same() -> None:
    composed, decomposed = parse_filter({"é": 1}, LIMITS, now_ms=0), {"e\u0301": 1}
    assert not matches(composed, decomposed)
    assert not matches(parse_filter({"A": 1}, LIMITS, now_ms=0), {"a": 1})


def test_a_polluted_prototype_stays_in_its_own_document() -> None:
    polluted = {"__proto__": {"admin": True}, "constructor": {"prototype": {"admin": True}}}
    document = admit_document(polluted, LimitSettings(), now_ms=0)
    assert not matches(parse_filter({"admin": True}, LIMITS, now_ms=0), document)
    assert not matches(parse_filter({"admin": {"$exists": True}}, LIMITS, now_ms=0), {})


@pytest.mark.parametrize(
    "name",
    [
        *("_users", "_", "__users", "", "1a", "a b", "a.b", "a/b", "a\\b", "../a", "a%2fb", "a\n"),
        *("ａｂｃ", "users\0", "é", "a" * 65, "$cmd", "system.users", "sqlite_master;", '"', "'"),
        *(None, 1, b"a", ["a"], " _users", "\ufeff_users"),
    ],
)
def test_is_no_collection_that_a_client_can_name(name: object) -> None:
    assert not is_collection_name(name)


@pytest.mark.parametrize(
    "text",
    ["", "a b", "a.b", "a/b", "../a", "a" * 65, "é", "a\n", "a\0", "$a", None, 1, b"a", ["a"]],
)
def test_is_no_id(text: object) -> None:
    assert not is_id(text)
