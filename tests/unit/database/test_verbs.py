"""The verb table, and the service's way in."""

from __future__ import annotations

import inspect
import json

import pytest

from baas.database.verbs import VERBS
from baas.errors import Code
from tests.support.database import ANN, IP, NOBODY, Bench, app, refused

RULES = {"notes": "acl: READONLY\n"}


def test_the_verbs_are_those_of_the_protocol() -> None:
    reads = {"find", "get", "count", "aggregate"}
    writes = {"insert", "update", "replace", "delete"}
    assert VERBS.keys() == reads | writes
    assert {name for name, verb in VERBS.items() if verb.writes} == writes
    assert all(verb.name == name and verb.summary for name, verb in VERBS.items())


@app(RULES)
@pytest.mark.parametrize("verb", ["", "Find", "drop", "transaction", "__class__", "find "])
async def test_another_verb_does_not_exist(bench: Bench, verb: str) -> None:
    with refused(Code.NOT_FOUND):
        bench.service.handle(verb, "notes", b"{}", ANN, IP)


@app(RULES)
async def test_a_read_that_waits_for_nothing_is_answered_at_once(bench: Bench) -> None:
    await bench.insert("notes", {"_id": "a"})
    get = bench.service.handle("get", "notes", b'{"id":"a"}', NOBODY, IP)
    find = bench.service.handle("find", "notes", b'{"limit":5}', NOBODY, IP)
    assert isinstance(get, bytes)
    assert isinstance(find, bytes)
    assert json.loads(find)["documents"] == [json.loads(get)]


@app(RULES)
async def test_the_form_is_checked_before_the_rule(bench: Bench) -> None:
    with refused(Code.INVALID_ARGUMENT):
        await bench.raw(ANN, "find", "unnamed", b'{"nonsense":1}')
    with refused(Code.PERMISSION_DENIED):
        await bench.raw(ANN, "find", "unnamed", b"{}")


@app(RULES)
async def test_a_refused_write_leaves_no_coroutine_behind(bench: Bench) -> None:
    """A fault of form is raised at once, before there is anything to await."""
    with refused(Code.INVALID_ARGUMENT):
        bench.service.handle("delete", "notes", b"{}", ANN, IP)
    answer = bench.service.handle("delete", "notes", b'{"id":"a"}', ANN, IP)
    assert inspect.isawaitable(answer)
    with refused(Code.NOT_FOUND):
        await answer
