"""Rule files: what they declare, and where faults are told."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from baas.errors import ConfigurationError
from baas.query import expr as e
from baas.rules.load import load_rules
from baas.rules.model import Operation
from baas.schema.model import IndexKey
from tests.support.rules import book, condition

OWNER = condition("doc._openid == auth.uid")
OWNER_OF_NEW = condition("newDoc._openid == auth.uid")
SIGNED_IN = condition("auth != null")
WRITES = (Operation.CREATE, Operation.UPDATE, Operation.DELETE)

POSTS = """
collection: posts
schema:
  type: object
  properties:
    published: {type: boolean, default: false}
indexes:
  - fields: [published, -_createTime]
  - {fields: [slug], unique: true}
  - [a.b]
  - tag
ttl: expireAt
define:
  mine: doc._openid == auth.uid
rules:
  read:   doc.published || mine
  create: mine && newDoc.title != null
  update: mine && newDoc.published == doc.published
  delete: mine
fields:
  phone: {read: mine, write: mine}
mode: reject
"""


def test_text_and_geo_indexes_have_a_short_form(tmp_path: Path) -> None:
    short = "acl: READONLY\nindexes: [{text: [title, a.body]}, {geo: at}, {geo: home, name: h}]\n"
    long = """
acl: READONLY
indexes:
  - {fields: [title, a.body], kind: text}
  - {fields: at, kind: geo}
  - {fields: [home], kind: geo, name: h}
