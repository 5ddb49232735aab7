"""update, replace and delete: who may, what is touched, what is kept."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code
from baas.schema.values import date_to_ms
from tests.support.database import ANN, BOB, MODERATOR, NOBODY, POSTS, SERVER, Bench, app, refused

TITLE = {"$set": {"title": "new"}}
BACK = {"return": True}
MASKED = """
rules: {read: 'true', create: 'true', update: 'true', delete: 'true'}
fields:
  secret: {read: doc._openid == auth.uid}
  fixed: {write: doc._openid == auth.uid}
  a.secret: {read: doc._openid == auth.uid}
  list.secret: {read: doc._openid == auth.uid}
"""


async def two_posts(bench: Bench) -> None:
    """`a` is Ann's and hidden from others; `b` is Ann's and published."""
    await bench.insert("posts", {"_id": "a", "title": "x", "phone": "1"}, actor=ANN)
    await bench.insert("posts", {"_id": "b", "title": "x", "published": True}, actor=ANN)


# -- by id ----------------------------------------------------------------------------------------


@app()
async def test_a_matched_document_gets_a_later_time(bench: Bench) -> None:
    await two_posts(bench)
    times = [date_to_ms((await bench.stored("posts"))["a"]["_updateTime"])]
    for _ in range(3):
        answer = await bench.do(ANN, "update", "posts", id="a", update={"$set": {"title": "x"}})
        assert answer == {"matched": 1, "modified": 1, "upsertedId": None}
        times.append(date_to_ms((await bench.stored("posts"))["a"]["_updateTime"]))
    assert times == sorted(set(times))


@app()
async def test_time_never_goes_back_with_the_clock(bench: Bench) -> None:
    await two_posts(bench)
    bench.clock.advance(-3600)
    before = (await bench.stored("posts"))["a"]["_updateTime"]
    await bench.do(ANN, "update", "posts", id="a", update=TITLE)
    assert date_to_ms((await bench.stored("posts"))["a"]["_updateTime"]) >= date_to_ms(before)


@app()
async def test_new_fields_come_before_the_servers(bench: Bench) -> None:
    await two_posts(bench)
    await bench.do(ANN, "update", "posts", id="a", update={"$set": {"zz": 1}})
    names = list((await bench.stored("posts"))["a"])
    assert names[-3:] == ["_openid", "_createTime", "_updateTime"]
    assert "zz" in names[:-3]


@app()
@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("update", {"update": TITLE}),
        ("replace", {"document": {"title": "new"}}),
        ("delete", {}),
    ],
)
async def test_hidden_is_absent_and_visible_is_refused(
    bench: Bench, verb: str, body: dict[str, Any]
) -> None:
    await two_posts(bench)
    for id, code in [("a", Code.NOT_FOUND), ("zz", Code.NOT_FOUND), ("b", Code.PERMISSION_DENIED)]:
        with refused(code):
            await bench.do(BOB, verb, "posts", id=id, **body)
    assert len(await bench.stored("posts")) == 2


@app()
async def test_the_schema_holds_for_the_result(bench: Bench) -> None:
    await two_posts(bench)
    with refused(Code.VALIDATION_FAILED) as caught:
        await bench.do(ANN, "update", "posts", id="a", update={"$unset": {"title": ""}})
    assert caught.paths == ["document.title"]


@app(document_bytes=400)
async def test_the_size_holds_for_the_result(bench: Bench) -> None:
    await two_posts(bench)
    with refused(Code.LIMIT_EXCEEDED):
        await bench.do(ANN, "update", "posts", id="a", update={"$set": {"text": "a" * 300}})


@app({"box": "rules: {read: 'true', create: 'true', update: newDoc.n > doc.n}\n"})
async def test_the_rule_sees_before_and_after(bench: Bench) -> None:
    await bench.insert("box", {"_id": "a", "n": 1})
    await bench.do(ANN, "update", "box", id="a", update={"$inc": {"n": 1}})
    with refused(Code.PERMISSION_DENIED):
        await bench.do(ANN, "update", "box", id="a", update={"$inc": {"n": -1}})
    assert (await bench.stored("box"))["a"]["n"] == 2


@app()
@pytest.mark.parametrize(
    ("verb", "body", "paths"),
    [
        ("update", {"update": TITLE}, ["id", "filter"]),
        ("update", {"id": "a", "filter": {}, "update": TITLE}, ["id", "filter"]),
        ("update", {"id": "a", "multi": True, "update": TITLE}, ["multi"]),
        ("update", {"filter": {}, "multi": True, "upsert": True, "update": TITLE}, ["upsert"]),
        ("update", {"id": "a b", "update": TITLE}, ["id"]),
        ("delete", {}, ["id", "filter"]),
        ("delete", {"id": "a", "multi": True}, ["multi"]),
        ("replace", {"id": "a", "document": {"_id": "b"}}, ["document._id"]),
    ],
)
async def test_a_target_must_be_clear(
    bench: Bench, verb: str, body: dict[str, Any], paths: list[str]
) -> None:
    with refused(Code.INVALID_ARGUMENT) as caught:
        await bench.do(ANN, verb, "posts", **body)
    assert caught.paths == paths


# -- by filter ------------------------------------------------------------------------------------


@app()
async def test_only_what_may_be_seen_and_changed_is_touched(bench: Bench) -> None:
    await two_posts(bench)
    await bench.insert("posts", {"_id": "c", "title": "x"}, actor=BOB)
    many = {"filter": {"title": "x"}, "multi": True}
    assert (await bench.do(BOB, "update", "posts", **many, update=TITLE))["matched"] == 1
    assert (await bench.do(MODERATOR, "update", "posts", **many, update=TITLE))["matched"] == 0
    assert (await bench.do(MODERATOR, "delete", "posts", filter={}, multi=True))["deleted"] == 1
    assert sorted(await bench.stored("posts")) == ["a", "c"]


@app()
async def test_without_multi_the_first_by_id_is_touched(bench: Bench) -> None:
    await two_posts(bench)
    answer = await bench.do(ANN, "update", "posts", filter={}, update=TITLE, **BACK)
    assert [one["_id"] for one in answer["documents"]] == ["a"]
    answer = await bench.do(ANN, "delete", "posts", filter={"published": True}, **BACK)
    assert [one["_id"] for one in answer["documents"]] == ["b"]


@app(multi_max=2)
async def test_more_than_the_limit_is_nothing_done(bench: Bench) -> None:
    await bench.insert("posts", *[{"title": "x"} for _ in range(3)], actor=ANN)
    with refused(Code.LIMIT_EXCEEDED):
        await bench.do(ANN, "update", "posts", filter={}, multi=True, update=TITLE)
    assert {one["title"] for one in (await bench.stored("posts")).values()} == {"x"}


@app()
async def test_one_failure_undoes_all(bench: Bench) -> None:
    await bench.insert("posts", {"_id": "a", "title": "x", "score": 1}, actor=ANN)
    await bench.insert("posts", {"_id": "b", "title": "x", "score": 1, "n": "text"}, actor=ANN)
    with refused(Code.INVALID_ARGUMENT):
        await bench.do(ANN, "update", "posts", filter={}, multi=True, update={"$inc": {"n": 1}})
    assert "n" not in (await bench.stored("posts"))["a"]


@app()
async def test_a_filter_on_a_hidden_field_is_refused(bench: Bench) -> None:
    await two_posts(bench)
    with refused(Code.PERMISSION_DENIED, "phone"):
        await bench.do(MODERATOR, "delete", "posts", filter={"phone": "1"})
    # The update rule lets through the caller's own documents alone, whose phones it may read.
    answer = await bench.do(MODERATOR, "update", "posts", filter={"phone": "1"}, update=TITLE)
    assert answer["matched"] == 0


# -- masks ----------------------------------------------------------------------------------------


@app({"box": MASKED})
async def test_return_is_masked(bench: Bench) -> None:
    await bench.insert("box", {"_id": "a", "secret": 1, "_openid": "ann"})
    answer = await bench.do(BOB, "update", "box", id="a", update={"$set": {"n": 1}}, **BACK)
    assert "secret" not in answer["documents"][0]
    answer = await bench.do(ANN, "update", "box", id="a", update={"$set": {"n": 1}}, **BACK)
    assert answer["documents"][0]["secret"] == 1


@app({"box": MASKED})
@pytest.mark.parametrize(
    "update",
    [
        {"$inc": {"secret": 1}},
        {"$push": {"secret": 1}},
        {"$min": {"secret": 1}},
        {"$rename": {"secret": "shown"}},
        {"$bit": {"secret": {"and": 1}}},
        {"$set": {"secret.below": 1}},
        {"$addToSet": {"a": 1}},
        {"$pull": {"list": {"secret": 5}}},
        {"$rename": {"a": "b"}},
    ],
)
async def test_blind_writes_are_set_and_unset_alone(bench: Bench, update: dict[str, Any]) -> None:
    await bench.insert("box", {"_id": "a", "secret": 1, "a": {"secret": 1}, "_openid": "ann"})
    with refused(Code.PERMISSION_DENIED):
        await bench.do(BOB, "update", "box", id="a", update=update)


@app({"box": MASKED})
async def test_set_and_unset_may_be_blind(bench: Bench) -> None:
    await bench.insert("box", {"_id": "a", "secret": 1, "_openid": "ann"})
    await bench.do(BOB, "update", "box", id="a", update={"$set": {"secret": 2}})
    assert (await bench.stored("box"))["a"]["secret"] == 2
    await bench.do(BOB, "update", "box", id="a", update={"$unset": {"secret": ""}})
    assert "secret" not in (await bench.stored("box"))["a"]


@app({"box": MASKED})
async def test_an_unwritable_field_refuses_the_whole_write(bench: Bench) -> None:
    await bench.insert("box", {"_id": "a", "fixed": 1, "_openid": "ann"})
    with refused(Code.PERMISSION_DENIED, "fixed"):
        await bench.do(BOB, "update", "box", id="a", update={"$set": {"n": 1, "fixed": 2}})
    assert "n" not in (await bench.stored("box"))["a"]
    await bench.do(ANN, "update", "box", id="a", update={"$set": {"fixed": 2}})


# -- replace --------------------------------------------------------------------------------------


@app({"box": MASKED})
async def test_replace_keeps_what_the_caller_may_not_read(bench: Bench) -> None:
    document = {"_id": "a", "x": 1, "secret": 1, "a": {"secret": 2, "b": 3}, "_openid": "ann"}
    await bench.insert("box", document)
    await bench.do(BOB, "replace", "box", id="a", document={"y": 1, "a": {"c": 1}})
    stored = (await bench.stored("box"))["a"]
    assert (stored["secret"], stored["a"], stored["y"]) == (1, {"c": 1, "secret": 2}, 1)
    assert "x" not in stored
    await bench.do(ANN, "replace", "box", id="a", document={"y": 2})
    assert "secret" not in (await bench.stored("box"))["a"]


@app({"box": MASKED})
async def test_a_document_can_be_read_and_sent_back(bench: Bench) -> None:
    document = {
        "_id": "a",
        "fixed": 1,
        "secret": 1,
        "list": [{"secret": 1, "n": 1}],
        "_openid": "ann",
    }
    await bench.insert("box", document)
    seen = await bench.do(BOB, "get", "box", id="a")
    before = (await bench.stored("box"))["a"]
    await bench.do(BOB, "replace", "box", id="a", document={**seen, "n": 5})
    after = (await bench.stored("box"))["a"]
    assert after == {**before, "n": 5, "_updateTime": after["_updateTime"]}


@app({"box": MASKED})
async def test_replace_does_not_change_an_unwritable_field(bench: Bench) -> None:
    await bench.insert("box", {"_id": "a", "fixed": 1, "_openid": "ann"})
    for document in ({"fixed": 2}, {}):
        with refused(Code.PERMISSION_DENIED, "fixed"):
            await bench.do(BOB, "replace", "box", id="a", document=document)


@app({"box": MASKED})
@pytest.mark.parametrize("hidden", [{"secret": 1}, {}])
async def test_what_holds_a_hidden_field_keeps_its_form(
    bench: Bench, hidden: dict[str, Any]
) -> None:
    """Whether anything is hidden there makes no difference."""
    await bench.insert(
        "box", {"_id": "a", "a": hidden, "list": [{"n": 1, **hidden}], "_openid": "ann"}
    )
    shown = [{"n": 1}]
    assert (await bench.do(BOB, "get", "box", id="a"))["list"] == shown
    for document in (
        {"a": 5, "list": shown},
        {"a": {}, "list": []},
        {"a": {}, "list": [{"n": True}]},
    ):
        with refused(Code.PERMISSION_DENIED):
            await bench.do(BOB, "replace", "box", id="a", document=document)
    await bench.do(BOB, "replace", "box", id="a", document={"list": shown})
    stored = (await bench.stored("box"))["a"]
    assert (stored["a"], stored["list"]) == (hidden, [{"n": 1, **hidden}])


@app()
async def test_replace_gives_defaults_and_keeps_owner_and_creation(bench: Bench) -> None:
    await two_posts(bench)
    before = (await bench.stored("posts"))["b"]
    bench.clock.advance(5)
    await bench.do(ANN, "replace", "posts", id="b", document={"title": "new"})
    stored = (await bench.stored("posts"))["b"]
    assert stored["published"] is False
    assert stored["_createTime"] == before["_createTime"]
    assert list(stored)[-3:] == ["_openid", "_createTime", "_updateTime"]


FROZEN = """
schema: {properties: {state: {default: new}, secret: {default: none}}}
rules: {read: 'true', create: 'true', update: 'true'}
fields:
  state: {write: "'moderator' in auth.roles"}
  secret: {read: "'moderator' in auth.roles", write: "'moderator' in auth.roles"}
