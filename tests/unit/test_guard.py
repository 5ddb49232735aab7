"""The guard: what it adds to a query, what it refuses, and which decisions it may share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.guard import ReadDecision, RequestFacts, RuleGuard, WriteDecision
from baas.ports.documents import KnownLookups, LookupNeeded
from baas.query import ast
from baas.query.ast import ALWAYS, BY_ID, Filter, Sort, SortKey
from baas.query.evaluate import matches
from baas.rules.model import Operation
from baas.schema.actor import NOBODY, SERVER, Actor
from tests.support.rules import NOW_MS, book

POSTS = """
define:
  mine: doc._openid == auth.uid
rules:
  read:   doc.published || mine
  create: auth != null && newDoc.title != null
  update: mine && newDoc.published == doc.published
  delete: mine || 'moderator' in auth.roles
fields:
  phone: {read: mine, write: mine}
  card.number: {read: false, write: mine}
"""
ME = Actor(uid="me", cache_key="me")
YOU = Actor(uid="you", cache_key="you")
MODERATOR = Actor(uid="mod", roles=("moderator",), cache_key="mod")


def nothing(collection: str, id: str) -> None:
    return None


class Desk:
    """A guard with the request's circumstances filled in."""

    def __init__(self, folder: Path, **files: str) -> None:
        self.guard = RuleGuard(book(folder, **files))

    def read(
        self,
        actor: Actor,
        filter: Filter = ALWAYS,
        sort: Sort = BY_ID,
        *,
        operation: Operation = Operation.READ,
        lookups: Any = nothing,
        now_ms: int = NOW_MS,
        by_id: bool = False,
    ) -> ReadDecision:
        facts = RequestFacts(time_ms=now_ms)
        return self.guard.read(operation, "posts", actor, facts, filter, sort, lookups, by_id)

    def write(
        self,
        operation: Operation,
        actor: Actor,
        filter: Filter = ALWAYS,
        *,
        data: Any = None,
        lookups: Any = nothing,
        by_id: bool = False,
    ) -> WriteDecision:
        facts = RequestFacts(time_ms=NOW_MS, data=data)
        return self.guard.write(operation, "posts", actor, facts, filter, lookups, by_id)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, posts=POSTS)


def field(name: str, value: Any) -> Filter:
    return ast.Field(tuple(name.split(".")), ast.Eq(value))


def refused(call: Any, code: Code = Code.PERMISSION_DENIED) -> str:
    with pytest.raises(Problem) as caught:
        call()
    assert caught.value.code is code
    return caught.value.detail


# -- reads ----------------------------------------------------------------------------------------


def test_the_rule_is_added_to_the_query(desk: Desk) -> None:
    found = desk.read(ME, field("title", "a")).filter
    assert matches(found, {"title": "a", "published": True})
    assert matches(found, {"title": "a", "_openid": "me"})
    assert not matches(found, {"title": "a", "_openid": "you"})
    assert not matches(found, {"title": "b", "published": True})


def test_nobody_owns_nothing(desk: Desk) -> None:
    found = desk.read(NOBODY).filter
    assert matches(found, {"published": True})
    assert not matches(found, {"_openid": None})
    assert not matches(found, {})


def test_a_rule_that_is_true_leaves_the_query_as_it_is(tmp_path: Path) -> None:
    desk = Desk(tmp_path, posts="rules: {read: true}")
    query = field("a", 1)
    assert desk.read(NOBODY, query).filter is query
    assert desk.read(NOBODY).filter is ALWAYS
    assert desk.read(NOBODY).masks.hides_nothing


def test_a_rule_that_is_false_whatever_the_document_is_refused(desk: Desk, tmp_path: Path) -> None:
    refused(lambda: desk.write(Operation.UPDATE, NOBODY))
    refused(lambda: desk.write(Operation.CREATE, NOBODY))
    refused(lambda: Desk(tmp_path, posts="rules: {read: auth != null}").read(NOBODY))


def test_trusted_callers_pass(desk: Desk) -> None:
    query = field("phone", "1")
    assert desk.read(SERVER, query).filter is query
    decision = desk.write(Operation.DELETE, SERVER, query)
    assert decision.filter is query
    assert decision.check_stored({"_id": "1"}, nothing) == {"_id": "1"}
    refused(lambda: decision.check_stored(None, nothing), Code.NOT_FOUND)


def test_a_rule_on_time_is_reduced_for_each_request(tmp_path: Path) -> None:
    desk = Desk(tmp_path, posts="rules: {read: doc.from < now}")
    assert not matches(desk.read(ME, now_ms=10).filter, {"from": 10})
    assert matches(desk.read(ME, now_ms=11).filter, {"from": 10})