"""
    one, other = (book(tmp_path, posts=text).collections["posts"].spec for text in (short, long))
    assert one == other
    assert [(index.kind, index.name) for index in one.indexes] == [
        ("text", "text_title_a.body"),
        ("geo", "geo_at"),
        ("geo", "h"),
    ]
    assert one.indexes[0].keys == (IndexKey(("title",)), IndexKey(("a", "body")))


def test_a_file_declares_its_collection(tmp_path: Path) -> None:
    rules = book(tmp_path, posts=POSTS).collections["posts"]
    spec = rules.spec
    assert spec.schema == {
        "type": "object",
        "properties": {"published": {"type": "boolean", "default": False}},
    }
    assert [index.keys for index in spec.indexes] == [
        (IndexKey(("published",)), IndexKey(("_createTime",), descending=True)),
        (IndexKey(("slug",)),),
        (IndexKey(("a", "b")),),
        (IndexKey(("tag",)),),
    ]
    assert [index.unique for index in spec.indexes] == [False, True, False, False]
    assert spec.ttl == ("expireAt",)
    assert rules.mode == "reject"
    assert rules.masks[0].path == ("phone",)
    assert rules.masks[0].read is not None
    assert rules.masks[0].read.expr == OWNER
    assert rules.rules[Operation.READ].line == 16


def test_a_named_condition_speaks_of_the_new_document_on_create(tmp_path: Path) -> None:
    rules = book(tmp_path, posts=POSTS).collections["posts"].rules
    create = rules[Operation.CREATE].expr
    assert isinstance(create, e.Logic)
    assert create.items[0] == OWNER_OF_NEW
    assert rules[Operation.DELETE].expr == OWNER


def test_count_aggregate_and_watch_follow_read_unless_given(tmp_path: Path) -> None:
    rules = book(tmp_path, posts="rules: {read: doc.open, count: auth != null}")
    found = rules.collections["posts"].rules
    assert found[Operation.COUNT].expr == SIGNED_IN
    assert found[Operation.AGGREGATE] == found[Operation.WATCH] == found[Operation.READ]


def test_write_stands_for_the_writes_that_are_not_given(tmp_path: Path) -> None:
    text = "rules: {write: doc._openid == auth.uid, delete: false}"
    rules = book(tmp_path, posts=text).collections["posts"].rules
    assert rules[Operation.CREATE].expr == OWNER_OF_NEW
    assert rules[Operation.UPDATE].expr == OWNER
    assert rules[Operation.DELETE].expr == e.FALSE
    assert rules[Operation.READ].expr == e.FALSE, "what is not allowed is denied"


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("READONLY", (e.TRUE, SIGNED_IN, OWNER, OWNER)),
        ("PRIVATE", (OWNER, SIGNED_IN, OWNER, OWNER)),
        ("ADMINWRITE", (e.TRUE, e.FALSE, e.FALSE, e.FALSE)),
        ("ADMINONLY", (e.FALSE, e.FALSE, e.FALSE, e.FALSE)),
    ],
)
def test_presets(tmp_path: Path, preset: str, expected: tuple[e.Expr, ...]) -> None:
    rules = book(tmp_path, posts=f"acl: {preset}").collections["posts"].rules
    assert tuple(rules[op].expr for op in (Operation.READ, *WRITES)) == expected


def test_older_json_files_are_taken_as_they_are(tmp_path: Path) -> None:
    text = '{\n\t"read": true,\n\t"write": "doc._openid == auth.openid"\n}'
    (tmp_path / "legacy.json").write_text(text)
    rules = load_rules(tmp_path).collections["legacy"].rules
    assert rules[Operation.READ].expr == e.TRUE
    assert rules[Operation.CREATE].expr == condition("newDoc._openid == auth.openid")
    assert rules[Operation.UPDATE].expr == condition("doc._openid == auth.openid")


def test_doc_on_create_of_an_older_file_is_the_new_document(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"read": false, "create": "doc.a == 1"}')
    rules = load_rules(tmp_path).collections["old"].rules
    assert rules[Operation.CREATE].expr == condition("newDoc.a == 1")


def test_an_empty_file_allows_nothing(tmp_path: Path) -> None:
    rules = book(tmp_path, posts="").collections["posts"].rules
    assert all(rule.expr == e.FALSE for rule in rules.values())


def test_tests_and_other_services_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("posts.test.yaml", "_storage.yaml", "_functions.yaml", "_channels.yaml", "x.md"):
        (tmp_path / name).write_text("{{{")
    assert load_rules(tmp_path).collections == {}
    assert load_rules(tmp_path / "nowhere").collections == {}


def test_the_revision_is_that_of_the_texts(tmp_path: Path) -> None:
    first = book(tmp_path, posts="acl: PRIVATE").revision
    assert load_rules(tmp_path).revision == first
    assert book(tmp_path, posts="acl: READONLY").revision != first


FAULTS = [
    # place of the fault, with a suggestion where one is near
    ("colection: posts", 1, 1, "did you mean 'collection'"),
    ("collection: post", 1, 13, "the file's name says 'posts'"),
    ("rules:\n  raed: true", 2, 3, "did you mean 'read'"),
    ("collection: posts\nread: true", 2, 1, "belongs below 'rules:'"),
    ("rules:\n  read: doc.a == aut.uid", 2, 18, "did you mean 'auth'"),
    ("rules:\n  read: 'doc.a == ''x'' && aut.uid'", 2, 28, "did you mean 'auth'"),
    ("rules:\n  read: |\n    doc.a &&\n    aut.uid", 4, 5, "did you mean 'auth'"),
    ("rules:\n  read: doc.a &&\n    aut.uid", 3, 5, "did you mean 'auth'"),
    ('rules:\n  read: "doc.a == \\"x\\" && aut.uid"', 2, 28, "did you mean 'auth'"),
    ("rules:\n  create: doc.a == 1", 2, 11, "did you mean 'newDoc'"),
    ("rules:\n  read: newDoc.a == 1", 2, 9, "sees 'doc'"),
    ("rules:\n  write: newDoc.a == 1", 2, 10, "a read or delete sees 'doc'"),
    ("rules:\n  read: 5", 2, 9, "true, false or an expression"),
    ("rules:\n  read:", 2, 8, "true, false or an expression"),
    ("rules:\n  watch: get('database.a.' + doc.x).b", 2, 10, "watch"),
    ("define:\n  mine: doc.a == aut.uid", 2, 18, "did you mean 'auth'"),
    ("define: {a: b, b: a}\nrules: {read: a}", 1, 13, "defined through itself"),
    ("define: {doc: true}", 1, 10, "cannot name a condition"),
    ("fields:\n  phone: {raed: true}", 2, 11, "did you mean 'read'"),
    ("fields:\n  phone: {write: newDoc.a == 1}", 2, 18, "a mask sees 'doc'"),
    ("fields:\n  a.0.b: {read: true}", 2, 10, "not a path"),
    ("fields:\n  _id: {read: false}", 2, 3, "never masked"),
    ("mode: strict", 1, 7, "filter, reject"),
    ("acl: PRIVAT", 1, 6, "PRIVATE"),
    ("indexes:\n  - [a, a]", 2, 9, "twice"),
    ("indexes: [{field: a}]", 1, 12, "did you mean 'fields'"),
    ("indexes: [{fields: [a], unique: 1}]", 1, 33, "true or false"),
    ("indexes: [a, a]", 1, 14, "is here twice"),
    ("indexes: [{text: [a]}, {text: [b]}]", 1, 24, "one text index"),
    ("indexes: [{text: [a], unique: true}]", 1, 23, "does not go with 'text'"),
    ("indexes: [{text: a, fields: [b]}]", 1, 21, "does not go with 'text'"),
    ("indexes: [{text: [-a]}]", 1, 18, "neither unique nor descending"),
    ("indexes: [{geo: [a, b]}]", 1, 17, "one field"),
    ("indexes: [{fields: [a, b], kind: geo}]", 1, 20, "one field"),
    ("indexes: [{fields: [a], kind: text, unique: true}]", 1, 20, "neither unique"),
    ("indexes: [{txt: [a]}]", 1, 12, "did you mean 'text'"),
    ("ttl: 5", 1, 6, "field's name"),
    ("schema: {typ: object}", 1, 10, "did you mean 'type'"),
    ("schema:\n  properties:\n    a: {type: strin}", 3, 15, "did you mean 'string'"),
    ("schema:\n  properties:\n    a: {minLength: x}", 3, 8, "integer"),
    ("schema: [a]", 1, 9, "a mapping"),
    # YAML's traps show the form that works
    ("rules:\n  read: !doc.hidden", 2, 9, "'!doc.hidden'"),
    ("rules:\n  read: 'x' in auth.roles", 2, 13, "read: \"'x' in auth.roles\""),
    ("rules:\n  read: `x` == doc.a", 2, 9, "read: '`x` == doc.a'"),
    ("rules:\n  read: doc.a ? doc.b : doc.c", 2, 23, "read: 'doc.a ? doc.b : doc.c'"),
    ("fields:\n  a: {read: matches(doc.a, doc.b)}", 2, 28, "read: 'matches(doc.a, doc.b)'"),
    ("fields:\n  a: {read: 'x' in doc.b, write: true}", 2, 17, "read: \"'x' in doc.b\""),
    ("rules:\n  read: doc.a == ' #x'", 2, 18, "begins a comment"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), FAULTS)
def test_fault(tmp_path: Path, text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        book(tmp_path, posts=text)
    fault = caught.value
    assert message in fault.message
    assert (fault.file, fault.line, fault.column) == ("posts.yaml", line, column)


@pytest.mark.parametrize("name", ["_posts", "1a", "a b", "a.b", "é", "a" * 65])
def test_names_that_no_collection_has(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.yaml").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be a collection's name"):
        load_rules(tmp_path)


def test_names_differ_by_more_than_case(tmp_path: Path) -> None:
    (tmp_path / "Posts.json").write_text("{}")
    (tmp_path / "posts.yaml").write_text("")
    with pytest.raises(ConfigurationError, match="has a file already"):
        load_rules(tmp_path)


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "posts.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_rules(tmp_path)


def test_read_with_a_get_that_depends_on_doc_leaves_watch_refused(tmp_path: Path) -> None:
    text = "rules:\n  read: auth.uid in get('database.rooms.' + doc.room).members"
    loaded = book(tmp_path, posts=text)
    assert loaded.collections["posts"].rules[Operation.WATCH].expr == e.FALSE
    assert any("watch is refused" in advice.message for advice in loaded.advice)
    given = book(tmp_path, posts=text + "\n  watch: auth != null")
    assert given.collections["posts"].rules[Operation.WATCH].expr == SIGNED_IN


def test_rules_stand_above_the_preset(tmp_path: Path) -> None:
    text = "acl: READONLY\nrules: {delete: false}"
    rules = book(tmp_path, posts=text).collections["posts"].rules
    assert rules[Operation.READ].expr == e.TRUE
    assert rules[Operation.DELETE].expr == e.FALSE


def test_a_named_condition_may_use_another(tmp_path: Path) -> None:
    text = "define: {mine: doc._openid == auth.uid, both: mine && doc.a}\nrules: {read: both}"
    read = book(tmp_path, posts=text).collections["posts"].rules[Operation.READ]
    assert read.expr == condition("doc._openid == auth.uid && doc.a")


def test_named_conditions_cannot_grow_without_end(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(30)]
    lines = [f"  {one}: {two} || {two}" for one, two in pairwise(names)]
    text = "\n".join(["define:", *lines, "  c29: doc.a", "rules: {read: c0}"])
    with pytest.raises(ConfigurationError, match="too large"):
        book(tmp_path, posts=text)
    chain = [f"  {one}: {'!' * 150}{two}" for one, two in pairwise(names)]
    quoted = [line.replace(": ", ": '") + "'" for line in chain]
    text = "\n".join(["define:", *quoted, "  c29: doc.a", "rules: {read: c0}"])
    with pytest.raises(ConfigurationError, match=r"too (large|deeply)"):
        book(tmp_path, posts=text)


def test_older_files_compare_with_undefined(tmp_path: Path) -> None:
    text = """{"update": "request.data.a == undefined && doc.undefined != 'undefined'"}"""
    (tmp_path / "old.json").write_text(text)
    rule = load_rules(tmp_path).collections["old"].rules[Operation.UPDATE]
    assert rule.expr == condition("request.data.a == null && doc.undefined != 'undefined'")
    (tmp_path / "old.json").write_text('{"update": "doc.a == undefined && aut.uid"}')
    with pytest.raises(ConfigurationError) as caught:
        load_rules(tmp_path)
    assert caught.value.column == 35, caught.value
