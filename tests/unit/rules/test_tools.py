"""Explaining a rule, importing cloud-dev rules, places in files, rule tests as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from baas.errors import Code, ConfigurationError, Problem
from baas.guard import RequestFacts, rule_variables
from baas.query import ast
from baas.query.conditions import Env
from baas.rules.coverage import Coverage
from baas.rules.explain import Explanation, explain
from baas.rules.importer import import_rules
from baas.rules.model import Operation
from baas.rules.render import render
from baas.rules.testing import Case, judge, load_tests
from baas.schema.actor import NOBODY, SERVER, Actor
from tests.support.rules import NOW_MS, book, condition, variables

# -- explain --------------------------------------------------------------------------------------

POSTS = """
define: {mine: doc._openid == auth.uid}
rules:
  read: doc.published || mine
  delete: mine || 'moderator' in auth.roles
"""


def explained(folder: Path, operation: Operation, actor: Actor) -> Explanation:
    rules = book(folder, posts=POSTS).collections["posts"]
    known = rule_variables(operation, actor, RequestFacts(time_ms=NOW_MS))
    return explain(rules, operation, known)


def test_explain_shows_the_reduced_rule_and_each_clause(tmp_path: Path) -> None:
    found = explained(tmp_path, Operation.READ, Actor(uid="u1"))
    assert found.verdict == "depends"
    assert found.reduced == "doc.published == true || doc._openid == 'u1'"
    assert [(clause.text, clause.verdict) for clause in found.clauses] == [
        ("doc.published == true", "depends"),
        ("doc._openid == auth.uid", "depends"),
    ]
    assert found.place == "posts.yaml:4"
    assert isinstance(found.filter, ast.Or)


def test_explain_for_callers_whom_the_rule_settles(tmp_path: Path) -> None:
    assert explained(tmp_path, Operation.DELETE, NOBODY).verdict == "false"
    moderator = explained(tmp_path, Operation.DELETE, Actor(uid="m", roles=("moderator",)))
    assert moderator.verdict == "true"
    assert [clause.verdict for clause in moderator.clauses] == ["depends", "true"]
    assert explained(tmp_path, Operation.CREATE, NOBODY).place == "no rule is given"


@pytest.mark.parametrize(
    "text",
    [
        "doc.a == 'it\\'s' && (doc.b || !doc.c)",
        "(doc.a + 1) * 2 > -doc.b",
        "doc.a - (doc.b - 1) == 0",
        "doc.a ? doc.b : doc.c",
        "auth.uid in get('database.rooms.' + doc.room).members",
        "exists('database.rooms.' + (doc.a + doc.b))",
        "has(doc.a.b) && doc.list[0] in ['a', 1, null, true]",
        "!(doc.a in doc.b)",
        "auth == null || size(auth.roles) == 0",
    ],
)
def test_what_is_shown_means_what_was_written(text: str) -> None:
    shown = render(condition(text))
    assert condition(shown) == condition(text), shown


# -- import ---------------------------------------------------------------------------------------


def imported(text: str, name: str = "posts") -> dict[str, str]:
    return {collection: made for collection, made, _ in import_rules(name, text, f"{name}.json")}


def test_import_of_one_collection() -> None:
    made = imported('{"read": true, "write": "doc._openid == auth.openid"}')
    assert made["posts"] == (
        "collection: posts\nrules:\n  read: true\n  write: 'doc._openid == auth.openid'\n"
    )


def test_import_of_many_and_of_presets() -> None:
    made = imported('{"a": {"acl": "PRIVATE"}, "b": "READONLY", "c": {"read": false}}', "all")
    assert made["a"] == "collection: a\nacl: PRIVATE\n"
    assert made["b"] == "collection: b\nacl: READONLY\n"
    assert "read: false" in made["c"]


def test_import_says_on_create_new_doc_where_cloud_dev_says_doc() -> None:
    made = imported("""{"create": "doc.a == 'doc' && auth != null && doc.b.doc != undefined"}""")
    assert (
        '''create: "newDoc.a == 'doc' && auth != null && newDoc.b.doc != null     "'''
        in made["posts"]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "no rules"),
        ('{"read": 5}', "true, false or a text"),
        ('{"read": "a ==="}', "read:"),
        ('{"read": true, "raed": true}', "unknown key 'raed'"),
        ('{"acl": "PUBLIC"}', "unknown preset"),
        ('{"_users": {"read": true}}', "cannot be a collection's name"),
        ('{"read": "query.a == 1"}', "unknown name 'query'"),
    ],
)
def test_import_refuses_what_it_cannot_carry_over(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        imported(text)


# -- rule tests as data ---------------------------------------------------------------------------


def cases(folder: Path, text: str) -> tuple[Case, ...]:
    path = folder / "posts.test.yaml"
    path.write_text(text)
    return load_tests(path).cases


def test_a_case_says_who_does_what(tmp_path: Path) -> None:
    first, second, third = cases(
        tmp_path,
        """