"""


@app({"box": FROZEN})
async def test_a_default_that_changes_nothing_is_no_write(bench: Bench) -> None:
    await bench.do(ANN, "insert", "box", document={"_id": "a"})
    await bench.do(ANN, "replace", "box", id="a", document={"n": 1})
    moved = {"$set": {"state": "done", "secret": "s"}}
    await bench.do(MODERATOR, "update", "box", id="a", update=moved)
    with refused(Code.PERMISSION_DENIED, "state"):
        await bench.do(ANN, "replace", "box", id="a", document={"n": 2})
    await bench.do(ANN, "replace", "box", id="a", document={"n": 2, "state": "done"})
    stored = (await bench.stored("box"))["a"]
    assert (stored["n"], stored["state"], stored["secret"]) == (2, "done", "s")


# -- upsert ---------------------------------------------------------------------------------------


@app()
async def test_upsert_makes_what_is_not_there(bench: Bench) -> None:
    update = {"$set": {"title": "x"}, "$inc": {"n": 2}, "$setOnInsert": {"first": True}}
    answer = await bench.do(ANN, "update", "posts", id="a", update=update, upsert=True, **BACK)
    assert (answer["matched"], answer["upsertedId"]) == (0, "a")
    made = answer["documents"][0]
    assert (made["n"], made["first"], made["_openid"], made["published"]) == (2, True, "ann", False)
    answer = await bench.do(ANN, "update", "posts", id="a", update=update, upsert=True)
    assert answer == {"matched": 1, "modified": 1, "upsertedId": None}
    assert (await bench.stored("posts"))["a"]["n"] == 4


@app()
async def test_upsert_by_filter_takes_its_equalities(bench: Bench) -> None:
    filter = {"slug": "s", "o.p": {"$eq": 1}, "$and": [{"q": 2}], "n": {"$gt": 0}, "_openid": "ann"}
    answer = await bench.do(
        ANN, "update", "posts", filter=filter, update={"$set": {"title": "x"}}, upsert=True
    )
    made = (await bench.stored("posts"))[answer["upsertedId"]]
    assert (made["slug"], made["o"], made["q"], made["_openid"]) == ("s", {"p": 1}, 2, "ann")
    assert "n" not in made


@app()
async def test_upsert_meets_a_hidden_document_as_a_conflict(bench: Bench) -> None:
    await bench.insert("posts", {"_id": "a", "title": "x", "slug": "s"}, actor=ANN)
    targets: list[dict[str, Any]] = [
        {"id": "a"},
        {"filter": {"_id": "a"}},
        {"filter": {"slug": "s"}},
    ]
    for target in targets:
        with refused(Code.CONFLICT):
            await bench.do(BOB, "update", "posts", **target, update=TITLE, upsert=True)
    with refused(Code.CONFLICT):
        await bench.do(BOB, "replace", "posts", id="a", document={"title": "x"}, upsert=True)
    assert (await bench.stored("posts"))["a"]["title"] == "x"


@app({"box": "rules: {read: 'true', create: auth != null, update: 'false'}\n"})
async def test_a_caller_who_may_only_create_may_upsert(bench: Bench) -> None:
    body: dict[str, Any] = {"id": "a", "update": {"$set": {"n": 1}}, "upsert": True}
    assert (await bench.do(ANN, "update", "box", **body))["upsertedId"] == "a"
    with refused(Code.PERMISSION_DENIED):
        await bench.do(ANN, "update", "box", **body)
    with refused(Code.PERMISSION_DENIED):
        await bench.do(NOBODY, "update", "box", **{**body, "id": "b"})
    answer = await bench.do(
        ANN, "update", "box", filter={"n": 2}, update={"$set": {"m": 1}}, upsert=True
    )
    assert answer["upsertedId"] is not None


@app({"box": "rules: {read: 'true', create: newDoc.n > 0, update: 'true'}\n"})
async def test_the_create_rule_judges_what_upsert_makes(bench: Bench) -> None:
    with refused(Code.PERMISSION_DENIED):
        await bench.do(ANN, "update", "box", id="a", update={"$set": {"n": 0}}, upsert=True)
    await bench.do(ANN, "update", "box", id="a", update={"$set": {"n": 1}}, upsert=True)
    await bench.do(ANN, "update", "box", id="a", update={"$set": {"n": 0}}, upsert=True)


@app()
@pytest.mark.parametrize(
    "filter", [{"a": 1, "a.b": 2}, {"$and": [{"a": 1}, {"a": True}]}, {"_id": 5}]
)
async def test_a_filter_that_cannot_be_one_document_makes_none(
    bench: Bench, filter: dict[str, Any]
) -> None:
    with refused(Code.INVALID_ARGUMENT):
        await bench.do(ANN, "update", "posts", filter=filter, update=TITLE, upsert=True)


@app()
async def test_replace_upserts_too(bench: Bench) -> None:
    with refused(Code.NOT_FOUND):
        await bench.do(ANN, "replace", "posts", id="a", document={"title": "x"})
    answer = await bench.do(ANN, "replace", "posts", id="a", document={"title": "x"}, upsert=True)
    assert answer == {"matched": 0, "modified": 0, "upsertedId": "a"}
    assert (await bench.stored("posts"))["a"]["_openid"] == "ann"


@app({"posts": POSTS})
async def test_trusted_callers_may_move_a_document_to_another_owner(bench: Bench) -> None:
    await two_posts(bench)
    await bench.do(SERVER, "update", "posts", id="a", update={"$set": {"_openid": "bob"}})
    await bench.do(SERVER, "replace", "posts", id="b", document={"title": "x", "_openid": "bob"})
    assert {one["_openid"] for one in (await bench.stored("posts")).values()} == {"bob"}
