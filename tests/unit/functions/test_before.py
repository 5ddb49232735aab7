"""Functions before writes: what they see, what they may change, and what they may not."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, Problem
from tests.support.database import ANN, NOBODY, SERVER, refused
from tests.support.invoking import Shop, shop

SLUG = """
seen = []

@fn.before("database.posts.insert")
async def slug(ctx, event):
    seen.append((ctx.auth, event.actor, event.operation))
    event.document["slug"] = event.document["title"].lower()
"""


@shop(SLUG)
async def test_a_function_completes_a_document_in_place(shop: Shop) -> None:
    (id,) = await shop.insert("posts", {"title": "Red"}, actor=ANN)
    stored = (await shop.stored("posts"))[id]
    assert stored["slug"] == "red"
    assert stored["_openid"] == "ann"
    # The document's form is that of every other: id first, the server's fields last.
    names = list(stored)
    assert (names[0], names[-1]) == ("_id", "_updateTime")


@shop(SLUG)
async def test_each_document_of_an_insert_meets_it_and_nobody_else_does(shop: Shop) -> None:
    await shop.insert("posts", {"title": "A"}, {"title": "B"}, actor=ANN)
    await shop.do(ANN, "update", "posts", filter={"title": "A"}, update={"$set": {"title": "C"}})
    slugs = sorted(one["slug"] for one in (await shop.stored("posts")).values())
    assert slugs == ["a", "b"]


@shop(
    """
    @fn.before("database.posts.update")
    async def revision(ctx, event):
        return {"update": {**event.update, "$inc": {"score": 1}}}
    """
)
async def test_a_function_adds_to_an_update(shop: Shop) -> None:
    (id,) = await shop.insert("posts", {"title": "a", "score": 1}, actor=ANN)
    answer = await shop.do(ANN, "update", "posts", id=id, update={"$set": {"title": "b"}})
    stored = (await shop.stored("posts"))[id]
    assert answer["matched"] == 1
    assert (stored["title"], stored["score"]) == ("b", 2)


@shop(
    """
    @fn.before("database.posts.update")
    def upper(ctx, event):
        event.document["title"] = event.document["title"].upper()
    """
)
async def test_a_replace_is_an_update_with_a_document(shop: Shop) -> None:
    (id,) = await shop.insert("posts", {"title": "a"}, actor=ANN)
    await shop.do(ANN, "replace", "posts", id=id, document={"title": "b"})
    assert (await shop.stored("posts"))[id]["title"] == "B"


@shop(
    """
    @fn.before("database.posts.delete")
    async def keep(ctx, event):
        raise fn.Error("KEPT", status=423, detail=event.id)

    @fn.before("database.posts.insert")
    async def broken(ctx, event):
        1 / 0
    """
)
async def test_a_function_refuses_and_nothing_is_written(shop: Shop) -> None:
    with refused(Code.FUNCTION_FAILED) as failed:
        await shop.insert("posts", {"title": "a"}, actor=ANN)
    assert failed.problem.detail == "The function failed."
    with refused(Code.FUNCTION_FAILED) as kept:
        await shop.do(ANN, "delete", "posts", id="p1")
    assert (kept.problem.public.name, kept.problem.status) == ("KEPT", 423)
    assert kept.problem.detail == "p1"
    assert await shop.stored("posts") == {}


@shop(SLUG)
async def test_a_caller_whom_the_rule_refuses_makes_no_function_run(shop: Shop) -> None:
    with refused(Code.PERMISSION_DENIED):
        await shop.insert("posts", {"title": "a"}, actor=NOBODY)
    assert shop.functions.records.totals["slug", "ok"] == 0


@shop(
    """
    @fn.before("database.posts.insert")
    async def phone(ctx, event):
        return {"document": {**event.document, "phone": "hidden"}}
    """,
    rules={
        "posts": """
rules: {read: true, create: auth != null}
fields:
  phone: {read: false, write: false}
