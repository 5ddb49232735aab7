"""`baas rules`: what its verbs print and how they end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from baas.cli.rules import rules
from baas.engines.sqlite.store import SqliteStore
from baas.ports.documents import Insert, WriteInfo
from baas.rules.load import load_rules
from baas.schema.values import encode

POSTS = """
indexes: [_openid, published]
define: {mine: doc._openid == auth.uid}
rules:
  read: doc.published || mine
  create: auth != null
  update: mine && newDoc.published == doc.published
  delete: mine || 'moderator' in auth.roles
fields:
  phone: {read: mine, write: mine}
"""
TESTS = """
documents:
  posts: [{_id: p1, _openid: u1, title: a, published: true, phone: "1"}, {_id: p2, _openid: u1}]
cases:
  - {as: null, do: find, filter: {}, sees: [p1], hides: [phone]}
  - {as: {uid: u2}, do: update, id: p1, set: {title: x}, fails: PERMISSION_DENIED}
  - {as: {uid: u2}, do: update, id: p2, set: {title: x}, fails: NOT_FOUND}
  - {as: {uid: u1}, do: update, filter: {}, multi: true, set: {title: x}, matched: 2}
  - {as: {uid: u1}, do: delete, filter: {}, multi: true, deleted: 2}
  - {as: {uid: u1}, do: find, sort: {_id: -1}, sees: [p2, p1]}
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "posts.yaml").write_text(POSTS)
    (tmp_path / "rules" / "posts.test.yaml").write_text(TESTS)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(rules, words)


def test_rule_tests_run_through_the_real_parts(app: Path) -> None:
    result = run("test")
    assert result.exit_code == 0, result.output
    assert "6 cases, 0 failed" in result.output
    assert "posts delete: 'moderator' in auth.roles: not reached" in result.output
    assert "posts create: auth != null: not reached" in result.output
    assert "posts read" not in result.output, "every clause of it was reached"


def test_a_failing_case_is_shown_and_ends_with_1(app: Path) -> None:
    text = "cases: [{as: null, do: insert, document: {a: 1}, ok: true}]"
    (app / "rules" / "posts.test.yaml").write_text(text)
    result = run("test")
    assert result.exit_code == 1
    assert "FAIL" in result.output
    assert "failed with PERMISSION_DENIED" in result.output


def test_check_names_every_faulty_file(app: Path) -> None:
    assert run("check").exit_code == 0
    (app / "rules" / "a.yaml").write_text("rules: {raed: true}")
    (app / "rules" / "b.yaml").write_text("mode: strict")
    result = run("check")
    assert result.exit_code == 1
    assert "a.yaml:1:9" in result.output
    assert "b.yaml:1:7" in result.output


def test_check_warns(app: Path) -> None:
    (app / "rules" / "posts.yaml").write_text("rules: {read: doc.a == 1, write: true}")
    result = run("check")
    assert "warning: posts.yaml:1:15: the read rule filters by a" in result.output
    assert "for everyone" in result.output


def test_explain_shows_what_is_left_of_a_rule(app: Path) -> None:
    result = run("explain", "posts", "read", "--as", "uid=u1")
    assert result.exit_code == 0, result.output
    assert "doc.published == true || doc._openid == 'u1'" in result.output
    assert "engine" in result.output, "the indexes of the rule file, though nothing is stored yet"
    nobody = run("explain", "posts", "delete")
    assert "false    'moderator' in auth.roles" in nobody.output


def test_import_writes_rule_files_and_spares_those_that_are_there(app: Path) -> None:
    old = app / "notes.json"
    old.write_text('{"read": true, "write": "doc._openid == auth.openid"}')
    result = run("import", str(old))
    assert result.exit_code == 0, result.output
    assert (app / "rules" / "notes.yaml").read_text().startswith("collection: notes\n")
    again = run("import", str(old))
    assert again.exit_code != 0
    assert run("import", "--force", str(old)).exit_code == 0


