"""What rule expressions mean, sentence by sentence of docs/rules.md."""

from __future__ import annotations

from typing import Any

import pytest

from baas.rules.check import check_rule
from baas.rules.syntax import RuleFault
from tests.support.rules import NOW_MS, READ_SCOPE, value_of

NOW = {"$date": "2027-01-15T08:00:00.000Z"}
LATER = {"$date": "2027-01-15T09:00:00.000Z"}
ME = {"uid": "me", "openid": "me", "loginType": "WECHAT", "roles": ["editor"], "claims": {"n": 1}}
U = "undefined"


@pytest.mark.parametrize(
    ("rule", "doc", "value"),
    [
        # exact equality, never inside an array
        ("doc.owner == auth.uid", {"owner": "me"}, True),
        ("doc.owner == auth.uid", {"owner": ["me", "victim"]}, False),
        ("doc.owner != auth.uid", {"owner": ["me"]}, True),
        ("doc.n == 1", {"n": 1.0}, True),
        ("doc.n == 1", {"n": True}, False),
        ("doc.n == '1'", {"n": 1}, False),
        ("doc.a == ['x', 1]", {"a": ["x", 1]}, True),
        ("doc.a == ['x', 1]", {"a": [1, "x"]}, False),
        # membership
        ("auth.uid in doc.members", {"members": ["me"]}, True),
        ("auth.uid in doc.members", {"members": ["you"]}, False),
        ("auth.uid in doc.members", {"members": "me"}, U),
        ("auth.uid in doc.members", {}, U),
        ("!(auth.uid in doc.members)", {}, U),
        ("auth.uid in doc.members.uid", {"members": [{"uid": "you"}, {"uid": "me"}]}, True),
        ("auth.uid in doc.members.uid", {"members": [{"uid": ["me"]}, 3, {}]}, False),
        ("auth.uid in doc.a.b.c", {"a": [{"b": [{"c": "x"}]}, {"b": {"c": "me"}}]}, True),
        ("doc.members.uid == auth.uid", {"members": [{"uid": "me"}]}, False),
        ("doc.members.uid == null", {"members": [{"uid": "me"}]}, True),
        ("'editor' in auth.roles", {}, True),
        ("doc.kind in ['a', 'b']", {"kind": "b"}, True),
        # order: false between unlike types
        ("doc.n > 5", {"n": 6}, True),
        ("doc.n > 5", {"n": "6"}, False),
        ("doc.n <= 5", {}, False),
        ("!(doc.n <= 5)", {}, True),
        ("doc.s < 'b'", {"s": "a"}, True),
        ("doc.n < true", {"n": 0}, False),
        # a missing field is null
        ("doc.gone == null", {}, True),
        ("doc.a.b.c == null", {"a": {"b": 1}}, True),
        ("doc.a == doc.b", {}, True),
        ("doc.tags[1] == 'b'", {"tags": ["a", "b"]}, True),
        ("doc.tags[9] == null", {"tags": ["a"]}, True),
        ("doc[auth.uid] == 1", {"me": 1}, True),
        ("doc['odd name'] == 1", {"odd name": 1}, True),
        # a missing member is undefined
        ("auth.claims.gone == 1", {}, U),
        ("auth.claims.gone != 1", {}, U),
        ("auth.claims.gone == null", {}, True),
        ("auth.claims.gone != null", {}, False),
        ("auth.claims.gone == doc.gone", {}, U),
        ("auth.unionid == doc.unionid", {}, U),
        ("!auth.claims.gone", {}, U),
        ("false && auth.claims.gone", {}, False),
        ("auth.claims.gone && false", {}, False),
        ("true || auth.claims.gone", {}, True),
        ("auth.claims.gone || true", {}, True),
        ("true && auth.claims.gone", {}, U),
        ("auth.claims.gone ? true : true", {}, U),
        # operators and functions given what they do not take
        ("doc.s + 1 == 1", {"s": "x"}, U),
        ("size(doc.n) == 1", {"n": 1}, U),
        ("size(doc.gone) != 1", {}, U),
        ("-doc.s < 0", {"s": "x"}, U),
        ("lower(doc.n) == 'x'", {"n": 1}, U),
        ("doc.n / 0 == 1", {"n": 1}, U),
        # only true satisfies
        ("doc.open", {"open": True}, True),
        ("doc.open", {"open": 1}, False),
        ("doc.open", {"open": "yes"}, False),
        ("doc.open", {}, False),
        ("!doc.open", {}, True),
        ("!doc.open", {"open": "yes"}, True),
        ("doc.open && true", {"open": "yes"}, False),
        ("doc.open ? doc.a : doc.b", {"open": True, "a": True}, True),
        ("(doc.open ? 'x' : 'y') == doc.k", {"k": "y"}, True),
        # arithmetic and strings
        ("doc.n + 1 == 3", {"n": 2}, True),
        ("7 % 3 == 1 && -7 % 3 == -1", {}, True),
        ("1 + 2 * 3 - 4 / 2 == 5", {}, True),
        ("5 / 2 == 2.5", {}, True),
        ("'a' + 'b' == \"ab\"", {}, True),
        ("`${doc.n}-${auth.uid}!` == '2-me!'", {"n": 2}, True),
        ("`x${doc.gone}` == 'x'", {}, U),
        # functions
        ("size('中文') == 2 && size(doc.a) == 1 && size(doc.o) == 0", {"a": [1], "o": {}}, True),
        ("has(doc.a.b)", {"a": {"b": None}}, True),
        ("has(doc.a.b)", {"a": 1}, False),
        ("has(auth.claims.n) && !has(auth.claims.m)", {}, True),
        ("matches(doc.s, '^a+$')", {"s": "aaa"}, True),
        ("matches(doc.s, 'b')", {"s": "aaa"}, False),
        ("matches(doc.s, doc.re)", {"s": "a", "re": "("}, U),
        (
            "startsWith(doc.s, 'a') && endsWith(doc.s, 'c') && contains(doc.s, 'b')",
            {"s": "abc"},
            True,
        ),
        ("doc.标题 == '\\ud83d\\ude00\\u{1f600}\\x41\\n'", {"标题": "😀😀A\n"}, True),
        ("lower('ÄB') == 'äb' && upper('ä') == 'Ä'", {}, True),
        ("int('12') == 12 && int(1.9) == 1 && int(-1.9) == -1", {}, True),
        ("float('1.5') == 1.5 && string(1.5) == '1.5' && string(true) == 'true'", {}, True),
        ("int('x') == 0", {}, U),
        ("bool('true') && !bool('false')", {}, True),
        ("date('2027-01-15T08:00:00Z') == doc.t", {"t": NOW}, True),
        ("date('2027-01-15T08:00:00') == doc.t", {"t": NOW}, U),
        ("duration('1d2h') == 93600000 && duration('1.5h') == 5400000", {}, True),
        ("duration('soon') == 1", {}, U),
        # now: a date beside dates, milliseconds beside numbers
        ("now == doc.t", {"t": NOW}, True),
        ("now == doc.t", {"t": NOW_MS}, True),
        ("doc.t > now", {"t": LATER}, True),
        ("doc.t > now", {"t": NOW_MS + 1}, True),
        ("doc.t > now", {"t": "9999"}, False),
        ("now - doc.t < duration('1m')", {"t": NOW}, True),
        ("doc.t - now == duration('1h')", {"t": LATER}, True),
        ("doc.t > now - duration('1d')", {"t": NOW}, True),
        ("doc.t + duration('2h') > now", {"t": NOW}, True),
        ("request.time == doc.t", {"t": NOW}, True),
    ],
)
def test_value(rule: str, doc: dict[str, Any], value: Any) -> None:
    assert value_of(rule, doc=doc, auth=ME) is value