"""
    },
)
async def test_a_function_sets_what_the_caller_may_not(shop: Shop) -> None:
    (id,) = await shop.insert("posts", {"title": "a"}, actor=ANN)
    assert (await shop.stored("posts"))[id]["phone"] == "hidden"
    with refused(Code.PERMISSION_DENIED):
        await shop.insert("posts", {"phone": "mine"}, actor=ANN)


@shop(
    """
    @fn.before("database.posts.insert")
    async def complete(ctx, event):
        event.document.setdefault("title", "untitled")
    """
)
async def test_schema_and_defaults_come_after_it(shop: Shop) -> None:
    (id,) = await shop.insert("posts", {"score": 1}, actor=ANN)
    stored = (await shop.stored("posts"))[id]
    assert (stored["title"], stored["published"]) == ("untitled", False)
    with refused(Code.VALIDATION_FAILED):
        await shop.insert("posts", {"title": 5}, actor=ANN)


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ("insert", 'event.document["_openid"] = "bob"'),
        ("insert", 'event.document["_id"] = "mine"'),
        ("insert", 'event.document["_createTime"] = "now"'),
        ("insert", 'event.document["bad.name"] = 1'),
        ("update", 'event.update["$set"]["_openid"] = "bob"'),
        ("update", 'event.update["$run"] = {}'),
    ],
)
def test_what_no_function_may_make_of_a_write(operation: str, change: str) -> None:
    source = f"""
@fn.before("database.posts.{operation}")
async def meddle(ctx, event):
    {change}