def test_one_caller_one_reduction(desk: Desk) -> None:
    assert desk.read(ME).rule is desk.read(ME).rule
    assert desk.read(ME).rule != desk.read(YOU).rule
    anonymous = Actor(uid="me")
    assert desk.read(anonymous).rule is not desk.read(anonymous).rule, "no key, nothing to share by"


def test_new_rules_hold_at_once(desk: Desk, tmp_path: Path) -> None:
    desk.read(ME)
    desk.guard.book = book(tmp_path, posts="rules: {read: false}")
    refused(lambda: desk.read(ME))


def test_a_looked_up_document_is_asked_for(tmp_path: Path) -> None:
    desk = Desk(tmp_path, posts="rules: {read: auth.uid in get('database.staff.list').uids}")
    lookups = KnownLookups()
    with pytest.raises(LookupNeeded) as need:
        desk.read(ME, lookups=lookups)
    assert (need.value.collection, need.value.id) == ("staff", "list")
    lookups.known["staff", "list"] = {"uids": ["me"]}
    assert desk.read(ME, lookups=lookups).filter is ALWAYS
    lookups.known["staff", "list"] = None
    refused(lambda: desk.read(ME, lookups=lookups))


# -- mode reject ----------------------------------------------------------------------------------


@pytest.fixture
def strict(tmp_path: Path) -> Desk:
    return Desk(tmp_path, posts=f"mode: reject{POSTS}")


def test_reject_names_what_the_query_lacks(strict: Desk) -> None:
    detail = refused(lambda: strict.read(ME))
    assert "add `published: true` or `_openid: '{openid}'` to where" in detail
    refused(lambda: strict.read(ME, field("_openid", "you")))


def test_reject_lets_a_query_pass_that_implies_the_rule_and_adds_it_all_the_same(
    strict: Desk,
) -> None:
    found = strict.read(ME, field("_openid", "me")).filter
    assert not matches(found, {"_openid": ["me"]})
    published = strict.read(ME, field("published", True)).filter
    assert matches(published, {"published": True})
    assert not matches(published, {"published": [True]})


def test_reject_decides_on_the_document_by_id(strict: Desk) -> None:
    assert strict.read(YOU, field("_id", "p1"), by_id=True)
    decision = strict.write(Operation.DELETE, YOU, by_id=True)
    refused(lambda: decision.check_stored({"_openid": "me"}, nothing), Code.NOT_FOUND)
    refused(lambda: decision.check_stored({"_openid": "me", "published": True}, nothing))


def test_reject_holds_for_writes_by_filter_even_an_empty_one(strict: Desk) -> None:
    refused(lambda: strict.write(Operation.DELETE, ME, ALWAYS))
    assert strict.write(Operation.DELETE, ME, field("_openid", "me"))


# -- writes ---------------------------------------------------------------------------------------


def test_by_filter_only_what_may_be_read_and_written_is_touched(desk: Desk) -> None:
    found = desk.write(Operation.UPDATE, ME, field("a", 1)).filter
    assert matches(found, {"a": 1, "_openid": "me"})
    assert not matches(found, {"a": 1, "_openid": "you", "published": True})
    assert not matches(found, {"a": 2, "_openid": "me"})


def test_by_id_hidden_is_absent_and_visible_is_refused(desk: Desk) -> None:
    decision = desk.write(Operation.UPDATE, YOU, by_id=True)
    refused(lambda: decision.check_stored(None, nothing), Code.NOT_FOUND)
    refused(lambda: decision.check_stored({"_openid": "me"}, nothing), Code.NOT_FOUND)
    refused(lambda: decision.check_stored({"_openid": "me", "published": True}, nothing))
    assert decision.check_stored({"_openid": "you"}, nothing) == {"_openid": "you"}


def test_the_result_is_checked_by_the_whole_rule(desk: Desk) -> None:
    before = {"_openid": "me", "published": False}
    decision = desk.write(Operation.UPDATE, ME, by_id=True)
    decision.check_result(before, {**before, "title": "x"}, nothing)
    refused(lambda: decision.check_result(before, {**before, "published": True}, nothing))


def test_create_is_decided_on_the_new_document(desk: Desk) -> None:
    decision = desk.write(Operation.CREATE, ME)
    decision.check_result(None, {"title": "x"}, nothing)
    refused(lambda: decision.check_result(None, {}, nothing))


def test_a_write_looks_up_again_in_the_state_of_the_write(tmp_path: Path) -> None:
    """What was found before the write only serves to refuse early."""
    rule = "auth.uid in get('database.staff.list').uids"
    desk = Desk(tmp_path, posts=f'rules: {{read: true, delete: "{rule}"}}')
    known = {("staff", "list"): {"uids": ["me"]}}
    decision = desk.write(Operation.DELETE, ME, lookups=lambda *key: known[key], by_id=True)
    decision.check_stored({"_id": "1"}, lambda *key: {"uids": ["me"]})
    refused(lambda: decision.check_stored({"_id": "1"}, lambda *key: {"uids": []}))
    refused(lambda: desk.write(Operation.DELETE, YOU, lookups=lambda *key: known[key]))