@pytest.mark.parametrize(
    ("rule", "doc", "value"),
    [
        ("auth == null", {}, True),
        ("auth != null", {}, False),
        ("auth.uid == null", {}, True),
        ("doc._openid == auth.uid", {}, U),
        ("doc._openid == auth.openid", {"_openid": None}, U),
        ("auth.loginType != 'ANONYMOUS'", {}, U),
        ("!(auth.loginType == 'ANONYMOUS')", {}, U),
        ("!('banned' in auth.roles)", {}, U),
        ("auth.uid != doc.author", {"author": "x"}, U),
    ],
)
def test_a_stranger_owns_and_is_nothing(rule: str, doc: dict[str, Any], value: Any) -> None:
    assert value_of(rule, doc=doc, auth=None) is value


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("get('database.rooms.r1').open", True),
        ("auth.uid in get('database.rooms.' + doc.room).members", True),
        ("auth.uid in get(`database.rooms.${doc.room}`).people.uid", True),
        ("get('database.rooms.r1').gone == 1", U),
        ("get('database.rooms.r1').gone == null", True),
        ("get('database.rooms.none') == null", True),
        ("get('database.rooms.none').open", U),
        ("!get('database.rooms.none').open", U),
        ("get('database.rooms.' + doc.bad) == null", True),
        ("get('database.rooms.' + doc.gone).open", U),
        ("exists('database.rooms.r1')", True),
        ("exists('database.rooms.none')", False),
        ("exists('database.rooms.' + doc.bad)", False),
        ("!exists('database.rooms.' + auth.claims.gone)", True),
    ],
)
def test_other_documents(rule: str, value: Any) -> None:
    room = {"_id": "r1", "open": True, "members": ["me"], "people": [{"uid": "me"}]}
    doc = {"room": "r1", "bad": "../r1"}
    assert value_of(rule, doc=doc, auth=ME, others={("rooms", "r1"): room}) is value


