"""System data cannot be named by a request: by no verb, spelling or caller."""

from __future__ import annotations

from typing import Any

import pytest

from baas.database.verbs import VERBS
from baas.errors import Code, ConfigurationError, Problem
from baas.schema.actor import Actor
from tests.support.database import ANN, NOBODY, SERVER, Bench, app, book_of, refused

NAMES = [
    "_users",
    "_sessions",
    "_",
    "__users",
    "_USERS",
    "_Users",
    "_nothing",
    "_users_",
    "_users ",
]
#: Not names at all; some systems fold these onto a reserved one.
SPELLINGS = [
    "",
    " _users",
    "%5Fusers",
    "％5Fusers",
    "＿users",
    "\u200b_users",
    "./_users",
    "../_users",
    "posts/../_users",
    "posts._users",
    "main._users",
    '"_users"',
    "[_users]",
    "`_users`",
    "posts;_users",
    "posts\x00",
    "posts\n",
    "sqlite_master'",
    "ｐosts",
    "1posts",
    "-posts",
    "p" * 65,
]
BODIES: dict[str, dict[str, Any]] = {
    "find": {},
    "get": {"id": "a"},
    "count": {},
    "insert": {"document": {"_id": "a"}},
    "update": {"id": "a", "update": {"$set": {"n": 1}}},
    "replace": {"id": "a", "document": {}, "upsert": True},
    "delete": {"filter": {}, "multi": True},
    "aggregate": {"pipeline": []},
}
ADMIN = Actor(trusted=True, key="k1", scopes=("database:write",), cache_key="!k1")
CALLERS = [NOBODY, ANN, SERVER, ADMIN]


def test_every_verb_is_tried() -> None:
    assert BODIES.keys() == VERBS.keys()


@app({"posts": "acl: READONLY\n"})
async def test_reserved_names_answer_like_names_of_nothing(bench: Bench) -> None:
    await bench.insert("posts", {"_id": "a"})
    for verb, body in BODIES.items():
        with refused(Code.PERMISSION_DENIED) as caught:
            await bench.do(ANN, verb, "nothing", **body)
        for name in NAMES:
            for caller in CALLERS:
                with refused(Code.PERMISSION_DENIED) as found:
                    await bench.do(caller, verb, name, **body)
                assert found.problem.detail == caught.problem.detail
                assert found.problem.errors == caught.problem.errors


@app({"posts": "acl: READONLY\n"})
@pytest.mark.parametrize("name", SPELLINGS)
async def test_what_is_no_name_is_refused(bench: Bench, name: str) -> None:
    for verb, body in BODIES.items():
        for caller in CALLERS:
            with refused(Code.INVALID_ARGUMENT) as caught:
                await bench.do(caller, verb, name, **body)
            assert caught.paths == ["collection"]


@app({"posts": "acl: READONLY\n"})
@pytest.mark.parametrize("name", [*NAMES, *SPELLINGS])
async def test_nor_inside_other_requests(bench: Bench, name: str) -> None:
    refusals = {Code.PERMISSION_DENIED, Code.INVALID_ARGUMENT}
    lookup = {"from": name, "localField": "a", "foreignField": "b", "as": "c"}
    inner = {"from": "posts", "pipeline": [{"$lookup": lookup}], "as": "c"}
    pipelines: list[Any] = [
        [{"$lookup": lookup}],
        [{"$lookup": inner}],
        [{"$facet": {"x": [{"$lookup": lookup}]}}],
    ]
    works = [bench.do(c, "aggregate", "posts", pipeline=p) for c in CALLERS for p in pipelines]
    expect = {"collection": name, "id": "a", "etag": None}
    find = {"verb": "find", "collection": "posts"}
    works += [bench.transaction(c, {"verb": "find", "collection": name}) for c in CALLERS]
    works += [bench.transaction(c, find, expect=[expect]) for c in CALLERS]
    for work in works:
        with pytest.raises(Problem) as caught:
            await work
        assert caught.value.code in refusals


@app({"posts": "acl: READONLY\n"})
async def test_another_case_is_another_collection(bench: Bench) -> None:
    await bench.insert("posts", {"_id": "a"})
    for name in ("Posts", "POSTS"):
        with refused(Code.PERMISSION_DENIED):
            await bench.do(ANN, "find", name)


@pytest.mark.parametrize("name", ["_users", "_anything"])
def test_no_rule_file_opens_one(name: str) -> None:
    with pytest.raises(ConfigurationError):
        book_of({name: "acl: READONLY\n"})
    with pytest.raises(ConfigurationError):
        book_of({"posts": f"rules: {{read: \"get('database.{name}.a').x == 1\"}}\n"})
