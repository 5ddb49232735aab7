"""rules/_functions.yaml: deny by default, names over "*", routes and mounts narrowed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from baas.engines.sqlite.store import SqliteStore
from baas.errors import Code, ConfigurationError, Problem
from baas.functions.model import EventTrigger, FunctionSpec, TimerTrigger
from baas.functions.rules import FunctionGuard, load_function_rules, read_function_rules
from baas.guard import RequestFacts
from baas.schema.actor import NOBODY, SERVER, Actor
from tests.support.stores import INFO, insert

USER = Actor(uid="u1", login_type="USERNAME", roles=("staff",))
GUEST = Actor(uid="g1", login_type="ANONYMOUS")


def spec(name: str, *triggers: Any) -> FunctionSpec:
    return FunctionSpec(
        name=name,
        handler=print,
        target=f"main:{name}",
        file="functions/main.py",
        line=1,
        triggers=triggers or (EventTrigger(),),
    )


def allowed(rules: str, what: FunctionSpec | str, actor: Actor, data: Any = None) -> bool:
    """Whether a call (of a spec) or a request (to a name or mount) passes."""

    async def run() -> bool:
        store = SqliteStore.memory()
        await store.open()
        try:
            await store.write((insert("rooms", {"_id": "r1", "members": ["u1"]}),), INFO)
            guard = FunctionGuard(read_function_rules(rules, "_functions.yaml"), store)
            facts = RequestFacts(time_ms=1, ip="10.0.0.1", data=data)
            check = guard.check_http if isinstance(what, str) else guard.check_invoke
            try:
                await check(what, actor, facts)  # type: ignore[arg-type]
            except Problem as problem:
                if problem.code is not Code.PERMISSION_DENIED:
                    raise
                return False
            return True
        finally:
            await store.close()

    return asyncio.run(run())


def test_what_no_rule_names_is_refused() -> None:
    assert not allowed("", spec("f"), USER)
    assert not allowed("g: {invoke: true}", spec("f"), USER)
    assert allowed("", spec("f"), SERVER)


def test_a_name_wins_over_the_star() -> None:
    rules = '"*": {invoke: true}\nf: {invoke: "\'staff\' in auth.roles"}\nclosed: {invoke: false}'
    assert allowed(rules, spec("other"), NOBODY)
    assert allowed(rules, spec("f"), USER)
    assert not allowed(rules, spec("f"), GUEST)
    assert not allowed(rules, spec("closed"), USER)


def test_the_star_does_not_open_what_is_there_for_a_trigger() -> None:
    timer = spec("nightly", TimerTrigger(cron="0 3 * * *"))
    assert not allowed('"*": {invoke: true}', timer, USER)
    assert allowed("nightly: {invoke: true}", timer, USER)


def test_a_rule_sees_caller_event_address_and_other_documents() -> None:
    f = spec("f")
    assert allowed("f: {invoke: auth.loginType != 'ANONYMOUS'}", f, USER)
    assert not allowed("f: {invoke: auth.loginType != 'ANONYMOUS'}", f, GUEST)
    assert not allowed("f: {invoke: auth.loginType != 'ANONYMOUS'}", f, NOBODY)
    assert allowed("f: {invoke: request.data.n < 3}", f, USER, {"n": 2})
    assert not allowed("f: {invoke: request.data.n < 3}", f, USER, {"n": "2"})
    assert allowed("f: {invoke: request.ip == '10.0.0.1'}", f, NOBODY)
    room = "f: {invoke: auth.uid in get('database.rooms.' + request.data.room).members}"
    assert allowed(room, f, USER, {"room": "r1"})
    assert not allowed(room, f, GUEST, {"room": "r1"})
    assert not allowed(room, f, USER, {"room": "r2"})


def test_routes_and_mounts_are_open_unless_http_narrows() -> None:
    rules = "report: {http: \"'staff' in auth.roles\"}\n/shop: {http: auth != null}"
    assert allowed(rules, "page", NOBODY)
    assert allowed(rules, "report", USER)
    assert not allowed(rules, "report", GUEST)
    assert allowed(rules, "/shop", GUEST)
    assert not allowed(rules, "/shop", NOBODY)
    assert not allowed(rules + '\n"*": {http: false}', "page", USER)
    assert allowed('"*": {invoke: false}', "page", NOBODY)


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ("f: {invoke: doc.x == 1}", "there is no document here", 1, 13),
        ("f: {invoke: auth.udi == 'x'}", "did you mean 'uid'?", 1, 18),
        ("f:\n  invoke: nobody == 1", "unknown name 'nobody'", 2, 11),
        ("f: {invoke: request.fields == 1}", "no member 'fields'", 1, 21),
        ("f: {invok: true}", "unknown key 'invok'; did you mean 'invoke'?", 1, 5),
        ("f: true", "write {invoke: CONDITION}", 1, 4),
        ("9f: {invoke: true}", "is no function's name", 1, 1),
        ("/shop: {invoke: true}", "a mount is not invoked", 1, 9),
        ("f: {invoke: [a]}", "true, false or an expression", 1, 13),
        ("- f", "a mapping of functions' names", 1, 1),
    ],
)
def test_faults_have_line_and_column(text: str, message: str, line: int, column: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_function_rules(text, "_functions.yaml")
    assert message in caught.value.message
    assert (caught.value.file, caught.value.line, caught.value.column) == (
        "_functions.yaml",
        line,
        column,
    )


def test_names_of_nothing_are_remarked_upon() -> None:
    rules = read_function_rules("reprot: {invoke: auth != null}\n/sho: {http: true}", "f.yaml")
    remarks = rules.unknown_names({"report": spec("report")}, {"/shop"})
    assert [(r.message, r.line) for r in remarks] == [
        ("there is no function or mount 'reprot'; did you mean 'report'?", 1),
        ("there is no function or mount '/sho'; did you mean '/shop'?", 2),
    ]


def test_a_rule_open_to_everyone_is_remarked_upon() -> None:
    [remark] = read_function_rules("f: {invoke: true}", "f.yaml").advice
    assert "true for everyone" in remark.message


def test_the_file_is_found_in_the_rules_folder(tmp_path: Path) -> None:
    assert load_function_rules(tmp_path).invoke == {}
    (tmp_path / "_functions.yaml").write_text("f: {invoke: true}\n")
    assert set(load_function_rules(tmp_path).invoke) == {"f"}
    (tmp_path / "_functions.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="one of them must go"):
        load_function_rules(tmp_path)