@pytest.mark.parametrize(
    ("rule", "before", "after", "value"),
    [
        ("unchanged('a')", {"a": 1}, {"a": 1, "b": 2}, True),
        ("unchanged('a', 'b')", {"a": 1}, {"a": 1, "b": 2}, False),
        ("changed('b')", {"a": 1}, {"a": 1, "b": 2}, True),
        ("unchanged('a')", {}, {"a": None}, True),
        ("unchanged('items.price')", {"items": [{"price": 1}]}, {"items": [{"price": 2}]}, False),
        ("unchanged('items.price')", {"items": [{"price": 1}]}, {"items": []}, False),
        (
            "unchanged('items.price')",
            {"items": [{"price": 1}]},
            {"items": [{"price": 1, "n": 2}]},
            True,
        ),
        ("newDoc.n > doc.n", {"n": 1}, {"n": 2}, True),
    ],
)
def test_before_and_after(rule: str, before: Any, after: Any, value: bool) -> None:
    assert value_of(rule, doc=before, new_doc=after, auth=ME) is value


@pytest.mark.parametrize(
    ("rule", "data", "value"),
    [
        ("request.data.title == 'x'", {"title": "x"}, True),
        ("request.data.gone == null && request.data.gone != 1", {}, True),
        ("size(request.data.title) > 0", {}, U),
    ],
)
def test_what_the_client_sent(rule: str, data: Any, value: Any) -> None:
    assert value_of(rule, doc={}, auth=ME, data=data) is value


@pytest.mark.parametrize(
    ("rule", "offset", "message"),
    [
        ("doc.a = 1", 6, "did you mean '=='"),
        ("doc.a === 1", 8, "'===' is '==' here"),
        ("doc.a and doc.b", 6, "did you mean '&&'"),
        ("doc.a & doc.b", 6, "did you mean '&&'"),
        ("(doc.a", 6, "a ')' is missing"),
        ("doc.a == 'x", 9, "not closed"),
        ("aut.uid == 1", 0, "did you mean 'auth'"),
        ("auth.uuid == 1", 5, "did you mean 'uid'"),
        ("request.dat == 1", 8, "did you mean 'data'"),
        ("published", 0, "doc.published"),
        ("undefined == doc.a", 0, "did you mean 'null'"),
        ("newDoc.a == 1", 0, "a read or delete sees 'doc'"),
        ("resource.size > 1", 0, "_storage.yaml"),
        ("startWith(doc.a, 'x')", 0, "did you mean 'startsWith'"),
        ("doc.a.includes('x')", 6, "item in list"),
        ("doc.list.map(x)", 9, "no method 'map'"),
        ("size(doc.a, 1)", 0, "takes 1 argument, not 2"),
        ("has(1)", 4, "takes a path"),
        ("matches(doc.a, '(?=x)')", 15, "RE2"),
        ("unchanged('a')", 0, "update only"),
        ("get(doc.path).a", 4, "written out"),
        ("get('rooms.r1').a", 4, "database.<collection>.<id>"),
        ("get('database._users.' + auth.uid).a", 4, "reserved"),
        ("get('database.' + doc.c + '.x').a", 4, "database.<collection>"),
        ("doc.$where == 1", 4, "'$'"),
        ("{a: 1}", 0, "there are no objects"),
        ("", 0, "no expression"),
        ("doc.a; doc.b", 5, "one expression"),
        ("request == null", 0, "through its members"),
        ("`${doc.a`", 1, "'}' is missing"),
        ("`a ${aut.x}`", 5, "did you mean 'auth'"),
        ("doc.a == '\\ud83d'", 9, "no character"),
        ("doc.a == '\\u{110000}'", 9, "no character"),
        (f"matches(doc.a, '{'a' * 257}')", 15, "at most 256"),
        ("1e999 == doc.a", 0, "too large"),
    ],
)
def test_fault(rule: str, offset: int, message: str) -> None:
    with pytest.raises(RuleFault) as caught:
        check_rule(rule, READ_SCOPE)
    assert message in caught.value.message
    assert caught.value.offset == offset


def test_at_most_three_documents_are_looked_up() -> None:
    one = "exists('database.a.x')"
    check_rule(" && ".join([one] * 3), READ_SCOPE)
    with pytest.raises(RuleFault, match="at most 3"):
        check_rule(" && ".join([one] * 4), READ_SCOPE)


def test_long_chains_load_and_endless_ones_are_refused() -> None:
    check_rule(" || ".join(["doc.a == 1"] * 150), READ_SCOPE)
    with pytest.raises(RuleFault, match="nested too deeply"):
        check_rule("(" * 500 + "true" + ")" * 500, READ_SCOPE)
    with pytest.raises(RuleFault, match="at most 8,000"):
        check_rule("doc.a" * 2000, READ_SCOPE)