# -- masks ----------------------------------------------------------------------------------------


def test_unreadable_fields_are_absent(desk: Desk) -> None:
    masks = desk.read(YOU).masks
    assert not masks.hides_nothing
    document = {"_openid": "me", "phone": "1", "card": {"number": "2", "name": "x"}}
    assert masks.readable(document, nothing) == {"_openid": "me", "card": {"name": "x"}}
    assert document["phone"] == "1", "the stored document is not touched"
    mine = desk.read(ME).masks
    assert mine.readable(document, nothing)["phone"] == "1"
    assert mine.unreadable(document, nothing) == frozenset({("card", "number")})


def test_masks_reach_into_lists(tmp_path: Path) -> None:
    desk = Desk(tmp_path, posts="rules: {read: true}\nfields: {items.cost: {read: false}}")
    masks = desk.read(ME).masks
    document = {"items": [{"cost": 1, "name": "a"}, 5, [{"cost": 2}]]}
    assert masks.readable(document, nothing) == {"items": [{"name": "a"}, 5, [{}]]}


@pytest.mark.parametrize("name", ["phone", "phone.area", "card", "card.number", "card.0.number"])
def test_a_hidden_field_may_not_be_used(desk: Desk, name: str) -> None:
    masked = "card.number" if name.startswith("card") else "phone"
    assert f"'{masked}'" in refused(lambda: desk.read(YOU, field(name, "1")))
    sort = (SortKey(tuple(name.split("."))), *BY_ID)
    assert f"'{masked}'" in refused(lambda: desk.read(YOU, ALWAYS, sort))
    refused(lambda: desk.write(Operation.DELETE, MODERATOR, field(name, "1")))


def test_a_hidden_field_may_be_used_where_the_query_makes_it_readable(desk: Desk) -> None:
    assert desk.read(ME, ast.both(field("phone", "1"), field("_openid", "me")))
    refused(lambda: desk.read(ME, ast.both(field("phone", "1"), field("published", True))))
    refused(lambda: desk.read(ME, ast.Or((field("phone", "1"), field("_openid", "me")))))
    assert desk.write(Operation.UPDATE, ME, field("phone", "1")), "the rule itself says mine"


def test_a_pipeline_meets_masked_documents(desk: Desk) -> None:
    """A leading $match on a hidden field is left to the pipeline, which runs after the masks."""
    hidden = desk.read(YOU, field("phone", "1"), operation=Operation.AGGREGATE)
    assert hidden.filter == hidden.rule
    plain = desk.read(YOU, field("title", "1"), operation=Operation.AGGREGATE)
    assert not matches(plain.filter, {"title": "2", "published": True})
    assert plain.masks.touches(frozenset({("card",)}))
    assert not plain.masks.touches(frozenset({("title",)}))


def test_a_field_that_may_not_be_written_refuses_the_write(desk: Desk) -> None:
    masks = desk.write(Operation.UPDATE, YOU).masks
    mine, yours = {"_openid": "me"}, {"_openid": "you"}
    masks.check_written(frozenset({("phone",)}), yours, nothing)
    masks.check_written(frozenset({("title",)}), mine, nothing)
    for path in (("phone",), ("phone", "area"), ("card",)):
        refused(lambda path=path: masks.check_written(frozenset({path}), mine, nothing))


def test_an_operator_may_not_read_what_the_caller_may_not(desk: Desk) -> None:
    masks = desk.write(Operation.UPDATE, YOU).masks
    refused(lambda: masks.check_read(frozenset({("card", "number")}), {"_openid": "you"}, nothing))
    masks.check_read(frozenset({("phone",)}), {"_openid": "you"}, nothing)


def test_a_mask_that_a_looked_up_document_makes_true_lets_the_field_be_used(tmp_path: Path) -> None:
    text = """
mode: reject
rules: {read: true, delete: "doc.open && exists('database.staff.list')"}
fields:
  phone: {read: "auth.uid in get('database.staff.list').uids"}
"""
    desk = Desk(tmp_path, posts=text)
    query = ast.both(field("phone", "1"), field("open", True))

    def staff(collection: str, id: str) -> Any:
        return {"uids": ["me"]}

    assert desk.write(Operation.DELETE, ME, query, lookups=staff)
    assert desk.read(ME, field("phone", "1"), lookups=staff)
    refused(lambda: desk.write(Operation.DELETE, YOU, query, lookups=staff))
    refused(lambda: desk.read(YOU, field("phone", "1"), lookups=staff))
