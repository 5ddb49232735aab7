"""What no rule file allows is denied, and the denial tells nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.guard import RequestFacts, RuleGuard
from baas.query.ast import ALWAYS, BY_ID
from baas.rules.load import EMPTY
from baas.rules.model import Operation
from baas.schema.actor import NOBODY, Actor
from tests.support.rules import NOW_MS, book

READS = (Operation.READ, Operation.COUNT, Operation.AGGREGATE, Operation.WATCH)
WRITES = (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
CALLERS = (
    NOBODY,
    Actor(uid="u1", cache_key="u1"),
    Actor(uid="u2", roles=("admin", "moderator"), cache_key="u2"),
    Actor(uid="", cache_key="empty"),
)
FACTS = RequestFacts(time_ms=NOW_MS, data={"_openid": "u1"})


def nothing(collection: str, id: str) -> None:
    return None


def ask(guard: RuleGuard, operation: Operation, collection: str, actor: Actor) -> Any:
    if operation in READS:
        return guard.read(operation, collection, actor, FACTS, ALWAYS, BY_ID, nothing)
    return guard.write(operation, collection, actor, FACTS, ALWAYS, nothing)


def refusal(guard: RuleGuard, operation: Operation, collection: str, actor: Actor) -> str:
    with pytest.raises(Problem) as caught:
        ask(guard, operation, collection, actor)
    assert caught.value.code is Code.PERMISSION_DENIED
    return caught.value.detail


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("actor", CALLERS)
@pytest.mark.parametrize("name", ["posts", "_users", "", "POSTS", "posts ", "silent"])
def test_what_no_file_names_is_denied(
    tmp_path: Path, operation: Operation, actor: Actor, name: str
) -> None:
    refusal(RuleGuard(EMPTY), operation, name, actor)
    refusal(RuleGuard(book(tmp_path, silent="", other="acl: READONLY")), operation, name, actor)


@pytest.mark.parametrize("operation", Operation)
def test_a_collection_that_is_not_there_answers_as_one_that_allows_nothing(
    tmp_path: Path, operation: Operation
) -> None:
    guard = RuleGuard(book(tmp_path, silent=""))
    assert refusal(guard, operation, "silent", NOBODY) == refusal(guard, operation, "gone", NOBODY)


def test_one_operation_allowed_allows_no_other(tmp_path: Path) -> None:
    guard = RuleGuard(book(tmp_path, posts="rules: {create: true}"))
    assert ask(guard, Operation.CREATE, "posts", NOBODY)
    for operation in (*READS, Operation.UPDATE, Operation.DELETE):
        refusal(guard, operation, "posts", NOBODY)


@pytest.mark.parametrize(
    "rule",
    [
        "auth.uid != doc.author",
        "auth.loginType != 'ANONYMOUS'",
        "!('banned' in auth.roles)",
        "!(auth.uid == 'x')",
        "doc._openid == auth.uid",
        "doc._openid == auth.openid",
        "auth.claims.level >= 0",
        "auth.claims.blocked != true",
        "get('database.a.' + auth.uid).blocked != true",
        "size(doc.list) < auth.claims.max",
        "auth.uid in [null]",
        "[auth.uid] == [null]",
        "`${auth.uid}` != ''",
        "(auth.uid == 'x' ? false : true)",
    ],
)
def test_no_condition_on_a_caller_lets_nobody_in(tmp_path: Path, rule: str) -> None:
    """Undefined passes through every operator, negation too, and denies."""
    guard = RuleGuard(book(tmp_path, posts=f'rules: {{read: "{rule}", delete: "{rule}"}}'))
    refusal(guard, Operation.READ, "posts", NOBODY)
    refusal(guard, Operation.DELETE, "posts", NOBODY)


@pytest.mark.parametrize("value", ["yes", 1, [True], {"a": True}, None])
def test_only_true_satisfies(tmp_path: Path, value: Any) -> None:
    guard = RuleGuard(book(tmp_path, posts="rules: {create: newDoc.ok}"))
    decision = guard.write(Operation.CREATE, "posts", NOBODY, FACTS, ALWAYS, nothing)
    decision.check_result(None, {"ok": True}, nothing)
    with pytest.raises(Problem):
        decision.check_result(None, {"ok": value}, nothing)


def test_two_callers_never_share_a_decision(tmp_path: Path) -> None:
    guard = RuleGuard(book(tmp_path, posts="rules: {read: auth.claims.level > 1}"))
    high = Actor(uid="u1", claims={"level": 2}, cache_key="u1:2")
    low = Actor(uid="u1", claims={"level": 1}, cache_key="u1:1")
    assert ask(guard, Operation.READ, "posts", high).filter is ALWAYS
    refusal(guard, Operation.READ, "posts", low)