async def _store_posts(folder: Path, *documents: dict[str, object]) -> None:
    store = SqliteStore(folder / "data")
    await store.open()
    try:
        await store.declare(
            {n: r.spec for n, r in load_rules(folder / "rules").collections.items()}
        )
        steps = tuple(
            Insert(collection="posts", id=str(one["_id"]), document=one, body=encode(one))
            for one in documents
        )
        await store.write(steps, WriteInfo())
    finally:
        await store.close()


def test_explain_names_the_index_and_check_counts_what_fails_the_schema(app: Path) -> None:
    posts = app / "rules" / "posts.yaml"
    asyncio.run(_store_posts(app, {"_id": "p1", "title": 5}, {"_id": "p2", "title": "a"}))
    result = run("explain", "posts", "delete", "--as", "uid=u1")
    assert result.exit_code == 0, result.output
    assert "engine" in result.output
    assert "_openid" in result.output.partition("engine")[2], "the index on _openid serves it"
    posts.write_text(f"schema: {{properties: {{title: {{type: string}}}}}}{POSTS}")
    checked = run("check", "--data")
    assert checked.exit_code == 0, checked.output
    assert "posts: 1 of 2 documents fail the schema; first p1: document.title" in checked.output


def test_check_looks_at_the_rules_of_functions_too(app: Path) -> None:
    (app / "functions").mkdir()
    (app / "functions" / "a.py").write_text("from baas import fn\n@fn.event()\ndef hello(): ...\n")
    (app / "rules" / "_functions.yaml").write_text("helo: {invoke: auth != null}\n")
    result = run("check")
    assert result.exit_code == 0
    assert "_functions.yaml:1:1: there is no function or mount 'helo'; did you" in result.output
    (app / "functions" / "a.py").write_text("1 / 0\n")
    assert "functions/a.py:1: the functions do not load: ZeroDivisionError" in run("check").output
    (app / "rules" / "_functions.yaml").write_text("hello: {invoke: doc.x}\n")
    result = run("check")
    assert result.exit_code == 1
    assert "error: _functions.yaml:1:17" in result.output


def test_explain_does_not_take_two_members_for_one_uid(app: Path) -> None:
    result = run("explain", "posts", "read", "--as", "uid=u1,roles=a,b")
    assert result.exit_code == 2
    assert "--as uid=u1 --as roles=a,b" in result.output


def test_explain_knows_what_collection_was_meant(app: Path) -> None:
    assert "did you mean 'posts'?" in str(run("explain", "post", "read").exception)


def test_rules_of_functions_are_tested_with_the_others(app: Path) -> None:
    (app / "rules" / "_functions.yaml").write_text(
        "f: {invoke: auth.uid in get('database.posts.' + request.data.post).readers}\n"
        "/shop: {http: auth != null}\n"
    )
    tests = app / "rules" / "_functions.test.yaml"
    tests.write_text(
        "documents: {posts: [{_id: p1, readers: [u1]}]}\n"
        "cases:\n"
        "  - {as: {uid: u1}, do: call, function: f, data: {post: p1}, ok: true}\n"
        "  - {as: {uid: u2}, do: call, function: f, data: {post: p1}, fails: PERMISSION_DENIED}\n"
        "  - {as: null, do: http, function: /shop, fails: PERMISSION_DENIED}\n"
        "  - {as: {uid: u1}, do: http, function: /shop, ok: true}\n"
    )
    result = run("test", str(tests))
    assert result.exit_code == 0, result.output
    assert "4 cases, 0 failed" in result.output
    tests.write_text("cases: [{as: {uid: u1}, do: call, function: g, ok: true}]\n")
    result = run("test", str(tests))
    assert result.exit_code == 1
    assert "failed with PERMISSION_DENIED" in result.output
    tests.write_text("cases: [{as: null, do: call, ok: true}]\n")
    assert "'call' needs a function's name" in str(run("test", str(tests)).exception)