cases:
  - {as: null, do: find, filter: {a: 1}, sees: [p1]}
  - {as: {uid: u2, roles: [editor]}, do: update, id: p1, set: {a: 2}, fails: NOT_FOUND}
  - {as: server, do: get, collection: other, id: x, project: {a: 1}, ok: true}
""",
    )
    assert first.actor is NOBODY
    assert first.body == {"filter": {"a": 1}}
    assert (first.collection, first.line) == ("posts", 3)
    assert (second.actor.uid, second.actor.roles) == ("u2", ("editor",))
    assert second.body == {"id": "p1", "update": {"$set": {"a": 2}}}
    assert third.actor is SERVER
    assert (third.collection, third.body["fields"]) == ("other", {"a": 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case: []", "did you mean 'cases'"),
        ("cases: [{do: find, sees: [], fliter: {}}]", "did you mean 'filter'"),
        ("cases: [{do: fetch, sees: []}]", "'do' is one of"),
        ("cases: [{do: find}]", "a case expects one of"),
        ("cases: [{do: find, fails: PERMISSION_DENYED}]", "did you mean 'PERMISSION_DENIED'"),
        ("cases: [{as: u1, do: find, sees: []}]", "'as' is null, server or"),
        ("cases: [{as: {uid: a, role: b}, do: find, sees: []}]", "did you mean 'roles'"),
        ("documents: {posts: {a: 1}}", "the list of its documents"),
        ("now: soon", "'now' is a time"),
    ],
)
def test_a_test_file_with_a_fault_is_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        cases(tmp_path, text)


@pytest.mark.parametrize(
    ("expected", "answer", "passes"),
    [
        ({"sees": ["b", "a"]}, {"documents": [{"_id": "a"}, {"_id": "b"}]}, True),
        ({"sees": ["a"]}, {"documents": [{"_id": "a"}, {"_id": "b"}]}, False),
        ({"sees": ["a"]}, {"_id": "a"}, True),
        ({"sees": []}, {"documents": []}, True),
        ({"fails": "NOT_FOUND"}, Problem(Code.NOT_FOUND, ""), True),
        ({"fails": "NOT_FOUND"}, Problem(Code.PERMISSION_DENIED, ""), False),
        ({"fails": "NOT_FOUND"}, {"matched": 0}, False),
        ({"ok": True}, Problem(Code.CONFLICT, ""), False),
        ({"ok": True}, {"ids": ["a"]}, True),
        ({"matched": 1, "modified": 1}, {"matched": 1, "modified": 1}, True),
        ({"matched": 1}, {"matched": 0}, False),
        ({"fields": ["a"]}, {"_id": "x", "_openid": "u", "a": 1}, True),
        ({"fields": ["a"]}, {"_id": "x", "a": 1, "b": 1}, False),
        ({"hides": ["b"]}, {"documents": [{"_id": "x", "a": 1}]}, True),
        ({"hides": ["b"]}, {"documents": [{"_id": "x", "b": None}]}, False),
    ],
)
def test_judging(expected: dict[str, Any], answer: Any, passes: bool) -> None:
    case = Case(
        file="", line=1, actor=NOBODY, verb="find", collection="a", body={}, expected=expected
    )
    assert (judge(case, answer) == "") is passes


# -- coverage -------------------------------------------------------------------------------------


def test_coverage_observes_short_cuts(tmp_path: Path) -> None:
    loaded = book(tmp_path, posts="rules: {read: doc.a || doc.b, write: false}")
    coverage = Coverage(loaded)
    assert [gap.rpartition(": ")[2] for gap in coverage.gaps()] == ["not reached"] * 2
    coverage.record("posts", Operation.READ, Env({"a": True}), result=False)
    assert list(coverage.gaps()) == ["posts read: doc.b == true: not reached"]
    coverage.record("posts", Operation.COUNT, Env({"b": False}), result=False)
    assert list(coverage.gaps()) == ["posts read: doc.b == true: never true"]
    coverage.record("posts", Operation.READ, Env({"b": True}, None, variables()), result=False)
    assert list(coverage.gaps()) == []