"""

    @shop(source)
    async def play(shop: Shop) -> None:
        if operation == "update":
            (id,) = await shop.insert("posts", {"title": "a"}, actor=ANN)
            body: Any = {"id": id, "update": {"$set": {"title": "b"}}}
        else:
            body = {"document": {"title": "a"}}
        before = await shop.stored("posts")
        with refused(Code.FUNCTION_FAILED):
            await shop.do(ANN, operation, "posts", **body)
        assert await shop.stored("posts") == before

    play()


@shop(SLUG)
async def test_a_transaction_s_operations_meet_it(shop: Shop) -> None:
    insert = {"collection": "posts", "verb": "insert"}
    one, other = {**insert, "document": {"title": "T"}}, {**insert, "document": {"title": "U"}}
    await shop.transaction(ANN, one, other)
    assert [one["slug"] for one in (await shop.stored("posts")).values()] == ["t", "u"]


@shop(SLUG)
async def test_an_upsert_that_inserts_meets_it_and_one_that_updates_does_not(shop: Shop) -> None:
    update = {"$set": {"title": "Red"}, "$setOnInsert": {"score": 1}}
    made = await shop.do(ANN, "update", "posts", id="p1", update=update, upsert=True)
    assert made["upsertedId"] == "p1"
    stored = (await shop.stored("posts"))["p1"]
    assert (stored["slug"], stored["score"], stored["_openid"]) == ("red", 1, "ann")
    update = {"$set": {"title": "Blue"}}
    again = await shop.do(ANN, "update", "posts", id="p1", update=update, upsert=True)
    assert (again["matched"], again["upsertedId"]) == (1, None)
    assert (await shop.stored("posts"))["p1"]["slug"] == "red"
    by_filter: dict[str, Any] = {
        "filter": {"title": "Green"},
        "update": {"$set": {"score": 2}},
        "upsert": True,
    }
    made = await shop.do(ANN, "update", "posts", **by_filter)
    assert (await shop.stored("posts"))[made["upsertedId"]]["slug"] == "green"
    await shop.do(ANN, "replace", "posts", id="p2", document={"title": "Two"}, upsert=True)
    assert (await shop.stored("posts"))["p2"]["slug"] == "two"
    operation = {"collection": "posts", "verb": "update", "id": "p3", "upsert": True}
    await shop.transaction(ANN, {**operation, "update": {"$set": {"title": "Three"}}})
    assert (await shop.stored("posts"))["p3"]["slug"] == "three"


@shop(
    """
    @fn.before("database.posts.insert")
    async def strict(ctx, event):
        if "score" not in event.document:
            raise fn.Error("NO_SCORE", status=409)

    @fn.before("database.posts.update")
    async def counted(ctx, event):
        return {"update": {**event.update, "$inc": {"edits": 1}}}
    """
)
async def test_a_refusal_counts_only_for_what_an_upsert_comes_to_be(shop: Shop) -> None:
    upsert: dict[str, Any] = {"id": "p1", "update": {"$set": {"title": "a"}}, "upsert": True}
    with pytest.raises(Problem) as caught:
        await shop.do(ANN, "update", "posts", **upsert)
    assert caught.value.public.name == "NO_SCORE"
    assert await shop.stored("posts") == {}
    await shop.insert("posts", {"_id": "p1", "title": "a", "score": 1}, actor=ANN)
    assert (await shop.do(ANN, "update", "posts", **upsert))["matched"] == 1
    assert (await shop.stored("posts"))["p1"]["edits"] == 1


@shop(
    """
    @fn.before("database.posts.update")
    async def closed(ctx, event):
        raise fn.Error("CLOSED", status=423)
    """
)
async def test_a_refusal_of_updates_lets_an_upsert_insert(shop: Shop) -> None:
    by_id: dict[str, Any] = {"id": "p1", "update": {"$set": {"title": "a"}}, "upsert": True}
    by_filter: dict[str, Any] = {
        "filter": {"title": "b"},
        "update": {"$set": {"score": 1}},
        "upsert": True,
    }
    replace: dict[str, Any] = {"id": "p3", "document": {"title": "c"}, "upsert": True}
    for verb, body in (("update", by_id), ("update", by_filter), ("replace", replace)):
        assert (await shop.do(ANN, verb, "posts", **body))["upsertedId"]
        with refused(Code.FUNCTION_FAILED) as again:
            await shop.do(ANN, verb, "posts", **body)
        assert (again.problem.public.name, again.problem.status) == ("CLOSED", 423)
    stored = await shop.stored("posts")
    assert sorted(one["title"] for one in stored.values()) == ["a", "b", "c"]
    operation = {"collection": "posts", "verb": "update", **by_id}
    await shop.transaction(ANN, {**operation, "id": "p4"})
    with refused(Code.FUNCTION_FAILED):
        await shop.transaction(ANN, {**operation, "id": "p5"}, operation)
    assert sorted(await shop.stored("posts")) == sorted([*stored, "p4"])


@shop(
    """
    @fn.before("database.posts.update")
    async def counted(ctx, event):
        if event.update is not None:
            return {"update": {**event.update, "$inc": {"edits": 1}}}
        event.document["edits"] = 1
    """
)
async def test_what_is_made_of_an_update_is_not_in_what_an_upsert_inserts(shop: Shop) -> None:
    by_id: dict[str, Any] = {"id": "p1", "update": {"$set": {"title": "a"}}, "upsert": True}
    replace: dict[str, Any] = {"id": "p2", "document": {"title": "b"}, "upsert": True}
    for verb, body in (("update", by_id), ("replace", replace)):
        await shop.do(ANN, verb, "posts", **body)
        assert "edits" not in (await shop.stored("posts"))[str(body["id"])]
        await shop.do(ANN, verb, "posts", **body)
        assert (await shop.stored("posts"))[str(body["id"])]["edits"] == 1


@shop(SLUG)
async def test_who_may_not_insert_makes_nothing_run_by_an_upsert(shop: Shop) -> None:
    with refused(Code.PERMISSION_DENIED):
        await shop.do(
            NOBODY, "update", "posts", id="p1", update={"$set": {"title": "x"}}, upsert=True
        )
    assert await shop.records() == []


@shop(
    """
    @fn.before("database.posts.insert")
    async def owned(ctx, event):
        event.document["_id"] = "other"
    """
)
async def test_it_may_not_name_an_upserted_document(shop: Shop) -> None:
    with refused(Code.FUNCTION_FAILED):
        await shop.do(ANN, "update", "posts", id="p1", update={"$set": {"title": "x"}}, upsert=True)
    assert await shop.stored("posts") == {}


@shop(
    """
    @fn.before("database.posts.insert")
    async def more(ctx, event):
        await ctx.database.collection("posts").insert({"title": "again"})
    """
)
async def test_a_hook_that_writes_where_it_hooks_is_a_loop(shop: Shop) -> None:
    with refused(Code.LOOP_DETECTED):
        await shop.insert("posts", {"title": "a"}, actor=SERVER)
    assert await shop.stored("posts") == {}


@shop(
    """
    from datetime import timedelta

    @fn.before("database.posts.insert")
    async def due(ctx, event):
        event.document["due"] = event.document["due"] + timedelta(days=1)
    """
)
async def test_dates_are_datetimes_in_a_hook(shop: Shop) -> None:
    date = {"$date": "2026-11-20T08:00:00.000Z"}
    (id,) = await shop.insert("posts", {"title": "a", "due": date}, actor=ANN)
    stored = (await shop.stored("posts"))[id]
    assert stored["due"] == {"$date": "2026-11-21T08:00:00.000Z"}


@shop(
    """
    @fn.before("database.posts.insert", isolation="process")
    def slug(ctx, event):
        event.document["slug"] = event.document["title"].lower()
    """
)
async def test_a_hook_may_run_in_a_process(shop: Shop) -> None:
    (id,) = await shop.insert("posts", {"title": "Red"}, actor=ANN)
    assert (await shop.stored("posts"))[id]["slug"] == "red"
